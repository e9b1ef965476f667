//! What can be proved about a run from its journal alone: `agent-host journal verify`.

use agent_core::digest::Digest;
use agent_core::event::Event;
use agent_core::name::RunId;
use agent_core::run_events::HeadSigned;
use agent_core::state::{Conversation, State};

use crate::signing::{self, Signed};

use super::allowance::Allowance;
use super::chain::{Chain, Damage, DamageKind, Marker, Stored};

/// What was proved about a run. `docs/journal.md` says what each part is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The run.
    pub run: RunId,
    /// Events from the first on that are complete, unchanged, and in their order.
    pub intact: u64,
    /// The hash of the last of them. Kept elsewhere, it proves later that nothing up to here was changed.
    pub head: Option<Digest>,
    /// Whether this host wrote them.
    pub marks: Marks,
    /// Whether somebody signed them.
    pub signature: Signature,
    /// The first event that is not intact.
    pub damage: Option<Damage>,
}

/// Whose marks the intact events carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// Every one was written by this host, or by one with its key.
    Ours,
    /// From this event on, they may have been written by anybody.
    NotOursFrom(u64),
}

/// Who signed the intact events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// Nobody.
    None,
    /// The owner of a key, the last time up to this event.
    Upto {
        /// The event.
        seq: u64,
        /// The public key.
        key: String,
    },
    /// Somebody put something there that is no signature.
    False {
        /// The event that says that it is one.
        seq: u64,
    },
}

#[cfg(test)]
impl Verified {
    /// Whether nothing is damaged. Whose the run is, is another question.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_none()
    }
}

/// A walk along a run's events that stops at the first which is not intact.
pub struct Walk<'a> {
    allowance: Allowance<'a>,
    chain: Chain,
    marks: Marks,
    signature: Signature,
    state: Option<State>,
}

impl<'a> Walk<'a> {
    /// Before the first event.
    #[must_use]
    pub fn begin(run: RunId, marker: &'a Marker) -> Self {
        let (marks, signature) = (Marks::Ours, Signature::None);
        Self { allowance: Allowance::begin(marker), chain: Chain::begin(run), marks, signature, state: None }
    }

    /// What was proved, when the events were `seen` as far as they are intact; the last one should be that of number and hash
    /// `end`.
    #[must_use]
    pub fn end(self, end: (u64, Digest), seen: Result<(), Damage>) -> Verified {
        let damage = match seen {
            Ok(()) => end_damage(&self.chain, end),
            Err(damage) => Some(damage),
        };
        let Chain { run, seq: intact, head, .. } = self.chain;
        let (head, marks, signature) = ((intact > 0).then_some(head), self.marks, self.signature);
        Verified { run, intact, head, marks, signature, damage }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Where it is not intact.
    pub fn see(&mut self, stored: &Stored) -> Result<(), Damage> {
        let mut chain = self.chain.clone();
        chain.follow(stored)?;
        let ours = self.allowance.take(stored)?;
        let event =
            self.fold(stored).map_err(|why| Damage { seq: stored.seq, kind: DamageKind::DoesNotFollow(why) })?;
        if let Event::HeadSigned(signed) = &event {
            self.see_signature(signed);
        }
        self.chain = chain;
        if !ours && self.marks == Marks::Ours {
            self.marks = Marks::NotOursFrom(stored.seq);
        }
        Ok(())
    }

    /// A signature is over the event before it, so over the chain as it was until now.
    fn see_signature(&mut self, signed: &HeadSigned) {
        let Chain { run, seq, head, .. } = &self.chain;
        self.signature = match (&self.signature, signing::check(signed, run, *seq, head)) {
            (Signature::False { .. }, _) => return,
            (_, Signed::Truly) => Signature::Upto { seq: *seq, key: signed.key.clone() },
            (_, Signed::Not) => Signature::False { seq: seq + 1 },
        };
    }

    fn fold(&mut self, stored: &Stored) -> Result<Event, String> {
        let recorded = stored.to_recorded(&self.chain.run).map_err(|error| error.to_string())?;
        match &mut self.state {
            None => {
                let begun = State::begin_with(&recorded, Conversation::LeftOut);
                self.state = Some(begun.map_err(|error| error.to_string())?);
            }
            Some(state) => state.apply(&recorded).map_err(|error| error.to_string())?,
        }
        Ok(recorded.event)
    }
}

/// Whether `chain`, read to its last event, ends where the run's row says.
pub(super) fn end_damage(chain: &Chain, (seq, head): (u64, Digest)) -> Option<Damage> {
    if chain.seq < seq {
        return Some(Damage { seq: chain.seq + 1, kind: DamageKind::EndMissing });
    }
    let ends_there = chain.seq == seq && chain.head == head;
    (!ends_there).then_some(Damage { seq: chain.seq, kind: DamageKind::OutOfChain })
}
