//! What was said of the paths that a call changes: that one is being changed, and in which state it was left. Said once for
//! each time that a file is open and written to, never for a write. `change` asks here what is to be told to the gate.
//!
//! A thing can have several names in a call, by renames and links. So handles are followed by the thing that they are open
//! on, and a path by the thing that is there.

use std::collections::{HashMap, HashSet};

use agent_core::path_state::{Becoming, Mark, PathMark, Stamp};

use crate::hosts::fs::look::{Looked, Thing};
use crate::hosts::fs::path::RelativePath;

/// Times that one file is written to and closed again that are told apart. After them it counts as being changed until the
/// call ends: a tool that opens a file for each line would fill the journal.
const BURSTS_MAX: u32 = 16;

/// Times that a path gets another thing, or none, that are followed. After them nothing found there can be told from what
/// somebody else put there.
const TURNS_MAX: u32 = 200;

/// Most marks of one call: four for each of as many paths as an undo keeps.
const MARKS_MAX: usize = 40_000;

/// A path: its mount, by its position in the call's list, and where below it.
pub(crate) type Place = (usize, RelativePath);

/// The marks of one call.
#[derive(Default)]
pub(crate) struct Marks {
    paths: HashMap<Place, Tracked>,
    /// Where a thing was last seen.
    holders: HashMap<Thing, Place>,
    /// How many handles are open that can change a thing.
    writers: HashMap<Thing, u32>,
    /// Files whose bytes were changed.
    written: HashSet<Thing>,
    /// Undo entries announced so far.
    entries: u32,
    made: usize,
    /// Words about open files so far.
    turns: u64,
}

/// A path that was announced.
struct Tracked {
    entry: u32,
    thing: Option<Thing>,
    said: Said,
    bursts: u32,
    turns: u32,
    /// How it was left the last time, where that is to be said once the call is over.
    unsaid: Option<Stamp>,
}

/// What was last said of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Left,
    Changing,
    /// That nothing more is said.
    Unknown,
}

impl Marks {
    /// An undo entry was announced, and with it that its path is being changed.
    pub(crate) fn announced(&mut self, place: &Place, was: Option<Thing>) {
        let entry = self.entries;
        self.entries = self.entries.saturating_add(1);
        if let Some(tracked) = self.paths.get_mut(place) {
            tracked.said = Said::Changing;
            return;
        }
        self.paths.insert(
            place.clone(),
            Tracked { entry, thing: was, said: Said::Changing, bursts: 0, turns: 0, unsaid: None },
        );
        if let Some(thing) = was {
            self.holders.entry(thing).or_insert_with(|| place.clone());
        }
    }

    /// Where a thing is, if it is at a path that was announced.
    pub(crate) fn holder(&self, thing: Thing) -> Option<&Place> {
        self.holders.get(&thing)
    }

    /// What is at a path, as far as was said.
    pub(crate) fn thing_at(&self, place: &Place) -> Option<Thing> {
        self.paths.get(place)?.thing
    }

    /// What to say before a path that was announced earlier is changed again.
    pub(crate) fn begin(&mut self, place: &Place, becoming: &Becoming) -> Option<PathMark> {
        let full = self.made >= MARKS_MAX;
        let tracked = self.paths.get_mut(place)?;
        let stays = *becoming == Becoming::Itself;
        if tracked.said == Said::Unknown || (stays && tracked.said == Said::Changing) {
            return None;
        }
        let (count, most) = if stays { (&mut tracked.bursts, u32::MAX) } else { (&mut tracked.turns, TURNS_MAX) };
        *count = count.saturating_add(1);
        let followed = stays || (*count <= most && !full);
        tracked.said = if followed { Said::Changing } else { Said::Unknown };
        let becoming = if followed { becoming.clone() } else { Becoming::Unknown };
        self.made += 1;
        Some(PathMark { entry: tracked.entry, is: Mark::Changing(becoming) })
    }

    /// What to say once a path is as an operation left it. What can still be written to is still being changed.
    pub(crate) fn left(&mut self, place: &Place, now: Option<Looked>) -> Option<PathMark> {
        let thing = now.map(|now| now.thing);
        let open = thing.is_some_and(|thing| self.writers.contains_key(&thing));
        let full = self.made >= MARKS_MAX;
        let tracked = self.paths.get_mut(place)?;
        if let Some(before) = tracked.thing.filter(|before| Some(*before) != thing)
            && self.holders.get(&before) == Some(place)
        {
            self.holders.remove(&before);
        }
        let same = tracked.thing == thing;
        tracked.thing = thing;
        if let Some(thing) = thing {
            self.holders.insert(thing, place.clone());
        }
        let often = same && tracked.bursts > BURSTS_MAX;
        tracked.unsaid = None;
        if tracked.said != Said::Changing || full || often {
            tracked.unsaid = now.filter(|_| tracked.said == Said::Changing && !open).map(|now| now.stamp);
            return None;
        }
        self.made += 1;
        let is = match now {
            Some(now) if open => Mark::Changing(now.to_come()),
            now => {
                tracked.said = Said::Left;
                Mark::Left(now.map(|now| now.stamp))
            }
        };
        Some(PathMark { entry: tracked.entry, is })
    }

    /// What is still to be said once nothing of the call can change a file any more: how it left those of which too much was
    /// to be said before.
    pub(crate) fn rest(&mut self) -> Vec<PathMark> {
        let unsaid = |tracked: &mut Tracked| {
            let stamp = tracked.unsaid.take()?;
            tracked.said = Said::Left;
            Some(PathMark { entry: tracked.entry, is: Mark::Left(Some(stamp)) })
        };
        self.paths.values_mut().filter_map(unsaid).collect()
    }

    /// The entry of the path that a thing is at, and the number of the next word about it; none of what is at no path that would
    /// have to be restored.
    pub(crate) fn turn(&mut self, thing: Thing) -> Option<(u32, u64)> {
        let entry = self.paths.get(self.holders.get(&thing)?)?.entry;
        self.turns += 1;
        Some((entry, self.turns))
    }

    /// A handle was opened that can change a thing.
    pub(crate) fn opened(&mut self, thing: Thing) {
        *self.writers.entry(thing).or_insert(0) += 1;
    }

    /// It was closed. Returns where the thing is, if it was the last handle and the path is being changed.
    pub(crate) fn closed(&mut self, thing: Thing) -> Option<Place> {
        let count = self.writers.get_mut(&thing)?;
        *count = count.saturating_sub(1);
        if *count > 0 {
            return None;
        }
        self.writers.remove(&thing);
        let place = self.holders.get(&thing)?;
        let changing = self.paths.get(place).is_some_and(|tracked| tracked.said == Said::Changing);
        changing.then(|| place.clone())
    }

    /// The bytes of a file are about to change.
    pub(crate) fn writes(&mut self, thing: Thing) {
        self.written.insert(thing);
    }

    /// Whether a name of this file can go without an undo losing sight of what was written to it: a name that the call knows
    /// nothing of would keep that.
    pub(crate) fn may_lose_a_name(&self, now: &Looked) -> bool {
        let touched = self.written.contains(&now.thing) || self.writers.contains_key(&now.thing);
        let known = || self.paths.values().filter(|tracked| tracked.thing == Some(now.thing)).count();
        now.links <= 1 || !touched || known() as u64 >= now.links
    }
}
