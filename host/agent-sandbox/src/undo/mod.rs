//! Undoing the owned writes of a call: every path that it changed gets back the state that was announced before its first
//! change, if it is still in the state that the call left it in. Called by the driver once nothing of the call runs any more,
//! and again if the host was killed in between; and by `agent-host changes --undo`, call by call, the last one first.
//!
//! - `ledger` knows what the call left, and so whether what is at a path now may be taken for the call's own. What may not is
//!   left alone and told, with both states.
//! - `home` brings back what was only moved: the same file, with everything that belongs to it.
//! - `put_back` does the rest: in place where the file is still the one that was there, else by a new one.
//! - `cut_off` looks at files in the middle of whose change, or of whose undo, a host was killed.
//! - `way` sees to it that directories can be changed for as long as it takes.
//!
//! What the undo does is told as it goes, like the changes of a call: one that is killed is begun again and goes on from
//! there. A path that is as it was before stays as it is, so undoing twice is undoing once.

mod cut_off;
mod home;
mod ledger;
mod put_back;
mod way;

use std::collections::{HashMap, HashSet};
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::effect::{Before, UndoEntry};
use agent_core::path_state::{Becoming, Mark, PathKind, PathMark};
use rustix::fs::OFlags;
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::gate::GateClosed;
use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::look::{Looked, Thing, look_at, look_behind};
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::{LastLink, Lost, Spot, find};
use crate::mount::Mount;

use way::Way;

pub use ledger::{Ledger, Restarted, since_ns};

/// What an undo did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Paths that are now as they were, as guests see them.
    pub restored: Vec<String>,
    /// Paths that were left as they are, and why: somebody must look.
    pub left: Vec<Left>,
    /// What could not be given back to paths that are otherwise as they were.
    pub missing: Vec<Left>,
}

/// A path that an undo had to leave as it is, or something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As guests see it.
    pub path: String,
    /// The place of an entry of it among those that were to be undone.
    pub entry: u32,
    /// Why.
    pub reason: String,
}

/// Why an undo cannot begin, or not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UndoError {
    /// An entry is of a mount that is not open. Nothing was restored.
    #[error("cannot undo a change of `{path}`: its directory is not mounted")]
    NotMounted {
        /// As guests see it.
        path: String,
    },
    /// What the undo does cannot be recorded. It can be begun again.
    #[error(transparent)]
    Untold(#[from] GateClosed),
}

/// When something of an undo has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressing {
    /// Before a file is written in place: after a power loss, half of that would look like somebody else's change.
    Now,
    /// With whatever comes later.
    Later,
}

/// Records what an undo does, as it goes.
pub type Tell<'t> = dyn FnMut(Vec<PathMark>, Pressing) -> Result<(), GateClosed> + Send + 't;

/// Where the contents are that undo entries name by their digests. One at a time is held in memory.
pub type Contents<'c> = dyn Fn(&Digest) -> io::Result<Option<Vec<u8>>> + Send + 'c;

/// Restores what `entries` of one attempt say, the last one first. The ledger knows what was left; it follows what the undo
/// does. One path that cannot be restored does not keep others from it.
///
/// # Errors
/// If an entry is of no mount: checked before anything is changed. If what is done cannot be recorded.
pub fn restore(
    ledger: &mut Ledger,
    mounts: &[Mount],
    (entries, contents): (&[UndoEntry], &Contents<'_>),
    tell: &mut Tell<'_>,
) -> Result<UndoReport, UndoError> {
    let plans = plan(mounts, entries)?;
    let way = Way::open(&plans);
    let numbers = plans.iter().enumerate().map(|(number, plan)| (plan.key.clone(), number)).collect();
    let home = |(number, plan): (usize, &Plan<'_>)| Some((plan.home()?, number));
    let homes = plans.iter().enumerate().filter_map(home).collect();
    let mut undoing = Undoing { ledger, plans, numbers, homes, contents, tell, report: UndoReport::default() };
    undoing.look_into_open();
    undoing.bring_home()?;
    let mut blocked = Vec::new();
    for number in (0..undoing.plans.len()).rev() {
        if let Came::Blocked(_) = undoing.restore(number)? {
            blocked.push(number);
        }
    }
    undoing.try_again(blocked)?;
    way.close(&undoing.set_directories());
    Ok(undoing.report)
}

/// What is to become of one path.
struct Plan<'a> {
    mount: &'a Mount,
    key: String,
    /// The path's first entry: the state of before the attempt.
    first: &'a UndoEntry,
    /// The entry that says all that is to be restored.
    whole: &'a UndoEntry,
    /// The place of the first entry, by which marks name the path.
    entry: u32,
    done: bool,
}

/// An undo under way.
struct Undoing<'a, 't> {
    ledger: &'a mut Ledger,
    /// In the order in which the paths were last announced; restored from the end.
    plans: Vec<Plan<'a>>,
    numbers: HashMap<String, usize>,
    /// Where each thing belongs.
    homes: HashMap<Thing, usize>,
    contents: &'a Contents<'a>,
    tell: &'a mut Tell<'t>,
    report: UndoReport,
}

/// What came of one path.
enum Came {
    Done,
    /// What it is in is not there, or not yet again.
    Blocked(&'static str),
}

/// Where a path is now.
enum Place {
    Spot(Spot),
    /// The directory that it was in is not there.
    Nowhere,
    /// A link or another file system is on the way.
    Elsewhere,
}

fn plan<'a>(mounts: &'a [Mount], entries: &'a [UndoEntry]) -> Result<Vec<Plan<'a>>, UndoError> {
    let mut by_key: HashMap<String, (usize, Plan<'a>)> = HashMap::new();
    for (number, undo) in entries.iter().enumerate() {
        let mount = mount_of(mounts, undo)?;
        let key = key(mount, &undo.path);
        match by_key.get_mut(&key) {
            Some((last, plan)) => {
                *last = number;
                // Whoever only kept the length at first had more to keep later.
                if matches!(plan.whole.before, Before::Length(_)) {
                    plan.whole = undo;
                }
            }
            None => {
                let entry = u32::try_from(number).unwrap_or(u32::MAX);
                let plan = Plan { mount, key: key.clone(), first: undo, whole: undo, entry, done: false };
                by_key.insert(key, (number, plan));
            }
        }
    }
    let mut plans: Vec<_> = by_key.into_values().collect();
    plans.sort_by_key(|(last, _)| *last);
    Ok(plans.into_iter().map(|(_, plan)| plan).collect())
}

fn mount_of<'m>(mounts: &'m [Mount], entry: &UndoEntry) -> Result<&'m Mount, UndoError> {
    let mount = mounts.iter().find(|mount| mount.guest == entry.mount);
    mount.ok_or_else(|| UndoError::NotMounted { path: shown(entry) })
}

/// A path as the whole host sees it: two mounts may hold the same.
fn key(mount: &Mount, path: &str) -> String {
    match path {
        "" => mount.host.display().to_string(),
        path => format!("{}/{path}", mount.host.display()),
    }
}

/// What a file contained. One whose content is lost stays as it is, and keeps no other from what it was.
fn content(digest: &Digest, contents: &Contents<'_>) -> Result<Vec<u8>, Stopped> {
    let found = contents(digest).unwrap_or_default().filter(|content| Digest::of(content) == *digest);
    found.ok_or_else(|| Stopped::failed("what it contained before is lost"))
}

fn shown(entry: &UndoEntry) -> String {
    format!("{}/{}", entry.mount.trim_end_matches('/'), entry.path)
}

/// Where a path is now.
fn place(mount: &Mount, entry: &UndoEntry) -> io::Result<Place> {
    let root = Arc::new(mount.dir.try_clone()?.into_std_file());
    // The mount itself, whose times a call may have changed.
    let path = if entry.path.is_empty() { "." } else { entry.path.as_str() };
    Ok(match find(&mount.walls, &root, &RelativePath::default(), path, LastLink::KeepAndRefuseOthers) {
        Ok(spot) => Place::Spot(spot),
        Err(Lost::Code(code)) if is_absence(code) => Place::Nowhere,
        Err(_) => Place::Elsewhere,
    })
}

/// The content of a file at most as long as this, if what is there is acceptable.
fn read(mount: &Mount, entry: &UndoEntry, bytes_max: usize, accepts: impl FnOnce(&Looked) -> bool) -> Option<Vec<u8>> {
    if mount.identity.inode != entry.root {
        return None;
    }
    let Ok(Place::Spot(spot)) = place(mount, entry) else { return None };
    let Ok(Pinned::Regular(file)) = open_regular(&spot.dir, &spot.name, OFlags::RDONLY) else { return None };
    let now = look_behind(mount, &file).ok()?;
    if !accepts(&now) || now.stamp.size.0 > bytes_max as u64 {
        return None;
    }
    let mut content = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= bytes_max).then_some(content)
}

impl Plan<'_> {
    /// Where the path is now.
    fn place(&self) -> io::Result<Place> {
        place(self.mount, self.first)
    }

    /// Whether what is there is what was there, and in the same state.
    fn is_untouched(&self, now: Option<&Looked>) -> bool {
        match (&self.first.was, now) {
            (None, None) => true,
            (Some(was), Some(now)) => *was == now.stamp,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// The thing that was there.
    fn home(&self) -> Option<Thing> {
        self.first.was.as_ref().map(|was| Thing::of(self.mount, was))
    }
}

impl Undoing<'_, '_> {
    fn restore(&mut self, number: usize) -> Result<Came, UndoError> {
        match self.try_to_restore(number) {
            Ok(came) => Ok(came),
            Err(Stopped::Untold(closed)) => Err(closed.into()),
            Err(Stopped::Failed(reason)) => {
                self.leave(number, reason);
                Ok(Came::Done)
            }
        }
    }

    fn try_to_restore(&mut self, number: usize) -> Result<Came, Stopped> {
        let plan = &self.plans[number];
        if plan.mount.identity.inode != plan.first.root {
            return Err(Stopped::failed("the directory that was granted is another one now"));
        }
        let absent = plan.whole.before == Before::Absent;
        let spot = match plan.place()? {
            Place::Spot(spot) => spot,
            Place::Nowhere if absent => return Ok(self.is_done(number)),
            // The call itself may have put a link in the place of a directory, after it had emptied that.
            Place::Elsewhere if absent && self.ledger.things_at(&plan.key).is_empty() => {
                return Ok(self.is_done(number));
            }
            Place::Nowhere => return Ok(Came::Blocked("the directory that it was in is gone")),
            Place::Elsewhere => return Ok(Came::Blocked("the path leads elsewhere now")),
        };
        let now = look_at(plan.mount, &spot)?;
        if plan.is_untouched(now.as_ref()) {
            return Ok(self.is_done(number));
        }
        if self.ledger.left_as_before(plan.mount, &plan.key, plan.first.was.as_ref()) {
            // The call made nothing of it in the end; whatever is there now is somebody else's.
            return Ok(Came::Done);
        }
        let target = put_back::target_of(&spot, now.as_ref());
        if !self.ledger.accepts(&plan.key, now.as_ref(), target.as_deref())
            && !put_back::is_back(plan, &spot, now.as_ref())
            && !self.is_on_its_way(plan, &spot, now.as_ref())
        {
            let there = now.map_or_else(|| "nothing".to_owned(), |now| now.stamp.to_string());
            return Err(Stopped::Failed(format!(
                "the call left {}, there is now {there}",
                self.ledger.describe(&plan.key)
            )));
        }
        self.put_back(number, &spot, now)?;
        Ok(self.is_done(number))
    }

    /// What was blocked, the shortest paths first: what they are in may be there by now.
    fn try_again(&mut self, mut blocked: Vec<usize>) -> Result<(), UndoError> {
        blocked.sort_by_key(|number| self.plans[*number].key.len());
        for number in blocked {
            if let Came::Blocked(why) = self.restore(number)? {
                self.leave(number, why.to_owned());
            }
        }
        Ok(())
    }

    /// Permission bits and times of directories, last, since to restore what is in one is to modify it. What cannot be restored
    /// of them is no doubt about the content. Says which directories those were.
    fn set_directories(&self) -> HashSet<Thing> {
        let mut set = HashSet::new();
        for plan in self.plans.iter().rev().filter(|plan| plan.done) {
            let (Before::Directory { mode }, Some(was)) = (&plan.whole.before, &plan.first.was) else { continue };
            let Ok(Place::Spot(spot)) = plan.place() else { continue };
            let Ok(Some(now)) = look_at(plan.mount, &spot) else { continue };
            if now.stamp.kind != PathKind::Directory {
                continue;
            }
            if now.mode != *mode
                && let Ok(dir) = open_directory(&spot.dir, &spot.name, Handle::Read)
            {
                let _ = dir.set_permissions(Permissions::from_mode(*mode));
            }
            put_back::set_time(&spot, was.modified_ns);
            set.insert(now.thing);
        }
        set
    }

    fn is_done(&mut self, number: usize) -> Came {
        let plan = &mut self.plans[number];
        if !std::mem::replace(&mut plan.done, true) {
            self.report.restored.push(shown(plan.first));
        }
        Came::Done
    }

    fn leave(&mut self, number: usize, reason: String) {
        let plan = &self.plans[number];
        self.report.left.push(Left { path: shown(plan.first), entry: plan.entry, reason });
    }

    fn miss(&mut self, number: usize, reason: String) {
        let plan = &self.plans[number];
        self.report.missing.push(Left { path: shown(plan.first), entry: plan.entry, reason });
    }

    /// Tells what is done to paths, and follows it.
    fn say(&mut self, said: Vec<(usize, Mark)>, pressing: Pressing) -> Result<(), Stopped> {
        let mut marks = Vec::with_capacity(said.len());
        for (number, mark) in said {
            let plan = &self.plans[number];
            self.ledger.apply(plan.mount, &plan.key, &mark);
            marks.push(PathMark { entry: plan.entry, is: mark });
        }
        (self.tell)(marks, pressing).map_err(Stopped::Untold)
    }

    fn say_changing(&mut self, number: usize, becoming: Becoming, pressing: Pressing) -> Result<(), Stopped> {
        self.say(vec![(number, Mark::Changing(becoming))], pressing)
    }

    /// Tells how the undo left a path.
    fn say_left(&mut self, number: usize, spot: &Spot) -> Result<(), Stopped> {
        let now = look_at(self.plans[number].mount, spot)?;
        self.say(vec![(number, Mark::Left(now.map(|now| now.stamp)))], Pressing::Later)
    }
}

/// Why a path could not be restored.
enum Stopped {
    /// It is left as it is.
    Failed(String),
    /// Nothing can be recorded any more.
    Untold(GateClosed),
}

impl Stopped {
    fn failed(reason: &str) -> Self {
        Self::Failed(reason.to_owned())
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Self {
        Self::Failed(io::Error::from(errno).to_string())
    }
}

fn is_absence(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoEntry | ErrorCode::NotDirectory)
}

/// Directories on the way are held by handles that can only be gone through, so this one is opened once more.
fn sync_directory(spot: &Spot) -> io::Result<()> {
    open_directory(&spot.dir, ".", Handle::Read)?.sync_all()
}
