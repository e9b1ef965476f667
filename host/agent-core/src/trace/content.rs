//! What was said, in the form that the conventions give it: messages with parts, as JSON in a text. Only where it was asked
//! for. Whatever the journal does not hold, such as a secret's value, is not here either.

use serde_json::{Value as Json, json};

use crate::message::{Message, Part, Role};
use crate::outcome::{Content, Media, ResourceBody, ToolOutcome};
use crate::tool::ToolDescriptor;

/// The longest content of one attribute. Collectors refuse requests of a few MiB, and a viewer shows no more either.
const CONTENT_BYTES_MAX: usize = 64 << 10;
/// The longest text in one part, so that one long result does not push out every other message.
const PART_BYTES_MAX: usize = 16 << 10;

/// A text, and whether something of it is missing.
pub(super) type Cut = (String, bool);

/// A text within the bound of one attribute.
pub(super) fn cut(text: &str) -> Cut {
    shortened(text, CONTENT_BYTES_MAX)
}

/// The last of the messages that fit, in their order.
pub(super) fn messages(messages: &[Message]) -> Cut {
    let mut kept: Vec<String> = Vec::new();
    let (mut bytes, mut is_cut) = (2, false);
    for message in messages.iter().rev() {
        let (text, shorter) = one(message);
        bytes += text.len() + 1;
        is_cut |= shorter;
        if bytes > CONTENT_BYTES_MAX {
            is_cut = true;
            break;
        }
        kept.push(text);
    }
    kept.reverse();
    (format!("[{}]", kept.join(",")), is_cut)
}

/// The instructions, as a list of parts.
pub(super) fn instructions(text: &str) -> Cut {
    let (text, is_cut) = shortened(text, PART_BYTES_MAX);
    (json!([{ "type": "text", "content": text }]).to_string(), is_cut)
}

/// The tools that the model was told of, as many as fit.
pub(super) fn definitions<'t>(tools: impl Iterator<Item = &'t ToolDescriptor>) -> Cut {
    let (mut kept, mut bytes, mut is_cut) = (Vec::new(), 2, false);
    for tool in tools {
        let parameters: Json = serde_json::from_str(tool.input_schema.as_str()).unwrap_or_default();
        let (name, description) = (tool.name.wire(), &tool.description);
        let text = json!({ "type": "function", "name": name, "description": description, "parameters": parameters });
        let text = text.to_string();
        bytes += text.len() + 1;
        if bytes > CONTENT_BYTES_MAX {
            is_cut = true;
            break;
        }
        kept.push(text);
    }
    (format!("[{}]", kept.join(",")), is_cut)
}

/// What a call gave, as the model is told it.
pub(super) fn outcome(outcome: &ToolOutcome) -> Cut {
    match outcome {
        ToolOutcome::Returned { content } => {
            let parts: Vec<(Json, bool)> = content.iter().map(content_part).collect();
            let is_cut = parts.iter().any(|(_, is_cut)| *is_cut);
            let text = Json::from_iter(parts.into_iter().map(|(part, _)| part)).to_string();
            // Half of a JSON text is none.
            if text.len() > CONTENT_BYTES_MAX { ("[]".to_owned(), true) } else { (text, is_cut) }
        }
        ToolOutcome::Failed { message }
        | ToolOutcome::Refused { message, .. }
        | ToolOutcome::Faulted { message, .. } => {
            let (message, is_cut) = shortened(message, PART_BYTES_MAX);
            (json!([{ "type": "text", "content": message }]).to_string(), is_cut)
        }
    }
}

fn one(message: &Message) -> Cut {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let parts: Vec<(Json, bool)> = message.parts.iter().map(part).collect();
    let is_cut = parts.iter().any(|(_, is_cut)| *is_cut);
    let parts: Vec<Json> = parts.into_iter().map(|(part, _)| part).collect();
    (json!({ "role": role, "parts": parts }).to_string(), is_cut)
}

fn part(part: &Part) -> (Json, bool) {
    match part {
        Part::Text(text) => text_part(text),
        Part::ToolCall(call) => {
            let (arguments, is_cut) = shortened(&call.arguments, PART_BYTES_MAX);
            // What the model wrote may not be JSON, and what was cut is not.
            let arguments = serde_json::from_str(&arguments).unwrap_or(Json::String(arguments));
            (json!({ "type": "tool_call", "id": call.id, "name": call.tool, "arguments": arguments }), is_cut)
        }
        Part::ToolResult(result) => {
            let parts: Vec<(Json, bool)> = result.content.iter().map(content_part).collect();
            let is_cut = parts.iter().any(|(_, is_cut)| *is_cut);
            let response = Json::from_iter(parts.into_iter().map(|(part, _)| part));
            (json!({ "type": "tool_call_response", "id": result.id, "response": response }), is_cut)
        }
    }
}

fn content_part(content: &Content) -> (Json, bool) {
    match content {
        Content::Text(text) => text_part(text),
        Content::Json(json) => text_part(json.as_str()),
        Content::Image(media) => blob("image", media),
        Content::Audio(media) => blob("audio", media),
        Content::Resource { uri, body: ResourceBody::Text(text), .. } => {
            let (text, is_cut) = shortened(text, PART_BYTES_MAX);
            (json!({ "type": "text", "content": text, "uri": uri }), is_cut)
        }
        Content::Resource { uri, mime_type, body: ResourceBody::Base64(_) } => {
            (json!({ "type": "uri", "modality": "document", "mime_type": mime_type, "uri": uri }), true)
        }
    }
}

fn text_part(text: &str) -> (Json, bool) {
    let (text, is_cut) = shortened(text, PART_BYTES_MAX);
    (json!({ "type": "text", "content": text }), is_cut)
}

/// Pictures and sounds stay in the journal: half of one is of no use, and a whole one is too large.
fn blob(modality: &str, media: &Media) -> (Json, bool) {
    (json!({ "type": "blob", "modality": modality, "mime_type": media.mime_type, "content": "" }), true)
}

fn shortened(text: &str, bytes_max: usize) -> Cut {
    match text.len() > bytes_max {
        true => (format!("{}…", &text[..text.floor_char_boundary(bytes_max)]), true),
        false => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ToolCall, ToolResult};

    #[test]
    fn messages_have_the_form_of_the_conventions() {
        let call = ToolCall { id: "call_1".into(), tool: "calc__evaluate".into(), arguments: r#"{"a":1}"#.into() };
        let result = ToolResult {
            id: "call_1".into(),
            tool: "calc__evaluate".into(),
            content: vec![Content::Text("2".into())],
            is_error: false,
        };
        let said = [
            Message::from_user("how much?"),
            Message { role: Role::Assistant, parts: vec![Part::Text("let me see".into()), Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
        ];
        let (text, is_cut) = messages(&said);
        let expected = json!([
            { "role": "user", "parts": [{ "type": "text", "content": "how much?" }] },
            { "role": "assistant", "parts": [
                { "type": "text", "content": "let me see" },
                { "type": "tool_call", "id": "call_1", "name": "calc__evaluate", "arguments": { "a": 1 } },
            ] },
            { "role": "tool", "parts": [
                { "type": "tool_call_response", "id": "call_1", "response": [{ "type": "text", "content": "2" }] },
            ] },
        ]);
        assert_eq!((serde_json::from_str::<Json>(&text).ok(), is_cut), (Some(expected), false));
    }

    #[test]
    fn a_long_conversation_keeps_its_end_and_says_that_it_is_cut() {
        let said: Vec<_> =
            (0..100).map(|number| Message::from_user(format!("{number} {}", "x".repeat(2_000)))).collect();
        let (text, is_cut) = messages(&said);
        let kept: Vec<Json> = serde_json::from_str(&text).unwrap_or_default();
        assert!(is_cut && text.len() <= CONTENT_BYTES_MAX && kept.len() > 20, "{}", kept.len());
        assert!(kept.last().is_some_and(|last| last.to_string().contains("99 x")));
        let (text, is_cut) = messages(&[Message::from_user("é".repeat(CONTENT_BYTES_MAX))]);
        assert!(is_cut && serde_json::from_str::<Json>(&text).is_ok_and(|kept| kept[0]["role"] == "user"));
    }
}
