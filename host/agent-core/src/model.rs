//! What a model adapter is given and gives back. The adapters themselves wait and reach out, so they live in the program.

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::tool::ToolDescriptor;
use crate::units::Millis;

/// Everything that one request to a model carries.
#[derive(Debug, Clone, Copy)]
pub struct ModelRequest<'a> {
    /// The agent's instructions.
    pub instructions: &'a str,
    /// The conversation so far.
    pub messages: &'a [Message],
    /// The tools that the model may ask for.
    pub tools: &'a [ToolDescriptor],
}

/// A complete reply. Nothing of a reply that broke off is ever used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReply {
    /// What the model says; the answer, where it asks for no calls.
    pub text: String,
    /// The calls it asks for, in its order.
    pub calls: Vec<ProposedCall>,
    /// What the request and the reply cost.
    pub usage: TokenUsage,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider's own name of the reply, where it gives it one: by it the provider finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A call that a reply asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposedCall {
    /// The provider's identifier, where it gives one. The machine makes it unique.
    pub id: Option<String>,
    /// The tool's wire name as written.
    pub tool: String,
    /// The arguments as written.
    pub arguments: String,
}

/// Model tokens. Zero where the provider does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenUsage {
    /// Tokens of the request.
    pub input: u64,
    /// Tokens of the reply.
    pub output: u64,
    /// Those of the request that the provider had in its cache, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Those of the request that it put into its cache, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Those of the reply that were reasoning, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl TokenUsage {
    /// What a provider says that tells nothing of its cache and of reasoning.
    #[must_use]
    pub fn of(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Adds what one more reply took. What no reply tells is not told of them together.
    pub fn add(&mut self, more: &Self) {
        let both = |all: Option<u64>, more: Option<u64>| match (all, more) {
            (Some(all), Some(more)) => Some(all.saturating_add(more)),
            (told, None) | (None, told) => told,
        };
        *self = Self {
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
            cache_read: both(self.cache_read, more.cache_read),
            cache_write: both(self.cache_write, more.cache_write),
            reasoning: both(self.reasoning, more.reasoning),
        };
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(deny_unknown_fields)]
pub struct ModelFailure {
    /// What kind of failure: decides whether it is tried again.
    pub kind: ModelFailureKind,
    /// What happened, with the cure where there is one. No key or header value.
    pub message: String,
    /// How long the provider asks to wait.
    pub retry_after: Option<Millis>,
}

/// Calls of one reply. Far more than are ever made of them; what is beyond is no plan but noise, and every call costs an event.
pub const CALLS_MAX: usize = 10_000;

/// Kinds of failure. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFailureKind {
    /// No key, or the provider does not accept it.
    Unauthorized,
    /// Too many requests.
    RateLimited,
    /// The provider failed.
    ServerError,
    /// No complete reply in time.
    Timeout,
    /// The provider could not be reached, or the connection broke.
    Network,
    /// The reply is not what the protocol or the requested form says.
    BadReply,
    /// The provider refuses the request as it is.
    BadRequest,
}

impl ModelFailureKind {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::RateLimited | Self::ServerError | Self::Timeout | Self::Network | Self::BadReply => true,
            Self::Unauthorized | Self::BadRequest => false,
        }
    }
}

impl ModelFailure {
    /// A failure without a wait that the provider asked for.
    #[must_use]
    pub fn new(kind: ModelFailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }
}
