//! Settings: choices that are not authority. One precedence for all of them: flags, environment, the user's settings file,
//! the agent file, defaults. Flags and environment come merged from `cli`; this file adds the rest.

use std::path::Path;

use agent_core::config::settings::UserSettings;
use agent_core::run_events::{Durability, ToolMode};

use crate::agent::Agent;
use crate::cli::ModelArgs;
use crate::input;

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

/// Reads the user's settings file, `settings.toml` in the state folder; no file is no settings.
///
/// # Errors
/// Where it cannot be read or has problems; all of them are in the error.
pub fn read(file: &Path) -> anyhow::Result<UserSettings> {
    let shown = file.display().to_string();
    match std::fs::symlink_metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(UserSettings::default()),
        _ => Ok(UserSettings::parse(&shown, &input::read_config(file, &shown)?)?),
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
