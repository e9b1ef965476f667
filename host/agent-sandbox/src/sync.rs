//! Syncing what a call wrote: the driver does so before it records the call as finished, so that a journal never says more
//! than the disk holds.

use std::fs::File;
use std::io;
use std::sync::Arc;

use agent_core::effect::UndoEntry;
use rustix::fs::{FileType, Mode, OFlags};

use crate::hosts::fs::walk::{LastLink, RelativePath, Spot, find, open_name};
use crate::mount::Mount;

/// Syncs every path that `changes` name, and the directories that they are in. A path that is gone by now has nothing to
/// sync but its directory.
///
/// # Errors
/// Where the disk does not confirm.
pub fn sync_changes(mounts: &[Mount], changes: &[UndoEntry]) -> io::Result<()> {
    for change in changes {
        let Some(mount) = mounts.iter().find(|mount| mount.guest == change.mount) else { continue };
        let root = Arc::new(mount.dir.try_clone()?.into_std_file());
        if let Ok(spot) = find(&root, &RelativePath::default(), &change.path, LastLink::KeepAndRefuseOthers) {
            sync_spot(&spot)?;
        }
    }
    Ok(())
}

fn sync_spot(spot: &Spot) -> io::Result<()> {
    if spot.found == Some(FileType::RegularFile) {
        File::from(open_name(&spot.dir, &spot.name, OFlags::RDONLY, Mode::empty())?).sync_all()?;
    }
    // A mount's own handle may be one that can only be looked through, so it is opened once more.
    let dir = open_name(&spot.dir, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    File::from(dir).sync_all()
}

#[cfg(test)]
mod tests {
    use agent_core::effect::Before;
    use agent_core::grant::{Access, FsGrant, RuleSource};

    use super::*;

    #[test]
    fn files_new_and_gone_are_synced_without_complaint() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        std::fs::write(temp.path().join("file"), "x")?;
        let grant = FsGrant {
            host: temp.path().display().to_string(),
            mount: "/data".to_owned(),
            access: Access::Write,
            source: RuleSource("test".to_owned()),
        };
        let mount = Mount::open(&grant).map_err(io::Error::other)?;
        let change = |path: &str| UndoEntry { mount: "/data".into(), path: path.into(), before: Before::Absent };
        sync_changes(&[mount], &[change("file"), change("gone"), change("no/such/folder")])
    }
}
