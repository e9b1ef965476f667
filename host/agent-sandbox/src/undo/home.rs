//! Brings back what a call only moved: the file or directory that was at a path is still there under another name, with its
//! owner, its attributes, its other names and everything in it.

use std::collections::HashMap;

use agent_core::path_state::{Becoming, Mark, PathKind, Stamp};
use rustix::fs::RenameFlags;

use super::{Place, Pressing, Stopped, UndoError, Undoing};
use crate::hosts::fs::look::{Looked, Thing, look_at};
use crate::hosts::fs::walk::Spot;

/// Something that is not where it was: the paths, by the numbers of their plans.
#[derive(Clone, Copy)]
struct Stray {
    home: usize,
    away: usize,
    thing: Thing,
}

/// What moves along with a directory: the paths, and what may be there.
struct Along {
    home: usize,
    away: usize,
    things: Vec<Thing>,
}

/// What came of a move.
#[derive(PartialEq, Eq)]
pub(super) enum Moved {
    Home,
    No,
}

impl Undoing<'_, '_> {
    /// Moves everything back that can be, directories before what is in them.
    pub(super) fn bring_home(&mut self) -> Result<(), UndoError> {
        let mut whereabouts: HashMap<Thing, Vec<usize>> = HashMap::new();
        for (thing, key) in self.ledger.whereabouts() {
            if let Some(number) = self.numbers.get(key) {
                whereabouts.entry(thing).or_default().push(*number);
            }
        }
        for home in (0..self.plans.len()).rev() {
            let Some(thing) = self.plans[home].home() else { continue };
            let known = whereabouts.get(&thing).map_or(&[][..], Vec::as_slice);
            for away in known.iter().copied().filter(|away| *away != home) {
                match self.move_home(Stray { home, away, thing }) {
                    Ok(Moved::Home) => break,
                    // What cannot be moved is made anew.
                    Ok(Moved::No) | Err(Stopped::Failed(_)) => {}
                    Err(Stopped::Untold(closed)) => return Err(closed.into()),
                }
            }
        }
        Ok(())
    }

    /// Moves one thing to where it belongs instead of removing it. Where its home is not there, or is taken, it stays.
    pub(super) fn send_home(&mut self, away: usize, now: &Looked) -> Result<Moved, Stopped> {
        match self.homes.get(&now.thing) {
            Some(home) if *home != away => self.move_home(Stray { home: *home, away, thing: now.thing }),
            Some(_) | None => Ok(Moved::No),
        }
    }

    fn move_home(&mut self, stray: Stray) -> Result<Moved, Stopped> {
        let (home, away) = (&self.plans[stray.home], &self.plans[stray.away]);
        // Another name of the same thing, which belongs there too.
        if away.home() == Some(stray.thing) {
            return Ok(Moved::No);
        }
        let (Place::Spot(home_spot), Place::Spot(away_spot)) = (home.place()?, away.place()?) else {
            return Ok(Moved::No);
        };
        let (at_home, there) = (look_at(home.mount, &home_spot)?, look_at(away.mount, &away_spot)?);
        let Some(there) = there.filter(|there| there.thing == stray.thing) else { return Ok(Moved::No) };
        if at_home.is_some_and(|taken| taken.thing == stray.thing) {
            return Ok(Moved::No);
        }
        if !self.ledger.accepts(&away.key, Some(&there), None)
            || !self.ledger.accepts(&home.key, at_home.as_ref(), None)
        {
            return Ok(Moved::No);
        }
        let both_files = |taken: &Looked| (taken.stamp.kind, there.stamp.kind) == (PathKind::File, PathKind::File);
        let flags = match &at_home {
            None => RenameFlags::NOREPLACE,
            // What the call put there instead changes places with it.
            Some(taken) if both_files(taken) => RenameFlags::EXCHANGE,
            Some(_) => return Ok(Moved::No),
        };
        let along = if there.stamp.kind == PathKind::Directory { self.goes_along(stray) } else { Vec::new() };
        let states = along.iter().map(|along| self.ledger.left_at(&self.plans[along.away].key)).collect();
        let said = self.before_move(stray, at_home.as_ref(), &along);
        self.say(said, Pressing::Later)?;
        let (name, to_name) = (away_spot.name.as_str(), home_spot.name.as_str());
        rustix::fs::renameat_with(&away_spot.dir, name, &home_spot.dir, to_name, flags)?;
        self.say_moved(stray, (&home_spot, &away_spot), (&along, states))?;
        Ok(Moved::Home)
    }

    /// What is in a directory that moves, as far as it is of the call: each with where it goes.
    fn goes_along(&self, stray: Stray) -> Vec<Along> {
        let (home_key, away_key) = (&self.plans[stray.home].key, &self.plans[stray.away].key);
        let mut along = Vec::new();
        for (away, plan) in self.plans.iter().enumerate() {
            let below = plan.key.strip_prefix(away_key.as_str()).filter(|below| below.starts_with('/'));
            let home = below.and_then(|below| self.numbers.get(format!("{home_key}{below}").as_str()));
            let Some(home) = home else { continue };
            let things = self.ledger.things_at(&plan.key);
            if !things.is_empty() {
                along.push(Along { home: *home, away, things });
            }
        }
        along
    }

    fn before_move(&self, stray: Stray, at_home: Option<&Looked>, along: &[Along]) -> Vec<(usize, Mark)> {
        let leaves = at_home.map_or(Becoming::Gone, |taken| taken.thing.to_come(self.plans[stray.away].mount));
        let comes = |home: usize, thing: Thing| (home, Mark::Changing(thing.to_come(self.plans[home].mount)));
        let mut said = vec![comes(stray.home, stray.thing), (stray.away, Mark::Changing(leaves))];
        for Along { home, away, things } in along {
            said.extend(things.iter().map(|thing| comes(*home, *thing)));
            said.push((*away, Mark::Changing(Becoming::Gone)));
        }
        said
    }

    fn say_moved(
        &mut self,
        stray: Stray,
        (home, away): (&Spot, &Spot),
        (along, states): (&[Along], Vec<Option<Stamp>>),
    ) -> Result<(), Stopped> {
        let mut said = Vec::new();
        for (Along { home, away, .. }, state) in along.iter().zip(states) {
            // What a thing was left like in the directory, it is like now.
            if let Some(stamp) = state {
                said.push((*home, Mark::Left(Some(stamp))));
            }
            said.push((*away, Mark::Left(None)));
        }
        self.say(said, Pressing::Later)?;
        self.say_left(stray.home, home)?;
        self.say_left(stray.away, away)
    }
}
