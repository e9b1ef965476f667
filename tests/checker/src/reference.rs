//! Compares what the runs said and did with a run of the same work that nobody interrupted: what was recovered must be a
//! beginning of it, but for what the recovery itself adds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::walk::Walk;
use crate::{Invariant, Violation};

/// What an uninterrupted run said and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    replies: Vec<Value>,
    outcomes: Vec<Option<Value>>,
}

impl Reference {
    /// The same with another word in the place of one that only tells runs apart.
    #[must_use]
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        let rename = |value: &Value| serde_json::from_str(&value.to_string().replace(from, to)).unwrap_or_default();
        let outcomes = self.outcomes.iter().map(|outcome| outcome.as_ref().map(rename)).collect();
        Self { replies: self.replies.iter().map(rename).collect(), outcomes }
    }

    pub(crate) fn of(walk: &Walk) -> Self {
        let outcomes = walk.calls.values().map(|call| call.outcome.clone()).collect();
        Self { replies: walk.replies.clone(), outcomes }
    }
}

/// So many attempts whose host ended, and a call is given up.
const ATTEMPTS_MAX: usize = 3;

/// Whether a call was given up because the host of each attempt ended, as its record shows.
fn was_given_up(call: &crate::call::Call) -> bool {
    let interrupted = call.attempts.iter().filter(|attempt| attempt.interrupted).count();
    let says_so = call.outcome.as_ref().is_some_and(|outcome| outcome["faulted"]["fault"] == "interrupted");
    says_so && interrupted >= ATTEMPTS_MAX
}

/// A run that had doubt may go another way than the reference, from the answer that a person gave on; one of which a call was given
/// up, from there on.
pub(crate) fn compare(walks: &[Walk], references: &BTreeMap<String, Reference>, found: &mut Vec<Violation>) {
    for walk in walks {
        let Some(reference) = references.get(&walk.run).or(references.get("")) else { continue };
        let broken = |what: String| Violation { invariant: Invariant::I2, run: walk.run.clone(), seq: None, what };
        let had_doubt = |call: &crate::call::Call| call.settled_by_word || call.in_doubt || call.retries > 0;
        if walk.calls.values().any(|call| had_doubt(call) || was_given_up(call)) {
            continue;
        }
        for (turn, (reply, expected)) in walk.replies.iter().zip(&reference.replies).enumerate() {
            if reply != expected {
                found.push(broken(format!("reply {} differs from the uninterrupted run's", turn + 1)));
                break;
            }
        }
        if walk.replies.len() > reference.replies.len() {
            found.push(broken("it has more replies than the uninterrupted run".to_owned()));
        }
        for ((number, call), expected) in walk.calls.iter().zip(&reference.outcomes) {
            if let Some(outcome) = &call.outcome
                && expected.as_ref() != Some(outcome)
            {
                found.push(broken(format!("call {number} `{}` came out differently: {outcome}", call.tool)));
                break;
            }
        }
    }
}
