//! Compares what a call did with what its case expects. Pure: `tool test` shows what comes of it.

use std::collections::BTreeMap;

use agent_core::config::cases::{Case, Expected};
use agent_core::effect::{Decision, Effect};
use agent_core::outcome::{Content, ToolOutcome};
use serde_json::Value;

use super::trial::Tried;

/// How an effect begins that was refused.
const REFUSED: &str = "refused: ";

/// What is wrong with a call, in lines for a person. Nothing where it is as expected.
#[must_use]
pub fn judge(case: &Case, tried: &Tried, left: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let mut wrong = outcome(&case.expected, &tried.outcome);
    if let Some(expected) = &case.effects {
        wrong.extend(effects(expected, &tried.effects));
    }
    wrong.extend(left.iter().map(|(path, there)| match there {
        None => format!("it left no file `{path}`"),
        Some(text) => format!("it left another `{path}`: {text:?}"),
    }));
    wrong
}

fn outcome(expected: &Expected, outcome: &ToolOutcome) -> Vec<String> {
    let (wanted, good) = match (expected, outcome) {
        (Expected::Returns(value), ToolOutcome::Returned { content }) => {
            (format!("to return {value}"), same(value, &returned(content)))
        }
        (Expected::Contains(text), ToolOutcome::Returned { content }) => (
            format!("to return something that contains {text:?}"),
            content.iter().any(|part| shown(part).contains(text)),
        ),
        (Expected::Fails(text), ToolOutcome::Failed { message }) => {
            (format!("to fail with a message that contains {text:?}"), message.contains(text))
        }
        (Expected::Ends(name), outcome) => (format!("to end as `{name}`"), outcome.name() == name),
        (Expected::Returns(value), _) => (format!("to return {value}"), false),
        (Expected::Contains(text), _) => (format!("to return something that contains {text:?}"), false),
        (Expected::Fails(text), _) => (format!("to fail with a message that contains {text:?}"), false),
    };
    if good { Vec::new() } else { vec![format!("expected it {wanted}"), format!("but it {}", told(outcome))] }
}

/// How a call ended, as the end of a sentence.
fn told(outcome: &ToolOutcome) -> String {
    match outcome {
        ToolOutcome::Returned { content } => format!("returned {}", returned(content)),
        ToolOutcome::Failed { message } => format!("failed: {message}"),
        ToolOutcome::Refused { reason, message } => format!("was refused (`{reason}`): {message}"),
        ToolOutcome::Faulted { fault, message } => format!("was stopped (`{fault}`): {message}"),
    }
}

/// The one part of a result, or all of them.
fn returned(content: &[Content]) -> Value {
    match content {
        [only] => value(only),
        several => Value::Array(several.iter().map(value).collect()),
    }
}

fn value(part: &Content) -> Value {
    match part {
        Content::Text(text) => Value::String(text.clone()),
        Content::Json(json) => json.to_value().unwrap_or_else(|_| Value::String(json.as_str().to_owned())),
        Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => {
            serde_json::to_value(part).unwrap_or_default()
        }
    }
}

fn shown(part: &Content) -> String {
    match part {
        Content::Text(text) => text.clone(),
        Content::Json(json) => json.as_str().to_owned(),
        Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => value(part).to_string(),
    }
}

/// Equal as JSON: `1` is `1.0`, and a member that is null may be left out, since TOML has no null.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64())),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let known = a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)));
            known && b.iter().all(|(key, b)| b.is_null() || a.contains_key(key))
        }
        (a, b) => a == b,
    }
}

/// Runtimes of languages look at this and that while they start, and are refused: refusals count where the case names one.
fn effects(expected: &[String], effects: &[Effect]) -> Vec<String> {
    let all = expected.iter().any(|effect| effect.starts_with(REFUSED));
    let counts = |effect: &&Effect| all || matches!(effect.decision, Decision::Allow { .. });
    let done: Vec<String> = effects.iter().filter(counts).map(said).collect();
    if done == expected {
        return Vec::new();
    }
    let list = |lines: &[String]| if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") };
    vec![format!("expected it to do: {}", list(expected)), format!("but it did: {}", list(&done))]
}

/// `read /data/a.txt`, or `refused: read /etc/passwd`.
#[must_use]
pub fn said(effect: &Effect) -> String {
    match &effect.decision {
        Decision::Allow { .. } => effect.request.to_string(),
        Decision::Deny { .. } => format!("{REFUSED}{}", effect.request),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_core::config::cases::parse_cases;
    use agent_core::effect::{EffectClass, EffectRequest, EffectResult, FileOperation, Refusal};
    use agent_core::grant::RuleSource;
    use agent_core::json::JsonText;
    use agent_core::outcome::{Metering, Said};
    use agent_core::units::{Bytes, Millis};
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_as_json() {
        let good = [(json!(1), json!(1.0)), (json!({"a": 1}), json!({"a": 1, "b": null})), (json!([]), json!([]))];
        for (expected, found) in good {
            assert!(same(&expected, &found), "{expected} {found}");
        }
        let large = u64::MAX;
        let bad =
            [(json!(1), json!("1")), (json!({"a": 1}), json!({"a": 1, "b": 2})), (json!(large), json!(large - 1))];
        for (expected, found) in bad {
            assert!(!same(&expected, &found), "{expected} {found}");
        }
    }

    #[test]
    fn what_is_not_as_expected_is_said() {
        let returned =
            |json: &Value| ToolOutcome::Returned { content: vec![Content::Json(JsonText::from_value(json))] };
        let failed = ToolOutcome::Failed { message: "cannot read `a`".to_owned() };
        let count = Expected::Returns(json!({"lines": 2}));
        assert_eq!(outcome(&count, &returned(&json!({"lines": 2}))), Vec::<String>::new());
        assert_eq!(outcome(&Expected::Contains("\"lines\"".to_owned()), &returned(&json!({"lines": 2}))).len(), 0);
        assert_eq!(outcome(&Expected::Fails("read".to_owned()), &failed).len(), 0);
        assert_eq!(outcome(&Expected::Ends("failed".to_owned()), &failed).len(), 0);
        let wrong = [outcome(&count, &returned(&json!({"lines": 3}))), outcome(&count, &failed)].concat();
        insta::assert_snapshot!(wrong.join("\n"), @r#"
        expected it to return {"lines":2}
        but it returned {"lines":3}
        expected it to return {"lines":2}
        but it failed: cannot read `a`
        "#);
    }

    fn effect(operation: FileOperation, path: &str, decision: Decision) -> Effect {
        let request = EffectRequest::File { operation, path: path.to_owned(), to: None };
        Effect {
            number: 1,
            request,
            class: EffectClass::Read,
            egress: false,
            decision,
            secrets: Vec::new(),
            result: EffectResult::Done(String::new()),
            bytes_out: Bytes(0),
            bytes_in: Bytes(0),
            at: Millis(0),
            duration: Millis(0),
            replayed: false,
        }
    }

    /// A call that read a file, was refused another one, and wrote a third.
    fn tried() -> Tried {
        let allowed = || Decision::Allow { rule: RuleSource("the case".to_owned()) };
        let refused = Decision::Deny { refusal: Refusal::FsDenied, rule: "nothing allows it".to_owned(), hint: None };
        let effects = vec![
            effect(FileOperation::Read, "/data/a.txt", allowed()),
            effect(FileOperation::Read, "/etc/passwd", refused),
            effect(FileOperation::Write, "/data/b.txt", allowed()),
        ];
        let outcome = ToolOutcome::Returned { content: vec![Content::Text("done".to_owned())] };
        let (metering, said) = (Metering::nothing(), Said::default());
        Tried { outcome, effects, metering, said, took: Duration::ZERO }
    }

    fn case(more: &str) -> anyhow::Result<Case> {
        let text = format!("[[case]]\nname = \"a\"\ncall = \"copy\"\nreturns = \"done\"\n{more}");
        parse_cases("tests.toml", &text)?.pop().ok_or_else(|| anyhow::anyhow!("no case"))
    }

    #[test]
    fn effects_are_all_that_was_done_in_order() -> anyhow::Result<()> {
        let judged = |effects: &str| anyhow::Ok(judge(&case(effects)?, &tried(), &BTreeMap::new()));
        let (read, write, refused) = ("read /data/a.txt", "write /data/b.txt", "refused: read /etc/passwd");
        let list = |effects: &[&str]| format!("effects = {effects:?}");
        for as_expected in [String::new(), list(&[read, write]), list(&[read, refused, write])] {
            assert_eq!(judged(&as_expected)?, Vec::<String>::new(), "{as_expected}");
        }
        // One is missing, the order is another, one was not done, nothing was to be done, the refusal came at another time.
        for other in [&[read] as &[_], &[write, read], &[read, write, write], &[], &[refused, read, write]] {
            assert_eq!(judged(&list(other))?.len(), 2, "{other:?}");
        }
        insta::assert_snapshot!([judged(&list(&[read]))?, judged(&list(&[]))?].concat().join("\n"), @r"
        expected it to do: read /data/a.txt
        but it did: read /data/a.txt, write /data/b.txt
        expected it to do: nothing
        but it did: read /data/a.txt, write /data/b.txt
        ");
        let nothing = Tried { effects: Vec::new(), ..tried() };
        let wrong = judge(&case(&list(&[read]))?, &nothing, &BTreeMap::new());
        assert_eq!(wrong, ["expected it to do: read /data/a.txt", "but it did: nothing"]);
        Ok(())
    }

    #[test]
    fn a_file_that_is_left_otherwise_is_named_with_what_is_there() -> anyhow::Result<()> {
        let left = [("b.txt".to_owned(), None), ("c.txt".to_owned(), Some("other\n".to_owned()))].into();
        let wrong = judge(&case("")?, &tried(), &left);
        assert_eq!(wrong, ["it left no file `b.txt`", "it left another `c.txt`: \"other\\n\""]);
        Ok(())
    }
}
