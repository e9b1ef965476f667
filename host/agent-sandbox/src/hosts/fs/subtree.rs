//! Everything below a file or directory that is about to be renamed, so that `change` can announce each path of it.

use agent_core::effect::Refusal;
use rustix::fs::FileType;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::hosts::fs::FileError;
use crate::hosts::fs::before::{beyond_undo, link_target};
use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::names::{is_hidden, is_protected};
use crate::hosts::fs::path::{RelativePath, leads_out};
use crate::hosts::fs::repository::is_repository;
use crate::hosts::fs::walk::{LastLink, Lost, Spot, find};
use crate::hosts::fs::walls::Walls;

/// Most entries of a directory that is renamed where each is kept for the undo.
pub(crate) const KEPT_ENTRIES_MAX: usize = 1_000;

/// Most entries where each is only looked at. Each is held as its path, not by a handle.
pub(crate) const SEEN_ENTRIES_MAX: usize = 20_000;

/// A file or directory and everything in it, parents first. No handle of what is in it is kept: there may be more of them than
/// this process may have files open, so each is looked up when it is wanted, by its path below the root.
pub(crate) struct Tree {
    root: Spot,
    entries: Vec<Entry>,
}

/// One of them.
pub(crate) struct Entry {
    /// Where it is below the root; empty for the root.
    below: String,
    /// Its path.
    pub(crate) path: RelativePath,
    /// Its path once the root was moved.
    pub(crate) to: RelativePath,
}

impl Tree {
    /// Everything that is at a spot, with where it is once the whole was moved to `to`. Refuses a move after which a link in it
    /// would lead out of the mount, and one of what is not a guest's to move. Each entry is looked up from the mount's root:
    /// `may_go_on` is asked before.
    pub(crate) fn walk(
        walls: &Walls,
        from: &Spot,
        to: &RelativePath,
        entries_max: usize,
        may_go_on: &dyn Fn() -> Result<(), FileError>,
    ) -> Result<Self, FileError> {
        let root = Entry { below: String::new(), path: from.path.clone(), to: to.clone() };
        let mut tree = Self { root: from.clone(), entries: vec![root] };
        let mut next = 0;
        while let Some(entry) = tree.entries.get(next) {
            may_go_on()?;
            let spot = tree.at(walls, entry)?;
            match spot.found {
                Some(FileType::Directory) => {
                    let children = children(&spot, entry, entries_max - tree.entries.len())?;
                    tree.entries.extend(children.ok_or_else(|| {
                        beyond_undo(&format!("more than {entries_max} entries are too many to rename at once"))
                    })?);
                }
                Some(FileType::Symlink) => check_moved_link(&spot, &entry.to)?,
                Some(_) | None => {}
            }
            next += 1;
        }
        Ok(tree)
    }

    /// All of it, the root first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where one of them is.
    pub(crate) fn at(&self, walls: &Walls, entry: &Entry) -> Result<Spot, Lost> {
        spot_below(walls, &self.root, entry)
    }

    /// Where one of them is once the root was moved to a spot.
    pub(crate) fn at_moved(walls: &Walls, to: &Spot, entry: &Entry) -> Result<Spot, Lost> {
        spot_below(walls, to, entry)
    }
}

fn spot_below(walls: &Walls, root: &Spot, entry: &Entry) -> Result<Spot, Lost> {
    let path = if entry.below.is_empty() { root.name.clone() } else { format!("{}/{}", root.name, entry.below) };
    find(walls, &root.dir, &root.path.parent(), &path, LastLink::KeepAndRefuseOthers)
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

/// The entries of a directory. `None` if there are more than `room`.
fn children(spot: &Spot, of: &Entry, room: usize) -> Result<Option<Vec<Entry>>, FileError> {
    let dir = open_directory(&spot.dir, &spot.name, Handle::Read)?;
    if is_repository(&dir) {
        return Err(not_to_move("a git repository"));
    }
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
        if is_protected(name) {
            return Err(not_to_move(&format!("`{name}`")));
        }
        if found.len() == room {
            return Ok(None);
        }
        let below = if of.below.is_empty() { name.to_owned() } else { format!("{}/{name}", of.below) };
        found.push(Entry { below, path: of.path.join(name)?, to: of.to.join(name)? });
    }
    Ok(Some(found))
}

/// What is protected stays where it is, too: what lay harmless in an archive would be moved to where it runs, and what it names
/// by a path from itself (`core.hooksPath`, a task's program) would be another file there, of the guest's choice.
fn not_to_move(what: &str) -> FileError {
    denied(&format!(
        "it holds {what}, which is read-only inside a write grant and stays where it is; move what is beside it, or have a \
         person move the whole"
    ))
}

fn denied(rule: &str) -> FileError {
    FileError::Refused { refusal: Refusal::FsDenied, rule: rule.to_owned(), code: ErrorCode::NotPermitted }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use agent_core::outcome::Fault;

    use super::*;
    use crate::hosts::fs::walls::Kind;
    use crate::stop::Stop;

    #[test]
    fn a_walk_ends_with_the_time_of_its_call() -> Result<(), Box<dyn std::error::Error>> {
        let temp = tempfile::tempdir()?;
        std::fs::create_dir(temp.path().join("moved"))?;
        for number in 0..50 {
            std::fs::write(temp.path().join(format!("moved/{number}")), "")?;
        }
        let walls = Walls::around((0, 0), Kind::Distant);
        let root = Arc::new(std::fs::File::open(temp.path())?);
        let top = RelativePath::default().join("moved").map_err(|_| "too long")?;
        let from = find(&walls, &root, &top.parent(), "moved", LastLink::Keep).map_err(|_| "lost")?;
        let asked = Cell::new(0);
        let three = || {
            asked.set(asked.get() + 1);
            let over = || Stop::fault(Fault::DeadlineExceeded, "over");
            if asked.get() > 3 { Err(FileError::from(over())) } else { Ok(()) }
        };
        let walked = Tree::walk(&walls, &from, &top, SEEN_ENTRIES_MAX, &three);
        assert!(matches!(walked, Err(FileError::Stop(_))));
        assert_eq!(asked.get(), 4);
        Ok(())
    }
}
