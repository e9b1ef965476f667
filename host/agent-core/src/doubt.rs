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

/// What the model is told of the keyed writes of a stopped attempt that have no answer, since nothing sends them again; `None` where
/// each has one.
#[must_use]
pub fn left_unanswered(attempt: &Attempt) -> Option<String> {
    let open: Vec<&Send> = attempt.sends.iter().filter(|send| send.result().is_none()).collect();
    (!open.is_empty()).then(|| {
        let all = joined(&open, |send| send.request.to_string());
        format!(
            "it may or may not have done this, which is not done again: {all}; find out before anything depends on it"
        )
    })
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
    Some(format!("what it sent: {}", joined(&sent, known)))
}

/// The first of these writes, each in words, and how many there are beside.
fn joined(sends: &[&Send], in_words: impl Fn(&Send) -> String) -> String {
    let each: Vec<String> = sends.iter().take(LISTED_MAX).map(|send| in_words(send)).collect();
    let more = sends.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", each.join(", "))
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
