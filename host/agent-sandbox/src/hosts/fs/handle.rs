//! Opens single names in directories that are held open. Whatever this host opens below a mount, it opens by these or by `pin`.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Opens a name in a directory without following it and without waiting for a pipe's other end.
pub(crate) fn open_name(dir: impl AsFd, name: impl Arg, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(dir, name, flags | always, mode)
}

/// What a directory is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handle {
    /// To pass through it: one that cannot be listed can still be gone through.
    Pass,
    /// To list it or to sync it.
    Read,
}

/// Opens a directory, and nothing else, without following a link.
pub(crate) fn open_directory(dir: impl AsFd, name: impl Arg, handle: Handle) -> Result<File, Errno> {
    let access = match handle {
        #[cfg(target_os = "linux")]
        Handle::Pass => OFlags::PATH,
        #[cfg(not(target_os = "linux"))]
        Handle::Pass => OFlags::RDONLY,
        Handle::Read => OFlags::RDONLY,
    };
    open_name(dir, name, access | OFlags::DIRECTORY, Mode::empty()).map(File::from)
}
