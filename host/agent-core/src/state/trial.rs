//! Whether an event may follow, asked before it is recorded: one that is in the journal and does not fold would make the run
//! unreadable for good. Whoever writes to a run asks first.

use super::{Phase, State, Unexpected};
use crate::event::{Event, ToolStarted};
use crate::file_events::PathsMarked;
use crate::name::CallNumber;
use crate::pending::{Attempt, CallStatus, PendingCall};
use crate::state::calls::followed;

impl State {
    /// Whether the event may be the next one.
    ///
    /// # Errors
    /// Why it may not. It must not be recorded then.
    pub fn check(&self, event: &Event) -> Result<(), Unexpected> {
        let refused = |why| Unexpected { seq: self.seq + 1, kind: event.kind(), why };
        if !self.is_open_to(event) {
            return Err(refused("the run has stopped"));
        }
        self.would_take(event).map_err(refused)
    }

    /// What every turn has is looked at; what is rare is tried on a copy, which would make long runs and large calls slow.
    fn would_take(&self, event: &Event) -> Result<(), &'static str> {
        match event {
            Event::ModelRequested(body) => self.awaits_reply(body.turn),
            Event::ModelReplied(body) => self.awaits_reply(body.turn),
            Event::ModelFailed(body) => self.awaits_reply(body.turn),
            Event::ToolProposed(_) => self.is_served().then_some(()).ok_or("the calls of this run come from a model"),
            Event::ToolStarted(body) => self.may_start(body),
            Event::EffectIntended(body) => self.goes_on(body.call, body.attempt).map(drop),
            Event::FuelTaken(body) => self.goes_on(body.call, body.attempt).map(drop),
            Event::EffectDone(body) => {
                let attempt = self.goes_on(body.call, body.attempt)?;
                let is_announced = attempt.sends.iter().any(|send| send.number == body.effect.number);
                is_announced.then_some(()).ok_or("it was not announced")
            }
            Event::PathsMarked(body) => self.may_mark(body),
            Event::ToolFinished(body) => {
                let is_over = self.call_of(body.call)?.is_finished();
                (!is_over).then_some(()).ok_or("the call has its outcome already")
            }
            Event::RunStarted(_)
            | Event::ApprovalRequested(_)
            | Event::ApprovalDecided(_)
            | Event::GrantWidened(_)
            | Event::EffectPermitted(_)
            | Event::CallUndone(_)
            | Event::ToolSuspended(_)
            | Event::ToolInDoubt(_)
            | Event::DoubtResolved(_)
            | Event::ChangesUndone(_)
            | Event::RunResumed(_)
            | Event::RunRebased(_)
            | Event::RunAdopted(_)
            | Event::HeadSigned(_)
            | Event::RunEnded(_) => self.clone().dispatch(event, self.last_at),
        }
    }

    fn awaits_reply(&self, turn: u32) -> Result<(), &'static str> {
        match &self.phase {
            Phase::Asking(asking) if asking.turn == turn => Ok(()),
            Phase::Asking(_) => Err("it belongs to another turn"),
            Phase::Acting(_) | Phase::Answered(_) | Phase::Serving(_) => Err("no reply is awaited"),
        }
    }

    fn call_of(&self, number: CallNumber) -> Result<&PendingCall, &'static str> {
        self.call(number).ok_or("no such call is pending")
    }

    pub(super) fn may_start(&self, body: &ToolStarted) -> Result<(), &'static str> {
        let pending = self.call_of(body.call)?;
        if !pending.asked.open.is_empty() {
            return Err("a person was asked and has not answered");
        }
        let before = followed(&pending.status, body.continues)?;
        let is_next = body.attempt == before.map_or(0, |before| before.number) + 1;
        is_next.then_some(()).ok_or("the attempt is not the next")
    }

    fn goes_on(&self, number: CallNumber, attempt: u32) -> Result<&Attempt, &'static str> {
        match &self.call_of(number)?.status {
            CallStatus::Running(found) | CallStatus::Interrupted(found) if found.number == attempt => Ok(found),
            CallStatus::Running(_)
            | CallStatus::Interrupted(_)
            | CallStatus::Proposed
            | CallStatus::InDoubt { .. }
            | CallStatus::Again { .. }
            | CallStatus::Finished(_) => Err("no such attempt is going on"),
        }
    }

    fn may_mark(&self, body: &PathsMarked) -> Result<(), &'static str> {
        if body.call.0 >= self.next_call {
            return Err("there is no such call");
        }
        let Some(pending) = self.call(body.call) else { return Ok(()) };
        let changes = match &pending.status {
            CallStatus::Running(found)
            | CallStatus::Interrupted(found)
            | CallStatus::InDoubt { attempt: found, .. }
            | CallStatus::Again { attempt: found, .. }
                if found.number == body.attempt =>
            {
                found.changes.len()
            }
            CallStatus::Running(_)
            | CallStatus::Interrupted(_)
            | CallStatus::InDoubt { .. }
            | CallStatus::Again { .. }
            | CallStatus::Proposed
            | CallStatus::Finished(_) => 0,
        };
        let is_known = changes == 0 || body.marks.iter().all(|mark| (mark.entry as usize) < changes);
        is_known.then_some(()).ok_or("it names a path that was not announced")
    }
}
