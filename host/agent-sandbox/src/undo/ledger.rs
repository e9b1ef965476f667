//! What a call left at the paths that it changed, as far as the journal knows: the fold of its undo entries and marks. An undo
//! asks here whether what it finds at a path may be taken for the call's own.
//!
//! A path is followed by which things may be there, a thing by the state it was left in: it can have several names, and a
//! change by one of them is seen through all.

use std::collections::HashMap;

use agent_core::effect::UndoEntry;
use agent_core::open_file::OpenFile;
use agent_core::path_state::{Becoming, Mark, PathKind, PathMark, Stamp};
use agent_core::units::UnixMillis;

use super::UndoError;
use crate::hosts::fs::look::{Looked, Thing};
use crate::mount::Mount;

/// Whether the machine was started anew since the call's last mark. What was written before a power loss may be on the disk in
/// an earlier state, and still be the call's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// The same start of the machine.
    No,
    /// Another one. What the call left earlier it left since this time, in nanoseconds since 1970: an older change is not its own,
    /// by a clock that was behind say.
    Yes {
        /// See [`since_ns`].
        since_ns: i64,
    },
    /// Another one, and what was kept of open files is gone with the power: nobody had a chance to write to a file between the
    /// call and this start.
    PowerLost {
        /// See [`since_ns`].
        since_ns: i64,
        /// When the machine was started.
        up_since_ns: i64,
    },
}

/// How far behind the host's clock the times of a file system may be: a tick, or the two seconds of FAT.
const BEHIND_NS: i64 = 2_000_000_000;

/// The earliest time that a file can have by a call that began then.
#[must_use]
pub fn since_ns(began: UnixMillis) -> i64 {
    let ns = i64::try_from(began.0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    ns.saturating_sub(BEHIND_NS)
}

/// What calls left. One ledger serves the undo of several calls, the last one first.
pub struct Ledger {
    paths: HashMap<String, Holding>,
    things: HashMap<Thing, ThingState>,
    /// The last word about each file that a call had open for changes.
    open: HashMap<Thing, OpenFile>,
    restarted: Restarted,
}

/// What may be at a path.
#[derive(Default)]
struct Holding {
    /// Any of these; nothing where it is `None`.
    maybe: Vec<Option<Thing>>,
    /// Or something that was just made.
    fresh: Option<Fresh>,
    /// Everything that was ever there in the call.
    past: Vec<Option<Thing>>,
    settled: bool,
}

enum Fresh {
    /// An empty file, or a directory; whether that one is empty shows when it is removed.
    Empty,
    /// A link to this target.
    Link(String),
}

#[derive(Clone, Copy)]
enum ThingState {
    Left(Stamp),
    /// It was being changed, and had been left like this before; a new one had nothing in it.
    Changing(Option<Stamp>),
    /// It was being given back what it contained before, and had been left like this until then.
    Returning(Option<Stamp>),
}

impl Ledger {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(restarted: Restarted) -> Self {
        Self { paths: HashMap::new(), things: HashMap::new(), open: HashMap::new(), restarted }
    }

    /// Follows one attempt: its undo entries, and what was said of them since, in order.
    ///
    /// # Errors
    /// If an entry is of no mount.
    pub fn follow<'e>(
        &mut self,
        mounts: &[Mount],
        entries: impl IntoIterator<Item = &'e UndoEntry>,
        marks: &[PathMark],
    ) -> Result<(), UndoError> {
        let entries: Vec<_> = entries.into_iter().collect();
        for mark in marks {
            if let Some(entry) = entries.get(mark.entry as usize) {
                self.follow_one(mounts, entry, &mark.is)?;
            }
        }
        Ok(())
    }

    /// Follows one thing that was said of the path of an undo entry.
    ///
    /// # Errors
    /// If the entry is of no mount.
    pub fn follow_one(&mut self, mounts: &[Mount], entry: &UndoEntry, mark: &Mark) -> Result<(), UndoError> {
        let mount = super::mount_of(mounts, entry)?;
        let key = super::key(mount, &entry.path);
        if !self.paths.contains_key(&key) {
            self.begin(mount, &key, entry.was.as_ref());
        }
        self.apply(mount, &key, mark);
        Ok(())
    }

    /// Follows what was last said of files that an attempt had open for changes, once its entries and marks are followed.
    ///
    /// # Errors
    /// If an entry is of no mount.
    pub fn follow_open<'e>(
        &mut self,
        mounts: &[Mount],
        entries: impl IntoIterator<Item = &'e UndoEntry>,
        open: Vec<OpenFile>,
    ) -> Result<(), UndoError> {
        let entries: Vec<_> = entries.into_iter().collect();
        for file in open {
            let Some(entry) = entries.get(file.entry as usize) else { continue };
            let thing = Thing::of(super::mount_of(mounts, entry)?, &file.left);
            let is_last = self.open.get(&thing).is_none_or(|known| known.turn < file.turn);
            // Of one that was closed since, a mark says more.
            if is_last && matches!(self.things.get(&thing), Some(ThingState::Changing(_)) | None) {
                self.open.insert(thing, file);
            }
        }
        Ok(())
    }

    /// What was being done to a file, if that is not known to have been done.
    pub(super) fn doing(&self, thing: Thing) -> Option<&OpenFile> {
        self.open.get(&thing).filter(|file| file.doing.is_some())
    }

    /// What was being done to a file was done, and nothing else: it is as the call left it.
    pub(super) fn done(&mut self, now: &Looked) {
        self.open.remove(&now.thing);
        self.things.insert(now.thing, ThingState::Left(now.stamp));
    }

    /// Whether a file was being given back what it contained before.
    pub(super) fn is_returning(&self, thing: Thing) -> bool {
        matches!(self.things.get(&thing), Some(ThingState::Returning(_)))
    }

    fn begin(&mut self, mount: &Mount, key: &str, was: Option<&Stamp>) {
        let thing = was.map(|stamp| Thing::of(mount, stamp));
        if let (Some(thing), Some(stamp)) = (thing, was) {
            self.things.entry(thing).or_insert(ThingState::Left(*stamp));
        }
        let holding = Holding { maybe: vec![thing], past: vec![thing], settled: true, fresh: None };
        self.paths.insert(key.to_owned(), holding);
    }

    /// One more thing is said of a path.
    pub(super) fn apply(&mut self, mount: &Mount, key: &str, mark: &Mark) {
        let holding = self.paths.entry(key.to_owned()).or_default();
        match mark {
            Mark::Changing(becoming) => {
                holding.settled = false;
                let mut moving: Vec<Thing> = holding.maybe.iter().flatten().copied().collect();
                match becoming {
                    Becoming::Itself | Becoming::Before => {}
                    Becoming::Gone => holding.may_be(None),
                    Becoming::New => holding.fresh = Some(Fresh::Empty),
                    Becoming::Link(target) => holding.fresh = Some(Fresh::Link(target.clone())),
                    Becoming::Thing { device, inode } => {
                        let thing = Thing::numbered(mount, *device, *inode);
                        holding.may_be(Some(thing));
                        moving.push(thing);
                    }
                    Becoming::Unknown => holding.maybe.clear(),
                }
                for thing in moving {
                    let state = self.things.entry(thing).or_insert(ThingState::Changing(None));
                    *state = match (becoming, *state) {
                        (Becoming::Before, state) | (_, state @ ThingState::Returning(_)) => {
                            ThingState::Returning(state.stamp())
                        }
                        (_, ThingState::Left(stamp)) => ThingState::Changing(Some(stamp)),
                        (_, ThingState::Changing(stamp)) => ThingState::Changing(stamp),
                    };
                }
            }
            Mark::Left(left) => {
                let thing = left.as_ref().map(|stamp| Thing::of(mount, stamp));
                holding.settle(thing);
                if let (Some(thing), Some(stamp)) = (thing, left) {
                    self.things.insert(thing, ThingState::Left(*stamp));
                }
            }
        }
    }

    /// Whether what is at a path now may be taken for what the call left there. `target` is that of a link.
    pub(super) fn accepts(&self, key: &str, now: Option<&Looked>, target: Option<&str>) -> bool {
        let Some(holding) = self.paths.get(key) else { return false };
        let Some(now) = now else {
            return holding.maybe.contains(&None) || self.restarted != Restarted::No && holding.past.contains(&None);
        };
        if holding.maybe.contains(&Some(now.thing)) {
            return self.is_as_left(now);
        }
        match &holding.fresh {
            Some(Fresh::Empty) => match now.stamp.kind {
                PathKind::File => now.stamp.size.0 == 0,
                PathKind::Directory => true,
                PathKind::Link | PathKind::Other => false,
            },
            Some(Fresh::Link(to)) => target == Some(to),
            None => self.restarted != Restarted::No && holding.past.contains(&Some(now.thing)) && self.is_as_left(now),
        }
    }

    fn is_as_left(&self, now: &Looked) -> bool {
        match self.things.get(&now.thing) {
            Some(ThingState::Left(stamp)) => stamp.is_same_state(&now.stamp) || self.may_be_earlier(stamp, now),
            Some(ThingState::Changing(before)) => {
                let followed = self.open.get(&now.thing).map(|file| file.left);
                let mut known = before.iter().chain(&followed).peekable();
                // Nothing was said of a new file but that it is one: the call had written nothing to it.
                let is_fresh = known.peek().is_none() && now.stamp.size.0 == 0;
                now.stamp.kind != PathKind::File
                    || is_fresh
                    || self.is_of_before_power_loss(now)
                    || known.any(|stamp| has_same_content(stamp, now) || self.may_be_earlier(stamp, now))
            }
            Some(ThingState::Returning(before)) => before.is_some_and(|stamp| has_same_content(&stamp, now)),
            None => true,
        }
    }

    fn may_be_earlier(&self, stamp: &Stamp, now: &Looked) -> bool {
        match self.restarted {
            Restarted::No => false,
            Restarted::Yes { since_ns } | Restarted::PowerLost { since_ns, .. } => {
                (since_ns..stamp.changed_ns).contains(&now.stamp.changed_ns)
            }
        }
    }

    fn is_of_before_power_loss(&self, now: &Looked) -> bool {
        match self.restarted {
            Restarted::No | Restarted::Yes { .. } => false,
            Restarted::PowerLost { since_ns, up_since_ns } => (since_ns..up_since_ns).contains(&now.stamp.changed_ns),
        }
    }

    /// Whether the call left at a path exactly what had been there: then nothing is to be undone, whatever is there now.
    pub(super) fn left_as_before(&self, mount: &Mount, key: &str, was: Option<&Stamp>) -> bool {
        let Some(holding) = self.paths.get(key).filter(|holding| holding.settled) else { return false };
        match (was, holding.maybe.as_slice()) {
            (None, [None]) => true,
            (Some(was), [Some(thing)]) if was.kind != PathKind::Directory && Thing::of(mount, was) == *thing => {
                matches!(self.things.get(thing), Some(ThingState::Left(left)) if left == was)
            }
            _ => false,
        }
    }

    /// What may be at a path, if anything.
    pub(super) fn things_at(&self, key: &str) -> Vec<Thing> {
        self.paths.get(key).map_or_else(Vec::new, |holding| holding.maybe.iter().flatten().copied().collect())
    }

    /// What certainly was left at a path, and in which state.
    pub(super) fn left_at(&self, key: &str) -> Option<Stamp> {
        match self.paths.get(key)?.maybe.as_slice() {
            [Some(thing)] => match self.things.get(thing)? {
                ThingState::Left(stamp) => Some(*stamp),
                ThingState::Changing(_) | ThingState::Returning(_) => None,
            },
            _ => None,
        }
    }

    /// Every path with each thing that may be there.
    pub(super) fn whereabouts(&self) -> impl Iterator<Item = (Thing, &str)> {
        self.paths.iter().flat_map(|(key, holding)| holding.maybe.iter().flatten().map(|thing| (*thing, key.as_str())))
    }

    /// The content of a file, if it is as the call left it and no longer than `bytes_max`.
    ///
    /// # Errors
    /// If the entry is of no mount.
    pub fn content(&self, mounts: &[Mount], entry: &UndoEntry, bytes_max: usize) -> Result<Option<Vec<u8>>, UndoError> {
        let mount = super::mount_of(mounts, entry)?;
        let key = super::key(mount, &entry.path);
        Ok(super::read(mount, entry, bytes_max, |now| self.accepts(&key, Some(now), None)))
    }

    /// What the call left at a path, in words.
    pub(super) fn describe(&self, key: &str) -> String {
        let Some(holding) = self.paths.get(key) else { return "nothing that is known".to_owned() };
        let last = holding.maybe.last().copied().flatten();
        let followed = last.and_then(|thing| self.open.get(&thing)).map(|file| file.left);
        match (holding.settled, followed.or(last.and_then(|thing| self.things.get(&thing)?.stamp()))) {
            (true, Some(stamp)) => stamp.to_string(),
            (true, None) => "nothing".to_owned(),
            (false, Some(stamp)) => format!("{stamp}, which it was changing"),
            (false, None) => "something that it was changing".to_owned(),
        }
    }
}

impl Holding {
    fn may_be(&mut self, thing: Option<Thing>) {
        if !self.maybe.contains(&thing) {
            self.maybe.push(thing);
        }
        if !self.past.contains(&thing) {
            self.past.push(thing);
        }
    }

    fn settle(&mut self, thing: Option<Thing>) {
        self.maybe = vec![thing];
        self.fresh = None;
        self.settled = true;
        if !self.past.contains(&thing) {
            self.past.push(thing);
        }
    }
}

impl ThingState {
    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Left(stamp) => Some(*stamp),
            Self::Changing(stamp) | Self::Returning(stamp) => *stamp,
        }
    }
}

/// A new name, or another number of names, changes the time at which anything about a file last changed, and nothing in it.
fn has_same_content(stamp: &Stamp, now: &Looked) -> bool {
    stamp.is_same_state(&Stamp { changed_ns: stamp.changed_ns, ..now.stamp })
}
