//! What the events of a call make of it: one function per kind of event, which [`State::apply`] picks.

use super::State;
use crate::answer_events::{ApprovalRequested, DoubtResolved, EffectPermitted, Resolution, ResolvedBy, ToolInDoubt};
use crate::approval;
use crate::budget::FUEL_ADVANCE;
use crate::effect::EffectRequest;
use crate::event::{EffectDone, EffectIntended, FuelTaken, Suspension, ToolFinished, ToolStarted, ToolSuspended};
use crate::file_events::{CallUndone, ChangesUndone, PathsMarked};
use crate::outcome::{Content, Fault, MeteredFuel, Metering, ToolOutcome};
use crate::pending::{Arbiter, Attempt, CallStatus, Origin, SendResult};
use crate::units::Fuel;

impl State {
    pub(super) fn approval_requested(&mut self, body: &ApprovalRequested) -> Result<(), &'static str> {
        let pending = self.pending(body.call)?;
        match &pending.status {
            CallStatus::Proposed | CallStatus::Running(_) | CallStatus::Interrupted(_) => {}
            CallStatus::InDoubt { .. } | CallStatus::Again { .. } | CallStatus::Finished(_) => {
                return Err("the call has nothing to ask");
            }
        }
        pending.asked.ask(body.subject.clone(), body.digest);
        self.has_asked = true;
        Ok(())
    }

    pub(super) fn effect_permitted(&mut self, body: &EffectPermitted) -> Result<(), &'static str> {
        let pending = self.pending(body.call)?;
        match &pending.status {
            CallStatus::Running(attempt) if attempt.number == body.attempt => pending.asked.permits.give(body),
            CallStatus::Running(_)
            | CallStatus::Proposed
            | CallStatus::Interrupted(_)
            | CallStatus::InDoubt { .. }
            | CallStatus::Again { .. }
            | CallStatus::Finished(_) => Err("no such attempt is going on"),
        }
    }

    pub(super) fn tool_started(&mut self, body: &ToolStarted) -> Result<(), &'static str> {
        self.may_start(body)?;
        let pending = self.pending(body.call)?;
        let before = followed(&pending.status, body.continues)?;
        let continued = before.filter(|_| body.continues.is_some()).cloned();
        // One that does the same again takes as much again.
        let taken = continued.as_ref().map_or(FUEL_ADVANCE, |before| before.taken);
        let (sends, transcript) = continued.map(Attempt::handed_on).unwrap_or_default();
        let (number, fuel, started) = (body.attempt, body.fuel, Box::new(body.clone()));
        let (changes, marks, boot) = (Vec::new(), Vec::new(), None);
        let origin = Origin { seed: body.seed.clone(), clock_start: body.clock_start };
        let attempt = Attempt { number, fuel, taken, started, changes, marks, boot, sends, transcript, origin };
        if body.continues.is_none() {
            pending.asked.permits.end();
        }
        pending.status = CallStatus::Running(attempt);
        Ok(())
    }

    pub(super) fn fuel_taken(&mut self, body: &FuelTaken) -> Result<(), &'static str> {
        let attempt = self.attempt(body.call, body.attempt)?;
        attempt.taken = attempt.taken.max(body.fuel);
        Ok(())
    }

    pub(super) fn effect_intended(&mut self, body: &EffectIntended) -> Result<(), &'static str> {
        let attempt = self.attempt(body.call, body.attempt)?;
        attempt.announce(&body.undo);
        let Some(part) = body.transcript else { return Ok(()) };
        attempt.announce_send(body.number, &body.request, body.class);
        attempt.transcript.push(part);
        let call = self.call(body.call).ok_or("no such call is pending")?;
        let digest = approval::effect_digest(self, call, body.number, &body.request);
        self.pending(body.call)?.asked.spend(&digest);
        Ok(())
    }

    pub(super) fn effect_done(&mut self, body: &EffectDone) -> Result<(), &'static str> {
        let result = SendResult { effect: body.effect.clone(), answer: body.answer };
        self.attempt(body.call, body.attempt)?.settle_send(result)
    }

    /// Of a call that has its outcome, nothing is kept here: who wants to undo it reads the events. Nor of what was undone before,
    /// which a person may have undone once more.
    pub(super) fn paths_marked(&mut self, body: &PathsMarked) -> Result<(), &'static str> {
        if body.call.0 >= self.next_call {
            return Err("there is no such call");
        }
        if let Some(attempt) = self.attempt_with_changes(body.call, body.attempt) {
            attempt.mark(body.boot, &body.marks)?;
        }
        Ok(())
    }

    pub(super) fn call_undone(&mut self, body: &CallUndone) -> Result<(), &'static str> {
        let attempt =
            self.attempt_with_changes(body.call, body.attempt).ok_or("no such attempt has changed anything")?;
        attempt.forget_changes();
        Ok(())
    }

    /// What was left alone of a call that has no outcome yet is a person's business from now on, who was told.
    pub(super) fn changes_undone(&mut self, body: &ChangesUndone) -> Result<(), &'static str> {
        for undone in &body.attempts {
            if undone.call.0 >= self.next_call {
                return Err("there is no such call");
            }
            if let Some(attempt) = self.attempt_with_changes(undone.call, undone.attempt) {
                attempt.forget_changes();
            }
        }
        Ok(())
    }

    pub(super) fn tool_suspended(&mut self, body: &ToolSuspended) -> Result<(), &'static str> {
        let attempt = self.attempt(body.call, body.attempt)?.clone();
        if !attempt.changes.is_empty() {
            return Err("the attempt was not undone");
        }
        if attempt.unrepeatable().is_some() {
            return Err("a write of the attempt is in doubt");
        }
        let pending = self.pending(body.call)?;
        match body.reason {
            Suspension::Approval => pending.origin = Some(attempt.origin.clone()),
            Suspension::Unanswered => pending.cut_short += 1,
            Suspension::Cancelled => {}
        }
        pending.status = CallStatus::Interrupted(attempt);
        // It was stopped where it waited, so that its own count is known.
        self.spent.fuel = self.spent.fuel.saturating_add(body.metering.fuel.counted());
        Ok(())
    }

    pub(super) fn tool_finished(&mut self, body: &ToolFinished) -> Result<(), &'static str> {
        let pending = self.pending(body.call)?;
        let charged = match (&pending.status, body.metering.fuel) {
            (CallStatus::Finished(_), _) => return Err("the call has its outcome already"),
            (_, MeteredFuel::Exact(fuel)) => fuel,
            (CallStatus::Running(attempt) | CallStatus::Interrupted(attempt), MeteredFuel::AtLeast(_)) => attempt.fuel,
            (_, MeteredFuel::AtLeast(fuel)) => fuel,
        };
        pending.status = CallStatus::Finished(body.outcome.clone());
        self.spent.fuel = self.spent.fuel.saturating_add(charged);
        self.spent.tool_calls += 1;
        self.end_turn_if_complete();
        Ok(())
    }

    pub(super) fn tool_in_doubt(&mut self, body: &ToolInDoubt) -> Result<(), &'static str> {
        let pending = self.pending(body.call)?;
        let (attempt, charged) = match &pending.status {
            CallStatus::Running(attempt) => (attempt.clone(), charged(attempt, body.metering.as_ref())),
            // What they used was charged when their host was gone.
            CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, .. } => (attempt.clone(), Fuel(0)),
            CallStatus::Proposed | CallStatus::InDoubt { .. } | CallStatus::Finished(_) => {
                return Err("no attempt of the call was made");
            }
        };
        let (request, reason, retry) = (body.request.clone(), body.reason.clone(), body.retry);
        pending.asked.withdraw();
        pending.origin = Some(attempt.origin.clone());
        pending.status = CallStatus::InDoubt { request, reason, arbiter: Arbiter::Policy, retry, attempt };
        self.spent.fuel = self.spent.fuel.saturating_add(charged);
        Ok(())
    }

    pub(super) fn doubt_resolved(&mut self, body: &DoubtResolved) -> Result<(), &'static str> {
        let pending = self.pending(body.call)?;
        let CallStatus::InDoubt { request, reason, retry, attempt, .. } = pending.status.clone() else {
            return Err("the call is not in doubt");
        };
        pending.status = match &body.resolution {
            Resolution::Happened(text) => {
                CallStatus::Finished(ToolOutcome::Returned { content: vec![Content::Text(text.clone())] })
            }
            Resolution::DidNotHappen => CallStatus::Finished(ToolOutcome::Failed {
                message: "the call was interrupted, and its effect did not happen".to_owned(),
            }),
            Resolution::Retry => CallStatus::Again { attempt, from: retry },
            Resolution::LeftOpen => CallStatus::Finished(left_open(&request, &reason)),
            Resolution::Unknown => CallStatus::InDoubt { request, reason, arbiter: Arbiter::Person, retry, attempt },
        };
        let is_finished = pending.is_finished();
        if let ResolvedBy::Component { metering, .. } = &body.by {
            self.spent.fuel = self.spent.fuel.saturating_add(metering.fuel.counted());
        }
        if is_finished {
            self.spent.tool_calls += 1;
            self.end_turn_if_complete();
        }
        Ok(())
    }
}

/// The attempt that a new one follows, which goes on from it where it says so; `None` where it is the first.
pub(super) fn followed(status: &CallStatus, continues: Option<u32>) -> Result<Option<&Attempt>, &'static str> {
    let before = match status {
        CallStatus::Proposed => None,
        CallStatus::Interrupted(attempt) if attempt.sends.is_empty() || continues.is_some() => Some(attempt),
        CallStatus::Interrupted(_) => return Err("the attempt before is not continued"),
        CallStatus::Again { attempt, .. } => Some(attempt),
        CallStatus::Running(_) | CallStatus::InDoubt { .. } | CallStatus::Finished(_) => {
            return Err("the call cannot start from where it is");
        }
    };
    if before.is_some_and(|before| !before.changes.is_empty()) {
        return Err("the attempt before was not undone");
    }
    if continues.is_some_and(|number| before.is_none_or(|before| before.number != number)) {
        return Err("there is no such attempt to continue");
    }
    Ok(before)
}

/// What an attempt in doubt is charged: its whole limit where its own count is lost.
fn charged(attempt: &Attempt, metering: Option<&Metering>) -> Fuel {
    match metering.map(|metering| metering.fuel) {
        Some(MeteredFuel::Exact(fuel)) => fuel,
        Some(MeteredFuel::AtLeast(_)) | None => attempt.fuel,
    }
}

/// What the model is told of a call of which nobody knows whether it had its effect.
fn left_open(request: &EffectRequest, reason: &str) -> ToolOutcome {
    let message = format!(
        "the call may or may not have done this: {request}. What is known: {reason}. It was not repeated. Before anything \
         depends on it, find out whether it happened; do not do it again blindly, and say in your answer that this is open."
    );
    ToolOutcome::Faulted { fault: Fault::InDoubt, message }
}
