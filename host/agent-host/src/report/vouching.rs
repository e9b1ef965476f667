//! What a person reads who is asked to vouch for a run that was recorded elsewhere: what it may do here, whom it asks, and where
//! it stands. A stranger may have written all of it, and chose what comes first and how long it is. So what says what the run
//! may do is shown whole or not at all: then nobody can vouch for it.

use std::collections::BTreeSet;

use agent_core::budget::Budget;
use agent_core::config::resolve::ToolAuthority;
use agent_core::event::{Event, Recorded};
use agent_core::grant::Grant;
use agent_core::limits::{Limit, Limits};
use agent_core::pending::{CallStatus, PendingCall};
use agent_core::state::State;
use anyhow::bail;

use super::authority::describe_grant;
use super::difference::models;
use super::json::rfc3339;
use super::text;
use super::unabridged::{CHARS_MAX, LINES_MAX, Unabridged};
use crate::operator::without_you;

/// Calls shown that will be made next; the rest is counted. Each is held to what is shown above them.
const CALLS_MAX: usize = 20;
/// Longest piece of what model or author wrote: it may be cut, since it allows nothing.
const SAID_CHARS_MAX: usize = 200;

/// All that a person should know, one line each.
///
/// # Errors
/// Where that is more than a person can be shown whole.
pub fn lines(state: &State, events: &[Recorded]) -> anyhow::Result<Vec<String>> {
    let mut lines = authority_lines(state, events)?;
    lines.extend(calls(state));
    let instructions = &state.started.instructions;
    let (chars, shown) = (instructions.chars().count(), text::line(instructions, SAID_CHARS_MAX));
    lines.push(format!("instructions, {chars} characters: {shown}"));
    let decided = events.iter().filter(|recorded| {
        matches!(
            recorded.event,
            Event::ApprovalDecided(_) | Event::GrantWidened(_) | Event::EffectPermitted(_) | Event::DoubtResolved(_)
        )
    });
    lines.push(format!(
        "{} decisions that somebody took in it elsewhere; no approval among them counts",
        decided.count()
    ));
    let (seq, at) = (state.seq, rfc3339(state.last_at()));
    lines.push(format!("it stands at event {seq}, of {at}: what it did elsewhere after that will be done again"));
    Ok(lines)
}

/// What it may do, each line whole.
fn authority_lines(state: &State, events: &[Recorded]) -> anyhow::Result<Vec<String>> {
    let run = &state.run;
    let mut lines = Unabridged::default();
    let asked = models(&state.started.models).into_iter().map(|model| format!("asks the model {model}"));
    let told = asked.chain([budget(&state.budget)]).chain(without_you(state.started.doubt).map(str::to_owned));
    let mut now = told.chain(state.authorities.iter().flat_map(held));
    // An undo, or a look at what a call changed, opens what the call held then.
    let known: BTreeSet<String> = state.authorities.iter().flat_map(held).collect();
    let earlier = ever_held(events).flat_map(held).filter(|line| !known.contains(line));
    let mut earlier = earlier.map(|line| format!("at an earlier event, {line}"));
    if now.all(|line| lines.add(&line)) && earlier.all(|line| lines.add(&line)) {
        return Ok(lines.into_lines());
    }
    bail!(
        "run {run} holds more than can be shown to you whole, so nobody can vouch for it: at most {LINES_MAX} lines of \
         {CHARS_MAX} characters\n  hint: without `--trust` it can be looked at; begin a run of your own with what you grant it"
    )
}

fn held(authority: &ToolAuthority) -> Vec<String> {
    let (tool, component) = (&authority.tool, authority.component.short());
    let lines = describe_grant(&authority.grant).into_iter().chain(raised(&authority.grant));
    lines.map(|line| format!("{tool} ({component}): {line}")).collect()
}

/// The limits that are higher than those which a tool gets when nobody says otherwise.
fn raised(grant: &Grant) -> Option<String> {
    let higher = |limit: &&Limit| grant.limits.get(**limit) > Limits::STANDARD.get(**limit);
    let raised = Limit::ALL.iter().filter(higher);
    let raised: Vec<_> =
        raised.map(|limit| format!("{limit} = {}", limit.unit().written(grant.limits.get(*limit)))).collect();
    (!raised.is_empty()).then(|| format!("limits {}", raised.join(", ")))
}

/// What tools held after each event that said so.
fn ever_held(events: &[Recorded]) -> impl Iterator<Item = &ToolAuthority> {
    events.iter().flat_map(|recorded| recorded.event.authorities())
}

/// What a run may use.
#[must_use]
pub fn budget(budget: &Budget) -> String {
    let tokens = budget.tokens.map_or_else(|| "any number of tokens".to_owned(), |tokens| format!("{tokens} tokens"));
    format!(
        "may use {} turns, {} tool calls, {tokens}, {} fuel and {}",
        budget.turns, budget.tool_calls, budget.fuel, budget.time
    )
}

/// The calls that will be made, or whose fate is open.
fn calls(state: &State) -> Vec<String> {
    let open: Vec<_> = state.calls().iter().filter(|call| !call.is_finished()).collect();
    let mut lines: Vec<_> = open.iter().take(CALLS_MAX).map(|call| pending(call)).collect();
    if let Some(more) = open.len().checked_sub(CALLS_MAX).filter(|more| *more > 0) {
        lines.push(format!("… {more} more calls have no outcome yet"));
    }
    lines
}

fn pending(call: &PendingCall) -> String {
    let tool = text::line(&call.call.tool.replacen("__", ".", 1), SAID_CHARS_MAX);
    let arguments = text::line(&call.call.arguments, SAID_CHARS_MAX);
    let standing = match &call.status {
        CallStatus::InDoubt { request, .. } => {
            return format!(
                "call {} of {tool} is in doubt: {}",
                call.number,
                text::line(&request.to_string(), SAID_CHARS_MAX)
            );
        }
        CallStatus::Proposed => "is made next",
        CallStatus::Running(_) | CallStatus::Interrupted(_) | CallStatus::Again { .. } => {
            "has begun, and is made again"
        }
        CallStatus::Finished(_) => "has its outcome",
    };
    format!("call {} of {tool} {standing}: {arguments}", call.number)
}
