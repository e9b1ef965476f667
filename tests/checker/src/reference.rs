//! Compares what the runs said and did with a run of the same work that nobody interrupted: what was recovered must be a
//! beginning of it, but for what the recovery itself adds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::Call;
use crate::walk::Walk;
use crate::{Invariant, Violation};

/// What an uninterrupted run said and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    replies: Vec<Value>,
    calls: Vec<Made>,
}

/// What a call of it announced, each with its class, and what came of it.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    announced: BTreeMap<u64, Value>,
    outcome: Option<Value>,
}

impl Reference {
    /// The same with another word in the place of one that only tells runs apart.
    #[must_use]
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        let rename = |value: &Value| serde_json::from_str(&value.to_string().replace(from, to)).unwrap_or_default();
        let made = |made: &Made| Made {
            announced: made.announced.iter().map(|(number, request)| (*number, rename(request))).collect(),
            outcome: made.outcome.as_ref().map(rename),
        };
        Self { replies: self.replies.iter().map(rename).collect(), calls: self.calls.iter().map(made).collect() }
    }

    pub(crate) fn of(walk: &Walk) -> Self {
        let made = |call: &Call| Made { announced: call.announced.clone(), outcome: call.outcome.clone() };
        Self { replies: walk.replies.clone(), calls: walk.calls.values().map(made).collect() }
    }
}

/// So many attempts whose host ended, and a call is given up.
const ATTEMPTS_MAX: usize = 3;

/// Whether a call may have come out in another way than undisturbed: by a person's word, or because it was given up when the host
/// of each attempt had ended, as its record shows.
fn may_differ(call: &Call) -> bool {
    let interrupted = call.attempts.iter().filter(|attempt| attempt.interrupted).count();
    let says_so = call.outcome.as_ref().is_some_and(|outcome| outcome["faulted"]["fault"] == "interrupted");
    call.settled_by_word || call.in_doubt || call.retries > 0 || says_so && interrupted >= ATTEMPTS_MAX
}

/// A run may go another way than the reference from the first call on that came out in another way for a reason.
pub(crate) fn compare(walks: &[&Walk], references: &BTreeMap<String, Reference>, found: &mut Vec<Violation>) {
    for walk in walks {
        let Some(reference) = references.get(&walk.run).or(references.get("")) else { continue };
        let other_way = walk.calls.iter().find(|(_, call)| may_differ(call));
        let (calls, replies) = other_way.map_or((u64::MAX, usize::MAX), |(number, call)| (*number, call.reply));
        let broken = |what: String| Violation { invariant: Invariant::I2, run: walk.run.clone(), seq: None, what };
        let same_calls = || walk.calls.iter().filter(|(number, _)| **number < calls).zip(&reference.calls);
        found.extend(reply_differs(walk, reference, replies).map(broken));
        found.extend(same_calls().find_map(|((number, call), made)| call_differs(*number, call, made)).map(broken));
    }
}

/// Where one of so many first replies is not that of the reference.
fn reply_differs(walk: &Walk, reference: &Reference, first: usize) -> Option<String> {
    let pairs = walk.replies.iter().zip(&reference.replies).take(first);
    if let Some(place) = pairs.enumerate().find(|(_, (reply, expected))| reply != expected).map(|(place, _)| place) {
        return Some(format!("reply {} differs from the uninterrupted run's", place + 1));
    }
    (first == usize::MAX && walk.replies.len() > reference.replies.len())
        .then(|| "it has more replies than the uninterrupted run".to_owned())
}

/// Where a call announced something else than that of the reference, or came out in another way. One without outcome may not have
/// come so far.
fn call_differs(number: u64, call: &Call, made: &Made) -> Option<String> {
    let name = format!("call {number} `{}`", call.tool);
    let other = call.announced.iter().find(|(effect, request)| made.announced.get(effect) != Some(request));
    if let Some((effect, request)) = other {
        return Some(format!("{name} announced as effect {effect} what the uninterrupted run did not: {request}"));
    }
    let outcome = call.outcome.as_ref()?;
    if made.outcome.as_ref() != Some(outcome) {
        return Some(format!("{name} came out differently: {outcome}"));
    }
    let missing = made.announced.keys().find(|effect| !call.announced.contains_key(effect));
    missing.map(|effect| format!("{name} has its outcome, and never announced effect {effect}"))
}
