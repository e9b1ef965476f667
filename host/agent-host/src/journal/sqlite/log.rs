//! The log of one run in the file, and the run's row: whose it is, and where it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::{Durability, RunStarted};
use agent_core::state::State;
use agent_core::state::checkpoint::is_due;
use agent_core::units::UnixMillis;
use rusqlite::Connection;

use super::store::{Share, Store};
use super::{checkpoints, entries, index, reserve, rows};
use crate::defect::{Defect, is_planted};
use crate::failpoint;
use crate::journal::chain::{Chain, Stored};
use crate::journal::error::JournalError;
use crate::journal::lease::{Holder, Presence, TakeOver};
use crate::journal::log::{Durable, Level, RunLog, body_of};
use crate::journal::stores::StoreChanges;

/// The one writer of a run. Dropping it gives the run back.
pub(super) struct SqliteLog {
    store: Arc<Store>,
    durability: Durability,
    chain: Mutex<Chain>,
    syncs: AtomicU64,
    /// The number of the last event that is in the run's checkpoint, or in one that could not be kept.
    checkpoint: AtomicU64,
}

impl RunLog for SqliteLog {
    fn append_with(
        &self,
        at: UnixMillis,
        event: Event,
        durable: Durable,
        changes: Option<&StoreChanges>,
    ) -> Result<Recorded, JournalError> {
        let kind = event.kind();
        let body = body_of(&event)?;
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if is_planted(Defect::IgnoreEpoch) {
            self.store.read(|connection| follow_others(&self.store, connection, &mut chain))?;
        }
        let next = chain.next(at, kind, body, &self.store.marker);
        let level = Level::of(self.durability, durable);
        self.store.write(level, |connection| {
            advance(&self.store, connection, &chain, &next)?;
            if let Some(changes) = changes {
                entries::apply(&self.store, connection, changes)?;
            }
            rows::insert(&self.store, connection, &chain.run, &next)
        })?;
        let own = match level {
            Level::Written => false,
            Level::Synced => true,
            Level::SyncedTogether => self.store.sync_together()? == Share::Own,
        };
        self.syncs.fetch_add(u64::from(own), Ordering::Relaxed);
        (chain.seq, chain.head) = (next.seq, next.hash);
        Ok(Recorded { run: chain.run.clone(), seq: next.seq, epoch: next.epoch, at, event })
    }

    fn end(&self) -> (u64, Digest) {
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        (chain.seq, chain.head)
    }

    fn append_last(&self, at: UnixMillis, event: Event) -> Result<Recorded, JournalError> {
        match self.append(at, event.clone(), Durable::Now) {
            Err(JournalError::StoreFull { .. }) if reserve::give_up(self.store.folder()) => {
                self.append(at, event, Durable::Now)
            }
            appended => appended,
        }
    }

    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn keep_checkpoint(&self, state: &State) {
        let last = self.checkpoint.load(Ordering::Relaxed);
        if state.stopped.as_ref().is_some_and(|stopped| !stopped.stop.is_resumable()) {
            return self.drop_checkpoint(last);
        }
        let due = failpoint::checkpoint_every().map(|every| state.seq.saturating_sub(last) >= every);
        if !due.unwrap_or_else(|| is_due(last, state.seq)) {
            return;
        }
        let Some(checkpoint) = state.checkpoint() else { return };
        // Whether it can be kept or not: the next one is due when as many events have come.
        self.checkpoint.store(state.seq, Ordering::Relaxed);
        let kept = serde_json::to_string(&checkpoint).map_err(anyhow::Error::from).and_then(|text| self.keep(&text));
        if let Err(error) = kept {
            tracing::debug!(run = %state.run, error = format!("{error:#}"), "no checkpoint of the run was kept");
        }
    }
}

impl SqliteLog {
    fn of(store: &Arc<Store>, durability: Durability, (chain, checkpoint): (Chain, u64)) -> Self {
        store.join(durability);
        let (store, chain, checkpoint) = (Arc::clone(store), Mutex::new(chain), AtomicU64::new(checkpoint));
        Self { store, durability, chain, syncs: AtomicU64::new(0), checkpoint }
    }

    /// Nobody takes up a run that has its answer.
    fn drop_checkpoint(&self, last: u64) {
        if last == 0 {
            return;
        }
        self.checkpoint.store(0, Ordering::Relaxed);
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.store.write(Level::Written, |connection| {
            checkpoints::remove(connection, &chain.run).map_err(|error| self.store.error(error))
        });
        if let Err(error) = removed {
            tracing::debug!(run = %chain.run, %error, "the checkpoint of the run was not removed");
        }
    }

    fn keep(&self, state: &str) -> anyhow::Result<()> {
        anyhow::ensure!(state.len() <= checkpoints::STATE_BYTES_MAX, "{} bytes are too long", state.len());
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing depends on it, and it is in the log after the events that are in it.
        Ok(self.store.write(Level::Written, |connection| checkpoints::keep(&self.store, connection, &chain, state))?)
    }
}

impl Drop for SqliteLog {
    /// Where this fails, the run is taken over when this process has ended.
    fn drop(&mut self) {
        let chain = self.chain.get_mut().unwrap_or_else(PoisonError::into_inner);
        let released = self.store.write(Level::Written, |connection| release(&self.store, connection, chain));
        if let Err(error) = released {
            tracing::debug!(run = %chain.run, %error, "the lease of the run was not given back");
        }
        self.store.leave(self.durability);
    }
}

/// Begins a run with its first event, held by this process.
pub(super) fn start(
    store: &Arc<Store>,
    run: RunId,
    at: UnixMillis,
    started: RunStarted,
) -> Result<(SqliteLog, Recorded), JournalError> {
    let durability = started.durability;
    let (begun, event) = (started.clone(), Event::from(started));
    let mut chain = Chain::begin(run);
    let first = chain.next(at, event.kind(), body_of(&event)?, &store.marker);
    store.at_work()?;
    store.write(Level::Written, |connection| {
        add_run(store, connection, &chain.run, &first, Some(&store.holder))?;
        index::add(store, connection, &chain.run, &begun)?;
        rows::insert(store, connection, &chain.run, &first)
    })?;
    (chain.seq, chain.head) = (first.seq, first.hash);
    let recorded = Recorded { run: chain.run.clone(), seq: first.seq, epoch: first.epoch, at, event };
    Ok((SqliteLog::of(store, durability, (chain, 0)), recorded))
}

/// Takes the run whose intact end is `chain` and whose last checkpoint is that of number `checkpoint`, under the next epoch.
pub(super) fn take(
    store: &Arc<Store>,
    (mut chain, checkpoint): (Chain, u64),
    durability: Durability,
    take_over: TakeOver,
) -> Result<SqliteLog, JournalError> {
    let epoch = store.write(Level::Written, |connection| {
        check_free(store, connection, &chain.run, take_over)?;
        claim(store, connection, &chain)
    })?;
    chain.epoch = epoch;
    Ok(SqliteLog::of(store, durability, (chain, checkpoint)))
}

/// Appends one event to the run whose intact end is `chain`, under the next epoch, and gives the run back.
pub(super) fn append_once(
    store: &Store,
    connection: &Connection,
    mut chain: Chain,
    next: impl FnOnce(&Chain) -> Stored,
) -> Result<(), JournalError> {
    chain.epoch = claim(store, connection, &chain)?;
    let next = next(&chain);
    advance(store, connection, &chain, &next)?;
    rows::insert(store, connection, &chain.run, &next)?;
    release(store, connection, &chain)
}

/// Whether the run may be taken: nobody holds it, its holder is gone, or a person said so.
pub(super) fn check_free(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    take_over: TakeOver,
) -> Result<Option<Holder>, JournalError> {
    let held = || {
        let sql = "SELECT holder_pid, holder_started, holder_place FROM runs WHERE run = ?1";
        connection.prepare_cached(sql)?.query_row([run.as_str()], |row| rows::holder(row, 0))
    };
    let holder = match held() {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            return Err(JournalError::NoSuchRun { prefix: run.to_string() });
        }
        held => held.map_err(|error| store.error(error))?,
    };
    match holder {
        Some(holder) if take_over == TakeOver::IfDead && holder.presence(&store.holder) != Presence::Gone => {
            Err(JournalError::RunLocked { run: run.clone(), holder })
        }
        holder => Ok(holder),
    }
}

/// Adds the row of a run that ends with `last`.
pub(super) fn add_run(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    last: &Stored,
    holder: Option<&Holder>,
) -> Result<(), JournalError> {
    let add = || {
        let sql = "INSERT INTO runs (run, seq, head, epoch, holder_pid, holder_started, holder_place)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (run) DO NOTHING";
        let (pid, started, place) = match holder.map(Holder::to_columns) {
            Some((pid, started, place)) => (Some(pid), Some(started), Some(place)),
            None => (None, None, None),
        };
        let (seq, epoch) = (last.seq.cast_signed(), last.epoch.cast_signed());
        connection.prepare_cached(sql)?.execute((run.as_str(), seq, last.hash.as_bytes(), epoch, pid, started, place))
    };
    match add().map_err(|error| store.error(error))? {
        0 => Err(JournalError::RunExists(run.clone())),
        _ => Ok(()),
    }
}

/// Says where a run ends that nobody holds, and that is being added in this transaction.
pub(super) fn end_at(store: &Store, connection: &Connection, chain: &Chain) -> Result<(), JournalError> {
    let update = || {
        let sql = "UPDATE runs SET seq = ?1, head = ?2 WHERE run = ?3";
        let values = (chain.seq.cast_signed(), chain.head.as_bytes(), chain.run.as_str());
        connection.prepare_cached(sql)?.execute(values)
    };
    update().map(drop).map_err(|error| store.error(error))
}

/// Moves the run's end from `chain` to `next`, if this log still holds the run: the fence.
fn advance(store: &Store, connection: &Connection, chain: &Chain, next: &Stored) -> Result<(), JournalError> {
    let update = || {
        let sql = if is_planted(Defect::IgnoreEpoch) {
            "UPDATE runs SET seq = ?1, head = ?2 WHERE run = ?3 AND epoch >= ?4 AND seq = ?5"
        } else {
            "UPDATE runs SET seq = ?1, head = ?2 WHERE run = ?3 AND epoch = ?4 AND seq = ?5"
        };
        let (epoch, seq) = (chain.epoch.cast_signed(), chain.seq.cast_signed());
        let values = (next.seq.cast_signed(), next.hash.as_bytes(), chain.run.as_str(), epoch, seq);
        connection.prepare_cached(sql)?.execute(values)
    };
    match update().map_err(|error| store.error(error))? {
        0 => Err(JournalError::LeaseLost { run: chain.run.clone() }),
        _ => Ok(()),
    }
}

/// The defect of a host that does not see that it lost its lease: it goes on after whatever was written meanwhile.
fn follow_others(store: &Store, connection: &Connection, chain: &mut Chain) -> Result<(), JournalError> {
    let end = || {
        let sql = "SELECT seq, head FROM runs WHERE run = ?1";
        connection.query_row(sql, [chain.run.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))
    };
    let (seq, head) = end().map_err(|error| store.error(error))?;
    (chain.seq, chain.head) = (seq.cast_unsigned(), Digest::from_bytes(head));
    Ok(())
}

/// Raises the epoch, if the run still ends where it was read to.
fn claim(store: &Store, connection: &Connection, chain: &Chain) -> Result<u64, JournalError> {
    let update = || {
        let sql = "UPDATE runs SET epoch = epoch + 1, holder_pid = ?1, holder_started = ?2, holder_place = ?3
            WHERE run = ?4 AND seq = ?5 AND head = ?6 RETURNING epoch";
        let (pid, started, place) = store.holder.to_columns();
        let values = (pid, started, place, chain.run.as_str(), chain.seq.cast_signed(), chain.head.as_bytes());
        connection.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0))
    };
    match update() {
        Ok(epoch) => Ok(epoch.cast_unsigned()),
        // Somebody wrote between reading and now.
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(JournalError::LeaseLost { run: chain.run.clone() }),
        Err(error) => Err(store.error(error)),
    }
}

fn release(store: &Store, connection: &Connection, chain: &Chain) -> Result<(), JournalError> {
    let update = || {
        let sql = "UPDATE runs SET holder_pid = NULL, holder_started = NULL, holder_place = NULL
            WHERE run = ?1 AND epoch = ?2";
        connection.prepare_cached(sql)?.execute((chain.run.as_str(), chain.epoch.cast_signed()))
    };
    update().map(drop).map_err(|error| store.error(error))
}
