//! Undoing the owned writes of a call: every path that it changed gets back the state that was announced before its first
//! change. Called by the driver once nothing of the call runs any more, and again if the host was killed in between.
//!
//! Each path ends in its announced state whatever state it is in now, so undoing twice is undoing once. Content, permission
//! bits and the time of the last modification come back; the owner of files does not, nor is there anything to restore of what
//! a hidden or protected name holds, since no call can change that.

use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::effect::{Before, UndoEntry};
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use crate::gate::Undo;
use crate::hosts::fs::names::UNDO_FILE;
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::{Handle, LastLink, Lost, RelativePath, Spot, find, open_directory, open_name};
use crate::mount::Mount;

/// Permission bits of a file while it is being written back, and of a directory while it is made again.
const PRIVATE_MODE: u32 = 0o600;
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// What an undo did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Paths that are now as they were, as guests see them.
    pub restored: Vec<String>,
    /// Paths that could not be restored, and why: somebody must look.
    pub left: Vec<Left>,
}

/// A path that an undo had to leave as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As guests see it.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Why an undo cannot even begin. Nothing was restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// An entry is of a mount that is not open.
    #[error("cannot undo a change of `{path}`: its directory is not mounted")]
    NotMounted {
        /// As guests see it.
        path: String,
    },
    /// An entry's content is missing or not the one that it names.
    #[error("cannot undo a change of `{path}`: what it contained is not at hand")]
    Content {
        /// As guests see it.
        path: String,
    },
}

/// Restores what `entries` say, the last one first. One path that cannot be restored does not keep others from it.
///
/// # Errors
/// If an entry is of no mount, or lacks its content. Checked before anything is changed.
pub fn restore(mounts: &[Mount], entries: &[Undo]) -> Result<UndoReport, UndoError> {
    let work = entries.iter().map(|undo| check(mounts, undo)).collect::<Result<Vec<_>, _>>()?;
    let mut report = UndoReport::default();
    let mut told = HashSet::new();
    for (mount, undo) in work.into_iter().rev() {
        let path = shown(&undo.entry);
        match restore_one(mount, undo) {
            Ok(()) if !told.insert(path.clone()) => {}
            Ok(()) => report.restored.push(path),
            Err(error) => report.left.push(Left { path, reason: error.to_string() }),
        }
    }
    // Last, since to restore what is in a directory is to modify it.
    for undo in entries.iter().rev() {
        if let Some(mount) = mounts.iter().find(|mount| mount.guest == undo.entry.mount) {
            restore_mode_and_time(mount, undo);
        }
    }
    Ok(report)
}

fn check<'a>(mounts: &'a [Mount], undo: &'a Undo) -> Result<(&'a Mount, &'a Undo), UndoError> {
    let path = || shown(&undo.entry);
    let mount = mounts.iter().find(|mount| mount.guest == undo.entry.mount);
    let mount = mount.ok_or_else(|| UndoError::NotMounted { path: path() })?;
    if let Before::Content { digest, .. } = &undo.entry.before {
        let known = undo.content.as_ref().is_some_and(|content| Digest::of(content) == *digest);
        if !known {
            return Err(UndoError::Content { path: path() });
        }
    }
    Ok((mount, undo))
}

fn restore_one(mount: &Mount, undo: &Undo) -> io::Result<()> {
    let spot = match spot(mount, &undo.entry.path)? {
        Ok(spot) => spot,
        // What it was in is gone as well, or is to be restored by a later step.
        Err(Lost::Code(_)) if undo.entry.before == Before::Absent => return Ok(()),
        Err(_) => return Err(io::Error::other("the path leads elsewhere now")),
    };
    match &undo.entry.before {
        Before::Absent => remove(&spot),
        Before::Directory { .. } => restore_directory(&spot),
        Before::Length(length) => restore_length(&spot, *length),
        Before::Content { mode, .. } => restore_content(&spot, undo.content.as_deref().unwrap_or(&[]), *mode),
        Before::Symlink(target) => restore_link(&spot, target),
    }
}

/// Where a path is now.
fn spot(mount: &Mount, path: &str) -> io::Result<Result<Spot, Lost>> {
    let root = Arc::new(mount.dir.try_clone()?.into_std_file());
    // The mount itself, whose times a call may have changed.
    let path = if path.is_empty() { "." } else { path };
    Ok(find(&mount.walls, &root, &RelativePath::default(), path, LastLink::KeepAndRefuseOthers))
}

/// Permission bits of directories and the times of everything. What cannot be restored of them is no doubt about the content.
fn restore_mode_and_time(mount: &Mount, undo: &Undo) {
    let Ok(Ok(spot)) = spot(mount, &undo.entry.path) else { return };
    if let (Before::Directory { mode }, Some(FileType::Directory)) = (&undo.entry.before, spot.found) {
        let handle = open_directory(&spot.dir, &spot.name, Handle::Read);
        let _ = handle.map_err(io::Error::from).and_then(|dir| dir.set_permissions(Permissions::from_mode(*mode)));
    }
    if let Some(modified_ns) = undo.entry.modified_ns {
        let last_modification =
            Timespec { tv_sec: modified_ns.div_euclid(NS_PER_SECOND), tv_nsec: modified_ns.rem_euclid(NS_PER_SECOND) };
        let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification };
        let _ = rustix::fs::utimensat(&spot.dir, spot.name.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
    }
}

/// Removes what is there. A directory that still holds something stays: the call did not put it there.
fn remove(spot: &Spot) -> io::Result<()> {
    let flags = match spot.found {
        None => return Ok(()),
        Some(FileType::Directory) => AtFlags::REMOVEDIR,
        Some(_) => AtFlags::empty(),
    };
    Ok(rustix::fs::unlinkat(&spot.dir, spot.name.as_str(), flags)?)
}

fn restore_directory(spot: &Spot) -> io::Result<()> {
    if spot.found == Some(FileType::Directory) {
        return Ok(());
    }
    remove(spot)?;
    Ok(rustix::fs::mkdirat(&spot.dir, spot.name.as_str(), Mode::from_raw_mode(PRIVATE_DIRECTORY_MODE))?)
}

/// Cuts a file that was appended to. A shorter one is not extended: its bytes are gone.
fn restore_length(spot: &Spot, length: Bytes) -> io::Result<()> {
    let Some(file) = regular(spot)? else {
        return Err(io::Error::other("the file that was appended to is gone"));
    };
    match file.metadata()?.len() {
        now if now == length.0 => Ok(()),
        now if now < length.0 => Err(io::Error::other("the file is shorter than before the call")),
        _ => {
            file.set_len(length.0)?;
            file.sync_all()
        }
    }
}

/// Writes a file back: all of it at once, by a new file that takes its place; or in place where it has other names, which
/// would otherwise keep what the call wrote.
fn restore_content(spot: &Spot, content: &[u8], mode: u32) -> io::Result<()> {
    let there = regular(spot)?;
    match &there {
        Some(file) if file.metadata()?.nlink() > 1 => return write_in_place(file, content, mode),
        None if spot.found == Some(FileType::Directory) => remove(spot)?,
        Some(_) | None => {}
    }
    match (replace(spot, content, mode), there) {
        // A full disk may have room for the file though not for two of it.
        (Err(error), Some(file)) if error.kind() == io::ErrorKind::StorageFull => write_in_place(&file, content, mode),
        (replaced, _) => replaced,
    }
}

/// Puts a new file in the place of what is there.
fn replace(spot: &Spot, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    // Left over from an undo that was killed.
    let _ = rustix::fs::unlinkat(&spot.dir, UNDO_FILE, AtFlags::empty());
    let file = File::from(open_name(&spot.dir, UNDO_FILE, flags, Mode::from_raw_mode(PRIVATE_MODE))?);
    if let Err(error) = write_in_place(&file, content, mode) {
        let _ = rustix::fs::unlinkat(&spot.dir, UNDO_FILE, AtFlags::empty());
        return Err(error);
    }
    rustix::fs::renameat(&spot.dir, UNDO_FILE, &spot.dir, spot.name.as_str())?;
    sync_directory(spot)
}

/// The file at a spot, if a regular one is there.
fn regular(spot: &Spot) -> io::Result<Option<File>> {
    if spot.found != Some(FileType::RegularFile) {
        return Ok(None);
    }
    match open_regular(&spot.dir, &spot.name, OFlags::RDWR)? {
        Pinned::Regular(file) => Ok(Some(file)),
        Pinned::Other(_) => Ok(None),
    }
}

/// Directories on the way are held by handles that can only be gone through, so this one is opened once more.
fn sync_directory(spot: &Spot) -> io::Result<()> {
    open_directory(&spot.dir, ".", Handle::Read)?.sync_all()
}

fn write_in_place(mut file: &File, content: &[u8], mode: u32) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn restore_link(spot: &Spot, target: &str) -> io::Result<()> {
    let there = rustix::fs::readlinkat(&spot.dir, spot.name.as_str(), Vec::new());
    if there.is_ok_and(|there| there.as_bytes() == target.as_bytes()) {
        return Ok(());
    }
    remove(spot)?;
    Ok(rustix::fs::symlinkat(target, &spot.dir, spot.name.as_str())?)
}

fn shown(entry: &UndoEntry) -> String {
    format!("{}/{}", entry.mount.trim_end_matches('/'), entry.path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};

    use super::*;

    fn mount(dir: &Path) -> Option<Mount> {
        let (host, mount) = (dir.display().to_string(), "/data".to_owned());
        let (recovery, source) = (Recovery::Undo, RuleSource("test".to_owned()));
        Mount::open(&FsGrant { host, mount, access: Access::Write, recovery, source }).ok()
    }

    fn undo(path: &str, before: Before) -> Undo {
        let entry = UndoEntry { mount: "/data".to_owned(), path: path.to_owned(), before, modified_ns: None };
        Undo { entry, content: None }
    }

    fn content(path: &str, bytes: &[u8]) -> Undo {
        let before = Before::Content { digest: Digest::of(bytes), mode: 0o640 };
        Undo { content: Some(bytes.to_vec()), ..undo(path, before) }
    }

    /// Every path below a directory with what is there, sorted.
    fn tree(dir: &Path, below: &str) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = format!("{below}{}", entry.file_name().display());
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                lines.push(format!("{path} -> {}", fs::read_link(entry.path())?.display()));
            } else if kind.is_dir() {
                lines.push(format!("{path}/"));
                lines.extend(tree(&entry.path(), &format!("{path}/"))?);
            } else {
                let mode = entry.metadata()?.mode() & 0o777;
                lines.push(format!("{path} {mode:o} {}", fs::read_to_string(entry.path())?));
            }
        }
        lines.sort();
        Ok(lines)
    }

    #[test]
    fn every_state_is_restored_and_again() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let at = |name: &str| temp.path().join(name);
        fs::create_dir_all(at("new/inner"))?;
        fs::write(at("new/inner/file"), "new")?;
        fs::write(at("log"), "old+new")?;
        fs::write(at("changed"), "after")?;
        fs::write(at("was-link"), "file now")?;
        let entries = [
            undo("new", Before::Absent),
            undo("new/inner", Before::Absent),
            undo("new/inner/file", Before::Absent),
            undo("log", Before::Length(Bytes(3))),
            content("changed", b"before"),
            content("moved/away", b"back"),
            undo("moved", Before::Directory { mode: 0o750 }),
            undo("was-link", Before::Symlink("log".to_owned())),
        ];
        let Some(mount) = mount(temp.path()) else { return Err(io::Error::other("no mount")) };
        for round in 0..2 {
            let report = restore(std::slice::from_ref(&mount), &entries).map_err(io::Error::other)?;
            assert_eq!((report.restored.len(), report.left), (8, Vec::new()), "round {round}");
            fs::set_permissions(at("log"), Permissions::from_mode(0o644))?;
            let expected = ["changed 640 before", "log 644 old", "moved/", "moved/away 640 back", "was-link -> log"];
            assert_eq!(tree(temp.path(), "")?, expected, "round {round}");
        }
        Ok(())
    }

    #[test]
    fn what_others_did_is_left_and_told() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let at = |name: &str| temp.path().join(name);
        fs::create_dir(at("new"))?;
        fs::write(at("new/of-somebody-else"), "x")?;
        fs::write(at("log"), "s")?;
        std::os::unix::fs::symlink("/etc", at("swapped"))?;
        let entries = [
            undo("new", Before::Absent),
            undo("log", Before::Length(Bytes(3))),
            content("swapped/file", b"x"),
            content("other", b"restored all the same"),
        ];
        let Some(mount) = mount(temp.path()) else { return Err(io::Error::other("no mount")) };
        let report = restore(&[mount], &entries).map_err(io::Error::other)?;
        let left: Vec<_> = report.left.iter().map(|left| left.path.as_str()).collect();
        assert_eq!(report.restored, ["/data/other"]);
        assert_eq!(left, ["/data/swapped/file", "/data/log", "/data/new"]);
        assert!(!Path::new("/etc/file").exists());
        Ok(())
    }

    #[test]
    fn all_names_of_a_file_are_restored() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        fs::write(temp.path().join("a"), "after")?;
        fs::hard_link(temp.path().join("a"), temp.path().join("b"))?;
        let Some(mount) = mount(temp.path()) else { return Err(io::Error::other("no mount")) };
        restore(&[mount], &[content("a", b"before")]).map_err(io::Error::other)?;
        assert_eq!(fs::read(temp.path().join("b"))?, b"before");
        Ok(())
    }

    #[test]
    fn nothing_is_touched_if_a_content_is_missing() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        fs::write(temp.path().join("new"), "x")?;
        let Some(mount) = mount(temp.path()) else { return Err(io::Error::other("no mount")) };
        let wrong = Undo { content: Some(b"other".to_vec()), ..content("a", b"before") };
        let result = restore(&[mount], &[undo("new", Before::Absent), wrong]);
        assert_eq!(result, Err(UndoError::Content { path: "/data/a".to_owned() }));
        assert!(temp.path().join("new").exists());
        Ok(())
    }
}
