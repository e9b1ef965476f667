//! Settings: choices that are not authority. One precedence for all of them: flags, environment, the user's settings file,
//! the agent file, defaults. Flags and environment come merged from `cli`; this file adds the rest.
//!
//! A base URL is where a key goes, so it is for one provider: that of the model that was named beside it. And a choice that was
//! made for models in general says nothing of a script, which has no server.

use std::fmt;
use std::path::Path;

use agent_core::config::settings::UserSettings;
use agent_core::run_events::{Durability, ModelChoice, ToolMode};

use crate::agent::Agent;
use crate::cli::ModelArgs;
use crate::input;
use crate::model;

/// The variable with the model.
const MODEL: &str = "AGENT_HOST_MODEL";

/// The settings of one run.
#[derive(Debug)]
pub struct Settings {
    /// Models with how each is asked, the first that works.
    pub models: Vec<ModelChoice>,
    /// Who said where the model's server is, if anybody did.
    server_by: Option<Source>,
    /// How much of the journal survives what.
    pub durability: Durability,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Flag,
    Variable,
    File,
    AgentFile,
}

/// A choice, and who made it.
#[derive(Debug, Clone, Copy)]
struct Said<T> {
    what: T,
    by: Source,
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
        Self::join_with(args, user, agent, std::env::var(MODEL).ok().filter(|model| !model.is_empty()))
    }

    /// `variable` is the model of the environment, also where a flag names another.
    fn join_with(args: &ModelArgs, user: &UserSettings, agent: &Agent, variable: Option<String>) -> Self {
        let chosen = args.model.clone().or_else(|| user.model.clone());
        let names = chosen.map_or_else(|| agent.models.clone(), |model| vec![model]);
        let server = server(args, user);
        let provider = server.as_ref().and_then(|server| {
            let beside = match server.by {
                Source::Flag => args.model.clone().filter(|_| args.is_typed("model")),
                Source::Variable => variable,
                Source::File => user.model.clone(),
                Source::AgentFile => None,
            };
            let is_asked = |name: &&String| !model::is_script(name);
            beside.as_ref().filter(is_asked).or(names.iter().find(is_asked)).map(|name| provider_of(name))
        });
        let mode = tool_mode(args, user, agent);
        let choice = |name: &String| {
            let base_url = server.as_ref().filter(|server| match server.by {
                // Refused where it would have no effect: somebody typed it just now.
                Source::Flag if names.len() == 1 => true,
                Source::Flag | Source::Variable | Source::File | Source::AgentFile => {
                    !model::is_script(name) && Some(provider_of(name)) == provider
                }
            });
            let typed = matches!(mode.by, Source::Flag) && names.len() == 1;
            ModelChoice {
                name: name.clone(),
                base_url: base_url.map(|server| server.what.clone()),
                tool_mode: if model::is_script(name) && !typed { ToolMode::Native } else { mode.what },
            }
        };
        Self {
            models: names.iter().map(choice).collect(),
            server_by: server.as_ref().map(|server| server.by),
            durability: args.durability.map(Durability::from).or(user.durability).unwrap_or(Durability::Strict),
        }
    }

    /// Why a model cannot be opened, with who named the server where that is what is wrong.
    #[must_use]
    pub fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match self.server_by {
            Some(by) if model::is_about_server(&error) => anyhow::anyhow!("{error:#}\n  hint: {by} says so"),
            Some(_) | None => error,
        }
    }
}

/// The model's server. An agent file cannot name one.
fn server(args: &ModelArgs, user: &UserSettings) -> Option<Said<String>> {
    let of_command = args.base_url.clone().map(|what| Said { what, by: of_command(args, "base_url") });
    of_command.or_else(|| Some(Said { what: user.base_url.clone()?, by: Source::File }))
}

fn of_command(args: &ModelArgs, field: &str) -> Source {
    if args.is_typed(field) { Source::Flag } else { Source::Variable }
}

fn tool_mode(args: &ModelArgs, user: &UserSettings, agent: &Agent) -> Said<ToolMode> {
    let of_command = args.tool_mode.map(|mode| Said { what: ToolMode::from(mode), by: of_command(args, "tool_mode") });
    let saved = user.tool_mode.map(|what| Said { what, by: Source::File });
    let of_agent = agent.tool_mode.map(|what| Said { what, by: Source::AgentFile });
    of_command.or(saved).or(of_agent).unwrap_or(Said { what: ToolMode::Native, by: Source::AgentFile })
}

/// The provider of a model as it is written: a key is for one.
fn provider_of(name: &str) -> String {
    name.split(':').next().unwrap_or(name).replace('-', "_")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("`--base-url`"),
            Self::Variable => f.write_str("`AGENT_HOST_BASE_URL`"),
            Self::File => f.write_str("`base_url` in your `settings.toml`"),
            Self::AgentFile => f.write_str("the agent file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::ToolModeArg;

    use super::*;

    const GATEWAY: &str = "https://gateway.example/v1";

    /// Each model of a run with where it is asked and how.
    fn joined(
        flags: &ModelArgs,
        (model, base_url): (Option<&str>, Option<&str>),
        user: &str,
        agent: &[&str],
    ) -> anyhow::Result<Vec<String>> {
        let (model, base_url) = (model.map(str::to_owned), base_url.map(str::to_owned));
        // As the command line joins the two.
        let args = ModelArgs {
            model: flags.model.clone().or_else(|| model.clone()),
            base_url: flags.base_url.clone().or(base_url),
            ..flags.clone()
        };
        let mut of_file = Agent::plain()?;
        of_file.models = agent.iter().map(|model| (*model).to_owned()).collect();
        let user = UserSettings::parse("settings.toml", user)?;
        let settings = Settings::join_with(&args, &user, &of_file, model);
        let shown = |model: &ModelChoice| {
            let server = model.base_url.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
            let json = if model.tool_mode == ToolMode::Native { "" } else { " in JSON" };
            format!("{}{server}{json}", model.name).replace(GATEWAY, "G")
        };
        Ok(settings.models.iter().map(shown).collect())
    }

    fn typed(model: Option<&str>, base_url: Option<&str>) -> ModelArgs {
        let named = [model.map(|_| "model"), base_url.map(|_| "base_url")];
        let (model, base_url) = (model.map(str::to_owned), base_url.map(str::to_owned));
        let typed = named.into_iter().flatten().map(clap::Id::from).collect();
        ModelArgs { model, base_url, tool_mode: None, durability: None, typed }
    }

    /// Where a base URL goes, a key goes along.
    #[test]
    fn a_base_url_is_for_the_provider_of_the_model_beside_it() -> anyhow::Result<()> {
        let settings = format!("base_url = \"{GATEWAY}\"\n");
        let of_openai = format!("model = \"openai:x\"\n{settings}");
        let url = Some(GATEWAY);
        let (nothing, of_variable) = ((None, None), (Some("openai:x"), url));
        let plain = || typed(None, None);
        let anthropic = |url| typed(Some("anthropic:y"), url);
        let both: &[&str] = &["openai:x", "anthropic:y"];
        let first_alone: &[&str] = &["openai:x at G", "anthropic:y"];
        type Case<'c> = (ModelArgs, (Option<&'c str>, Option<&'c str>), &'c str, &'c [&'c str], &'c [&'c str]);
        let cases: [Case<'_>; 11] = [
            (plain(), nothing, &settings, both, first_alone),
            (plain(), nothing, &settings, &["openai:x", "openai:y"], &["openai:x at G", "openai:y at G"]),
            (plain(), nothing, &settings, &["scripted:a.toml", "openai:x"], &["scripted:a.toml", "openai:x at G"]),
            (plain(), nothing, &of_openai, &["anthropic:y"], &["openai:x at G"]),
            (anthropic(None), nothing, &of_openai, &[], &["anthropic:y"]),
            (typed(Some("openai:z"), None), nothing, &of_openai, &[], &["openai:z at G"]),
            (plain(), (None, url), "", both, first_alone),
            (anthropic(None), of_variable, "", &[], &["anthropic:y"]),
            (plain(), of_variable, "", both, &["openai:x at G"]),
            (typed(None, url), nothing, "", both, first_alone),
            (anthropic(url), of_variable, "", &[], &["anthropic:y at G"]),
        ];
        for (args, variables, user, agent, expected) in cases {
            let said = joined(&args, variables, user, agent)?;
            assert_eq!(said, expected, "{args:?} {variables:?} {user} {agent:?}");
        }
        Ok(())
    }

    #[test]
    fn a_script_is_played_whatever_is_chosen_for_models() -> anyhow::Result<()> {
        let settings = format!("base_url = \"{GATEWAY}\"\ntool_mode = \"json\"\n");
        let script = ["scripted:a.toml"];
        let plain = typed(Some(script[0]), None);
        assert_eq!(joined(&plain, (None, Some(GATEWAY)), "", &[])?, script);
        assert_eq!(joined(&plain, (None, None), &settings, &[])?, script);
        assert_eq!(joined(&typed(None, None), (None, None), &settings, &script)?, script);
        // What was typed for it and means nothing is refused when it is opened.
        let mut meant = typed(Some(script[0]), Some(GATEWAY));
        meant.tool_mode = Some(ToolModeArg::Json);
        meant.typed.push(clap::Id::from("tool_mode"));
        assert_eq!(joined(&meant, (None, None), "", &[])?, ["scripted:a.toml at G in JSON"]);
        Ok(())
    }
}
