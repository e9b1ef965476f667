//! What is said of a call in doubt: which of its writes is named, what else is known of what it sent, and what the call goes by
//! where it is made again. The machine says it of a call whose host was killed, the driver of one that it had to stop.

use crate::answer_events::{RetryFrom, ToolInDoubt};
use crate::effect::{EffectRequest, EffectResult};
use crate::grant::Capability;
use crate::name::CallNumber;
use crate::pending::{Attempt, Send, SendState};

/// Writes that a reason lists beside the one that is named; of further ones it says how many. A person reads it.
const LISTED_MAX: usize = 8;

/// Why a call is in doubt, beside what it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What may or may not have happened, where the call has sent nothing: a change of files.
    pub change: Option<EffectRequest>,
    /// What is known.
    pub reason: String,
    /// Whether what the call was told leads it to the same point again.
    pub retry: RetryFrom,
}

/// The doubt about an attempt, without what it used; `None` where there is nothing that could have happened.
#[must_use]
pub fn about(call: CallNumber, attempt: &Attempt, why: Why) -> Option<ToolInDoubt> {
    let Why { change, reason, retry } = why;
    let named = named(attempt);
    let request = named.map(|send| send.request.clone()).or(change)?;
    let retry = if attempt.sends.iter().all(is_on_the_way) { retry } else { RetryFrom::Start };
    let reason = std::iter::once(reason).chain(listed(attempt, named)).collect::<Vec<_>>().join("; ");
    Some(ToolInDoubt { call, request, reason, retry, metering: None, effects: Vec::new() })
}

/// Whether a call that is done again along its record comes past this write. Files under `undo = false` are changed already, and
/// an answer that did not come is not waited for again.
fn is_on_the_way(send: &Send) -> bool {
    send.state != SendState::GivenUp && send.request.capability() != Capability::Fs
}

/// The write that a doubt is about: one that must not be repeated, else one without an answer, else the last.
fn named(attempt: &Attempt) -> Option<&Send> {
    attempt.unrepeatable().or_else(|| attempt.unresolved()).or(attempt.sends.last())
}

/// What is known of the writes of an attempt, unless that is only that the one which is named has no answer.
fn listed(attempt: &Attempt, named: Option<&Send>) -> Option<String> {
    let tells = |send: &&Send| named.is_none_or(|named| named.number != send.number) || send.result().is_some();
    let sent: Vec<&Send> = attempt.sends.iter().filter(tells).collect();
    if sent.is_empty() {
        return None;
    }
    let each: Vec<String> = sent.iter().take(LISTED_MAX).map(|send| known(send)).collect();
    let more = sent.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("what it sent: {}{more}", each.join(", ")))
}

fn known(send: &Send) -> String {
    let result = match send.result().map(|result| &result.effect.result) {
        Some(EffectResult::Done(what)) => format!("answered: {what}"),
        Some(EffectResult::Failed(what)) => format!("failed: {what}"),
        Some(EffectResult::Refused | EffectResult::NotSent(_) | EffectResult::Unknown(_)) | None => {
            "no answer is known".to_owned()
        }
    };
    format!("{} ({result})", send.request)
}
