//! What is at a spot or behind a handle, as a stamp that can be compared later. Called before and after each change of a
//! path, and by an undo.

use std::fs::File;
use std::os::fd::AsFd;

use agent_core::path_state::{Becoming, Owner, PathKind, Stamp};
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::hosts::fs::walk::Spot;
use crate::mount::Mount;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// Which thing something is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Thing {
    device: u64,
    inode: u64,
}

/// What a look found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looked {
    /// To compare.
    pub(crate) stamp: Stamp,
    /// Which thing it is.
    pub(crate) thing: Thing,
    /// Unix permission bits.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// How many names it has.
    pub(crate) links: u64,
}

/// Looks at what is at a spot, without following it.
pub(crate) fn look_at(mount: &Mount, spot: &Spot) -> Result<Option<Looked>, Errno> {
    match rustix::fs::statat(&spot.dir, spot.name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(looked(mount, &stat))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Looks at what is behind a handle.
pub(crate) fn look_behind(mount: &Mount, file: &File) -> Result<Looked, Errno> {
    rustix::fs::fstat(file.as_fd()).map(|stat| looked(mount, &stat))
}

impl Thing {
    /// The thing that a stamp below this mount is of.
    pub(crate) fn of(mount: &Mount, stamp: &Stamp) -> Self {
        Self::numbered(mount, stamp.device, stamp.inode)
    }

    /// That a path below a mount is about to become this thing.
    pub(crate) fn to_come(self, mount: &Mount) -> Becoming {
        let device = (self.device != mount.identity.device).then_some(self.device);
        Becoming::Thing { device, inode: self.inode }
    }

    /// The thing of this number.
    pub(crate) fn numbered(mount: &Mount, device: Option<u64>, inode: u64) -> Self {
        Self { device: device.unwrap_or(mount.identity.device), inode }
    }
}

impl Looked {
    /// That a path of the same mount is about to become this thing.
    pub(crate) fn to_come(self) -> Becoming {
        Becoming::Thing { device: self.stamp.device, inode: self.stamp.inode }
    }
}

#[expect(clippy::unnecessary_cast, reason = "these have different widths on different systems")]
fn looked(mount: &Mount, stat: &Stat) -> Looked {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => PathKind::File,
        FileType::Directory => PathKind::Directory,
        FileType::Symlink => PathKind::Link,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            PathKind::Other
        }
    };
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let (device, inode) = (u64::from(major) << 32 | u64::from(minor), stat.st_ino as u64);
    let time = |seconds: i64, ns: i64| seconds.saturating_mul(NS_PER_SECOND).saturating_add(ns);
    let stamp = Stamp {
        kind,
        device: (device != mount.identity.device).then_some(device),
        inode,
        size: Bytes(u64::try_from(stat.st_size).unwrap_or(0)),
        modified_ns: time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed_ns: time(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    };
    Looked {
        stamp,
        thing: Thing { device, inode },
        mode: stat.st_mode as u32 & 0o7777,
        owner: Owner { user: stat.st_uid, group: stat.st_gid },
        links: stat.st_nlink as u64,
    }
}
