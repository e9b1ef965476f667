//! What was at a path before a call changed it: what an undo entry keeps. Called by `change`, which decides when.

use std::fs::File;
use std::os::unix::fs::FileExt;

use agent_core::digest::Digest;
use agent_core::effect::{Before, Refusal};
use agent_core::path_state::{Attribute, Owner, PathKind, Stamp};
use agent_core::units::Bytes;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::hosts::fs::FileError;
use crate::hosts::fs::look::{Looked, look_at, look_behind};
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::quota::over;
use crate::hosts::fs::walk::Spot;
use crate::mount::Mount;

/// Largest file whose content is kept so that a change of it can be undone. A larger one can only be appended to.
pub(crate) const UNDO_FILE_BYTES_MAX: u64 = 16 << 20;

/// Most bytes of one file's extended attributes that are kept, names and values: what Linux keeps beside a file is one block
/// of this size. Where a file system has room for more, the rest is not given back.
const ATTRIBUTES_BYTES_MAX: usize = 4 << 10;

/// Asked before so many bytes are read to be kept: whether there is room for them.
pub(crate) type MayKeep<'a> = &'a dyn Fn(u64) -> Result<(), FileError>;

/// The state of a path.
pub(crate) struct State {
    pub(crate) before: Before,
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) looked: Option<Looked>,
    pub(crate) attributes: Vec<Attribute>,
}

impl State {
    /// Nothing is there.
    pub(crate) fn absent() -> Self {
        Self { before: Before::Absent, content: None, looked: None, attributes: Vec::new() }
    }

    /// What is at a spot, whole.
    pub(crate) fn at(mount: &Mount, spot: &Spot, may_keep: MayKeep<'_>) -> Result<Self, FileError> {
        let Some(found) = spot.found else { return Ok(Self::absent()) };
        if found == FileType::RegularFile {
            return match open_regular(&spot.dir, &spot.name, OFlags::RDONLY)? {
                Pinned::Regular(file) => Self::of_content(mount, &file, None, may_keep),
                Pinned::Other(found) => Err(not_regular(found)),
            };
        }
        let looked = look_at(mount, spot)?.ok_or(ErrorCode::NoEntry)?;
        let before = match looked.stamp.kind {
            PathKind::Link => Before::Symlink(link_target(spot)?),
            PathKind::Directory => Before::Directory { mode: looked.mode },
            PathKind::File | PathKind::Other => return Err(special_file()),
        };
        Ok(Self { before, content: None, looked: Some(looked), attributes: Vec::new() })
    }

    /// A file at a spot, as much of it as was there before the call appended to it.
    pub(crate) fn at_length(mount: &Mount, spot: &Spot, length: u64, may_keep: MayKeep<'_>) -> Result<Self, FileError> {
        match open_regular(&spot.dir, &spot.name, OFlags::RDONLY)? {
            Pinned::Regular(file) => Self::of_content(mount, &file, Some(length), may_keep),
            Pinned::Other(found) => Err(not_regular(found)),
        }
    }

    /// An open file's content, or as much of it as was there before the call appended to it.
    pub(crate) fn of_content(
        mount: &Mount,
        file: &File,
        length: Option<u64>,
        may_keep: MayKeep<'_>,
    ) -> Result<Self, FileError> {
        let looked = look_behind(mount, file)?;
        let mut content = whole_content(file, looked.stamp.size.0, may_keep)?;
        if let Some(length) = length {
            content.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        let before = Before::Content { digest: Digest::of(&content), mode: looked.mode };
        Ok(Self { before, content: Some(content), looked: Some(looked), attributes: attributes(file) })
    }

    /// The length of a file that will only be appended to, or whose times change.
    pub(crate) fn of_length(looked: Looked) -> Self {
        let before = Before::Length(looked.stamp.size);
        Self { before, content: None, looked: Some(looked), attributes: Vec::new() }
    }

    /// To compare with later.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.looked.map(|looked| looked.stamp)
    }

    /// Whose it is, where that may be lost: of a directory or a file that could be made anew.
    pub(crate) fn owner(&self) -> Option<Owner> {
        match self.before {
            Before::Content { .. } | Before::Directory { .. } => self.looked.map(|looked| looked.owner),
            Before::Absent | Before::Length(_) | Before::Symlink(_) => None,
        }
    }
}

/// A refusal of what is no regular file, directory or link.
pub(crate) fn special_file() -> FileError {
    let rule = "only regular files and directories can be used".to_owned();
    FileError::Refused { refusal: Refusal::FsSpecialFile, rule, code: ErrorCode::NotPermitted }
}

/// Why what was opened as a regular file is none: something took its place.
pub(crate) fn not_regular(found: FileType) -> FileError {
    match found {
        FileType::Directory => ErrorCode::IsDirectory.into(),
        FileType::Symlink => ErrorCode::Loop.into(),
        _ => special_file(),
    }
}

/// A refusal of what an undo could not restore.
pub(crate) fn beyond_undo(what: &str) -> FileError {
    over(format!("{what}; a grant with `undo = false` allows it, and then nothing there is undone"))
}

/// The target of a link.
pub(crate) fn link_target(spot: &Spot) -> Result<String, FileError> {
    let target = rustix::fs::readlinkat(&spot.dir, spot.name.as_str(), Vec::new())?;
    target.into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
}

/// The content of a file, if it is small enough to be kept.
fn whole_content(file: &File, length: u64, may_keep: MayKeep<'_>) -> Result<Vec<u8>, FileError> {
    if length > UNDO_FILE_BYTES_MAX {
        return Err(beyond_undo(&format!("a file of {} is too large to undo a change of it", Bytes(length))));
    }
    may_keep(length)?;
    let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// The extended attributes of a file, as far as this process may see them and there is room. Those of the kernel's own
/// (`security.`, `trusted.`) are among them: to set them again may not be allowed, and then the undo says so.
fn attributes(file: &File) -> Vec<Attribute> {
    let mut names = [0_u8; ATTRIBUTES_BYTES_MAX];
    let Ok(length) = rustix::fs::flistxattr(file, &mut names[..]) else { return Vec::new() };
    let mut room = ATTRIBUTES_BYTES_MAX;
    let mut kept = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let Ok(value) = attribute(file, name) else { continue };
        let Some(left) = room.checked_sub(name.len() + value.len()) else { continue };
        room = left;
        kept.push(Attribute { name: name.to_owned(), value: hex::encode(value) });
    }
    kept
}

fn attribute(file: &File, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; ATTRIBUTES_BYTES_MAX];
    let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that has no room left must not make the host read a file only to find that out.
    #[test]
    fn nothing_is_read_that_could_not_be_kept() -> std::io::Result<()> {
        let temp = tempfile::tempdir()?;
        let path = temp.path().join("file");
        // Nobody can read through this handle: whoever tries gets an error of the system's.
        let file = File::create(&path)?;
        file.set_len(UNDO_FILE_BYTES_MAX)?;
        let full = |_| Err(beyond_undo("full"));
        let refused = |content: Result<_, FileError>| matches!(content, Err(FileError::Refused { .. }));
        assert!(refused(whole_content(&file, UNDO_FILE_BYTES_MAX, &full)));
        assert!(!refused(whole_content(&file, UNDO_FILE_BYTES_MAX, &|_| Ok(()))));
        assert!(refused(whole_content(&file, UNDO_FILE_BYTES_MAX + 1, &|_| Ok(()))));
        Ok(())
    }
}
