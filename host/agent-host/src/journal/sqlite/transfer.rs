//! Whole runs in and out of the file: read as they are stored, begun with the first events of another, or taken from an export.

use std::sync::Arc;

use agent_core::event::Event;
use agent_core::name::RunId;
use agent_core::run_events::{RunAdopted, RunStarted};
use agent_core::units::UnixMillis;
use rusqlite::Connection;

use super::store::Store;
use super::{index, log, rows};
use crate::journal::allowance::Allowance;
use crate::journal::chain::{Body, Chain, Stored};
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Level, body_of, chained};

/// A run that comes from elsewhere. Its chain is intact.
pub struct Import {
    /// The run.
    pub run: RunId,
    /// How it began.
    pub started: RunStarted,
    /// Its events.
    pub events: Vec<Stored>,
}

/// The events of a run as they are stored, checked to hang together.
pub(super) fn stored(store: &Store, connection: &Connection, run: &RunId) -> Result<Vec<Stored>, JournalError> {
    let mut chain = Chain::begin(run.clone());
    let mut allowance = Allowance::begin(&store.marker);
    let mut all = Vec::new();
    let see = |stored: Stored| {
        chain.follow(&stored)?;
        allowance.take(&stored)?;
        all.push(stored);
        Ok(())
    };
    let read = rows::read(connection, run, see).map_err(|(_, error)| store.error(error))?;
    read.map_err(|damage| JournalError::RunDamaged { run: run.clone(), damage })?;
    match super::end_of(store, connection, run)? {
        None => Err(JournalError::NoSuchRun { prefix: run.to_string() }),
        Some(end) => match crate::journal::verify::end_damage(&chain, end) {
            Some(damage) => Err(JournalError::RunDamaged { run: run.clone(), damage }),
            None => Ok(all),
        },
    }
}

/// Begins a run with all these events at once, the first of which says how it begins. Nobody holds it then.
pub(super) fn begin_with(store: &Arc<Store>, run: &RunId, events: &[(UnixMillis, Event)]) -> Result<(), JournalError> {
    let all = chained(run, events, &store.marker)?;
    let Some((_, Event::RunStarted(started))) = events.first() else {
        return Err(JournalError::RunEmpty { run: run.clone() });
    };
    store.at_work()?;
    store.write(Level::Synced, |connection| add(store, connection, run, started, &all))
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
        for event in stored(store, connection, run)? {
            chain.follow(&event).map_err(|damage| JournalError::RunDamaged { run: run.clone(), damage })?;
            let mark = store.marker.mark(&event.hash);
            let update = || connection.prepare_cached(sql)?.execute((mark, run.as_str(), event.seq.cast_signed()));
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
