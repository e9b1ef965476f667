//! What came of a call, as a client is told it: the content, whether it did what was asked, and what the host refused it on
//! the way.

use agent_core::effect::{Decision, Effect};
use agent_core::message::ToolResult;
use agent_core::outcome::{Content, MeteredFuel, ResourceBody};
use rmcp::model::{CallToolResult, ContentBlock, MetaObject, ResourceContents};
use serde_json::{Value, json};

use crate::driver::serving::Served;
use crate::exact_json;
use crate::report::text;

/// Where in a result's `_meta` the host says what it knows of the call.
const META: &str = "agent-host/call";
/// Refused effects that a result names; the record has all.
const REFUSALS_MAX: usize = 8;
/// Longest act in it: a guest chooses paths.
const ACT_CHARS_MAX: usize = 200;

/// The result of a call.
#[must_use]
pub fn of(served: &Served) -> CallToolResult {
    let told = ToolResult::from_outcome(String::new(), String::new(), &served.outcome);
    let refused = refusals(&served.effects);
    let mut content: Vec<ContentBlock> = told.content.iter().map(block).collect();
    // What a tool makes of a refusal is its own affair; who reads that it failed wants to know what would help.
    if told.is_error && !refused.is_empty() {
        content.push(ContentBlock::text(words(&refused)));
    }
    let mut result = if told.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = structured(&told.content);
    result.meta = Some(meta(served, &refused));
    result
}

/// An effect that was refused, for the client. The rule is the operator's, and stays in the record.
struct Refused {
    name: String,
    act: String,
    hint: Option<String>,
}

fn refusals(effects: &[Effect]) -> Vec<Refused> {
    let mut refused: Vec<Refused> = Vec::new();
    for effect in effects {
        let Decision::Deny { refusal, hint, .. } = &effect.decision else { continue };
        let act = text::line(&effect.request.to_string(), ACT_CHARS_MAX);
        let known = refused.iter().any(|known| known.act == act);
        if !known && refused.len() < REFUSALS_MAX {
            refused.push(Refused { name: refusal.to_string(), act, hint: hint.clone() });
        }
    }
    refused
}

fn words(refused: &[Refused]) -> String {
    let line = |refused: &Refused| {
        let hint = refused.hint.as_deref().map(|hint| format!("\n  hint for the operator: {hint}")).unwrap_or_default();
        format!("the host refused ({}): {}{hint}", refused.name, refused.act)
    };
    refused.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn meta(served: &Served, refused: &[Refused]) -> MetaObject {
    let (fuel, exact) = match served.metering.fuel {
        MeteredFuel::Exact(fuel) => (fuel.0, true),
        MeteredFuel::AtLeast(fuel) => (fuel.0, false),
    };
    let mut told = json!({
        "call": served.call.0,
        "outcome": served.outcome.name(),
        "fuel": fuel,
        "fuelIsExact": exact,
        "durationMs": served.metering.duration.0,
    });
    if !refused.is_empty() {
        let each = |refused: &Refused| json!({ "refusal": refused.name, "act": refused.act, "hint": refused.hint });
        told["refused"] = refused.iter().map(each).collect();
    }
    let mut meta = MetaObject::new();
    meta.insert(META.to_owned(), told);
    meta
}

fn block(content: &Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text.clone()),
        Content::Json(json) => ContentBlock::text(json.as_str().to_owned()),
        Content::Image(media) => ContentBlock::image(media.base64.clone(), media.mime_type.clone()),
        Content::Audio(media) => ContentBlock::audio(media.base64.clone(), media.mime_type.clone()),
        Content::Resource { uri, mime_type, body } => ContentBlock::resource(resource(uri, mime_type.as_ref(), body)),
    }
}

fn resource(uri: &str, mime_type: Option<&String>, body: &ResourceBody) -> ResourceContents {
    let (uri, mime_type) = (uri.to_owned(), mime_type.cloned());
    match body {
        ResourceBody::Text(text) => {
            ResourceContents::TextResourceContents { uri, mime_type, text: text.clone(), meta: None }
        }
        ResourceBody::Base64(blob) => {
            ResourceContents::BlobResourceContents { uri, mime_type, blob: blob.clone(), meta: None }
        }
    }
}

/// The JSON of a result that is one JSON value: the same as its text, for programs. A number that would not come through
/// unchanged stays in the text alone. What is no object is left out by the library, for clients whose version of the protocol
/// knows nothing else.
fn structured(content: &[Content]) -> Option<Value> {
    let [Content::Json(json)] = content else { return None };
    exact_json::read(json.as_str())
}

#[cfg(test)]
mod tests {
    use agent_core::effect::{EffectClass, EffectRequest, EffectResult, Refusal};
    use agent_core::json::JsonText;
    use agent_core::name::CallNumber;
    use agent_core::outcome::{Metering, ToolOutcome};
    use agent_core::units::{Bytes, Millis};

    use super::*;

    fn served(outcome: ToolOutcome, effects: Vec<Effect>) -> Value {
        let served = Served { call: CallNumber(7), outcome, effects, metering: Metering::nothing() };
        serde_json::to_value(of(&served)).unwrap_or_default()
    }

    fn refused() -> Effect {
        Effect {
            number: 1,
            request: EffectRequest::Env { name: "HOME".to_owned() },
            class: EffectClass::Read,
            decision: Decision::Deny {
                refusal: Refusal::EnvDenied,
                rule: "nothing in /home/me/policy.toml allows it".to_owned(),
                hint: Some("--allow-env HOME".to_owned()),
            },
            result: EffectResult::Refused,
            egress: false,
            secrets: Vec::new(),
            bytes_in: Bytes(0),
            bytes_out: Bytes(0),
            at: Millis(0),
            duration: Millis(0),
            replayed: false,
        }
    }

    #[test]
    fn a_client_sees_what_was_refused_and_not_the_operators_rules() {
        for outcome in [
            ToolOutcome::Failed { message: "no home".to_owned() },
            ToolOutcome::Returned { content: vec![Content::Text("fine".to_owned())] },
        ] {
            let told = served(outcome, vec![refused(), refused()]);
            let refused = &told["_meta"][META]["refused"];
            assert_eq!(refused.as_array().map(Vec::len), Some(1), "{told}");
            assert_eq!(refused[0]["refusal"], "env_denied");
            assert!(
                told.to_string().contains("--allow-env HOME") && !told.to_string().contains("policy.toml"),
                "{told}"
            );
            assert_eq!(told["content"].to_string().contains("the host refused"), told["isError"] == true);
        }
    }

    #[test]
    fn structured_content_is_the_value_that_the_text_has_or_nothing() -> Result<(), serde_json::Error> {
        let structured = |text: &str| -> Result<Value, serde_json::Error> {
            let content = vec![Content::Json(JsonText::parse(text)?)];
            Ok(served(ToolOutcome::Returned { content }, Vec::new())["structuredContent"].clone())
        };
        assert_eq!(structured(r#"{"a":18446744073709551615,"b":[0.1,-3]}"#)?, json!({"a": u64::MAX, "b": [0.1, -3]}));
        assert_eq!(structured("[1]")?, json!([1]));
        for inexact in [r#"{"a":184467440737095516150}"#, r#"{"a":0.10000000000000000001}"#] {
            assert_eq!(structured(inexact)?, Value::Null, "{inexact}");
        }
        Ok(())
    }
}
