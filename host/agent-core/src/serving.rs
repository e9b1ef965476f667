//! What the calls of a run want that serves clients. There are no turns: each call goes its own way, so the question is asked
//! for one call. Whoever waits for a call drives it; when nobody waits any more, it is brought to an end and not made again,
//! since its client has given it up, and may ask anew. Part of the machine; the server's driver asks here.

use crate::answer_events::RetryFrom;
use crate::config::resolve::ToolAuthority;
use crate::doubt::{self, Why};
use crate::machine::{
    self, Action, CONCURRENT_CALLS_MAX, doubtful, if_approved, in_doubt, recover, refuse, settle_doubt, start,
    unknown_tool, waits_for_earlier,
};
use crate::name::CallNumber;
use crate::outcome::{Fault, RefusedCall, ToolOutcome};
use crate::pending::{Attempt, CallStatus, PendingCall};
use crate::run_events::RunEnded;
use crate::state::State;
use crate::stop::StopReason;

/// Whether anybody waits for what comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Its client does.
    Waits,
    /// Nobody does: the client gave it up, or the host ended that took it.
    Gone,
}

/// What a call wants next; [`Action::Wait`] where it is under way, has to wait for others, or is a person's business.
#[must_use]
pub fn next_of(state: &State, call: CallNumber, caller: Caller) -> Action {
    let calls = state.calls();
    let found = calls.iter().position(|pending| pending.number == call);
    found.and_then(|index| wanted(state, calls, index, caller)).unwrap_or(Action::Wait)
}

/// Whether calls of these two run one after the other, in one run or in two of one server.
#[must_use]
pub fn take_turns(own: &ToolAuthority, other: &ToolAuthority) -> bool {
    machine::take_turns(own, other)
}

/// What the run wants that nobody serves any more: that each call is brought to an end.
pub(crate) fn wind_up(state: &State, calls: &[PendingCall]) -> Action {
    if let Some(action) = (0..calls.len()).find_map(|index| wanted(state, calls, index, Caller::Gone)) {
        return action;
    }
    let ended = |stop, detail| Action::Finish(RunEnded { stop, answer: None, detail });
    match doubtful(calls) {
        _ if calls.iter().any(|call| matches!(call.status, CallStatus::Running(_))) => Action::Wait,
        Some((call, request)) => ended(StopReason::SuspendedDoubt, Some(in_doubt(call, request))),
        None => ended(StopReason::Completed, None),
    }
}

fn wanted(state: &State, calls: &[PendingCall], index: usize, caller: Caller) -> Option<Action> {
    let pending = &calls[index];
    let running = || calls.iter().filter(|call| matches!(call.status, CallStatus::Running(_))).count();
    let free = || running() < CONCURRENT_CALLS_MAX && !waits_for_earlier(state, calls, index);
    match (&pending.status, caller) {
        (CallStatus::Finished(_) | CallStatus::Running(_), _) => None,
        (CallStatus::InDoubt { arbiter, .. }, _) => settle_doubt(state, pending, *arbiter),
        // A person wants it, whoever asked for it first.
        (CallStatus::Again { attempt, .. }, _) if !attempt.changes.is_empty() => Some(Action::UndoCall(pending.number)),
        (CallStatus::Again { attempt, .. }, _) => free().then(|| start(state, pending, attempt.number + 1)),
        (CallStatus::Proposed, Caller::Gone) => Some(given_up(pending, "it had not begun")),
        (CallStatus::Proposed, Caller::Waits) => propose(state, pending, free()),
        (CallStatus::Interrupted(attempt), Caller::Gone) => Some(bring_to_an_end(pending, attempt)),
        (CallStatus::Interrupted(attempt), Caller::Waits) => {
            recover(pending, attempt).or_else(|| if_approved(state, pending, attempt.number + 1, free()))
        }
    }
}

fn propose(state: &State, pending: &PendingCall, free: bool) -> Option<Action> {
    if pending.tool.is_none() {
        return Some(unknown_tool(state, pending));
    }
    let (spent, budget) = (&state.spent, &state.budget);
    if spent.tool_calls >= budget.tool_calls || spent.fuel >= budget.fuel {
        let what = format!("the server's budget is used up: {} calls, {} fuel", budget.tool_calls, budget.fuel);
        return Some(refuse(pending, RefusedCall::RunBudget, what));
    }
    if_approved(state, pending, 1, free)
}

/// Nobody waits for it, so it is not made again. What it changed is undone first, as everywhere.
fn bring_to_an_end(pending: &PendingCall, attempt: &Attempt) -> Action {
    if !attempt.changes.is_empty() {
        return Action::UndoCall(pending.number);
    }
    let doubtful = match attempt.sends.last() {
        _ if attempt.unresolved().is_some() => {
            Some("the host ended after it was announced and before its answer was recorded")
        }
        // The client may ask again, not knowing of it. A person must know before that.
        Some(_) if pending.cut_short > 0 => Some("it was answered, and the host ended before the client was told"),
        Some(_) | None => None,
    };
    let why = |reason: &str| Why { change: None, reason: reason.to_owned(), retry: RetryFrom::Record };
    if let Some(doubt) = doubtful.and_then(|reason| doubt::about(pending.number, attempt, why(reason))) {
        return Action::MarkInDoubt(Box::new(doubt));
    }
    match attempt.sends.last() {
        Some(send) => given_up(pending, &format!("it had done this, which stays done: {}", send.request)),
        None => given_up(pending, "what it had changed is undone"),
    }
}

fn given_up(pending: &PendingCall, what: &str) -> Action {
    let (fault, why) = match pending.cut_short {
        0 => (Fault::Cancelled, "the client gave the call up"),
        _ => (Fault::Interrupted, "the host ended during the call"),
    };
    let outcome = ToolOutcome::Faulted { fault, message: format!("{why}: {what}") };
    Action::SettleCall { call: pending.number, outcome }
}
