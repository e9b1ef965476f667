//! Reading a whole run: each event is checked against the chain, and against this host's mark where only our own count.

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::Durability;

use super::chain::{Chain, Damage, DamageKind, Marker, Stored};
use super::error::JournalError;
use super::verify;

/// Whose events are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Only what carries this host's mark.
    OursOnly,
    /// Whoever wrote them.
    Anyones,
}

/// A run that is being read.
pub(super) struct Reading<'a> {
    marker: &'a Marker,
    trust: Trust,
    chain: Chain,
    events: Vec<Recorded>,
}

/// A run that was read to its end and hangs together.
pub(super) struct Whole {
    pub(super) events: Vec<Recorded>,
    pub(super) chain: Chain,
}

impl<'a> Reading<'a> {
    /// Before the first event.
    pub(super) fn begin(run: RunId, marker: &'a Marker, trust: Trust) -> Self {
        Self { marker, trust, chain: Chain::begin(run), events: Vec::new() }
    }

    /// Takes the next event.
    pub(super) fn see(&mut self, stored: &Stored) -> Result<(), JournalError> {
        let run = &self.chain.run.clone();
        self.chain.follow(stored).map_err(|damage| JournalError::RunDamaged { run: run.clone(), damage })?;
        let is_ours = |mark: [u8; 32]| self.marker.is_ours(&stored.hash, &mark);
        if self.trust == Trust::OursOnly && !stored.mark.is_some_and(is_ours) {
            return Err(JournalError::NotOurs { run: run.clone(), seq: stored.seq });
        }
        let event = |source| JournalError::Event { run: run.clone(), seq: stored.seq, source };
        self.events.push(stored.to_recorded(run).map_err(event)?);
        Ok(())
    }

    /// The run, if it ends where the journal says that it does: at the event of this number and hash. `None` where there is no
    /// such run.
    pub(super) fn end(self, end: Option<(u64, Digest)>) -> Result<Whole, JournalError> {
        let Self { chain, events, .. } = self;
        let run = &chain.run;
        let Some(end) = end else { return Err(JournalError::NoSuchRun { prefix: run.to_string() }) };
        match verify::end_damage(&chain, end) {
            Some(damage) => Err(JournalError::RunDamaged { run: run.clone(), damage }),
            None => Ok(Whole { events, chain }),
        }
    }
}

impl Whole {
    /// How much of the run survives what, by its first event.
    pub(super) fn durability(&self) -> Result<Durability, JournalError> {
        match self.events.first().map(|first| &first.event) {
            Some(Event::RunStarted(started)) => Ok(started.durability),
            Some(_) | None => {
                let damage = Damage { seq: 1, kind: DamageKind::Missing };
                Err(JournalError::RunDamaged { run: self.chain.run.clone(), damage })
            }
        }
    }
}
