//! What is known of a run outside its journal: what was recorded and acknowledged, and what acted. After each crash the journal
//! is held against it.

use std::path::PathBuf;

use agent_core::budget::Spent;
use agent_core::event::{Event, Recorded};
use agent_core::name::CallNumber;
use agent_core::state::State;

use super::world::{World, digests};
use crate::journal::error::JournalError;
use crate::journal::log::Durable;

/// What a crash leaves by the promise that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survives {
    /// The process was killed: everything that was written.
    Written,
    /// The power was lost: everything up to the last sync.
    Synced,
    /// The disk lied: some beginning.
    Some,
}

/// What is known outside.
#[derive(Default)]
pub(super) struct Ledger {
    /// Every event that was to be recorded, by its number. The last one may not have been acknowledged.
    history: Vec<Event>,
    written: Promise,
    synced: Promise,
    /// Which attempts sent something.
    acts: Vec<(CallNumber, u32)>,
    /// What was found to be wrong on the way.
    pub(super) broken: Option<String>,
}

/// Events that were acknowledged, and what was used by then.
#[derive(Debug, Clone, Default)]
struct Promise {
    events: usize,
    spent: Spent,
}

impl Ledger {
    /// An event is about to be recorded under this number.
    pub(super) fn attempts(&mut self, seq: u64, event: &Event) {
        self.history.truncate(usize::try_from(seq).unwrap() - 1);
        self.history.push(event.clone());
    }

    /// It was.
    pub(super) fn acknowledges(&mut self, recorded: &Recorded, durable: Durable, state: &State) {
        let promise = Promise { events: usize::try_from(recorded.seq).unwrap(), spent: state.spent.clone() };
        if durable == Durable::Now {
            self.synced = promise.clone();
        }
        self.written = promise;
    }

    /// It was not. Where the disk failed, nobody knows.
    pub(super) fn is_refused(&mut self, error: &JournalError) {
        if matches!(error, JournalError::StoreFull { .. } | JournalError::Poisoned { .. }) {
            self.history.truncate(self.written.events);
        }
    }

    /// An attempt of a call sent something.
    pub(super) fn acted(&mut self, call: CallNumber, attempt: u32) {
        self.acts.push((call, attempt));
    }

    /// Something is wrong: notes it, and gives an error to stop with.
    pub(super) fn broke(&mut self, what: String) -> JournalError {
        self.broken.get_or_insert(what);
        JournalError::Poisoned { path: PathBuf::new() }
    }

    /// Whether anything was promised.
    pub(super) fn nothing_is_promised(&self, survives: Survives) -> bool {
        self.least(survives) == 0
    }

    /// Holds what a crash left against what was promised.
    pub(super) fn recovers(
        &mut self,
        events: &[Recorded],
        state: &State,
        world: &World,
        survives: Survives,
    ) -> Result<(), String> {
        let least = self.least(survives);
        if events.len() < least {
            return Err(format!("I1: event {} was acknowledged, and {} are left", least, events.len()));
        }
        if let Some(wrong) = events.iter().zip(&self.history).find(|(found, known)| found.event != **known) {
            return Err(format!("I2: event {} is not the one that was recorded: {wrong:?}", wrong.0.seq));
        }
        if events.len() > self.history.len() {
            return Err(format!("I2: {} events were recorded, and {} are found", self.history.len(), events.len()));
        }
        if survives != Survives::Some {
            self.check_world(events, state, world)?;
            self.check_spent(&state.spent, survives)?;
        }
        self.history.truncate(events.len());
        let promise = Promise { events: events.len(), spent: state.spent.clone() };
        (self.written, self.synced) = (promise.clone(), promise);
        Ok(())
    }

    fn least(&self, survives: Survives) -> usize {
        match survives {
            Survives::Written => self.written.events,
            Survives::Synced => self.synced.events,
            Survives::Some => 0,
        }
    }

    fn check_world(&self, events: &[Recorded], state: &State, world: &World) -> Result<(), String> {
        if let Some(asked) = world.asked.last()
            && !digests(&state.messages).starts_with(asked)
        {
            return Err("I3: the model knows more of the conversation than the journal".to_owned());
        }
        let is_intended = |(call, attempt): &(CallNumber, u32)| {
            events.iter().any(|recorded| match &recorded.event {
                Event::EffectIntended(intent) => {
                    (intent.call, intent.attempt) == (*call, *attempt) && intent.transcript.is_some()
                }
                _ => false,
            })
        };
        match self.acts.iter().find(|act| !is_intended(act)) {
            Some((call, attempt)) => Err(format!("I5: attempt {attempt} of call {call} sent what it did not announce")),
            None => Ok(()),
        }
    }

    fn check_spent(&self, spent: &Spent, survives: Survives) -> Result<(), String> {
        let known = match survives {
            Survives::Written => &self.written.spent,
            Survives::Synced | Survives::Some => &self.synced.spent,
        };
        let numbers =
            |spent: &Spent| [u64::from(spent.turns), u64::from(spent.tool_calls), spent.tokens(), spent.fuel.0];
        let fewer = numbers(spent).iter().zip(numbers(known)).any(|(now, then)| *now < then);
        if fewer { Err(format!("I10: {spent:?} is less than {known:?}")) } else { Ok(()) }
    }
}
