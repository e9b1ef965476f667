//! Syncing what a call wrote: the driver does so before it records the call as finished, so that a journal never says more
//! than the disk holds.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use agent_core::effect::{Effect, EffectClass, EffectRequest, UndoEntry};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::look::{Thing, look_behind};
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::{LastLink, Lost, Spot, find};
use crate::mount::Mount;

/// Syncs every path that `changes` name: files and directories, and once each the directories in which names came and went.
/// A path that is gone by now has nothing to sync but its directory.
///
/// # Errors
/// Where the disk does not confirm.
pub fn sync_changes(mounts: &[Mount], changes: &[UndoEntry]) -> io::Result<()> {
    let changed = |change: &'_ UndoEntry| {
        let mount = mounts.iter().find(|mount| mount.guest == change.mount)?;
        Some((mount, change.path.clone()))
    };
    sync_paths(changes.iter().filter_map(changed))
}

/// The same of what a call changed where nothing is undone: its record says that it happened.
///
/// # Errors
/// Where the disk does not confirm.
pub fn sync_opaque(mounts: &[Mount], effects: &[Effect]) -> io::Result<()> {
    let opaque = effects.iter().filter(|effect| effect.class == EffectClass::OpaqueWrite);
    let paths = opaque.filter_map(|effect| match &effect.request {
        EffectRequest::File { path, to, .. } => Some([Some(path), to.as_ref()]),
        EffectRequest::Http { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Kv { .. }
        | EffectRequest::Socket { .. } => None,
    });
    sync_paths(paths.flatten().flatten().filter_map(|path| below(mounts, path)))
}

/// The mount that a guest's path is below, and where.
fn below<'m>(mounts: &'m [Mount], path: &str) -> Option<(&'m Mount, String)> {
    let inside = |mount: &'m Mount| {
        let rest = path.strip_prefix(mount.guest.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then(|| (mount, rest.trim_start_matches('/').to_owned()))
    };
    mounts.iter().filter_map(inside).max_by_key(|(mount, _)| mount.guest.len())
}

fn sync_paths<'m>(changed: impl Iterator<Item = (&'m Mount, String)>) -> io::Result<()> {
    let (mut paths, mut directories) = (HashSet::new(), HashSet::new());
    for (mount, path) in changed {
        if !paths.insert((mount.guest.as_str(), path.clone())) {
            continue;
        }
        let root = Arc::new(mount.dir.try_clone()?.into_std_file());
        let path = if path.is_empty() { "." } else { path.as_str() };
        match find(&mount.walls, &root, &RelativePath::default(), path, LastLink::KeepAndRefuseOthers) {
            Ok(spot) => sync_spot(mount, &spot, &mut directories)?,
            Err(Lost::Code(ErrorCode::Io)) => return Err(io::ErrorKind::Other.into()),
            // What it was in is gone or moved, and that is synced where it happened; or somebody else put a link there.
            Err(_) => {}
        }
    }
    Ok(())
}

fn sync_spot(mount: &Mount, spot: &Spot, directories: &mut HashSet<Thing>) -> io::Result<()> {
    match spot.found {
        Some(FileType::RegularFile) => {
            if let Pinned::Regular(file) = open_readable(spot)? {
                file.sync_all()?;
            }
        }
        Some(FileType::Directory) => sync_directory(mount, spot, &spot.name, directories)?,
        Some(_) | None => {}
    }
    sync_directory(mount, spot, ".", directories)
}

/// A file that may be written to and not read is synced by a handle for writing.
fn open_readable(spot: &Spot) -> Result<Pinned, Errno> {
    match open_regular(&spot.dir, &spot.name, OFlags::RDONLY) {
        Err(Errno::ACCESS) => open_regular(&spot.dir, &spot.name, OFlags::WRONLY),
        opened => opened,
    }
}

/// Directories on the way are held by handles that can only be gone through, so each is opened once more. Where one cannot be
/// opened for reading, only all of its file system can be synced.
fn sync_directory(mount: &Mount, spot: &Spot, name: &str, synced: &mut HashSet<Thing>) -> io::Result<()> {
    let directory = match open_directory(&spot.dir, name, Handle::Read) {
        Ok(directory) => directory,
        Err(Errno::ACCESS) => return sync_file_system(mount),
        Err(errno) => return Err(errno.into()),
    };
    if synced.insert(look_behind(mount, &directory)?.thing) { directory.sync_all() } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn sync_file_system(mount: &Mount) -> io::Result<()> {
    let root: File = mount.dir.try_clone()?.into_std_file();
    Ok(rustix::fs::syncfs(root)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Mount) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use agent_core::effect::Before;
    use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};
    use agent_core::path_state::Becoming;

    use super::*;

    #[test]
    fn files_new_and_gone_are_synced_without_complaint() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        std::fs::write(temp.path().join("file"), "x")?;
        std::fs::create_dir(temp.path().join("folder"))?;
        let grant = FsGrant {
            host: temp.path().display().to_string(),
            mount: "/data".to_owned(),
            access: Access::Write,
            recovery: Recovery::Undo,
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            source: RuleSource("test".to_owned()),
        };
        let mount = Mount::open(&grant).map_err(io::Error::other)?;
        let change = |path: &str| UndoEntry {
            mount: "/data".into(),
            root: mount.identity.inode,
            path: path.into(),
            before: Before::Absent,
            was: None,
            owner: None,
            attributes: Vec::new(),
            becoming: Becoming::New,
        };
        let changes = ["file", "file", "gone", "folder", "no/such/folder", ""].map(change);
        let mounts = [mount];
        for (path, found) in [("/data/a/b", Some("a/b")), ("/data", Some("")), ("/database/x", None), ("/x", None)] {
            assert_eq!(below(&mounts, path).map(|(_, path)| path), found.map(str::to_owned), "{path}");
        }
        sync_changes(&mounts, &changes)
    }
}
