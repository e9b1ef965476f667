//! Reading a run to its end: each event is checked against the chain, and against this host's mark where only our own count.

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::Durability;

use super::allowance::Allowance;
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

/// A run that is being read, event by event: what is done with each says who reads, and a long run is never held as a whole.
pub(super) struct Reading<'a> {
    allowance: Allowance<'a>,
    trust: Trust,
    chain: Chain,
    durability: Option<Durability>,
    each: Each<'a>,
}

/// Takes each event as it is read. That the run hangs together is known only at its end.
pub(super) type Each<'a> = &'a mut dyn FnMut(Recorded);

/// A run that was read to its end, and what was read of it hangs together.
pub(super) struct Whole {
    pub(super) chain: Chain,
    durability: Option<Durability>,
}

impl<'a> Reading<'a> {
    /// Before the first event.
    pub(super) fn begin(run: RunId, marker: &'a Marker, trust: Trust, each: Each<'a>) -> Self {
        Self { allowance: Allowance::begin(marker), trust, chain: Chain::begin(run), durability: None, each }
    }

    /// After the last of the events whose fold was kept, of a run of this host.
    pub(super) fn go_on(chain: Chain, durability: Durability, marker: &'a Marker, each: Each<'a>) -> Self {
        let allowance = Allowance::begin(marker);
        Self { allowance, trust: Trust::OursOnly, chain, durability: Some(durability), each }
    }

    /// Takes the next event.
    pub(super) fn see(&mut self, stored: &Stored) -> Result<(), JournalError> {
        let run = &self.chain.run.clone();
        let damaged = |damage| JournalError::RunDamaged { run: run.clone(), damage };
        self.chain.follow(stored).map_err(damaged)?;
        let is_ours = self.allowance.take(stored).map_err(damaged)?;
        if self.trust == Trust::OursOnly && !is_ours {
            return Err(JournalError::NotOurs { run: run.clone(), seq: stored.seq });
        }
        let event = |source| JournalError::Event { run: run.clone(), seq: stored.seq, source };
        let recorded = stored.to_recorded(run).map_err(event)?;
        if let (1, Event::RunStarted(started)) = (recorded.seq, &recorded.event) {
            self.durability = Some(started.durability);
        }
        (self.each)(recorded);
        Ok(())
    }

    /// The run, if it ends where the journal says that it does: at the event of this number and hash. `None` where there is no
    /// such run.
    pub(super) fn end(self, end: Option<(u64, Digest)>) -> Result<Whole, JournalError> {
        let Self { chain, durability, .. } = self;
        let run = &chain.run;
        let Some(end) = end else { return Err(JournalError::NoSuchRun { prefix: run.to_string() }) };
        match verify::end_damage(&chain, end) {
            Some(damage) => Err(JournalError::RunDamaged { run: run.clone(), damage }),
            None => Ok(Whole { chain, durability }),
        }
    }
}

impl Whole {
    /// How much of the run survives what, by its first event.
    pub(super) fn durability(&self) -> Result<Durability, JournalError> {
        self.durability.ok_or_else(|| {
            let damage = Damage { seq: 1, kind: DamageKind::Missing };
            JournalError::RunDamaged { run: self.chain.run.clone(), damage }
        })
    }
}
