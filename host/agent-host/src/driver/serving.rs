//! Calls of clients. Each is recorded as a proposal, driven to its outcome by whoever waits for it, and answered once that is
//! recorded. The same machine, gate, limits and records as in a run that asks a model; only the loop is another one, since there
//! are no turns: calls come one by one and side by side. Called by the servers.

use std::sync::{Arc, PoisonError};

use agent_core::answer_events::{AnswerPlace, Approval, ApprovalDecided, ApprovalRequested};
use agent_core::approval;
use agent_core::client_events::ToolProposed;
use agent_core::effect::Effect;
use agent_core::event::{Event, ToolFinished};
use agent_core::machine::{self, Action};
use agent_core::name::CallNumber;
use agent_core::outcome::{Fault, Metering, RefusedCall, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::run_events::RunEnded;
use agent_core::serving::{Caller, next_of};
use anyhow::{Context, bail};

use super::callers::{CanAsk, ClientAnswer, Line};
use super::ports::Ports;
use super::{call, doubting, reconcile};
use crate::asking;
use crate::failpoint;
use crate::journal::log::Durable;
use crate::person;
use crate::report::{question, waiting};

/// What a client is answered.
#[derive(Debug)]
pub struct Served {
    /// The call's number in the record.
    pub call: CallNumber,
    /// What came of it.
    pub outcome: ToolOutcome,
    /// What it did, the refused effects among it.
    pub effects: Vec<Effect>,
    /// What it used.
    pub metering: Metering,
}

/// Makes one call for a client, and returns once what came of it is recorded.
///
/// # Errors
/// Where nothing can be recorded any more, or the sandbox itself cannot go on: no call can be made then.
pub async fn serve(ports: &Arc<Ports>, proposed: ToolProposed, line: Line) -> anyhow::Result<Served> {
    let number = propose(ports, proposed)?;
    failpoint::hit("tool-proposed");
    let _listening = ports.callers.listen(number, line.clone());
    loop {
        // From here on nothing that happens is missed.
        let changed = ports.callers.changed.notified();
        let caller = if line.cancel.is_cancelled() { Caller::Gone } else { Caller::Waits };
        let action = next_of(&ports.recorder.state(), number, caller);
        match action {
            Action::Wait => {
                if let Some(served) = in_doubt(ports, number) {
                    return Ok(served);
                }
                tokio::select! {
                    () = changed => {}
                    () = line.cancel.cancelled(), if caller == Caller::Waits => {}
                }
            }
            action => {
                if let Some(served) = act(ports, number, action, &line).await? {
                    return Ok(served);
                }
                ports.callers.changed.notify_waiters();
            }
        }
    }
}

/// Ends a run whose clients are gone: what is left of its calls is brought to an end first.
///
/// # Errors
/// Where it cannot be recorded.
pub async fn wind_up(ports: &Arc<Ports>) -> anyhow::Result<RunEnded> {
    let nobody = Line { cancel: ports.cancel.clone(), news: None, can_ask: CanAsk::No("the server ends") };
    loop {
        let action = machine::next(&ports.recorder.state());
        match action {
            Action::Finish(ended) => {
                ports.recorder.record(ended.clone(), Durable::Now)?;
                failpoint::hit("run-ended");
                return Ok(ended);
            }
            Action::Wait => bail!("a call is still under way; the next server brings it to an end"),
            action => {
                let number = call_of(&action).context("the run wants something else than a call")?;
                act(ports, number, action, &nobody).await?;
            }
        }
    }
}

fn call_of(action: &Action) -> Option<CallNumber> {
    match action {
        Action::AskApproval(call)
        | Action::CallTool { call, .. }
        | Action::SettleCall { call, .. }
        | Action::UndoCall(call)
        | Action::SettleDoubt { call, .. }
        | Action::Reconcile(call) => Some(*call),
        Action::MarkInDoubt(doubt) => Some(doubt.call),
        Action::CallModel { .. } | Action::Finish(_) | Action::Wait | Action::Rest => None,
    }
}

fn propose(ports: &Ports, proposed: ToolProposed) -> anyhow::Result<CallNumber> {
    let _one = ports.callers.proposing.lock().unwrap_or_else(PoisonError::into_inner);
    ports.recorder.record(proposed, Durable::Later)?;
    let state = ports.recorder.state();
    Ok(state.calls().last().context("the proposed call is gone")?.number)
}

/// Does what a call wants; what the client is answered, where the call has its outcome by it.
async fn act(ports: &Arc<Ports>, number: CallNumber, action: Action, line: &Line) -> anyhow::Result<Option<Served>> {
    match action {
        Action::CallTool { attempt, fuel, .. } => match call::prepare(ports, number, attempt, fuel).await? {
            call::Prepared::Ready(started) => return Ok(started.run().await?.map(served)),
            call::Prepared::Refused(outcome) => return settle(ports, number, outcome).map(Some),
            call::Prepared::InDoubt(doubt) => drop(ports.recorder.record(*doubt, Durable::Now)?),
        },
        Action::SettleCall { outcome, .. } => return settle(ports, number, outcome).map(Some),
        Action::AskApproval(_) => return ask(ports, number, line).await,
        Action::UndoCall(_) => call::undo_interrupted(ports, number).await?,
        Action::MarkInDoubt(doubt) => doubting::mark(ports, *doubt)?,
        Action::SettleDoubt { resolution, .. } => doubting::settle_by_policy(ports, number, resolution)?,
        Action::Reconcile(_) => reconcile::reconcile(ports, number).await?,
        Action::CallModel { .. } | Action::Finish(_) | Action::Wait | Action::Rest => {
            unreachable!("no single call wants that")
        }
    }
    Ok(None)
}

fn settle(ports: &Ports, call: CallNumber, outcome: ToolOutcome) -> anyhow::Result<Served> {
    let finished = ToolFinished::settled(call, outcome);
    ports.recorder.record(finished.clone(), Durable::Later)?;
    Ok(served(finished))
}

fn served(finished: ToolFinished) -> Served {
    let ToolFinished { call, outcome, effects, metering, .. } = finished;
    Served { call, outcome, effects, metering }
}

/// Puts to the person at the client what a rule asks about the call. Where nobody can be asked, the call is refused.
async fn ask(ports: &Arc<Ports>, number: CallNumber, line: &Line) -> anyhow::Result<Option<Served>> {
    let questions = {
        let state = ports.recorder.state();
        approval::questions(&state, state.call(number).context("the call to approve is gone")?)
    };
    for (subject, digest) in questions {
        let asked = ApprovalRequested { call: number, subject: subject.clone(), digest };
        ports.recorder.record(asked, Durable::Later)?;
        failpoint::hit("approval-requested");
        let answer = match approved(ports, number, &subject, line).await {
            Ok(answer) => answer,
            Err(message) => {
                let outcome = ToolOutcome::Refused { reason: RefusedCall::ApprovalDenied, message };
                return settle(ports, number, outcome).map(Some);
            }
        };
        let by = person::answered(AnswerPlace::Client);
        ports.recorder.record(ApprovalDecided { call: number, subject, digest, answer, by }, Durable::Now)?;
        failpoint::hit("approval-decided");
    }
    Ok(None)
}

/// The word of the person at a client, or why there is none.
///
/// # Errors
/// Where nobody can be asked, or nobody answered in time: the text says so.
pub async fn approved(
    ports: &Ports,
    number: CallNumber,
    subject: &agent_core::answer_events::ApprovalSubject,
    line: &Line,
) -> Result<Approval, String> {
    if let CanAsk::No(why) = line.can_ask {
        return Err(format!("a rule of the operator asks a person first, and {why}"));
    }
    let (title, details) = {
        let state = ports.recorder.state();
        let call = state.call(number).ok_or("the call is gone")?;
        let tool = call.call.tool.replacen("__", ".", 1);
        (waiting::title(&tool, subject), question::lines(&state, call, subject))
    };
    match tokio::time::timeout(asking::answer_wait(), line.ask(title, details)).await {
        Ok(Some(ClientAnswer::Yes)) => Ok(asking::answer('y', None, ports.recorder.now())),
        Ok(Some(ClientAnswer::No)) => Ok(asking::answer('n', None, ports.recorder.now())),
        Ok(None) | Err(_) => Err("a rule of the operator asks a person first, and nobody answered".to_owned()),
    }
}

/// What a client is told of a call of which nobody knows whether it had its effect. The doubt itself stays for the operator.
fn in_doubt(ports: &Ports, number: CallNumber) -> Option<Served> {
    let state = ports.recorder.state();
    let CallStatus::InDoubt { request, reason, .. } = &state.call(number)?.status else { return None };
    let message = format!(
        "the call may or may not have done this: {request}. What is known: {reason}. It was not repeated. Find out whether it \
         happened before anything depends on it; the operator settles it with `agent-host journal resolve {} {number}`",
        state.run
    );
    let outcome = ToolOutcome::Faulted { fault: Fault::InDoubt, message };
    Some(Served { call: number, outcome, effects: Vec::new(), metering: Metering::nothing() })
}

/// The end of a call, out of the event that records it.
#[must_use]
pub fn finished(event: Event) -> Option<ToolFinished> {
    match event {
        Event::ToolFinished(finished) => Some(finished),
        _ => None,
    }
}
