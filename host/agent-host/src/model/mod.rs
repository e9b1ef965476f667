//! Models: the port through which the driver asks for replies. Each implementation is a module beside this file.

mod choice;
mod conversation;
mod discovery;
mod failure;
mod json_mode;
mod json_schema;
mod opening;
mod provider;
mod relay;
mod script;
mod scripted;
mod template;
mod unreadable;
mod wire;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod canned_server;
#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop, and says what the model wrote"
)]
mod live_test;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod provider_test;

use agent_core::model::{ModelFailure, ModelReply, ModelRequest};
use agent_core::run_events;
use async_trait::async_trait;

use self::json_mode::{FirstTurn, JsonToolMode};
use self::opening::ToolMode;

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

/// Opens a model as a run records it. Nothing is sent.
///
/// # Errors
/// Where the name means nothing, a key is missing, or an option would have no effect.
pub(crate) async fn open(choice: &run_events::ModelChoice) -> anyhow::Result<Box<dyn Model>> {
    let tool_mode = match choice.tool_mode {
        run_events::ToolMode::Native => ToolMode::Native,
        run_events::ToolMode::Json => ToolMode::Json(JsonToolMode::USUAL),
        run_events::ToolMode::JsonCallFirst => {
            ToolMode::Json(JsonToolMode { first_turn: FirstTurn::Call, ..JsonToolMode::USUAL })
        }
    };
    Ok(opening::open(&choice.name.parse()?, choice.base_url.as_deref(), tool_mode).await?)
}

/// Whether a model is a file of replies, which nobody is asked for.
pub(crate) fn is_script(name: &str) -> bool {
    name.parse::<choice::ModelChoice>().is_ok_and(|choice| choice.is_script())
}

/// Whether a model could not be opened because of the server that was named for it.
pub(crate) fn is_about_server(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(opening::OpenModelError::is_about_server)
}

/// Whether a model's server, as a run records it, is on this machine.
pub(crate) fn is_on_this_machine(base_url: &str) -> bool {
    base_url.parse().is_ok_and(|url| wire::is_loopback(&url))
}

/// Opens the models of a run, in the order in which they are tried.
///
/// # Errors
/// See [`open`].
pub(crate) async fn open_all(choices: &[run_events::ModelChoice]) -> anyhow::Result<Vec<Box<dyn Model>>> {
    let mut models = Vec::new();
    for choice in choices {
        models.push(open(choice).await?);
    }
    Ok(models)
}

/// The ways to a model that were found on this machine, in words.
pub(crate) async fn available() -> Vec<String> {
    discovery::available().await.iter().map(ToString::to_string).collect()
}

/// What to say where no model was chosen: how to choose one, and what was found on this machine.
pub(crate) async fn none_chosen() -> String {
    let found: Vec<_> = available().await.iter().map(|model| format!("\n  found: {model}")).collect();
    let found = if found.is_empty() {
        "\n  found: no key in the environment and no local server".to_owned()
    } else {
        found.concat()
    };
    format!(
        "no model was chosen{found}\n  hint: `--model PROVIDER:NAME`, `AGENT_HOST_MODEL`, or `model` in your `settings.toml` or the agent file; \
         `--model scripted:FILE` needs neither key nor network"
    )
}
