//! What the model sees: messages made of parts. Built by the machine from events, turned into a provider's form by the
//! program's model adapters.

use serde::{Deserialize, Serialize};

use crate::hidden::{json_without_tags, without_tags};
use crate::json::JsonText;
use crate::outcome::{Content, ResourceBody, ToolOutcome};

/// One entry of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// Who speaks. Instructions are not a message: they travel beside the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The host, with results of tool calls.
    Tool,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    /// Text.
    Text(String),
    /// The model asks for a call.
    ToolCall(ToolCall),
    /// The host answers one.
    ToolResult(ToolResult),
}

/// A call as the model asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Ties the result to the call; unique within the run.
    pub id: String,
    /// The tool's wire name as the model wrote it. It may name no tool.
    pub tool: String,
    /// The arguments as the model wrote them. They may not be JSON.
    pub arguments: String,
}

/// The answer to a call, as the model is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolResult {
    /// The call's identifier.
    pub id: String,
    /// The tool's wire name, which some providers want again.
    pub tool: String,
    /// What came back.
    pub content: Vec<Content>,
    /// Whether the call did not do what was asked.
    pub is_error: bool,
}

impl Message {
    /// What a person says.
    #[must_use]
    pub fn from_user(text: impl Into<String>) -> Self {
        Self { role: Role::User, parts: vec![Part::Text(text.into())] }
    }
}

/// Longest text of the host's own about a call that was refused or stopped. It may quote the tool.
const HOST_WORDS_BYTES_MAX: usize = 4 << 10;

impl ToolResult {
    /// What the model is told about an outcome: without characters that only a machine reads.
    #[must_use]
    pub fn from_outcome(id: String, tool: String, outcome: &ToolOutcome) -> Self {
        let (content, is_error) = match outcome {
            ToolOutcome::Returned { content } => (content.iter().map(visible).collect(), false),
            ToolOutcome::Failed { message } => (vec![Content::Text(without_tags(message).into_owned())], true),
            ToolOutcome::Refused { reason, message } => {
                (vec![host_words(&format!("refused ({reason}): {message}"))], true)
            }
            ToolOutcome::Faulted { fault, message } => {
                (vec![host_words(&format!("stopped ({fault}): {message}"))], true)
            }
        };
        Self { id, tool, content, is_error }
    }
}

fn host_words(words: &str) -> Content {
    let words = without_tags(words);
    let shown = &words[..words.floor_char_boundary(HOST_WORDS_BYTES_MAX)];
    Content::Text(shown.to_owned())
}

fn visible(content: &Content) -> Content {
    let text = |text: &str| without_tags(text).into_owned();
    match content {
        Content::Text(words) => Content::Text(text(words)),
        Content::Json(json) => {
            let words = json_without_tags(json.as_str());
            // Without them it is the same JSON with shorter strings.
            JsonText::parse(&words).map_or_else(|_| Content::Text(words.into_owned()), Content::Json)
        }
        Content::Image(_) | Content::Audio(_) => content.clone(),
        Content::Resource { uri, mime_type, body } => Content::Resource {
            uri: text(uri),
            mime_type: mime_type.clone(),
            body: match body {
                ResourceBody::Text(words) => ResourceBody::Text(text(words)),
                ResourceBody::Base64(bytes) => ResourceBody::Base64(bytes.clone()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Fault;

    fn told(outcome: &ToolOutcome) -> Vec<Content> {
        ToolResult::from_outcome("call_1".to_owned(), "a__b".to_owned(), outcome).content
    }

    #[test]
    fn a_model_is_not_given_what_only_a_machine_reads() -> Result<(), serde_json::Error> {
        let hidden = "a\u{e0041}\u{e0042}b\u{202e}";
        let content =
            vec![Content::Text(hidden.to_owned()), Content::Json(JsonText::parse(&format!("[\"{hidden}\"]"))?)];
        let outcome = ToolOutcome::Returned { content };
        let visible = [Content::Text("ab\u{202e}".to_owned()), Content::Json(JsonText::parse("[\"ab\u{202e}\"]")?)];
        assert_eq!(told(&outcome), visible);
        assert_eq!(outcome.hidden(), 6);
        let escaped = Content::Json(JsonText::parse(r#"{"a":"i\udb40\udc67n"}"#)?);
        let outcome = ToolOutcome::Returned { content: vec![escaped] };
        assert_eq!(told(&outcome), [Content::Json(JsonText::parse(r#"{"a":"in"}"#)?)]);
        assert_eq!(outcome.hidden(), 1);
        let failed = ToolOutcome::Failed { message: hidden.to_owned() };
        assert_eq!(told(&failed), [Content::Text("ab\u{202e}".to_owned())]);
        Ok(())
    }

    #[test]
    fn the_hosts_own_words_are_short() {
        let message = "é".repeat(10_000);
        let told = told(&ToolOutcome::Faulted { fault: Fault::ResultInvalid, message });
        assert!(matches!(told.as_slice(), [Content::Text(words)] if words.len() <= HOST_WORDS_BYTES_MAX));
    }
}
