//! A proposed call on its way to its outcome: how far it is, and what its attempts have announced. Part of the state, which
//! moves it on; the machine reads it to say what the call wants next.

use crate::answer_events::RetryFrom;
use crate::approval::Asked;
use crate::digest::Digest;
use crate::effect::{Effect, EffectClass, EffectRequest, EffectResult, UndoEntry};
use crate::event::ToolStarted;
use crate::message::{ToolCall, ToolResult};
use crate::name::CallNumber;
use crate::outcome::ToolOutcome;
use crate::path_state::{Mark, PathMark};
use crate::units::{Fuel, UnixMillis};

/// A proposed call on its way to its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingCall {
    /// Its number in the run.
    pub number: CallNumber,
    /// What the model asked for.
    pub call: ToolCall,
    /// The tool: an index into the run's tools; `None` where the model named no tool of this run.
    pub tool: Option<usize>,
    /// How far it is.
    pub status: CallStatus,
    /// What it asked a person.
    pub asked: Asked,
    /// How often an attempt was cut short: by the end of its host, or because a keyed write of it had no answer.
    pub cut_short: u32,
    /// How every further attempt begins, once one waited for a person or was in doubt: so that it comes to the same point with
    /// the same request, for which the person's answer is, and which has the same key.
    pub origin: Option<Origin>,
}

/// What a call's random numbers and clock begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Seeds the random numbers: 64 hexadecimal digits.
    pub seed: String,
    /// What the clock says.
    pub clock_start: UnixMillis,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub enum CallStatus {
    /// Nothing has happened yet.
    Proposed,
    /// An attempt is going on in a living host.
    Running(Attempt),
    /// An attempt ended without an outcome: with its host, or because it waited for a person, or the run was stopped.
    Interrupted(Attempt),
    /// It may or may not have had its effect.
    InDoubt {
        /// What is unknown.
        request: EffectRequest,
        /// What is known.
        reason: String,
        /// Who is to say.
        arbiter: Arbiter,
        /// What it goes by where it is made again.
        retry: RetryFrom,
        /// The attempt that is in doubt.
        attempt: Attempt,
    },
    /// A person wants it to run again in spite of the doubt.
    Again {
        /// The attempt that was in doubt.
        attempt: Attempt,
        /// What the next one goes by.
        from: RetryFrom,
    },
    /// It has its outcome.
    Finished(ToolOutcome),
}

/// Who is to say what became of a call in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arbiter {
    /// The run's policy, which may say that it is a person.
    Policy,
    /// A person: the policy did not help.
    Person,
}

/// One attempt of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Its fuel limit: what it is charged if its own count is lost, and nothing better is known.
    pub fuel: Fuel,
    /// What it uses of that at most, by its own word so far.
    pub taken: Fuel,
    /// How it began: what one that continues it needs to be the same.
    pub started: Box<ToolStarted>,
    /// What to restore if it is undone, in the order in which it was taken.
    pub changes: Vec<UndoEntry>,
    /// What is known of these paths since, in order. An entry itself says that its path is being changed, at its place.
    pub marks: Vec<PathMark>,
    /// Under which start of the machine the first of them was recorded.
    pub boot: Option<u32>,
    /// The keyed and opaque writes that it announced, or that the attempt announced which it continues.
    pub sends: Vec<Send>,
    /// What its random numbers and clock began with.
    pub origin: Origin,
    /// The parts of its transcript, in order: what was told up to the last of these.
    pub transcript: Vec<Digest>,
}

/// A keyed or opaque write that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// The effect's number.
    pub number: u32,
    /// What was to be sent.
    pub request: EffectRequest,
    /// Keyed or opaque.
    pub class: EffectClass,
    /// How often it was announced. From the second time on, that it could not be sent says nothing about the first.
    pub announced: u32,
    /// What is known of it.
    pub state: SendState,
}

/// What is known of a keyed or opaque write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendState {
    /// It may be under way.
    Announced,
    /// No answer came. The guest has not gone on since, as far as its record says.
    Unanswered,
    /// No answer came, and the guest may have been told so: done again along its record, it would not send it again.
    GivenUp,
    /// It has its answer.
    Answered(Box<SendResult>),
}

/// What came of a keyed or opaque write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendResult {
    /// The effect with its result.
    pub effect: Effect,
    /// The digest of the whole answer.
    pub answer: Option<Digest>,
}

impl PendingCall {
    /// What the model will be told, once the call has its outcome.
    pub(crate) fn result(&self) -> Option<ToolResult> {
        match &self.status {
            CallStatus::Finished(outcome) => {
                Some(ToolResult::from_outcome(self.call.id.clone(), self.call.tool.clone(), outcome))
            }
            _ => None,
        }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.status, CallStatus::Finished(_))
    }
}

impl Attempt {
    /// Something more is announced: each of its paths is being changed from now on.
    pub(crate) fn announce(&mut self, undo: &[UndoEntry]) {
        for entry in undo {
            let place = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
            self.marks.push(PathMark { entry: place, is: Mark::Changing(entry.becoming.clone()) });
            self.changes.push(entry.clone());
        }
    }

    /// Something more is known of its paths.
    pub(crate) fn mark(&mut self, boot: u32, marks: &[PathMark]) -> Result<(), &'static str> {
        self.boot.get_or_insert(boot);
        if marks.iter().any(|mark| mark.entry as usize >= self.changes.len()) {
            return Err("it names a path that was not announced");
        }
        self.marks.extend(marks.iter().cloned());
        Ok(())
    }

    /// Its changes are undone.
    pub(crate) fn forget_changes(&mut self) {
        self.changes.clear();
        self.marks.clear();
    }

    /// A write is announced, perhaps one that an attempt before has announced.
    pub(crate) fn announce_send(&mut self, number: u32, request: &EffectRequest, class: EffectClass) {
        let before = self.sends.iter().position(|send| send.number == number).map(|index| self.sends.remove(index));
        for send in &mut self.sends {
            if send.state == SendState::Unanswered {
                send.state = SendState::GivenUp;
            }
        }
        let announced = before.map_or(1, |before| before.announced + 1);
        let (request, state) = (request.clone(), SendState::Announced);
        self.sends.push(Send { number, request, class, announced, state });
    }

    /// A write that was announced has this result.
    pub(crate) fn settle_send(&mut self, result: SendResult) -> Result<(), &'static str> {
        let number = result.effect.number;
        let index = self.sends.iter().position(|send| send.number == number).ok_or("it was not announced")?;
        let send = &mut self.sends[index];
        match result.effect.result {
            // Certainly not sent: the call may run again as if it had never tried.
            EffectResult::NotSent(_) | EffectResult::Refused if send.announced == 1 => drop(self.sends.remove(index)),
            // Not this time.
            EffectResult::NotSent(_) | EffectResult::Refused | EffectResult::Unknown(_) => {
                send.state = SendState::Unanswered;
            }
            EffectResult::Done(_) | EffectResult::Failed(_) => send.state = SendState::Answered(Box::new(result)),
        }
        Ok(())
    }

    /// What it has sent, as the attempt finds it that continues it: its guest has been told nothing yet.
    pub(crate) fn handed_on(self) -> (Vec<Send>, Vec<Digest>) {
        let mut sends = self.sends;
        for send in &mut sends {
            if send.state == SendState::Unanswered {
                send.state = SendState::Announced;
            }
        }
        (sends, self.transcript)
    }

    /// The fuel that it has used at most, where its host ended under the start of the machine that is `boot` or before. Only what was
    /// written since the machine was started is certain to be all that was: another start may have lost its last word.
    #[must_use]
    pub fn taken_until(&self, boot: Option<u32>) -> Fuel {
        let is_same = boot.is_some() && boot == self.started.boot;
        if is_same { self.taken.min(self.fuel) } else { self.fuel }
    }

    /// An announced write whose result is not recorded.
    #[must_use]
    pub fn unresolved(&self) -> Option<&Send> {
        self.sends.iter().find(|send| send.result().is_none())
    }

    /// An announced write whose result is not recorded and that must not be sent again, or would not be.
    #[must_use]
    pub fn unrepeatable(&self) -> Option<&Send> {
        let repeatable = |send: &Send| send.class == EffectClass::KeyedWrite && send.state != SendState::GivenUp;
        self.sends.iter().find(|send| send.result().is_none() && !repeatable(send))
    }
}

impl Send {
    /// Its result, once that is known.
    #[must_use]
    pub fn result(&self) -> Option<&SendResult> {
        match &self.state {
            SendState::Answered(result) => Some(result.as_ref()),
            SendState::Announced | SendState::Unanswered | SendState::GivenUp => None,
        }
    }
}

/// The host of a call is gone: a running attempt ended with it. Returns the fuel to charge for a lost count, as the machine was
/// started that often by now.
pub(crate) fn interrupt(pending: &mut PendingCall, boot: Option<u32>) -> Option<u64> {
    pending.asked.hand_over();
    match &pending.status {
        CallStatus::Running(attempt) => {
            let fuel = attempt.taken_until(boot).0;
            if pending.asked.is_begun() {
                pending.origin = Some(attempt.origin.clone());
            }
            pending.status = CallStatus::Interrupted(attempt.clone());
            pending.cut_short += 1;
            Some(fuel)
        }
        CallStatus::Proposed
        | CallStatus::Interrupted(_)
        | CallStatus::InDoubt { .. }
        | CallStatus::Again { .. }
        | CallStatus::Finished(_) => None,
    }
}
