//! Settings: choices that are not authority. One precedence for all of them: flags, environment, the user's settings file,
//! the agent file, defaults. Flags and environment come merged from `cli`; this file adds the rest.

use std::path::Path;

use agent_core::event::{Durability, ToolMode};
use anyhow::Context;
use serde::Deserialize;

use crate::agent::Agent;
use crate::cli::ModelArgs;

/// Longest settings file in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// The user's settings file: `settings.toml` in the state folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// The model to use where nothing else names one.
    model: Option<String>,
    /// The model's server.
    base_url: Option<String>,
    /// How tool calls are asked for.
    tool_mode: Option<ToolMode>,
    /// How much of the journal survives what.
    durability: Option<Durability>,
}

/// The settings of one run.
#[derive(Debug)]
pub struct Settings {
    /// Models as written, the first that works.
    pub models: Vec<String>,
    /// The model's server.
    pub base_url: Option<String>,
    /// How tool calls are asked for.
    pub tool_mode: ToolMode,
    /// How much of the journal survives what.
    pub durability: Durability,
}

impl UserSettings {
    /// Reads the file; no file is no settings.
    ///
    /// # Errors
    /// Where it cannot be read, is too long or not understood.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        match std::fs::metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot look at `{shown}`")),
            Ok(metadata) => anyhow::ensure!(metadata.len() <= BYTES_MAX, "`{shown}` is longer than {BYTES_MAX} bytes"),
        }
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
        toml::from_str(&text).with_context(|| format!("cannot understand `{shown}`"))
    }
}

impl Settings {
    /// Joins the sources by the one precedence.
    #[must_use]
    pub fn join(args: &ModelArgs, user: &UserSettings, agent: &Agent) -> Self {
        // A variable that is set to nothing is not set.
        let given = args.model.clone().filter(|model| !model.is_empty());
        let chosen = given.or_else(|| user.model.clone());
        let agent_mode = agent.tool_mode;
        Self {
            models: chosen.map_or_else(|| agent.models.clone(), |model| vec![model]),
            base_url: args.base_url.clone().or_else(|| user.base_url.clone()),
            tool_mode: args.tool_mode.map(ToolMode::from).or(user.tool_mode).or(agent_mode).unwrap_or(ToolMode::Native),
            durability: args.durability.map(Durability::from).or(user.durability).unwrap_or(Durability::Strict),
        }
    }
}
