//! Everything below a file or directory that is about to be renamed, so that `change` can announce each path of it.

use std::sync::Arc;

use agent_core::effect::Refusal;
use rustix::fs::FileType;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::hosts::fs::FileError;
use crate::hosts::fs::before::{beyond_undo, link_target};
use crate::hosts::fs::names::{is_hidden, is_protected};
use crate::hosts::fs::walk::{Handle, LastLink, RelativePath, Spot, find, leads_out, open_directory};
use crate::hosts::fs::walls::Walls;

/// Most entries of a directory that is renamed where each is kept for the undo.
pub(crate) const KEPT_ENTRIES_MAX: usize = 1_000;

/// Most entries where each is only looked at.
pub(crate) const SEEN_ENTRIES_MAX: usize = 20_000;

/// A file or directory and everything in it, parents first, each with its place after the whole was moved to `to`. Refuses a
/// move after which a link in it would lead out of the mount.
pub(crate) fn walk_tree(
    walls: &Walls,
    from: &Spot,
    to: &RelativePath,
    entries_max: usize,
) -> Result<Vec<(Spot, RelativePath)>, FileError> {
    let mut tree = vec![(from.clone(), to.clone())];
    let mut next = 0;
    while let Some((spot, to)) = tree.get(next).cloned() {
        match spot.found {
            Some(FileType::Directory) => {
                let children = children(walls, &spot, &to, entries_max - tree.len())?;
                tree.extend(children.ok_or_else(|| {
                    beyond_undo(&format!("more than {entries_max} entries are too many to rename at once"))
                })?);
            }
            Some(FileType::Symlink) => check_moved_link(&spot, &to)?,
            Some(_) | None => {}
        }
        next += 1;
    }
    Ok(tree)
}

/// A relative link means something else at another depth: one that was fine where it was made could be moved until it leads
/// out of the mount.
fn check_moved_link(spot: &Spot, to: &RelativePath) -> Result<(), FileError> {
    let target = link_target(spot)?;
    if target.starts_with('/') || !leads_out(to, &target) {
        return Ok(());
    }
    Err(denied("a link in it would lead out of the mount"))
}

/// The entries of a directory, each with its place after the directory was moved to `to`. `None` if there are more than `room`.
fn children(
    walls: &Walls,
    spot: &Spot,
    to: &RelativePath,
    room: usize,
) -> Result<Option<Vec<(Spot, RelativePath)>>, FileError> {
    let dir = Arc::new(open_directory(&spot.dir, &spot.name, Handle::Read)?);
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name().to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
        if matches!(name, "." | "..") {
            continue;
        }
        if is_hidden(name) {
            return Err(denied("it holds this host's own records"));
        }
        // Moved to where it runs, what lay harmless in an archive would be a change of what is protected there.
        if is_protected(name) {
            return Err(denied("it holds what is read-only inside a write grant"));
        }
        if found.len() == room {
            return Ok(None);
        }
        let child = find(walls, &dir, &spot.path, name, LastLink::Keep)?;
        found.push((child, to.join(name)?));
    }
    Ok(Some(found))
}

fn denied(rule: &str) -> FileError {
    FileError::Refused { refusal: Refusal::FsDenied, rule: rule.to_owned(), code: ErrorCode::NotPermitted }
}
