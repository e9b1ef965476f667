//! Syncing what a call wrote: the driver does so before it records the call as finished, so that a journal never says more
//! than the disk holds.

use std::io;
use std::sync::Arc;

use agent_core::effect::UndoEntry;
use rustix::fs::{FileType, OFlags};

use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::{Handle, LastLink, RelativePath, Spot, find, open_directory};
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
        if let Ok(spot) =
            find(&mount.walls, &root, &RelativePath::default(), &change.path, LastLink::KeepAndRefuseOthers)
        {
            sync_spot(&spot)?;
        }
    }
    Ok(())
}

fn sync_spot(spot: &Spot) -> io::Result<()> {
    if spot.found == Some(FileType::RegularFile)
        && let Pinned::Regular(file) = open_regular(&spot.dir, &spot.name, OFlags::RDONLY)?
    {
        file.sync_all()?;
    }
    // Directories on the way are held by handles that can only be gone through, so this one is opened once more.
    open_directory(&spot.dir, ".", Handle::Read)?.sync_all()
}

#[cfg(test)]
mod tests {
    use agent_core::effect::Before;
    use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};

    use super::*;

    #[test]
    fn files_new_and_gone_are_synced_without_complaint() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        std::fs::write(temp.path().join("file"), "x")?;
        let grant = FsGrant {
            host: temp.path().display().to_string(),
            mount: "/data".to_owned(),
            access: Access::Write,
            recovery: Recovery::Undo,
            source: RuleSource("test".to_owned()),
        };
        let mount = Mount::open(&grant).map_err(io::Error::other)?;
        let change = |path: &str| UndoEntry {
            mount: "/data".into(),
            path: path.into(),
            before: Before::Absent,
            modified_ns: None,
        };
        sync_changes(&[mount], &[change("file"), change("gone"), change("no/such/folder")])
    }
}
