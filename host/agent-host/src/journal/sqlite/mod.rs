//! The journal that runs are kept in: one SQLite file. `docs/journal.md` describes it.

mod beginning;
mod checkpoints;
mod cut_off;
mod entries;
mod error;
mod group;
mod index;
mod listing;
mod log;
mod reserve;
mod rows;
mod schema;
mod store;
mod sweep;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")]
pub(super) mod tests;
mod transfer;

pub use self::transfer::Import;

use std::cell::Cell;
use std::fs::TryLockError;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::name::{Name, RunId};
use agent_core::run_events::{RunAdopted, RunStarted};
use agent_core::state::folding::Folding;
use agent_core::units::{Bytes, UnixMillis};
use agent_sandbox::kv::StoreSize;
use rusqlite::{Connection, OptionalExtension as _};

use super::chain::{Damage, DamageKind, Marker, Stored};
use super::error::JournalError;
use super::folder::open_own;
use super::key::HostKey;
use super::lease::TakeOver;
use super::log::{Level, RunLog};
use super::reading::{Each, Reading, Trust, Whole};
use super::removal::{Found, Progress, Rewrite, SweepMode, Swept, Tombstone};
use super::runs::{RunSummary, Wanted};
use super::stores::{Foreign, StoreChanges, StoresHeld};
use super::verify::{Verified, Walk};
use super::{Journal, Shared};
use crate::failpoint;
use store::Store;

/// The largest file that is checked as a whole after an unclean stop: about a second. The events of the run that is resumed
/// are checked in any case.
const QUICK_CHECK_BYTES_MAX: u64 = 256 << 20;

/// A journal in a file.
pub struct SqliteJournal {
    store: Arc<Store>,
}

impl SqliteJournal {
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
    /// As [`SqliteJournal::create_or_open`], and `NoJournal` where there is none.
    pub fn open_existing(dir: &Path, key: &HostKey) -> Result<Self, JournalError> {
        Ok(Self { store: Arc::new(Store::open_existing(dir, key)?) })
    }

    /// What makes and checks this host's marks.
    #[must_use]
    pub fn marker(&self) -> &Marker {
        &self.store.marker
    }

    /// Reads what this host recorded of what a run holds into `each`: how it began, and what changed its tools or grants. Not
    /// whether it hangs together; for who will find that out.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn terms_into(&self, run: &RunId, each: &mut dyn FnMut(Event)) -> Result<(), JournalError> {
        let see = |stored: Stored| {
            if stored.is_ours(run, &self.store.marker)
                && let Ok(recorded) = stored.to_recorded(run)
            {
                each(recorded.event);
            }
        };
        self.store.read(|connection| rows::read_terms(connection, run, see).map_err(|error| self.store.error(error)))
    }

    /// The number of the process that held a run last and did not give it back, alive or not.
    ///
    /// # Errors
    /// Where there is no such run, or the journal cannot be read.
    pub fn holder(&self, run: &RunId) -> Result<Option<u32>, JournalError> {
        let holder = |connection: &Connection| log::check_free(&self.store, connection, run, TakeOver::Always);
        Ok(self.store.read(holder)?.map(|holder| holder.pid))
    }

    /// Whether a run of that name can come in.
    ///
    /// # Errors
    /// `RunExists` where one is there, `RunRemoved` where it was removed.
    pub fn check_new(&self, run: &RunId) -> Result<(), JournalError> {
        self.store.read(|connection| transfer::check_new(&self.store, connection, run))
    }

    /// Adds a run that comes from elsewhere, with the marks that came with it.
    ///
    /// # Errors
    /// See [`SqliteJournal::check_new`]; and where it was not added.
    pub fn import(&self, import: &Import) -> Result<(), JournalError> {
        transfer::import(&self.store, import)
    }

    /// Puts this host's mark on every event of a run, for which the operator vouches, and records on what terms: both or neither.
    ///
    /// # Errors
    /// Where there is no such run, a living process drives it, or it is damaged.
    pub fn adopt(&self, run: &RunId, at: UnixMillis, body: RunAdopted) -> Result<(), JournalError> {
        transfer::adopt(&self.store, run, at, body)
    }

    /// Removes a run for good. What only it named is left for a sweep.
    ///
    /// # Errors
    /// Where there is no such run, or a living process drives it.
    pub fn remove_run(&self, run: &RunId, at: UnixMillis) -> Result<Tombstone, JournalError> {
        sweep::remove_run(&self.store, run, at)
    }

    /// Writes a file of moderate size anew, so that nothing is left in it of what was removed.
    ///
    /// # Errors
    /// Where the journal cannot be read or changed.
    pub fn rewrite(&self) -> Result<Rewrite, JournalError> {
        sweep::rewrite(&self.store)
    }

    /// The runs that were removed, the latest first.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn tombstones(&self) -> Result<Vec<Found>, JournalError> {
        self.store.read(|connection| sweep::tombstones(&self.store, connection))
    }

    /// The runs that carry what was said in this one, or were forked from it.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn descendants(&self, run: &RunId) -> Result<Vec<RunId>, JournalError> {
        self.store.read(|connection| sweep::descendants(&self.store, connection, run))
    }

    /// Removes the blobs that no event names, and gives the space back; `None` where a host is at work in the folder.
    ///
    /// # Errors
    /// Where the journal cannot be read or changed.
    pub fn sweep(
        &self,
        mode: SweepMode,
        time: Duration,
        say: &mut dyn FnMut(Progress),
    ) -> Result<Option<Swept>, JournalError> {
        sweep::sweep(&self.store, mode, time, say)
    }
}

impl SqliteJournal {
    /// What comes before a run is read that is to be taken up.
    fn make_ready(&self, run: &RunId, take_over: TakeOver) -> Result<(), JournalError> {
        let store = &self.store;
        let former = store.read(|connection| log::check_free(store, connection, run, take_over))?;
        if former.is_some() {
            store.read(|connection| quick_check(store, connection))?;
        }
        store.at_work()?;
        if former.is_some() {
            store.settle()?;
        }
        reserve::keep(store.folder());
        Ok(())
    }

    /// For a test: whether the events of a run fold to the state that came of its checkpoint.
    fn compare_with_fold(&self, run: &RunId, found: &Folding) -> Result<(), JournalError> {
        let mut whole = Folding::default();
        self.read_into(run, &mut |recorded| whole.see(&recorded))?;
        assert_eq!(found.state(), whole.state(), "a checkpoint of run {run} is not the fold of its events");
        Ok(())
    }

    /// Takes the run that was read, whose last checkpoint is that of number `kept`.
    fn hold(&self, whole: Whole, kept: u64, take_over: TakeOver) -> Result<Box<dyn RunLog>, JournalError> {
        let durability = whole.durability()?;
        Ok(Box::new(log::take(&self.store, (whole.chain, kept), durability, take_over)?))
    }
}

impl Journal for SqliteJournal {
    fn start_run(
        &self,
        run: RunId,
        at: UnixMillis,
        body: RunStarted,
    ) -> Result<(Box<dyn RunLog>, Recorded), JournalError> {
        reserve::keep(self.store.folder());
        let (log, recorded) = log::start(&self.store, run, at, body)?;
        Ok((Box::new(log), recorded))
    }

    fn resume_into(
        &self,
        run: &RunId,
        take_over: TakeOver,
        each: &mut dyn FnMut(Recorded),
    ) -> Result<Box<dyn RunLog>, JournalError> {
        self.make_ready(run, take_over)?;
        let whole = self.store.read(|connection| read(&self.store, connection, run, (Trust::OursOnly, each)))?;
        self.hold(whole, 0, take_over)
    }

    fn take_up(
        &self,
        run: &RunId,
        take_over: TakeOver,
        folding: &mut Folding,
        step: &mut dyn FnMut(),
    ) -> Result<Box<dyn RunLog>, JournalError> {
        self.make_ready(run, take_over)?;
        let store = &self.store;
        let (whole, kept) = store.read(|connection| read_into_fold(store, connection, run, (&mut *folding, step)))?;
        if failpoint::checkpoint_every().is_some() {
            self.compare_with_fold(run, folding)?;
        }
        self.hold(whole, kept, take_over)
    }

    fn read_into(&self, run: &RunId, each: &mut dyn FnMut(Recorded)) -> Result<(), JournalError> {
        self.store.read(|connection| read(&self.store, connection, run, (Trust::Anyones, each))).map(drop)
    }

    fn events_after(&self, run: &RunId, seq: u64, count_max: usize) -> Result<Vec<(Recorded, Digest)>, JournalError> {
        let stored = self.store.read(|connection| {
            rows::read_after(connection, run, seq, count_max).map_err(|error| self.store.error(error))
        })?;
        stored.iter().map(|stored| stored.to_hashed(run)).collect()
    }

    fn begin_from(
        &self,
        run: &RunId,
        source: (&RunId, u64),
        shared: &mut Shared<'_>,
        more: &mut dyn Iterator<Item = (UnixMillis, Event)>,
    ) -> Result<(), JournalError> {
        transfer::begin_from(&self.store, run, source, (shared, more))
    }

    fn stored_into(&self, run: &RunId, each: &mut dyn FnMut(Stored) -> ControlFlow<()>) -> Result<(), JournalError> {
        self.store.read(|connection| transfer::stored_into(&self.store, connection, run, each))
    }

    fn session_end(&self, session: &Name) -> Result<Option<(u32, RunId)>, JournalError> {
        self.store.read(|connection| index::session_end(&self.store, connection, session))
    }

    fn runs(&self, wanted: &Wanted, count_max: usize) -> Result<Vec<RunSummary>, JournalError> {
        self.store.read(|connection| listing::list(&self.store, connection, wanted, count_max))
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        self.store.read(|connection| listing::one(&self.store, connection, run))
    }

    fn find_run(&self, prefix: Option<&str>) -> Result<RunId, JournalError> {
        self.store.read(|connection| listing::find(&self.store, connection, prefix))
    }

    fn verify_telling(&self, run: &RunId, step: &mut dyn FnMut()) -> Result<Verified, JournalError> {
        self.store.read(|connection| verify(&self.store, connection, run, step))
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        let digest = Digest::of(bytes);
        self.store.at_work()?;
        self.store.write(Level::Written, |connection| self.store.put_blob(connection, &digest, bytes))?;
        Ok(digest)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let bytes = self.store.read(|connection| self.store.blob(connection, digest))?;
        match bytes {
            Some(bytes) if Digest::of(&bytes) != *digest => {
                let what = format!("blob `{digest}` was changed");
                Err(JournalError::StoreCorrupt { path: self.store.path.clone(), what })
            }
            bytes => Ok(bytes),
        }
    }

    fn store_size(&self, component: &Name, store: &Name) -> Result<StoreSize, JournalError> {
        entries::size(&self.store, component, store)
    }

    fn store_value(
        &self,
        component: &Name,
        store: &Name,
        key: &str,
    ) -> Result<Result<Option<Vec<u8>>, Foreign>, JournalError> {
        entries::value(&self.store, component, store, key)
    }

    fn store_keys(&self, component: &Name, store: &Name) -> Result<Result<Vec<String>, Foreign>, JournalError> {
        entries::keys(&self.store, component, store)
    }

    fn change_stores(&self, changes: &StoreChanges) -> Result<(), JournalError> {
        self.store.write(Level::Synced, |connection| entries::apply(&self.store, connection, changes))
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.store.folder())
    }

    fn ran_out_of_room(&self) -> bool {
        self.store.ran_out_of_room()
    }

    fn cut_off(&self) -> Option<Bytes> {
        self.store.cut_off()
    }

    /// By a lock on a file beside the journal's, which the system lets go with this process.
    fn try_hold_stores(&self, component: &Name) -> Result<Option<StoresHeld>, JournalError> {
        let path = self.store.folder().join(format!("kv-{component}.lock"));
        let file = open_own(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StoresHeld::by(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(JournalError::io(&path)(error)),
        }
    }
}

/// Reads a whole run and checks that it hangs together.
fn read(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    (trust, each): (Trust, Each<'_>),
) -> Result<Whole, JournalError> {
    let mut reading = Reading::begin(run.clone(), &store.marker, trust, each);
    rows::read(connection, (run, None), |stored| reading.see(&stored)).map_err(|(_, error)| store.error(error))??;
    reading.end(end_of(store, connection, run)?)
}

/// Folds a run of this host, from its checkpoint on if there is one, and checks that what was read hangs together with that; also the
/// number of the last event that is in the checkpoint, or 0.
fn read_into_fold(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    (folding, step): (&mut Folding, &mut dyn FnMut()),
) -> Result<(Whole, u64), JournalError> {
    let from = checkpoints::find(&store.marker, connection, run).map(|(state, chain)| {
        let durability = state.started.durability;
        *folding = Folding::from_state(state);
        (chain, durability)
    });
    let mut each = |recorded| {
        step();
        folding.see(&recorded);
    };
    let (kept, mut reading) = match from {
        Some((chain, durability)) => (Some(chain.seq), Reading::go_on(chain, durability, &store.marker, &mut each)),
        None => (None, Reading::begin(run.clone(), &store.marker, Trust::OursOnly, &mut each)),
    };
    rows::read(connection, (run, kept), |stored| reading.see(&stored)).map_err(|(_, error)| store.error(error))??;
    Ok((reading.end(end_of(store, connection, run)?)?, kept.unwrap_or(0)))
}

/// Reads the first events of a run of this host, up to a number, and checks that they hang together.
fn read_first(
    store: &Store,
    connection: &Connection,
    (run, upto): (&RunId, u64),
    each: &mut dyn FnMut(Recorded) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let last = Cell::new(None);
    let mut keep = |recorded| last.set(Some(recorded));
    let mut reading = Reading::begin(run.clone(), &store.marker, Trust::OursOnly, &mut keep);
    let see = |stored: Stored| {
        reading.see(&stored).map_err(Some)?;
        let is_enough = last.take().is_some_and(|recorded| each(recorded).is_break()) || stored.seq == upto;
        if is_enough { Err(None) } else { Ok(()) }
    };
    match rows::read(connection, (run, None), see).map_err(|(_, error)| store.error(error))? {
        Err(None) => Ok(()),
        Err(Some(error)) => Err(error),
        Ok(()) => {
            let damage = Damage { seq: upto, kind: DamageKind::EndMissing };
            Err(JournalError::RunDamaged { run: run.clone(), damage })
        }
    }
}

fn verify(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    step: &mut dyn FnMut(),
) -> Result<Verified, JournalError> {
    let Some(end) = end_of(store, connection, run)? else {
        return Err(JournalError::NoSuchRun { prefix: run.to_string() });
    };
    let mut walk = Walk::begin(run.clone(), &store.marker);
    let mut see = |stored: Stored| {
        step();
        walk.see(&stored)
    };
    let seen = rows::read(connection, (run, None), &mut see)
        .map_err(|(seq, error)| Damage { seq, kind: DamageKind::Unreadable(error.to_string()) })
        .and_then(|seen| seen);
    Ok(walk.end(end, seen))
}

/// Where the run ends, by its row: the number and hash of its last event.
fn end_of(store: &Store, connection: &Connection, run: &RunId) -> Result<Option<(u64, Digest)>, JournalError> {
    connection
        .query_row("SELECT seq, head FROM runs WHERE run = ?1", [run.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), Digest::from_bytes(row.get(1)?)))
        })
        .optional()
        .map_err(|error| store.error(error))
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
