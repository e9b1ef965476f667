//! What the model sees: messages made of parts. Built by the machine from events, turned into a provider's form by the
//! program's model adapters.

use serde::{Deserialize, Serialize};

use crate::outcome::{Content, ToolOutcome};

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

impl ToolResult {
    /// What the model is told about an outcome.
    #[must_use]
    pub fn from_outcome(id: String, tool: String, outcome: &ToolOutcome) -> Self {
        let (content, is_error) = match outcome {
            ToolOutcome::Returned { content } => (content.clone(), false),
            ToolOutcome::Failed { message } => (vec![Content::Text(message.clone())], true),
            ToolOutcome::Refused { reason, message } => {
                (vec![Content::Text(format!("refused ({reason}): {message}"))], true)
            }
            ToolOutcome::Faulted { fault, message } => {
                (vec![Content::Text(format!("stopped ({fault}): {message}"))], true)
            }
        };
        Self { id, tool, content, is_error }
    }
}
