//! Models: the port through which the driver asks for replies. Each implementation is a module beside this file.

pub(crate) mod choice;
mod conversation;
pub(crate) mod discovery;
mod failure;
pub(crate) mod json_mode;
mod json_schema;
pub(crate) mod open;
mod provider;
mod relay;
mod script;
mod scripted;
mod template;
mod wire;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod canned_server;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says what the model wrote")]
mod live_test;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod provider_test;

use agent_core::model::{ModelFailure, ModelReply, ModelRequest};
use async_trait::async_trait;

/// A model that replies to requests.
#[async_trait]
pub(crate) trait Model: Send + Sync {
    /// The name as the operator wrote it: `openai:gpt-5`, `scripted:demo.toml`.
    fn name(&self) -> &str;

    /// Asks for one complete reply. Does not retry: the machine decides that.
    ///
    /// # Errors
    /// Where there is no complete reply; the failure says whether trying again may help.
    async fn reply(&self, request: ModelRequest<'_>) -> Result<ModelReply, ModelFailure>;
}
