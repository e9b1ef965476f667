//! The way to what an undo restores. Somebody may have taken this user's rights at a directory since the call changed something
//! in it, and names could then neither come nor go there. They are given for as long as the undo takes, and what was found is
//! then set again: it is somebody's wish, and no part of the call. An undo that is killed in between leaves this user's rights.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;

use super::Plan;
use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::look::{Thing, look_behind};
use crate::mount::Mount;

/// What this user needs at a directory to change what is in it.
const NEEDED: u32 = 0o700;

/// Most directories that are opened up: each is held by a handle, since it may get another path meanwhile. In more of them, what
/// cannot be changed is left and told.
const OPENED_MAX: usize = 256;

/// Directories that were opened up.
pub(super) struct Way(Vec<Opened>);

struct Opened {
    dir: File,
    thing: Thing,
    found: u32,
}

impl Way {
    /// Gives this user all rights at each directory that a path of the plans is in, from the mount down.
    pub(super) fn open(plans: &[Plan<'_>]) -> Self {
        let (mut way, mut seen) = (Self(Vec::new()), HashSet::new());
        for plan in plans {
            let Some(folder) = Path::new(&plan.first.path).parent() else { continue };
            if seen.insert((plan.mount.host.as_path(), folder)) {
                // What is not there, or is a link now, the restoring itself comes upon.
                let _ = way.open_to(plan.mount, folder);
            }
        }
        way
    }

    /// Sets what was found again, but for directories that were set to what they were before the call.
    pub(super) fn close(self, set: &HashSet<Thing>) {
        for Opened { dir, found, .. } in self.0.iter().rev().filter(|opened| !set.contains(&opened.thing)) {
            let _ = set_mode(dir, *found);
        }
    }

    fn open_to(&mut self, mount: &Mount, folder: &Path) -> Result<(), Errno> {
        let mut here = self.opened_up(mount, open_directory(mount.dir.as_ref(), ".", Handle::Pass)?)?;
        for name in folder {
            here = self.opened_up(mount, open_directory(&here, name, Handle::Pass)?)?;
        }
        Ok(())
    }

    fn opened_up(&mut self, mount: &Mount, dir: File) -> Result<File, Errno> {
        let looked = look_behind(mount, &dir)?;
        if looked.mode & NEEDED != NEEDED && self.0.len() < OPENED_MAX {
            set_mode(&dir, looked.mode | NEEDED)?;
            let kept = dir.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            self.0.push(Opened { dir: kept, thing: looked.thing, found: looked.mode });
        }
        Ok(dir)
    }
}

/// By what the handle is of: it may be one that can only be gone through, and those take no `fchmod`.
#[cfg(target_os = "linux")]
fn set_mode(dir: &File, mode: u32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let handles = rustix_linux_procfs::proc_self_fd()?;
    let flags = rustix::fs::AtFlags::empty();
    rustix::fs::chmodat(handles, dir.as_raw_fd().to_string(), Mode::from_raw_mode(mode), flags)
}

#[cfg(not(target_os = "linux"))]
fn set_mode(dir: &File, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))
}
