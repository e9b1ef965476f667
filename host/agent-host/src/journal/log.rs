//! The log of one run: the only way in which events enter the journal. The driver holds one for as long as it drives the run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::digest::Digest;
use agent_core::event::{Durability, Event, Recorded, RunStarted};
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use rusqlite::Connection;

use super::chain::{Body, Chain, Stored};
use super::error::JournalError;
use super::lease::{Holder, Presence, TakeOver};
use super::store::{BLOB_BYTES_MAX, Level, Store};
use super::stores::{self, StoreChanges};

/// The longest body kept beside its event. Longer ones are blobs, so that listing and counting a run's events stays cheap,
/// and equal bodies of any runs are kept once.
const INLINE_BYTES_MAX: usize = 256;

/// When an event has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Before the append returns, with everything before it: something is about to depend on it.
    Now,
    /// With the next one that is `Now`. A killed process does not lose it.
    Later,
}

/// The one writer of a run. Dropping it gives the run back.
pub struct RunLog {
    store: Arc<Store>,
    durability: Durability,
    chain: Mutex<Chain>,
    syncs: AtomicU64,
}

impl RunLog {
    /// Records `event` as the next of the run.
    ///
    /// # Errors
    /// Where it was not recorded: then nothing may happen that depends on it.
    pub fn append(&self, at: UnixMillis, event: Event, durable: Durable) -> Result<Recorded, JournalError> {
        self.append_with(at, event, durable, None)
    }

    /// As [`RunLog::append`]; `changes` of key-value stores are made with it or not at all.
    ///
    /// # Errors
    /// As [`RunLog::append`].
    pub fn append_with(
        &self,
        at: UnixMillis,
        event: Event,
        durable: Durable,
        changes: Option<&StoreChanges>,
    ) -> Result<Recorded, JournalError> {
        let kind = event.kind();
        let body = body_of(&event)?;
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let next = chain.next(at, kind, body, &self.store.marker);
        let level = self.level(durable);
        self.store.write(level, |connection| {
            advance(&self.store, connection, &chain, &next)?;
            if let Some(changes) = changes {
                stores::apply(&self.store, connection, changes)?;
            }
            insert(&self.store, connection, &chain.run, &next)
        })?;
        if level == Level::Synced {
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        (chain.seq, chain.head) = (next.seq, next.hash);
        Ok(Recorded { run: chain.run.clone(), seq: next.seq, epoch: next.epoch, at, event })
    }

    /// How many of this log's appends were synced, each of them once.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn level(&self, durable: Durable) -> Level {
        match (self.durability, durable) {
            (Durability::Strict, Durable::Now) => Level::Synced,
            (Durability::Strict, Durable::Later) | (Durability::Relaxed, _) => Level::Written,
        }
    }
}

impl Drop for RunLog {
    /// Where this fails, the run is taken over when this process has ended.
    fn drop(&mut self) {
        let chain = self.chain.get_mut().unwrap_or_else(PoisonError::into_inner);
        let released = self.store.write(Level::Written, |connection| release(&self.store, connection, chain));
        if let Err(error) = released {
            tracing::debug!(run = %chain.run, %error, "the lease of the run was not given back");
        }
    }
}

/// Begins a run with its first event, held by this process.
pub(super) fn start(
    store: &Arc<Store>,
    run: RunId,
    at: UnixMillis,
    started: RunStarted,
) -> Result<(RunLog, Recorded), JournalError> {
    let durability = started.durability;
    let event = Event::from(started);
    let mut chain = Chain::begin(run);
    let first = chain.next(at, event.kind(), body_of(&event)?, &store.marker);
    store.write(Level::Written, |connection| {
        add_run(store, connection, &chain.run, &first)?;
        insert(store, connection, &chain.run, &first)
    })?;
    (chain.seq, chain.head) = (first.seq, first.hash);
    let recorded = Recorded { run: chain.run.clone(), seq: first.seq, epoch: first.epoch, at, event };
    let log = RunLog { store: Arc::clone(store), durability, chain: Mutex::new(chain), syncs: AtomicU64::new(0) };
    Ok((log, recorded))
}

/// Takes the run whose intact end is `chain`, under the next epoch.
pub(super) fn take(
    store: &Arc<Store>,
    mut chain: Chain,
    durability: Durability,
    take_over: TakeOver,
) -> Result<RunLog, JournalError> {
    let epoch = store.write(Level::Written, |connection| {
        check_free(store, connection, &chain.run, take_over)?;
        claim(store, connection, &chain)
    })?;
    chain.epoch = epoch;
    Ok(RunLog { store: Arc::clone(store), durability, chain: Mutex::new(chain), syncs: AtomicU64::new(0) })
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
        connection.prepare_cached(sql)?.query_row([run.as_str()], |row| Holder::from_row(row, 0))
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

fn body_of(event: &Event) -> Result<String, JournalError> {
    let body = event.to_body().map_err(|source| JournalError::Unwritable { kind: event.kind(), source })?;
    if body.len() > BLOB_BYTES_MAX {
        return Err(JournalError::TooLarge { bytes: body.len(), bytes_max: BLOB_BYTES_MAX });
    }
    Ok(body)
}

fn add_run(store: &Store, connection: &Connection, run: &RunId, first: &Stored) -> Result<(), JournalError> {
    let add = || {
        let sql = "INSERT INTO runs (run, seq, head, epoch, holder_pid, holder_started, holder_place)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (run) DO NOTHING";
        let (pid, started, place) = store.holder.to_columns();
        let (seq, epoch) = (first.seq.cast_signed(), first.epoch.cast_signed());
        connection.prepare_cached(sql)?.execute((run.as_str(), seq, first.hash.as_bytes(), epoch, pid, started, place))
    };
    match add().map_err(|error| store.error(error))? {
        0 => Err(JournalError::RunExists(run.clone())),
        _ => Ok(()),
    }
}

/// Moves the run's end from `chain` to `next`, if this log still holds the run: the fence.
fn advance(store: &Store, connection: &Connection, chain: &Chain, next: &Stored) -> Result<(), JournalError> {
    let update = || {
        let sql = "UPDATE runs SET seq = ?1, head = ?2 WHERE run = ?3 AND epoch = ?4 AND seq = ?5";
        let (epoch, seq) = (chain.epoch.cast_signed(), chain.seq.cast_signed());
        let values = (next.seq.cast_signed(), next.hash.as_bytes(), chain.run.as_str(), epoch, seq);
        connection.prepare_cached(sql)?.execute(values)
    };
    match update().map_err(|error| store.error(error))? {
        0 => Err(JournalError::LeaseLost { run: chain.run.clone() }),
        _ => Ok(()),
    }
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

fn insert(store: &Store, connection: &Connection, run: &RunId, event: &Stored) -> Result<(), JournalError> {
    let Body::Text { text, digest } = &event.body else { unreachable!("an event to be written has its body") };
    let blob = (text.len() > INLINE_BYTES_MAX).then_some(digest);
    if let Some(digest) = blob {
        store.put_blob(connection, digest, text.as_bytes())?;
    }
    let add = || {
        let sql = "INSERT INTO events (run, seq, epoch, at, kind, version, body, blob, prev_hash, hash, mac)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        connection.prepare_cached(sql)?.execute((
            run.as_str(),
            event.seq.cast_signed(),
            event.epoch.cast_signed(),
            event.at.0.cast_signed(),
            &event.kind,
            event.version,
            blob.is_none().then_some(text),
            blob.map(Digest::as_bytes),
            event.prev_hash.as_bytes(),
            event.hash.as_bytes(),
            event.mark,
        ))
    };
    add().map(drop).map_err(|error| store.error(error))
}
