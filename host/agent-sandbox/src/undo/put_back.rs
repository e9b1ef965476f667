//! Gives one path back what was there. In place where the file is still the one that was there, so that its owner, its
//! attributes and its other names stay; else by a new file that takes the place all at once, with as much of these as this
//! process may set. A file with the same number is never mistaken: `mod` has compared it.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use agent_core::digest::Digest;
use agent_core::effect::{Before, UndoEntry};
use agent_core::path_state::{Becoming, PathKind};
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::home::Moved;
use super::{Place, Plan, Pressing, Stopped, Undoing, content, sync_directory};
use crate::hosts::fs::before::UNDO_FILE_BYTES_MAX;
use crate::hosts::fs::handle::{Handle, open_directory, open_name};
use crate::hosts::fs::look::{Looked, look_at};
use crate::hosts::fs::names::UNDO_FILE;
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::Spot;

/// Permission bits of a file while it is being written back, and of a directory while it is made again.
const PRIVATE_MODE: u32 = 0o600;
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// The target of a link, if one is there.
pub(super) fn target_of(spot: &Spot, now: Option<&Looked>) -> Option<String> {
    now.filter(|now| now.stamp.kind == PathKind::Link)?;
    rustix::fs::readlinkat(&spot.dir, spot.name.as_str(), Vec::new()).ok()?.into_string().ok()
}

/// Whether what is there has all that would be restored: an undo was here before, or a person.
pub(super) fn is_back(plan: &Plan<'_>, spot: &Spot, now: Option<&Looked>) -> bool {
    let Some(now) = now else { return plan.whole.before == Before::Absent };
    match &plan.whole.before {
        Before::Absent => false,
        Before::Directory { .. } => now.stamp.kind == PathKind::Directory,
        Before::Length(length) => plan.home() == Some(now.thing) && now.stamp.size == *length,
        Before::Symlink(target) => target_of(spot, Some(now)).as_ref() == Some(target),
        Before::Content { .. } => holds(plan, spot, now),
    }
}

/// The time of the last modification. That this cannot be set is no doubt about the content.
pub(super) fn set_time(spot: &Spot, modified_ns: i64) {
    let last_modification =
        Timespec { tv_sec: modified_ns.div_euclid(NS_PER_SECOND), tv_nsec: modified_ns.rem_euclid(NS_PER_SECOND) };
    let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification };
    let _ = rustix::fs::utimensat(&spot.dir, spot.name.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
}

impl Undoing<'_, '_> {
    /// Restores a path whose state may be taken for the call's own.
    pub(super) fn put_back(&mut self, number: usize, spot: &Spot, now: Option<Looked>) -> Result<(), Stopped> {
        let whole = self.plans[number].whole;
        let now = match now {
            // What is here instead may belong elsewhere.
            Some(other) if whole.before != Before::Absent && self.plans[number].home() != Some(other.thing) => {
                if self.send_home(number, &other)? == Moved::Home {
                    look_at(self.plans[number].mount, spot)?
                } else {
                    now
                }
            }
            now => now,
        };
        match &whole.before {
            Before::Absent => return self.remove(number, spot, now),
            Before::Directory { .. } => self.put_directory(number, spot, now)?,
            Before::Length(length) => self.cut(number, spot, now, *length)?,
            Before::Content { digest, mode } => self.put_content(number, spot, now, (digest, *mode))?,
            Before::Symlink(target) => self.put_link(number, spot, now, target)?,
        }
        if let Some(was) = self.plans[number].first.was.filter(|was| was.kind != PathKind::Directory) {
            set_time(spot, was.modified_ns);
        }
        self.say_left(number, spot)
    }

    /// Removes what is there, or moves it to where it belongs. A directory that still holds something stays: the call did not
    /// put it there.
    fn remove(&mut self, number: usize, spot: &Spot, now: Option<Looked>) -> Result<(), Stopped> {
        let Some(now) = now else { return Ok(()) };
        if self.send_home(number, &now)? == Moved::Home {
            return Ok(());
        }
        self.say_changing(number, Becoming::Gone, Pressing::Later)?;
        clear(spot, &now)?;
        self.say_left(number, spot)
    }

    fn put_directory(&mut self, number: usize, spot: &Spot, now: Option<Looked>) -> Result<(), Stopped> {
        if now.is_some_and(|now| now.stamp.kind == PathKind::Directory) {
            return Ok(());
        }
        self.say_changing(number, Becoming::New, Pressing::Later)?;
        if let Some(now) = now {
            clear(spot, &now)?;
        }
        rustix::fs::mkdirat(&spot.dir, spot.name.as_str(), Mode::from_raw_mode(PRIVATE_DIRECTORY_MODE))?;
        let made = open_directory(&spot.dir, &spot.name, Handle::Read)?;
        let reason = give_owner(&made, self.plans[number].whole);
        if let Some(reason) = reason {
            self.miss(number, reason);
        }
        Ok(())
    }

    /// Cuts a file that was appended to. A shorter one is not extended: its bytes are gone.
    fn cut(&mut self, number: usize, spot: &Spot, now: Option<Looked>, length: Bytes) -> Result<(), Stopped> {
        let Some(now) = now.filter(|now| self.plans[number].home() == Some(now.thing)) else {
            return Err(Stopped::failed("the file that was appended to is gone"));
        };
        match now.stamp.size {
            size if size == length => Ok(()),
            size if size < length => Err(Stopped::failed("the file is shorter than before the call")),
            _ => {
                self.say_changing(number, Becoming::Itself, Pressing::Later)?;
                let file = writable(spot)?;
                file.set_len(length.0)?;
                Ok(file.sync_all()?)
            }
        }
    }

    fn put_content(
        &mut self,
        number: usize,
        spot: &Spot,
        now: Option<Looked>,
        (digest, mode): (&Digest, u32),
    ) -> Result<(), Stopped> {
        let now = match now {
            None => self.link_again(number, spot)?,
            now => now,
        };
        let plan = &self.plans[number];
        let same = now.filter(|now| plan.home() == Some(now.thing));
        if let Some(there) = now.filter(|now| holds(plan, spot, now)) {
            return set_mode(spot, &there, mode);
        }
        let content = content(digest, self.contents)?;
        let content = content.as_slice();
        if let Some(same) = same {
            match self.write_in_place(number, spot, (content, mode)) {
                // Not even its owner may write to it as it is; to put another in its place may be allowed.
                Err(Stopped::Failed(_)) if same.links == 1 => {}
                written => return written,
            }
        }
        match self.replace(number, spot, now, (content, mode)) {
            // A full disk may have room for the file though not for two of it, and a directory may take no new file.
            Err(Stopped::Failed(reason))
                if now.is_some_and(|now| now.stamp.kind == PathKind::File && now.links == 1) =>
            {
                self.write_in_place(number, spot, (content, mode)).map_err(|stopped| match stopped {
                    Stopped::Failed(_) => Stopped::Failed(reason),
                    untold @ Stopped::Untold(_) => untold,
                })
            }
            replaced => replaced,
        }
    }

    /// Where the file that was there still has another of its names, this one is given to it again.
    fn link_again(&mut self, number: usize, spot: &Spot) -> Result<Option<Looked>, Stopped> {
        let plan = &self.plans[number];
        let Some(home) = plan.home() else { return Ok(None) };
        let other = self.homes.get(&home).filter(|other| **other != number).map(|other| &self.plans[*other]);
        let Some(other) = other else { return Ok(None) };
        let Ok(Place::Spot(from)) = other.place() else { return Ok(None) };
        let there = look_at(other.mount, &from)?.filter(|there| there.thing == home);
        if !there.is_some_and(|there| self.ledger.accepts(&other.key, Some(&there), None)) {
            return Ok(None);
        }
        let becoming = home.to_come(plan.mount);
        self.say_changing(number, becoming, Pressing::Later)?;
        let linked = rustix::fs::linkat(&from.dir, from.name.as_str(), &spot.dir, spot.name.as_str(), AtFlags::empty());
        if linked.is_err() {
            return Ok(None);
        }
        Ok(look_at(self.plans[number].mount, spot)?)
    }

    fn write_in_place(&mut self, number: usize, spot: &Spot, content: (&[u8], u32)) -> Result<(), Stopped> {
        let file = writable(spot)?;
        self.say_changing(number, Becoming::Before, Pressing::Now)?;
        Ok(write(&file, content)?)
    }

    /// Puts a new file in the place of what is there.
    fn replace(
        &mut self,
        number: usize,
        spot: &Spot,
        now: Option<Looked>,
        content: (&[u8], u32),
    ) -> Result<(), Stopped> {
        self.say_changing(number, Becoming::Itself, Pressing::Later)?;
        if let Some(now) = now.filter(|now| now.stamp.kind == PathKind::Directory) {
            clear(spot, &now)?;
        }
        let entry = self.plans[number].whole;
        let missing = put_new(spot, content, entry)?;
        for reason in missing {
            self.miss(number, reason);
        }
        Ok(())
    }

    fn put_link(&mut self, number: usize, spot: &Spot, now: Option<Looked>, target: &str) -> Result<(), Stopped> {
        if target_of(spot, now.as_ref()).as_deref() == Some(target) {
            return Ok(());
        }
        self.say_changing(number, Becoming::Link(target.to_owned()), Pressing::Later)?;
        if let Some(now) = now {
            clear(spot, &now)?;
        }
        Ok(rustix::fs::symlinkat(target, &spot.dir, spot.name.as_str())?)
    }
}

/// Whether a file has the content that would be restored.
fn holds(plan: &Plan<'_>, spot: &Spot, now: &Looked) -> bool {
    let Before::Content { digest, .. } = &plan.whole.before else { return false };
    if now.stamp.kind != PathKind::File || now.stamp.size.0 > UNDO_FILE_BYTES_MAX {
        return false;
    }
    let Ok(Pinned::Regular(file)) = open_regular(&spot.dir, &spot.name, OFlags::RDONLY) else { return false };
    let mut found = Vec::with_capacity(usize::try_from(now.stamp.size.0).unwrap_or(0));
    let read = file.take(now.stamp.size.0 + 1).read_to_end(&mut found);
    read.is_ok() && Digest::of(&found) == *digest
}

fn clear(spot: &Spot, now: &Looked) -> Result<(), Stopped> {
    let flags = match now.stamp.kind {
        PathKind::Directory => AtFlags::REMOVEDIR,
        PathKind::File | PathKind::Link | PathKind::Other => AtFlags::empty(),
    };
    match rustix::fs::unlinkat(&spot.dir, spot.name.as_str(), flags) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            Err(Stopped::failed("the directory holds something that the call did not put there"))
        }
        cleared => Ok(cleared?),
    }
}

/// Writes a new file and gives it the name. What of it could not be set is said.
fn put_new(spot: &Spot, content: (&[u8], u32), entry: &UndoEntry) -> io::Result<Vec<String>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    // Left over from an undo that was killed.
    let _ = rustix::fs::unlinkat(&spot.dir, UNDO_FILE, AtFlags::empty());
    let file = File::from(open_name(&spot.dir, UNDO_FILE, flags, Mode::from_raw_mode(PRIVATE_MODE))?);
    let mut missing: Vec<String> = give_owner(&file, entry).into_iter().collect();
    missing.extend(give_attributes(&file, entry));
    let put = write(&file, content).and_then(|()| {
        rustix::fs::renameat(&spot.dir, UNDO_FILE, &spot.dir, spot.name.as_str())?;
        sync_directory(spot)
    });
    if put.is_err() {
        let _ = rustix::fs::unlinkat(&spot.dir, UNDO_FILE, AtFlags::empty());
    }
    put.map(|()| missing)
}

fn give_owner(file: &File, entry: &UndoEntry) -> Option<String> {
    let owner = entry.owner?;
    let now = file.metadata().ok()?;
    if (now.uid(), now.gid()) == (owner.user, owner.group) {
        return None;
    }
    let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
    let given = rustix::fs::fchown(file.as_fd(), Some(user), Some(group));
    given.err().map(|errno| format!("its owner {}:{} could not be given back: {errno}", owner.user, owner.group))
}

fn give_attributes(file: &File, entry: &UndoEntry) -> Vec<String> {
    let mut missing = Vec::new();
    for attribute in &entry.attributes {
        let value = hex::decode(&attribute.value).unwrap_or_default();
        if let Err(errno) = rustix::fs::fsetxattr(file.as_fd(), attribute.name.as_str(), &value, XattrFlags::empty()) {
            missing.push(format!("its attribute `{}` could not be given back: {errno}", attribute.name));
        }
    }
    missing
}

fn set_mode(spot: &Spot, now: &Looked, mode: u32) -> Result<(), Stopped> {
    if now.mode == mode {
        return Ok(());
    }
    match open_regular(&spot.dir, &spot.name, OFlags::RDONLY)? {
        Pinned::Regular(file) => Ok(file.set_permissions(Permissions::from_mode(mode))?),
        Pinned::Other(_) => Ok(()),
    }
}

/// The file at a spot, to be written to.
fn writable(spot: &Spot) -> Result<File, Stopped> {
    match open_regular(&spot.dir, &spot.name, OFlags::RDWR)? {
        Pinned::Regular(file) => Ok(file),
        Pinned::Other(_) => Err(Stopped::failed("it is no file any more")),
    }
}

fn write(mut file: &File, (content, mode): (&[u8], u32)) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}
