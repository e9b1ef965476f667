//! What is recorded of doubt: that the machine found it, what the run's policy says of it, and that a call whose host lives cannot
//! say what became of it. `agent_core::doubt` has the words.

use agent_core::answer_events::{DoubtResolved, Resolution, ResolvedBy, RetryFrom, ToolInDoubt};
use agent_core::doubt::{self, Why};
use agent_core::effect::EffectRequest;
use agent_core::name::CallNumber;
use agent_core::outcome::Fault;
use agent_core::outcome::ToolOutcome;
use agent_core::pending::{Attempt, CallStatus, Send};
use agent_sandbox::call::CallReport;
use anyhow::Context;

use super::ports::Ports;
use crate::failpoint;
use crate::journal::log::Durable;

/// Records a doubt that the machine found.
///
/// # Errors
/// Where nothing can be recorded any more.
pub fn mark(ports: &Ports, doubt: ToolInDoubt) -> anyhow::Result<()> {
    ports.recorder.record(doubt, Durable::Now)?;
    failpoint::hit("doubt-recorded");
    Ok(())
}

/// Records what the run's policy says of a call in doubt.
///
/// # Errors
/// Where nothing can be recorded any more.
pub fn settle_by_policy(ports: &Ports, call: CallNumber, resolution: Resolution) -> anyhow::Result<()> {
    let by = ResolvedBy::Policy;
    ports.recorder.record(DoubtResolved { call, resolution, by }, Durable::Now).map(drop)
}

/// Records that the attempt of a call which goes on, or is to be undone, is in doubt. What it used and did is in `report`, where
/// it ran here.
///
/// # Errors
/// Where nothing can be recorded any more.
pub fn leave_in_doubt(ports: &Ports, call: CallNumber, why: Why, report: Option<CallReport>) -> anyhow::Result<()> {
    let doubt =
        of_call(ports, call, why).with_context(|| format!("call {call} has done nothing that could be in doubt"))?;
    let (metering, effects) = report.map(|report| (Some(report.metering), report.effects)).unwrap_or_default();
    ports.recorder.record(ToolInDoubt { metering, effects, ..doubt }, Durable::Now)?;
    ports.reporter.tool_suspended(call);
    Ok(())
}

/// The doubt about the present attempt of a call, as far as the journal knows it.
pub fn of_call(ports: &Ports, call: CallNumber, why: Why) -> Option<ToolInDoubt> {
    with_attempt(ports, call, |attempt| doubt::about(call, attempt, why))?
}

/// A change of files that could not be undone, or is not to be.
pub fn about_change(change: EffectRequest, reason: String) -> Why {
    Why { change: Some(change), reason, retry: RetryFrom::Record }
}

/// What an attempt sent, from which nothing leads on by its record.
pub fn from_start(reason: String) -> Why {
    Why { change: None, reason, retry: RetryFrom::Start }
}

/// Why a call that was to do the same again, and then to go on, did not. What it had sent has happened, so this is doubt and no
/// outcome.
pub fn not_continued(outcome: &ToolOutcome) -> Option<Why> {
    match outcome {
        ToolOutcome::Faulted { fault: Fault::ReplayDiverged, message } => {
            Some(from_start(format!("replay_diverged: {message}")))
        }
        ToolOutcome::Refused { message, .. } => Some(from_start(format!("it was not continued: {message}"))),
        ToolOutcome::Faulted { .. } | ToolOutcome::Returned { .. } | ToolOutcome::Failed { .. } => None,
    }
}

/// Tells the model of a call that was stopped what it may have done under a key: another call would do it under another one.
pub fn tell_unanswered(ports: &Ports, call: CallNumber, report: &mut CallReport) {
    let ToolOutcome::Faulted { message, .. } = &mut report.outcome else { return };
    if let Some(open) = with_attempt(ports, call, doubt::left_unanswered).flatten() {
        *message = format!("{message}; {open}");
    }
}

/// Whether a call has sent anything, in this attempt or in one that it continues.
pub fn has_sent(ports: &Ports, call: CallNumber) -> bool {
    with_attempt(ports, call, |attempt| !attempt.sends.is_empty()).unwrap_or(false)
}

/// A write that was announced and has no known result.
pub enum Unresolved {
    /// A keyed one, which may be sent again with the same key.
    Repeatable,
    /// One that must not be sent again: doubt, whatever the guest made of it.
    Doubtful(EffectRequest),
}

/// What of an attempt has no known result; `None` where everything has.
pub fn unresolved(ports: &Ports, call: CallNumber) -> Option<Unresolved> {
    with_attempt(ports, call, |attempt| {
        let doubtful = |send: &Send| Unresolved::Doubtful(send.request.clone());
        let repeatable = |_: &Send| Unresolved::Repeatable;
        attempt.unrepeatable().map(doubtful).or_else(|| attempt.unresolved().map(repeatable))
    })?
}

fn with_attempt<T>(ports: &Ports, call: CallNumber, look: impl FnOnce(&Attempt) -> T) -> Option<T> {
    match ports.recorder.state().call(call).map(|pending| &pending.status) {
        Some(CallStatus::Running(attempt) | CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, .. }) => {
            Some(look(attempt))
        }
        Some(CallStatus::Proposed | CallStatus::InDoubt { .. } | CallStatus::Finished(_)) | None => None,
    }
}
