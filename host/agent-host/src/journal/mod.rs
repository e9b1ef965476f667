//! The journal: what every run did, event by event. Truth for resume, show, trace and replay.
//!
//! [`Journal`] keeps and reads runs; a [`RunLog`] is the one writer of one run. A journal promises that what an
//! append returned is not lost, that a lost lease can write nothing, and that no change goes unnoticed. It decides nothing
//! about a run: that is the machine's. [`SqliteJournal`](sqlite::SqliteJournal) is the one that runs are kept in;
//! `docs/journal.md` describes its file.

pub mod allowance;
mod at_work;
#[cfg(test)]
mod book;
pub mod chain;
mod draft;
pub mod error;
pub mod folder;
pub mod key;
pub mod lease;
pub mod log;
pub mod lost;
#[cfg(test)]
mod memory;
pub mod open_files;
pub mod pages;
pub mod portable;
mod reading;
pub mod removal;
pub mod runs;
#[cfg(test)]
mod simulated;
pub mod sqlite;
pub mod stores;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests;
pub mod verify;

use std::ops::ControlFlow;
use std::path::Path;

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::name::{Name, RunId};
use agent_core::run_events::RunStarted;
use agent_core::state::folding::Folding;
use agent_core::units::{Bytes, UnixMillis};
use agent_sandbox::kv::StoreSize;

use chain::Stored;
use error::JournalError;
use lease::TakeOver;
use log::RunLog;
use runs::{RunSummary, Wanted};
use stores::{Foreign, StoreChanges, StoresHeld};
use verify::Verified;

/// The largest blob, and the longest body of an event. SQLite's own bound is a thousand million bytes; components and undone
/// files are far smaller.
pub const BLOB_BYTES_MAX: usize = 256 << 20;

/// What a new run has of each event of another: with its time; nothing where it is about the other run alone.
pub type Shared<'s> = dyn FnMut(Recorded) -> Option<(UnixMillis, Event)> + 's;

/// An open journal. Any number of processes may have it open; each run has one writer at a time.
pub trait Journal: Send + Sync {
    /// Begins a run, held by this process. On the disk with the first append that is `Durable::Now`.
    ///
    /// # Errors
    /// Where the first event was not recorded, or there is such a run; `SessionTaken` where another run has its place in the
    /// session.
    fn start_run(
        &self,
        run: RunId,
        at: UnixMillis,
        body: RunStarted,
    ) -> Result<(Box<dyn RunLog>, Recorded), JournalError>;

    /// Begins a run with the first events of another one of this host, each as `shared` makes it, and with `more` after them.
    /// Nobody holds it then. All at once, on the disk when this returns, and never all in memory.
    ///
    /// # Errors
    /// Where they were not recorded, there is such a run, or the other one cannot be read that far.
    fn begin_from(
        &self,
        run: &RunId,
        source: (&RunId, u64),
        shared: &mut Shared<'_>,
        more: &mut dyn Iterator<Item = (UnixMillis, Event)>,
    ) -> Result<(), JournalError>;

    /// Reads a run into `each`, event by event, and takes it over under the next epoch. What was read counts only where this
    /// returns the log.
    ///
    /// # Errors
    /// `RunLocked` where another process drives it, `NotOurs` where not every event carries this host's mark, `RunDamaged`
    /// where one is not intact, `LeaseLost` where somebody was faster.
    fn resume_into(
        &self,
        run: &RunId,
        take_over: TakeOver,
        each: &mut dyn FnMut(Recorded),
    ) -> Result<Box<dyn RunLog>, JournalError>;

    /// As [`Journal::resume_into`], for who needs all events at once.
    ///
    /// # Errors
    /// See [`Journal::resume_into`].
    fn resume_run(&self, run: &RunId, take_over: TakeOver) -> Result<(Vec<Recorded>, Box<dyn RunLog>), JournalError> {
        let mut events = Vec::new();
        let log = self.resume_into(run, take_over, &mut |recorded| events.push(recorded))?;
        Ok((events, log))
    }

    /// As [`Journal::resume_into`], for who needs no more than the fold of the run: where a checkpoint of it is kept, only what comes
    /// after that is read, with a `step` for each event.
    ///
    /// # Errors
    /// See [`Journal::resume_into`]. Damage before a checkpoint is for [`Journal::verify`] to find.
    fn take_up(
        &self,
        run: &RunId,
        take_over: TakeOver,
        folding: &mut Folding,
        step: &mut dyn FnMut(),
    ) -> Result<Box<dyn RunLog>, JournalError> {
        let mut each = |recorded| {
            step();
            folding.see(&recorded);
        };
        self.resume_into(run, take_over, &mut each)
    }

    /// Reads the events of a run into `each`, whoever wrote them. What was read counts only where this returns well.
    ///
    /// # Errors
    /// Where there is no such run, or one of its events is not intact.
    fn read_into(&self, run: &RunId, each: &mut dyn FnMut(Recorded)) -> Result<(), JournalError>;

    /// The events of a run, whoever wrote them.
    ///
    /// # Errors
    /// See [`Journal::read_into`].
    fn events(&self, run: &RunId) -> Result<Vec<Recorded>, JournalError> {
        let mut events = Vec::new();
        self.read_into(run, &mut |recorded| events.push(recorded))?;
        Ok(events)
    }

    /// At most `count_max` events of a run after number `seq`, each with its hash, for somebody who follows a run that goes on:
    /// what comes before them is not read again, and so not checked.
    ///
    /// # Errors
    /// Where one of them cannot be read. There are none of a run that is not there.
    fn events_after(&self, run: &RunId, seq: u64, count_max: usize) -> Result<Vec<(Recorded, Digest)>, JournalError>;

    /// The newest runs of those wanted, the newest first.
    ///
    /// # Errors
    /// Where the journal cannot be read. A damaged run is listed as such.
    fn runs(&self, wanted: &Wanted, count_max: usize) -> Result<Vec<RunSummary>, JournalError>;

    /// One run as it would be listed.
    ///
    /// # Errors
    /// Where there is no such run, or the journal cannot be read.
    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError>;

    /// The one run that begins with `prefix`; the newest without a prefix.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    fn find_run(&self, prefix: Option<&str>) -> Result<RunId, JournalError>;

    /// Reads the events of a run into `each` as they are stored, whoever wrote them, until it says that it has enough. What was
    /// read counts only where this returns well.
    ///
    /// # Errors
    /// Where there is no such run, or one of its events is not intact.
    fn stored_into(&self, run: &RunId, each: &mut dyn FnMut(Stored) -> ControlFlow<()>) -> Result<(), JournalError>;

    /// The events of a run as they are stored, for who needs all at once.
    ///
    /// # Errors
    /// See [`Journal::stored_into`].
    #[cfg(test)]
    fn stored(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        let mut all = Vec::new();
        self.stored_into(run, &mut |stored| {
            all.push(stored);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// The last run of a session, and its place.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn session_end(&self, session: &Name) -> Result<Option<(u32, RunId)>, JournalError>;

    /// What can be proved about a run.
    ///
    /// # Errors
    /// Where there is no such run, or not even its row can be read. Damage is an answer and no error.
    fn verify(&self, run: &RunId) -> Result<Verified, JournalError> {
        self.verify_telling(run, &mut || {})
    }

    /// As [`Journal::verify`], and calls `step` for each event.
    ///
    /// # Errors
    /// See [`Journal::verify`].
    fn verify_telling(&self, run: &RunId, step: &mut dyn FnMut()) -> Result<Verified, JournalError>;

    /// Keeps bytes under their digest, once for all runs. On the disk with the next append that is `Durable::Now`.
    ///
    /// # Errors
    /// Where they were not kept.
    fn put_blob(&self, bytes: &[u8]) -> Result<Digest, JournalError>;

    /// The bytes under a digest, checked against it; `None` where there are none.
    ///
    /// # Errors
    /// Where the bytes were changed, or the journal cannot be read.
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError>;

    /// How full a key-value store is.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn store_size(&self, component: &Name, store: &Name) -> Result<StoreSize, JournalError>;

    /// The value of a key.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn store_value(
        &self,
        component: &Name,
        store: &Name,
        key: &str,
    ) -> Result<Result<Option<Vec<u8>>, Foreign>, JournalError>;

    /// Every key of a store.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn store_keys(&self, component: &Name, store: &Name) -> Result<Result<Vec<String>, Foreign>, JournalError>;

    /// Makes the changes of a call that belongs to no run, synced.
    ///
    /// # Errors
    /// Where they were not made.
    fn change_stores(&self, changes: &StoreChanges) -> Result<(), JournalError>;

    /// The folder that it is in, where what is kept beside it outlives this process as it does itself.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Whether something was not written for want of room since this journal was opened.
    fn ran_out_of_room(&self) -> bool;

    /// How much of a write that was cut off, by a kill or a power loss, this process found at the end of the journal and dropped,
    /// when it began to write there. Nothing before it is touched by that. None also where the medium cannot tell.
    fn cut_off(&self) -> Option<Bytes> {
        None
    }

    /// Takes the stores of a component for one call, whichever process it runs in; `None` while another call has them.
    ///
    /// # Errors
    /// Where nobody can have them.
    fn try_hold_stores(&self, component: &Name) -> Result<Option<StoresHeld>, JournalError>;
}
