//! The journal: what every run did, event by event, in one SQLite file. Truth for resume, show, trace and replay.
//!
//! [`Journal`] opens the file and reads runs; a [`log::RunLog`] is the one writer of one run. A journal promises that what
//! an append returned is not lost, that a lost lease can write nothing, and that no change goes unnoticed. It decides
//! nothing about a run: that is the machine's. `docs/journal.md` describes the file.

pub mod chain;
pub mod error;
mod folder;
pub mod key;
pub mod lease;
pub mod log;
pub mod runs;
mod schema;
pub mod store;
pub mod stores;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")]
mod tests;
pub mod verify;

use std::path::Path;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded, RunStarted};
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use rusqlite::Connection;

use chain::{Chain, Damage, DamageKind, Stored};
use error::JournalError;
use key::HostKey;
use lease::TakeOver;
use log::RunLog;
use runs::RunSummary;
use store::{Level, Store};
use verify::Verified;

/// The largest file that is checked as a whole after an unclean stop: about a second. The events of the run that is resumed
/// are checked in any case.
const QUICK_CHECK_BYTES_MAX: u64 = 256 << 20;

/// An open journal. Any number of processes may have it open; each run has one writer at a time.
pub struct Journal {
    store: Arc<Store>,
}

impl Journal {
    /// Opens the journal in the folder `dir`, and begins both if there is none.
    ///
    /// # Errors
    /// Where the folder or file is not safely this user's, is something else, is newer than this program, or cannot be used.
    pub fn create_or_open(dir: &Path, key: &HostKey) -> Result<Self, JournalError> {
        Ok(Self { store: Arc::new(Store::create_or_open(dir, key)?) })
    }

    /// Opens the journal in the folder `dir`, which must be there.
    ///
    /// # Errors
    /// As [`Journal::create_or_open`], and `NoJournal` where there is none.
    pub fn open_existing(dir: &Path, key: &HostKey) -> Result<Self, JournalError> {
        Ok(Self { store: Arc::new(Store::open_existing(dir, key)?) })
    }

    /// The folder that the journal is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.store.path.parent().unwrap_or(Path::new("."))
    }

    /// Begins a run, held by this process. On the disk with the first append that is `Durable::Now`.
    ///
    /// # Errors
    /// Where the first event was not recorded, or there is such a run.
    pub fn start_run(&self, run: RunId, at: UnixMillis, body: RunStarted) -> Result<(RunLog, Recorded), JournalError> {
        log::start(&self.store, run, at, body)
    }

    /// Reads a run and takes it over under the next epoch.
    ///
    /// # Errors
    /// `RunLocked` where another process drives it, `NotOurs` where not every event carries this host's mark, `RunDamaged`
    /// where one is not intact, `LeaseLost` where somebody was faster.
    pub fn resume_run(&self, run: &RunId, take_over: TakeOver) -> Result<(Vec<Recorded>, RunLog), JournalError> {
        let store = &self.store;
        let former = store.read(|connection| log::check_free(store, connection, run, take_over))?;
        if former.is_some() {
            store.read(|connection| quick_check(store, connection))?;
        }
        let (events, chain) = store.read(|connection| read(store, connection, run, Trust::OursOnly))?;
        let durability = match events.first().map(|first| &first.event) {
            Some(Event::RunStarted(started)) => started.durability,
            Some(_) | None => return Err(damaged(run, 1, DamageKind::Missing)),
        };
        let log = log::take(store, chain, durability, take_over)?;
        Ok((events, log))
    }

    /// The events of a run, whoever wrote them.
    ///
    /// # Errors
    /// Where there is no such run, or one of its events is not intact.
    pub fn events(&self, run: &RunId) -> Result<Vec<Recorded>, JournalError> {
        self.store.read(|connection| read(&self.store, connection, run, Trust::Anyones)).map(|(events, _)| events)
    }

    /// The newest runs, the newest first.
    ///
    /// # Errors
    /// Where the store fails. A damaged run is listed as such.
    pub fn runs(&self, count_max: usize) -> Result<Vec<RunSummary>, JournalError> {
        self.store.read(|connection| runs::list(&self.store, connection, None, count_max))
    }

    /// One run as it would be listed.
    ///
    /// # Errors
    /// Where there is no such run, or the store fails.
    pub fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        let mut found = self.store.read(|connection| runs::list(&self.store, connection, Some(run), 1))?;
        found.pop().ok_or_else(|| JournalError::NoSuchRun { prefix: run.to_string() })
    }

    /// The one run that begins with `prefix`; the newest without a prefix.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn find_run(&self, prefix: Option<&str>) -> Result<RunId, JournalError> {
        self.store.read(|connection| runs::find(&self.store, connection, prefix))
    }

    /// Keeps bytes under their digest, once for all runs. On the disk with the next append that is `Durable::Now`.
    ///
    /// # Errors
    /// Where they were not kept.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        let digest = Digest::of(bytes);
        self.store.write(Level::Written, |connection| self.store.put_blob(connection, &digest, bytes))?;
        Ok(digest)
    }

    /// The bytes under a digest, checked against it; `None` where there are none.
    ///
    /// # Errors
    /// Where the bytes were changed, or the store fails.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let bytes = self.store.read(|connection| self.store.blob(connection, digest))?;
        match bytes {
            Some(bytes) if Digest::of(&bytes) != *digest => {
                let what = format!("blob `{digest}` was changed");
                Err(JournalError::StoreCorrupt { path: self.store.path.clone(), what })
            }
            bytes => Ok(bytes),
        }
    }

    /// What can be proved about a run.
    ///
    /// # Errors
    /// Where there is no such run, or not even its row can be read. Damage is an answer and no error.
    pub fn verify(&self, run: &RunId) -> Result<Verified, JournalError> {
        self.store.read(|connection| verify::verify(&self.store, connection, run))
    }
}

/// Whose events are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    OursOnly,
    Anyones,
}

/// Reads a whole run and checks that it hangs together.
fn read(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    trust: Trust,
) -> Result<(Vec<Recorded>, Chain), JournalError> {
    let mut chain = Chain::begin(run.clone());
    let mut events = Vec::new();
    let mut see = |stored: Stored| {
        let damaged = |damage| JournalError::RunDamaged { run: run.clone(), damage };
        chain.follow(&stored).map_err(damaged)?;
        let is_ours = |mark: [u8; 32]| store.marker.is_ours(&stored.hash, &mark);
        if trust == Trust::OursOnly && !stored.mark.is_some_and(is_ours) {
            return Err(JournalError::NotOurs { run: run.clone(), seq: stored.seq });
        }
        let event = |source| JournalError::Event { run: run.clone(), seq: stored.seq, source };
        events.push(stored.to_recorded(run).map_err(event)?);
        Ok(())
    };
    chain::read(connection, run, &mut see).map_err(|(_, error)| store.error(error))??;
    match verify::end_of(store, connection, run)? {
        None => Err(JournalError::NoSuchRun { prefix: run.to_string() }),
        Some(end) => match verify::end_damage(&chain, end) {
            Some(Damage { seq, kind }) => Err(damaged(run, seq, kind)),
            None => Ok((events, chain)),
        },
    }
}

fn damaged(run: &RunId, seq: u64, kind: DamageKind) -> JournalError {
    JournalError::RunDamaged { run: run.clone(), damage: Damage { seq, kind } }
}

/// After an unclean stop: whether the file as a whole is sound.
fn quick_check(store: &Store, connection: &Connection) -> Result<(), JournalError> {
    if std::fs::metadata(&store.path).is_ok_and(|file| file.len() > QUICK_CHECK_BYTES_MAX) {
        return Ok(());
    }
    let verdict: String =
        connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(|error| store.error(error))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(JournalError::StoreCorrupt { path: store.path.clone(), what: verdict }),
    }
}
