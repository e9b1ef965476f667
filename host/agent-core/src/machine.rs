//! The machine: what a run wants next, decided from its state alone. The driver does it and reports a fact; there is no other
//! way on, and no recovery path beside this one: resume is fold, then [`next`].

use crate::answer_events::{ApprovalSubject, Resolution, RetryFrom, ToolInDoubt};
use crate::approval::{self, Standing};
use crate::config::resolve::ToolAuthority;
use crate::doubt::{self, Why};
use crate::effect::EffectRequest;
use crate::grant::Grant;
use crate::model::{ModelFailure, ModelFailureKind};
use crate::name::CallNumber;
use crate::outcome::{Fault, RefusedCall, ToolOutcome};
use crate::pending::{Arbiter, Attempt, CallStatus, PendingCall};
use crate::run_events::{DoubtPolicy, RunEnded};
use crate::serving;
use crate::state::{Asking, Phase, State};
use crate::stop::StopReason;
use crate::units::{Fuel, Millis};

/// Requests to one model within one turn, the first included. More would keep a person waiting on a provider that is down.
pub const MODEL_ATTEMPTS_MAX: u32 = 4;
/// Calls of one turn that are made; the model is told that the rest was refused.
pub const CALLS_PER_TURN_MAX: usize = 32;
/// Calls that run side by side.
pub const CONCURRENT_CALLS_MAX: usize = 8;
/// Attempts of one call whose host keeps being killed. A call that kills its host must not do so for ever.
pub const CALL_ATTEMPTS_MAX: u32 = 3;
/// The same call with the same result in a row after which the run is going round in circles.
pub const REPEATS_MAX: u32 = 10;
/// Calls in a row that did not do what was asked after which going on is pointless.
pub const FAILURES_IN_ROW_MAX: u32 = 12;
/// The wait before the first repetition of a model request; it doubles with each further one.
pub const RETRY_WAIT: Millis = Millis(500);
/// The longest wait before a repetition, whatever the provider asks for.
pub const RETRY_WAIT_MAX: Millis = Millis(30_000);

/// What a run wants next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask the model.
    CallModel {
        /// The turn.
        turn: u32,
        /// The attempt within the turn and model, from 1.
        attempt: u32,
        /// The model: an index into the run's models.
        model: usize,
        /// How long to wait first. The driver adds jitter.
        wait: Millis,
    },
    /// Ask a person about a call: whether it may be made, or do what it asked before.
    AskApproval(CallNumber),
    /// Make a call.
    CallTool {
        /// The call.
        call: CallNumber,
        /// The attempt, from 1.
        attempt: u32,
        /// Fuel that the run has left: the call gets no more than this.
        fuel: Fuel,
    },
    /// Give a call its outcome without making it.
    SettleCall {
        /// The call.
        call: CallNumber,
        /// The outcome.
        outcome: ToolOutcome,
    },
    /// Restore what an interrupted attempt had changed.
    UndoCall(CallNumber),
    /// Record that a call may or may not have had its effect.
    MarkInDoubt(Box<ToolInDoubt>),
    /// Record what the run's policy says about a call in doubt.
    SettleDoubt {
        /// The call.
        call: CallNumber,
        /// What it says.
        resolution: Resolution,
    },
    /// Ask the component of a call in doubt what became of it.
    Reconcile(CallNumber),
    /// Stop.
    Finish(RunEnded),
    /// Nothing, until something under way reports.
    Wait,
    /// Nothing at all: the run has stopped.
    Rest,
}

/// What the run wants next.
#[must_use]
pub fn next(state: &State) -> Action {
    if state.stopped.is_some() {
        return Action::Rest;
    }
    match &state.phase {
        Phase::Answered(answer) => finish(StopReason::Completed, Some(answer.clone()), None),
        Phase::Asking(asking) if asking.requested => Action::Wait,
        Phase::Asking(asking) => spent_up(state).or_else(|| gone_wrong(state)).unwrap_or_else(|| ask(state, asking)),
        Phase::Acting(calls) => act(state, calls),
        // Whoever serves its clients asks for each call. Here is asked where nobody does any more.
        Phase::Serving(calls) => serving::wind_up(state, calls),
    }
}

fn spent_up(state: &State) -> Option<Action> {
    let (spent, budget) = (&state.spent, &state.budget);
    let reached = |stop, what: String| Some(finish(stop, None, Some(what)));
    if spent.time >= budget.time {
        return reached(StopReason::TimeBudget, format!("{} of {} are used", spent.time, budget.time));
    }
    if spent.tool_calls > budget.tool_calls {
        return reached(StopReason::MaxToolCalls, format!("the run's tool calls are used up: {}", budget.tool_calls));
    }
    if spent.turns >= budget.turns {
        return reached(StopReason::MaxTurns, format!("the run's turns are used up: {}", budget.turns));
    }
    if let Some(tokens) = budget.tokens.filter(|tokens| spent.tokens() >= *tokens) {
        return reached(StopReason::TokenBudget, format!("{} of {tokens} tokens are used", spent.tokens()));
    }
    if spent.fuel >= budget.fuel {
        return reached(StopReason::FuelBudget, format!("{} of {} fuel is used", spent.fuel, budget.fuel));
    }
    None
}

fn gone_wrong(state: &State) -> Option<Action> {
    if state.repeats.count >= REPEATS_MAX {
        let what = format!("the same call gave the same result {REPEATS_MAX} times in a row");
        return Some(finish(StopReason::LoopDetected, None, Some(what)));
    }
    if state.failures_in_row >= FAILURES_IN_ROW_MAX {
        let what = format!("{FAILURES_IN_ROW_MAX} tool calls in a row did not do what was asked");
        return Some(finish(StopReason::ToolErrors, None, Some(what)));
    }
    None
}

fn ask(state: &State, asking: &Asking) -> Action {
    if asking.failures == 0 {
        return Action::CallModel { turn: asking.turn, attempt: 1, model: asking.model, wait: Millis(0) };
    }
    match &asking.last {
        Some(failure) if asking.failures >= MODEL_ATTEMPTS_MAX || !failure.kind.is_transient() => {
            no_reply(state, failure)
        }
        last => {
            let asked = last.as_ref().and_then(|failure| failure.retry_after);
            let doubled = RETRY_WAIT.0.saturating_mul(1 << (asking.failures - 1).min(10));
            let wait = Millis(asked.map_or(doubled, |wait| wait.0.max(doubled)).min(RETRY_WAIT_MAX.0));
            Action::CallModel { turn: asking.turn, attempt: asking.failures + 1, model: asking.model, wait }
        }
    }
}

fn no_reply(state: &State, failure: &ModelFailure) -> Action {
    let stop = match failure.kind {
        ModelFailureKind::BadReply => StopReason::OutputInvalid,
        ModelFailureKind::Unauthorized
        | ModelFailureKind::RateLimited
        | ModelFailureKind::ServerError
        | ModelFailureKind::Timeout
        | ModelFailureKind::Network
        | ModelFailureKind::BadRequest => StopReason::Error,
    };
    let model = state.started.models.last().map_or("", |model| model.name.as_str());
    finish(stop, None, Some(format!("model `{model}`: {}", failure.message)))
}

fn act(state: &State, calls: &[PendingCall]) -> Action {
    let running = calls.iter().filter(|call| matches!(call.status, CallStatus::Running(_))).count();
    if state.started.doubt == DoubtPolicy::Fail
        && let Some((call, request)) = doubtful(calls)
    {
        return if running > 0 { Action::Wait } else { finish(StopReason::Error, None, Some(in_doubt(call, request))) };
    }
    let wanted = calls.iter().enumerate().find_map(|(index, call)| advance(state, calls, index, call, running));
    match wanted {
        Some(action) => action,
        None if running > 0 => Action::Wait,
        None => suspend(calls),
    }
}

/// What one call wants, where it can have it now.
fn advance(
    state: &State,
    calls: &[PendingCall],
    index: usize,
    pending: &PendingCall,
    running: usize,
) -> Option<Action> {
    let free = || running < CONCURRENT_CALLS_MAX && !waits_for_earlier(state, calls, index);
    match &pending.status {
        CallStatus::Finished(_) | CallStatus::Running(_) => None,
        CallStatus::InDoubt { arbiter, .. } => settle_doubt(state, pending, *arbiter),
        CallStatus::Proposed => propose(state, calls, index, pending, free()),
        CallStatus::Again { attempt, .. } if !attempt.changes.is_empty() => Some(Action::UndoCall(pending.number)),
        CallStatus::Again { attempt, .. } => free().then(|| start(state, pending, attempt.number + 1)),
        CallStatus::Interrupted(attempt) => {
            recover(pending, attempt).or_else(|| if_approved(state, pending, attempt.number + 1, free()))
        }
    }
}

fn propose(state: &State, calls: &[PendingCall], index: usize, pending: &PendingCall, free: bool) -> Option<Action> {
    if pending.tool.is_none() {
        return Some(unknown_tool(state, pending));
    }
    if let Some(reason) = over_budget(state, calls, index) {
        return Some(refuse(pending, RefusedCall::RunBudget, reason));
    }
    if_approved(state, pending, 1, free)
}

/// Starts a call once no person has to say anything to it any more.
pub(crate) fn if_approved(state: &State, pending: &PendingCall, attempt: u32, free: bool) -> Option<Action> {
    match approval::standing(state, pending) {
        Standing::ToAsk => Some(Action::AskApproval(pending.number)),
        Standing::Open => None,
        Standing::Denied(reason) => {
            Some(refuse(pending, RefusedCall::ApprovalDenied, approval::denied(reason.as_deref())))
        }
        Standing::Free => free.then(|| start(state, pending, attempt)),
    }
}

pub(crate) fn settle_doubt(state: &State, pending: &PendingCall, arbiter: Arbiter) -> Option<Action> {
    match (arbiter, state.started.doubt) {
        (Arbiter::Person, _) | (_, DoubtPolicy::Ask | DoubtPolicy::Fail) => None,
        (Arbiter::Policy, DoubtPolicy::TellModel) => {
            Some(Action::SettleDoubt { call: pending.number, resolution: Resolution::LeftOpen })
        }
        (Arbiter::Policy, DoubtPolicy::Reconcile) => Some(Action::Reconcile(pending.number)),
    }
}

pub(crate) fn start(state: &State, pending: &PendingCall, attempt: u32) -> Action {
    Action::CallTool { call: pending.number, attempt, fuel: state.budget.fuel.saturating_sub(state.spent.fuel) }
}

/// What an interrupted attempt needs before it may run again, or go on after its last answered write; `None` where it may. What
/// it changed is undone first: whatever is said of its writes then, the files are as they were.
pub(crate) fn recover(pending: &PendingCall, attempt: &Attempt) -> Option<Action> {
    let doubt = |reason: &str| {
        let why = Why { change: None, reason: reason.to_owned(), retry: RetryFrom::Record };
        doubt::about(pending.number, attempt, why).map(|doubt| Action::MarkInDoubt(Box::new(doubt)))
    };
    if !attempt.changes.is_empty() {
        return Some(Action::UndoCall(pending.number));
    }
    if attempt.unrepeatable().is_some() {
        return doubt("the host ended after it was announced and before its answer was recorded");
    }
    if pending.cut_short < CALL_ATTEMPTS_MAX {
        return None;
    }
    let cut_short = format!("each of {CALL_ATTEMPTS_MAX} attempts was cut short");
    // What it sent has happened, whatever becomes of the rest: a person must know of that.
    doubt(&cut_short).or_else(|| {
        let message = format!("the host was killed during each of {CALL_ATTEMPTS_MAX} attempts");
        let outcome = ToolOutcome::Faulted { fault: Fault::Interrupted, message };
        Some(Action::SettleCall { call: pending.number, outcome })
    })
}

/// Why the budget does not allow the call at this place of its turn.
fn over_budget(state: &State, calls: &[PendingCall], index: usize) -> Option<String> {
    let finished = calls.iter().filter(|call| call.is_finished()).count();
    let before = state.spent.tool_calls as usize - finished;
    if index >= CALLS_PER_TURN_MAX {
        return Some(format!(
            "one turn may make at most {CALLS_PER_TURN_MAX} calls; ask for the rest in the next turn"
        ));
    }
    if before + index >= state.budget.tool_calls as usize {
        return Some(format!("the run's tool calls are used up: {}", state.budget.tool_calls));
    }
    (state.spent.fuel >= state.budget.fuel).then(|| format!("the run's {} fuel is used up", state.budget.fuel))
}

/// Calls that hold files run in their order as soon as one of them may write: side by side they could mix their changes. So do
/// calls that hold stores of one component, which one call has to itself.
pub(crate) fn waits_for_earlier(state: &State, calls: &[PendingCall], index: usize) -> bool {
    let authority = |call: &PendingCall| call.tool.map(|tool| &state.authorities[tool]);
    let Some(own) = authority(&calls[index]) else { return false };
    let mut earlier = calls[..index].iter().filter(|call| !call.is_finished()).filter_map(authority);
    earlier.any(|other| take_turns(own, other))
}

/// Whether calls with these authorities run one after the other.
pub(crate) fn take_turns(own: &ToolAuthority, other: &ToolAuthority) -> bool {
    share_files(&own.grant, &other.grant) || share_stores(own, other)
}

fn share_files(own: &Grant, other: &Grant) -> bool {
    !own.fs.is_empty() && !other.fs.is_empty() && (own.may_write_files() || other.may_write_files())
}

fn share_stores(own: &ToolAuthority, other: &ToolAuthority) -> bool {
    own.tool.component == other.tool.component && !own.grant.kv.is_empty() && !other.grant.kv.is_empty()
}

/// Nothing goes on without a person. Doubt first: it is known before anything else is decided.
fn suspend(calls: &[PendingCall]) -> Action {
    if let Some((call, request)) = doubtful(calls) {
        return finish(StopReason::SuspendedDoubt, None, Some(in_doubt(call, request)));
    }
    let waiting: Vec<_> = calls.iter().filter_map(waits_for).collect();
    if waiting.is_empty() {
        unreachable!("a turn without a running, doubtful, waiting or startable call has ended");
    }
    finish(StopReason::SuspendedApproval, None, Some(waiting.join("; ")))
}

/// The first call of which nobody knows whether it had its effect.
pub(crate) fn doubtful(calls: &[PendingCall]) -> Option<(&PendingCall, &EffectRequest)> {
    calls.iter().find_map(|call| match &call.status {
        CallStatus::InDoubt { request, .. } => Some((call, request)),
        CallStatus::Proposed
        | CallStatus::Running(_)
        | CallStatus::Interrupted(_)
        | CallStatus::Again { .. }
        | CallStatus::Finished(_) => None,
    })
}

pub(crate) fn in_doubt(call: &PendingCall, request: &EffectRequest) -> String {
    format!("call {} `{}` may or may not have done this: {request}", call.number, shown(&call.call.tool))
}

/// What a call waits for, for people.
fn waits_for(call: &PendingCall) -> Option<String> {
    let subject = |subject: &ApprovalSubject| match subject {
        ApprovalSubject::Call => "to be made".to_owned(),
        ApprovalSubject::Effect { request, .. } => format!("to {request}"),
    };
    let wishes: Vec<_> = call.asked.open.iter().map(|question| subject(&question.subject)).collect();
    let what = || format!("call {} `{}` waits for approval {}", call.number, shown(&call.call.tool), wishes.join(", "));
    (!call.is_finished() && !wishes.is_empty()).then(what)
}

/// A tool's wire name as people write it.
fn shown(wire: &str) -> String {
    wire.replacen("__", ".", 1)
}

pub(crate) fn unknown_tool(state: &State, pending: &PendingCall) -> Action {
    let known: Vec<_> = state.descriptors.iter().map(|tool| tool.name.wire()).collect();
    let there = if known.is_empty() {
        "this run has no tools".to_owned()
    } else {
        format!("the tools are: {}", known.join(", "))
    };
    let message = format!("there is no tool `{}`; {there}", pending.call.tool);
    refuse(pending, RefusedCall::UnknownTool, message)
}

pub(crate) fn refuse(pending: &PendingCall, reason: RefusedCall, message: String) -> Action {
    Action::SettleCall { call: pending.number, outcome: ToolOutcome::Refused { reason, message } }
}

fn finish(stop: StopReason, answer: Option<String>, detail: Option<String>) -> Action {
    Action::Finish(RunEnded { stop, answer, detail })
}
