//! Whether a run announced an opaque write again that may have been sent: nothing deduplicates it, so only a person, or the run's policy,
//! may want that.

use std::collections::BTreeMap;

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
            "EffectDone" if is_not_sent(body) => {
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

/// An opaque write that was announced.
#[derive(Default)]
struct Announced {
    /// More than once: that it could not be sent then says nothing about the first time.
    again: bool,
    /// A person, or the run's policy, said that its call is to be made again.
    by_word: bool,
}

fn is_not_sent(done: &Value) -> bool {
    let result = done.pointer("/effect/result");
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
}
