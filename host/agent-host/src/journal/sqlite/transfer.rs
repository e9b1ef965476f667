//! Whole runs in and out of the file: read as they are stored, begun with the first events of another, or taken from an export.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::{RunAdopted, RunStarted};
use agent_core::units::UnixMillis;
use rusqlite::Connection;

use super::store::Store;
use super::{index, log, rows};
use crate::journal::Shared;
use crate::journal::allowance::Allowance;
use crate::journal::chain::{Body, Chain, Stored};
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Level, body_of};

/// A run that comes from elsewhere. Its chain is intact.
pub struct Import {
    /// The run.
    pub run: RunId,
    /// How it began.
    pub started: RunStarted,
    /// Its events.
    pub events: Vec<Stored>,
}

/// Reads the events of a run as they are stored, checked to hang together, until `each` has enough.
pub(super) fn stored_into(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    each: &mut dyn FnMut(Stored) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let mut chain = Chain::begin(run.clone());
    let mut allowance = Allowance::begin(&store.marker);
    let see = |stored: Stored| {
        chain.follow(&stored).map_err(Some)?;
        allowance.take(&stored).map_err(Some)?;
        match each(stored) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(None),
        }
    };
    match rows::read(connection, (run, None), see).map_err(|(_, error)| store.error(error))? {
        Ok(()) => {}
        Err(None) => return Ok(()),
        Err(Some(damage)) => return Err(JournalError::RunDamaged { run: run.clone(), damage }),
    }
    match super::end_of(store, connection, run)? {
        None => Err(JournalError::NoSuchRun { prefix: run.to_string() }),
        Some(end) => match crate::journal::verify::end_damage(&chain, end) {
            Some(damage) => Err(JournalError::RunDamaged { run: run.clone(), damage }),
            None => Ok(()),
        },
    }
}

/// Begins a run with what `shared` makes of the first events of another, and with `more` after them. Nobody holds it then. In one
/// transaction, which reads and writes event by event.
pub(super) fn begin_from(
    store: &Arc<Store>,
    run: &RunId,
    source: (&RunId, u64),
    (shared, more): (&mut Shared<'_>, &mut dyn Iterator<Item = (UnixMillis, Event)>),
) -> Result<(), JournalError> {
    store.at_work()?;
    store.write(Level::Synced, |connection| {
        let mut adding = Adding { store, connection, chain: Chain::begin(run.clone()) };
        let failed = Cell::new(None);
        let mut each = |recorded: Recorded| {
            let next = shared(recorded);
            if let Some(error) = next.and_then(|next| adding.add(next).err()) {
                failed.set(Some(error));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        super::read_first(store, connection, source, &mut each)?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        for next in more {
            adding.add(next)?;
        }
        adding.end()
    })
}

/// A run that is being added, event by event.
struct Adding<'a> {
    store: &'a Arc<Store>,
    connection: &'a Connection,
    chain: Chain,
}

impl Adding<'_> {
    fn add(&mut self, (at, event): (UnixMillis, Event)) -> Result<(), JournalError> {
        let next = self.chain.next(at, event.kind(), body_of(&event)?, &self.store.marker);
        if let Event::RunStarted(started) = &event {
            log::add_run(self.store, self.connection, &self.chain.run, &next, None)?;
            index::add(self.store, self.connection, &self.chain.run, started)?;
        }
        rows::insert(self.store, self.connection, &self.chain.run, &next)?;
        (self.chain.seq, self.chain.head) = (next.seq, next.hash);
        Ok(())
    }

    /// The run ends here.
    fn end(self) -> Result<(), JournalError> {
        if self.chain.seq == 0 {
            return Err(JournalError::RunEmpty { run: self.chain.run });
        }
        log::end_at(self.store, self.connection, &self.chain)
    }
}

/// Adds a run that comes from elsewhere, with the marks that came with it. It takes no place in a session here: that is for
/// runs which this journal began.
pub(super) fn import(store: &Arc<Store>, import: &Import) -> Result<(), JournalError> {
    let Import { run, started, events } = import;
    let started = RunStarted { session: None, ..started.clone() };
    store.at_work()?;
    store.write(Level::Synced, |connection| {
        check_new(store, connection, run)?;
        add(store, connection, run, &started, events)
    })
}

/// Whether a run of that name can come in: none is there, and none was removed.
pub(super) fn check_new(store: &Store, connection: &Connection, run: &RunId) -> Result<(), JournalError> {
    super::sweep::check_not_removed(store, connection, run)?;
    match super::end_of(store, connection, run)? {
        None => Ok(()),
        Some(_) => Err(JournalError::RunExists(run.clone())),
    }
}

/// Puts this host's mark on every event of a run, for which the operator vouches, and adds the event that says so, under an
/// epoch of its own. In one transaction: without that event, what the other host allowed would count.
pub(super) fn adopt(store: &Arc<Store>, run: &RunId, at: UnixMillis, body: RunAdopted) -> Result<(), JournalError> {
    let event = Event::from(body);
    let (kind, body) = (event.kind(), body_of(&event)?);
    store.at_work()?;
    store.write(Level::Synced, |connection| {
        log::check_free(store, connection, run, TakeOver::IfDead)?;
        let mut chain = Chain::begin(run.clone());
        let sql = "UPDATE events SET mac = ?1 WHERE run = ?2 AND seq = ?3";
        let mut hashes = Vec::new();
        stored_into(store, connection, run, &mut |stored| {
            (chain.seq, chain.epoch, chain.head) = (stored.seq, stored.epoch, stored.hash);
            hashes.push((stored.seq, stored.hash));
            ControlFlow::Continue(())
        })?;
        for (seq, hash) in hashes {
            let values = (store.marker.mark(&hash), run.as_str(), seq.cast_signed());
            let update = || connection.prepare_cached(sql)?.execute(values);
            update().map_err(|error| store.error(error))?;
        }
        log::append_once(store, connection, chain, |chain| chain.next(at, kind, body, &store.marker))
    })
}

fn add(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    started: &RunStarted,
    events: &[Stored],
) -> Result<(), JournalError> {
    let Some(last) = events.last() else { return Err(JournalError::RunEmpty { run: run.clone() }) };
    log::add_run(store, connection, run, last, None)?;
    index::add(store, connection, run, started)?;
    for event in events {
        debug_assert!(matches!(event.body, Body::Text { .. }), "a run is added with its bodies");
        rows::insert(store, connection, run, event)?;
    }
    Ok(())
}
