//! The one place where a run's facts are written: append to the journal, then fold into the state. Shared by the driver and
//! the gates of its running calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_core::event::{Event, Recorded};
use agent_core::run_events::RunEnded;
use agent_core::state::State;
use agent_core::units::UnixMillis;
use anyhow::Context;

use crate::clock::EventClock;
use crate::journal::log::{Durable, RunLog};
use crate::journal::stores::StoreChanges;
use crate::signing::SigningKey;

/// A run's log and its fold, in step.
pub struct Recorder {
    log: Box<dyn RunLog>,
    state: Mutex<State>,
    clock: EventClock,
}

impl Recorder {
    /// Goes on from `state`, which is the fold of what `log` holds.
    #[must_use]
    pub fn new(log: Box<dyn RunLog>, state: State) -> Self {
        let clock = EventClock::of(&state);
        Self { log, state: Mutex::new(state), clock }
    }

    /// Records a fact. It is on the disk as soon as its kind needs it, or sooner where `durable` says so.
    ///
    /// # Errors
    /// Where it cannot be written, or does not follow from the state: the run must not go on in this process.
    pub fn record(&self, event: impl Into<Event>, durable: Durable) -> anyhow::Result<Recorded> {
        self.record_with(event, durable, None)
    }

    /// Records a fact, and with it changes of key-value stores: both or neither.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn record_with(
        &self,
        event: impl Into<Event>,
        durable: Durable,
        changes: Option<&StoreChanges>,
    ) -> anyhow::Result<Recorded> {
        let event = event.into();
        let durable = durable.max(Durable::needed_by(&event));
        let mut state = self.state();
        // What does not follow must not be recorded: a journal with it would not fold any more. A call that could not be waited
        // for may still have something to say, for instance.
        state.check(&event).context("it is not recorded, and the run is as it was")?;
        let recorded = self.log.append_with(self.now(), event, durable, changes)?;
        state.apply(&recorded).context("the run's state does not allow what has just happened")?;
        self.log.keep_checkpoint(&state);
        Ok(recorded)
    }

    /// Signs everything that is recorded so far.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn sign(&self, key: &SigningKey) -> anyhow::Result<()> {
        // Nothing is recorded between the head that is signed and its signature.
        let mut state = self.state();
        let (seq, head) = self.log.end();
        let signed = key.sign(&state.run, seq, &head);
        let recorded = self.log.append(self.now(), signed.into(), Durable::Now)?;
        state.apply(&recorded).context("a signature does not follow")
    }

    /// Records the end of the run's drive here, where there may be no room for it: in the room that is kept for that.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn record_last(&self, ended: RunEnded) -> anyhow::Result<()> {
        let mut state = self.state();
        let recorded = self.log.append_last(self.now(), ended.into())?;
        state.apply(&recorded).context("the run's state does not allow what has just happened")?;
        self.log.keep_checkpoint(&state);
        Ok(())
    }

    /// The state. The lock must not be held over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves at worst a state behind its log; `record` then refuses the next event.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of an event now. Not what a person's clock says, where that was set since this process took the run up.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// How often the journal was synced for this run by this process.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.log.syncs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use agent_core::event::ModelRequested;
    use agent_core::units::Millis;

    use super::*;
    use crate::journal::Journal as _;
    use crate::journal::key::HostKey;
    use crate::journal::sqlite::SqliteJournal;
    use crate::report::samples;

    /// By the wall clock it is half a century later, which would be more than any run's time.
    #[test]
    fn a_clock_that_was_set_forward_uses_up_no_time_of_a_run() -> anyhow::Result<()> {
        let home = tempfile::tempdir()?;
        let key = HostKey::load_or_create(home.path())?;
        let journal = SqliteJournal::create_or_open(&home.path().join("runs"), &key)?;
        let began = UnixMillis(1_000);
        let (log, first) = journal.start_run(samples::run_id(1), began, samples::started())?;
        let state = Mutex::new(State::begin(&first)?);
        let recorder = Recorder { log, state, clock: EventClock::Steady { began, since: Instant::now() } };
        std::thread::sleep(Duration::from_millis(20));
        recorder.record(ModelRequested { turn: 1, attempt: 1, model: 0 }, Durable::Later)?;
        let spent = recorder.state().spent.time;
        assert!((Millis(20)..Millis(60_000)).contains(&spent), "{spent}");
        Ok(())
    }
}
