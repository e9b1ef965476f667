//! What has to be recorded before a call does something: that it is about to, and a person's yes where one was asked for. A recovery
//! makes neither worth less, and runs no call under another authority. `judge` asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::announced::is_not_sent;
use super::judge::number;

/// The first thing that a call did without, as a problem is told.
pub(super) fn done_without(events: &[(&'static str, Value)]) -> Option<String> {
    let mut book = Book::default();
    events.iter().find_map(|(kind, body)| book.see(kind, body))
}

/// What is known so far.
#[derive(Default)]
struct Book<'e> {
    /// Whether a person has said yes since they were last asked: by call, and what of it as text.
    asked: BTreeMap<(u64, String), bool>,
    /// Effects that were announced: by call and number.
    announced: BTreeSet<(u64, u64)>,
    /// Under which authority each call runs.
    authorities: BTreeMap<u64, &'e Value>,
}

impl<'e> Book<'e> {
    fn see(&mut self, kind: &str, body: &'e Value) -> Option<String> {
        let call = number(body, "call");
        match kind {
            "ApprovalRequested" => {
                self.asked.insert((call, subject(body)), false);
            }
            "ApprovalDecided" => {
                let is_yes = body.pointer("/answer/approved").is_some();
                self.asked.insert((call, subject(body)), is_yes);
            }
            // A person gave a tool more: its next attempt may hold it.
            "GrantWidened" => self.authorities.clear(),
            "ToolStarted" => return self.started(call, body),
            "EffectIntended" => return self.announced(call, body),
            "ToolFinished" => return self.finished(call, body),
            _ => {}
        }
        None
    }

    fn started(&mut self, call: u64, body: &'e Value) -> Option<String> {
        if self.asked.get(&(call, json!("call").to_string())) == Some(&false) {
            return Some(format!("call {call} was started, though nobody had said yes to it"));
        }
        let authority = body.get("authority")?;
        let is_another = self.authorities.insert(call, authority).is_some_and(|before| before != authority);
        is_another.then(|| format!("call {call} was run again under another authority"))
    }

    fn announced(&mut self, call: u64, body: &Value) -> Option<String> {
        let effect = number(body, "number");
        // What is announced once more was allowed when it was announced first.
        if !self.announced.insert((call, effect)) {
            return None;
        }
        let subject = json!({ "effect": { "number": effect, "request": body.get("request") } });
        let is_open = self.asked.get(&(call, subject.to_string())) == Some(&false);
        is_open.then(|| format!("effect {effect} of call {call} was announced, though nobody had said yes to it"))
    }

    fn finished(&self, call: u64, body: &Value) -> Option<String> {
        let mut effects = body.get("effects").and_then(Value::as_array).into_iter().flatten();
        let effect = effects.find(|effect| {
            let is_write =
                ["keyed_write", "opaque_write"].iter().any(|class| effect.get("class") == Some(&json!(class)));
            is_write && !is_not_sent(effect) && !self.announced.contains(&(call, number(effect, "number")))
        })?;
        Some(format!("write {} of call {call} was made, and had not been announced", number(effect, "number")))
    }
}

/// What of its call a person is asked about, as text.
fn subject(body: &Value) -> String {
    body.get("subject").map(Value::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Events = Vec<(&'static str, Value)>;

    fn asked(subject: &Value) -> (&'static str, Value) {
        ("ApprovalRequested", json!({"call": 1, "subject": subject, "digest": "d"}))
    }

    fn answered(subject: &Value, answer: &Value) -> (&'static str, Value) {
        ("ApprovalDecided", json!({"call": 1, "subject": subject, "digest": "d", "answer": answer}))
    }

    fn started(authority: &str) -> (&'static str, Value) {
        ("ToolStarted", json!({"call": 1, "authority": authority}))
    }

    fn finished(class: &str, result: &Value) -> (&'static str, Value) {
        ("ToolFinished", json!({"call": 1, "effects": [{"number": 2, "class": class, "result": result}]}))
    }

    fn check(cases: Vec<(Events, bool)>) {
        for (events, found) in cases {
            assert_eq!(done_without(&events).is_some(), found, "{events:?}");
        }
    }

    #[test]
    fn who_was_asked_about_a_call_must_have_said_yes() {
        let call = json!("call");
        let yes = || answered(&call, &json!({"approved": {"expires": 9}}));
        check(vec![
            (vec![started("a")], false),
            (vec![asked(&call), started("a")], true),
            (vec![asked(&call), yes(), started("a")], false),
            (vec![asked(&call), answered(&call, &json!({"denied": {"reason": null}})), started("a")], true),
            // Its yes had expired, and it was asked anew.
            (vec![asked(&call), yes(), asked(&call), started("a")], true),
        ]);
    }

    #[test]
    fn who_was_asked_about_an_effect_must_have_said_yes_before_it_is_announced_first() {
        let effect = json!({"effect": {"number": 2, "request": {"x": 1}}});
        let intended = || ("EffectIntended", json!({"call": 1, "number": 2, "request": {"x": 1}}));
        let yes = || answered(&effect, &json!({"approved": {"expires": 9}}));
        check(vec![
            (vec![asked(&effect), intended()], true),
            (vec![asked(&effect), yes(), intended()], false),
            (vec![asked(&effect), yes(), intended(), asked(&effect), intended()], false),
        ]);
    }

    #[test]
    fn a_call_keeps_its_authority_unless_a_person_widens_it() {
        let widened = || ("GrantWidened", json!({"tool": "t"}));
        check(vec![
            (vec![started("a"), started("a")], false),
            (vec![started("a"), started("b")], true),
            (vec![started("a"), widened(), started("b")], false),
        ]);
    }

    #[test]
    fn a_write_that_was_made_had_been_announced() {
        let intended = || ("EffectIntended", json!({"call": 1, "number": 2}));
        let done = json!({"done": "200"});
        check(vec![
            (vec![finished("opaque_write", &done)], true),
            (vec![finished("keyed_write", &json!({"unknown": "cut"}))], true),
            (vec![intended(), finished("opaque_write", &done)], false),
            (vec![finished("opaque_write", &json!("refused"))], false),
            (vec![finished("opaque_write", &json!({"not_sent": "no route"}))], false),
            (vec![finished("read", &done)], false),
        ]);
    }
}
