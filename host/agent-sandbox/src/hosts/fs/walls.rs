//! What kind of file system a directory is on, and which ones a guest may come upon below a mount.
//!
//! A file system whose files are kept by another machine or by a program (NFS, FUSE) may not answer for minutes, and a thread
//! that waits for it cannot be stopped. So a call with such a mount runs on a thread of its own, and below any other mount
//! such a file system is out of bounds. The kernel's own (`/proc` and its like) are out of bounds everywhere. `walk` asks
//! here about each name, `mount` about each directory that is granted.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Where the kernel lists what is mounted.
const MOUNTS_FILE: &str = "/proc/self/mountinfo";

/// Kinds whose files another machine or a program keeps.
const DISTANT: [&str; 24] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse",
    "fuseblk",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
];

/// Kinds that are the machine rather than anybody's files, wherever they are mounted.
const KERNEL: [&str; 22] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// What can be expected of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers at once: a disk of this machine, or its memory.
    Near,
    /// May let whoever asks wait without end.
    Distant,
    /// Is the kernel's.
    Kernel,
}

/// A device number: two names on one file system have the same.
pub(crate) type Device = (u32, u32);

/// What is behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it is.
    pub(crate) file_type: FileType,
    /// The file system that it is on.
    pub(crate) device: Device,
    /// Its number there.
    pub(crate) inode: u64,
}

/// The file systems that may be come upon below one mount.
#[derive(Debug)]
pub(crate) struct Walls {
    home: Device,
    /// What the mount itself is on.
    kind: Kind,
    /// Others that were come upon. Each is looked up once: there are no more of them than directories below the mount.
    known: Mutex<HashMap<Device, Kind>>,
}

/// Most file systems that are remembered for one mount; more are looked up each time.
const KNOWN_MAX: usize = 256;

impl Walls {
    /// Those of a mount on this file system.
    pub(crate) fn around(home: Device, kind: Kind) -> Self {
        Self { home, kind, known: Mutex::default() }
    }

    /// What the mount is on.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Why what is on this file system is out of bounds, if it is.
    pub(crate) fn why_not(&self, device: Device) -> Option<&'static str> {
        if device == self.home {
            return None;
        }
        match (self.kind_of(device), self.kind) {
            (Kind::Near, _) | (Kind::Distant, Kind::Distant) => None,
            (Kind::Distant, Kind::Near | Kind::Kernel) => {
                Some("it is on a network or FUSE file system inside the mount: such a one is granted by itself")
            }
            (Kind::Kernel, _) => Some("it is on a file system of the kernel"),
        }
    }

    fn kind_of(&self, device: Device) -> Kind {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = known.get(&device) {
            return *kind;
        }
        let kind = Mounted::now().kind_of(device);
        if known.len() < KNOWN_MAX {
            known.insert(device, kind);
        }
        kind
    }
}

/// Looks at a name without following it, and without asking a file system that may not answer more than it must: what a
/// mounted directory is, is known to the kernel.
#[cfg(target_os = "linux")]
pub(crate) fn see(dir: impl AsFd, name: impl Arg + Copy) -> Result<Option<Seen>, Errno> {
    use rustix::fs::StatxFlags;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    match rustix::fs::statx(dir.as_fd(), name, flags, StatxFlags::TYPE | StatxFlags::INO) {
        Ok(seen) => Ok(Some(Seen {
            file_type: FileType::from_raw_mode(seen.stx_mode.into()),
            device: (seen.stx_dev_major, seen.stx_dev_minor),
            inode: seen.stx_ino,
        })),
        Err(Errno::NOENT) => Ok(None),
        // A kernel or a seccomp filter older than the call.
        Err(Errno::NOSYS | Errno::PERM) => see_by_stat(dir, name),
        Err(errno) => Err(errno),
    }
}

/// As on Linux, where the system has no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn see(dir: impl AsFd, name: impl Arg + Copy) -> Result<Option<Seen>, Errno> {
    see_by_stat(dir, name)
}

fn see_by_stat(dir: impl AsFd, name: impl Arg) -> Result<Option<Seen>, Errno> {
    match rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(seen(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Looks at what is open.
pub(crate) fn see_open(file: impl AsFd) -> Result<Seen, Errno> {
    rustix::fs::fstat(file).map(|stat| seen(&stat))
}

/// What was looked at.
#[expect(clippy::unnecessary_cast, reason = "device and inode numbers have different widths on different systems")]
pub(crate) fn seen(stat: &Stat) -> Seen {
    Seen {
        file_type: FileType::from_raw_mode(stat.st_mode),
        device: (rustix::fs::major(stat.st_dev as _), rustix::fs::minor(stat.st_dev as _)),
        inode: stat.st_ino as u64,
    }
}

/// What is mounted on this machine. Empty where the system does not say: then everything counts as near.
#[derive(Debug, Default)]
pub(crate) struct Mounted(Vec<Entry>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    device: Device,
    point: PathBuf,
    kind: Kind,
}

impl Mounted {
    /// As it is now.
    pub(crate) fn now() -> Self {
        std::fs::read_to_string(MOUNTS_FILE).map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(entry).collect())
    }

    /// What a path is on, by its text: nothing is asked that might not answer.
    pub(crate) fn kind_at(&self, path: &Path) -> Kind {
        // Of two mounted at one place, the later hides the earlier.
        let deepest =
            self.0.iter().filter(|entry| path.starts_with(&entry.point)).max_by_key(|entry| depth(&entry.point));
        deepest.map_or(Kind::Near, |entry| entry.kind)
    }

    /// What a device is. One that is mounted nowhere is a part of another, such as a subvolume.
    fn kind_of(&self, device: Device) -> Kind {
        self.0.iter().find(|entry| entry.device == device).map_or(Kind::Near, |entry| entry.kind)
    }
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

/// `36 35 98:0 /root /point opts shared:1 - ext4 /dev/sda1 rw`
fn entry(line: &str) -> Option<Entry> {
    let (place, system) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(2);
    let (major, minor) = place.next()?.split_once(':')?;
    let point = PathBuf::from(unescaped(place.nth(1)?));
    let kind = kind(system.split(' ').next()?);
    Some(Entry { device: (major.parse().ok()?, minor.parse().ok()?), point, kind })
}

/// `fuse.sshfs` is a `fuse`.
fn kind(name: &str) -> Kind {
    let family = name.split_once('.').map_or(name, |(family, _)| family);
    if KERNEL.contains(&family) {
        Kind::Kernel
    } else if DISTANT.contains(&family) {
        Kind::Distant
    } else {
        Kind::Near
    }
}

/// Spaces and the like are written as three octal digits.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 254:0 / / rw - ext4 /dev/vda rw\n\
        40 27 0:50 / /mnt/far\\040away rw shared:1 - fuse.sshfs me@there rw\n\
        41 27 0:51 / /mnt/nfs rw - nfs4 there:/x rw\n\
        42 41 8:1 / /mnt/nfs/disk rw - xfs /dev/sda1 rw\n\
        nonsense\n";

    #[test]
    fn a_path_is_on_the_deepest_file_system_around_it() {
        let mounted = Mounted::parse(LISTED);
        for (path, kind) in [
            ("/home", Kind::Near),
            ("/proc/self", Kind::Kernel),
            ("/mnt/far away/docs", Kind::Distant),
            ("/mnt/far", Kind::Near),
            ("/mnt/nfs", Kind::Distant),
            ("/mnt/nfs/disk/x", Kind::Near),
        ] {
            assert_eq!(mounted.kind_at(Path::new(path)), kind, "{path}");
        }
        assert_eq!(mounted.kind_of((0, 50)), Kind::Distant);
        assert_eq!(mounted.kind_of((0, 99)), Kind::Near);
        assert_eq!(Mounted::default().kind_at(Path::new("/")), Kind::Near);
    }

    #[test]
    fn a_wall_is_only_what_may_not_answer_or_is_the_kernels() {
        let walls = |kind| {
            let walls = Walls::around((1, 1), kind);
            let known = [((2, 2), Kind::Distant), ((3, 3), Kind::Kernel), ((4, 4), Kind::Near)];
            walls.known.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
            [(1, 1), (2, 2), (3, 3), (4, 4)].map(|device| walls.why_not(device).is_some())
        };
        assert_eq!(walls(Kind::Near), [false, true, true, false]);
        assert_eq!(walls(Kind::Distant), [false, false, true, false]);
    }
}
