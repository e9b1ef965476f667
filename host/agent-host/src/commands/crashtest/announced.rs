//! What becomes of an opaque write that may have been sent when its host was killed. Nothing deduplicates it: only a person, or the
//! run's policy, may want it announced again, and that nobody knows must be seen before anything else is done with the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::judge::number;

/// An opaque write that may have been sent and was announced once more, by its call and number, without a word to that effect.
pub(super) fn again(events: &[(&'static str, Value)]) -> Option<(u64, u64)> {
    let mut writes: BTreeMap<(u64, u64), Announced> = BTreeMap::new();
    for (kind, body) in events {
        let call = number(body, "call");
        match *kind {
            "EffectIntended" if body.get("class").is_some_and(|class| class == "opaque_write") => {
                let write = (call, number(body, "number"));
                match writes.get_mut(&write) {
                    None => drop(writes.insert(write, Announced::default())),
                    Some(before) if before.by_word => *before = Announced { again: true, by_word: false },
                    Some(_) => return Some(write),
                }
            }
            "EffectDone" if body.get("effect").is_some_and(is_not_sent) => {
                let write = (call, body.get("effect").map_or(0, |effect| number(effect, "number")));
                if writes.get(&write).is_some_and(|write| !write.again) {
                    writes.remove(&write);
                }
            }
            "DoubtResolved" if body.get("resolution").is_some_and(|resolution| resolution == "retry") => {
                let of_call = writes.iter_mut().filter(|((of, _), _)| *of == call);
                of_call.for_each(|(_, write)| write.by_word = true);
            }
            _ => {}
        }
    }
    None
}

/// A call with an opaque write of which nobody knows whether it happened, where the model is asked again before the run says so.
pub(super) fn unseen(before: &[(&'static str, Value)], new: &[(&'static str, Value)]) -> Option<u64> {
    let mut open: BTreeSet<(u64, u64)> = BTreeSet::new();
    for (kind, body) in before {
        let call = number(body, "call");
        match *kind {
            "EffectIntended" if body.get("class").is_some_and(|class| class == "opaque_write") => {
                open.insert((call, number(body, "number")));
            }
            "EffectDone" if body.pointer("/effect/result/unknown").is_none() => {
                open.remove(&(call, body.get("effect").map_or(0, |effect| number(effect, "number"))));
            }
            "ToolInDoubt" | "ToolFinished" => open.retain(|(of, _)| *of != call),
            _ => {}
        }
    }
    let until_asked = || new.iter().take_while(|(kind, _)| *kind != "ModelRequested");
    let is_asked = until_asked().count() < new.len();
    let is_seen = |call| until_asked().any(|(kind, body)| *kind == "ToolInDoubt" && number(body, "call") == call);
    open.into_iter().map(|(call, _)| call).find(|call| is_asked && !is_seen(*call))
}

/// An opaque write that was announced.
#[derive(Default)]
struct Announced {
    /// More than once: that it could not be sent then says nothing about the first time.
    again: bool,
    /// A person, or the run's policy, said that its call is to be made again.
    by_word: bool,
}

/// Whether an effect certainly did not take place.
pub(super) fn is_not_sent(effect: &Value) -> bool {
    let result = effect.get("result");
    result.is_some_and(|result| result == "refused" || result.get("not_sent").is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn intended(attempt: u64) -> (&'static str, Value) {
        ("EffectIntended", json!({"call": 1, "attempt": attempt, "number": 2, "class": "opaque_write"}))
    }

    fn done(result: &Value) -> (&'static str, Value) {
        ("EffectDone", json!({"call": 1, "attempt": 1, "effect": {"number": 2, "result": result}}))
    }

    #[test]
    fn a_write_that_may_have_been_sent_is_announced_again_by_a_word_alone() {
        let retry = || ("DoubtResolved", json!({"call": 1, "resolution": "retry"}));
        let not_sent = || done(&json!({"not_sent": "refused"}));
        let cases = [
            (vec![intended(1), intended(2)], true),
            (vec![intended(1), done(&json!({"done": "200"})), intended(2)], true),
            (vec![intended(1), done(&json!({"unknown": "cut"})), intended(2)], true),
            (vec![intended(1), not_sent(), intended(2)], false),
            (vec![intended(1), retry(), intended(2)], false),
            (vec![intended(1), retry(), intended(2), intended(3)], true),
            // It may have arrived the first time.
            (vec![intended(1), retry(), intended(2), not_sent(), intended(3)], true),
        ];
        for (events, found) in cases {
            assert_eq!(again(&events), found.then_some((1, 2)), "{events:?}");
        }
    }
    #[test]
    fn a_doubt_is_seen_before_the_model_is_asked_again() {
        let doubt = || ("ToolInDoubt", json!({"call": 1}));
        let asked = || ("ModelRequested", json!({"turn": 2}));
        let cases = [
            (vec![intended(1)], vec![doubt(), asked()], false),
            (vec![intended(1)], vec![asked(), doubt()], true),
            (vec![intended(1)], vec![asked()], true),
            (vec![intended(1)], vec![], false),
            (vec![intended(1), done(&json!({"done": "200"}))], vec![asked()], false),
            (vec![intended(1), done(&json!({"unknown": "cut"}))], vec![asked()], true),
            (vec![intended(1), doubt()], vec![asked()], false),
        ];
        for (before, new, found) in cases {
            assert_eq!(unseen(&before, &new), found.then_some(1), "{before:?} {new:?}");
        }
    }
}
