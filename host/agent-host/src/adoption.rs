//! The terms on which a run that was recorded elsewhere goes on here, once the operator vouches for it. Its journal says what
//! its tools hold and which servers its models are on, and nothing in it knows of this host's own rules: they are added to
//! what it holds, and what they would never have allowed is refused, whatever the operator answers. Called by
//! `agent-host journal import --trust`.

use std::path::{Path, PathBuf};

use agent_core::digest::Digest;
use agent_core::event::Recorded;
use agent_core::grant::Grant;
use agent_core::limits::Limit;
use agent_core::run_events::{ModelChoice, RunAdopted};
use agent_core::secret::SecretSource;
use agent_core::state::State;
use anyhow::{Context, bail, ensure};

use crate::cli::AllowArgs;
use crate::home::Home;
use crate::real_path::deepest_real;
use crate::report::text;
use crate::rules::Rules;
use crate::{model, operator, settings};

/// Longest address that an error quotes: a stranger wrote it.
const ADDRESS_CHARS_MAX: usize = 200;

/// This host's own rules and choices. Read before the walls stand.
pub struct Terms {
    rules: Rules,
    /// The servers at which the operator has models asked.
    servers: Vec<String>,
    /// The folder with the host's key and policy.
    state_folder: PathBuf,
}

impl Terms {
    /// Reads them. `server` is one that the operator names just now.
    ///
    /// # Errors
    /// Where the saved policy or the settings have problems.
    pub fn read(home: &Home, server: Option<&str>) -> anyhow::Result<Self> {
        let rules = operator::standing_rules(home, &AllowArgs::default())?;
        let saved = settings::read(&home.settings_file())?.base_url;
        let servers = server.map(str::to_owned).into_iter().chain(saved).collect();
        let state_folder = home.root().canonicalize().context("cannot look at the state folder")?;
        Ok(Self { rules, servers, state_folder })
    }

    /// What is recorded when the run goes on here.
    ///
    /// # Errors
    /// Where it holds, or held at any time, what these terms never allow.
    pub fn adopt(&self, state: &State, events: &[Recorded], file: Digest) -> anyhow::Result<RunAdopted> {
        let refused = || format!("run {} cannot go on here", state.run);
        self.adopted(state, events, file).with_context(refused)
    }

    fn adopted(&self, state: &State, events: &[Recorded], file: Digest) -> anyhow::Result<RunAdopted> {
        state.started.models.iter().try_for_each(|model| self.check_server(model))?;
        let held: Vec<_> = events.iter().flat_map(|recorded| recorded.event.authorities()).collect();
        let grants = || held.iter().map(|authority| &authority.grant);
        grants().try_for_each(|grant| self.check_places(grant))?;
        grants().try_for_each(check_limits)?;
        let secrets = operator::around_secrets(grants().flat_map(|grant| &grant.secrets))?;
        let rules: Vec<_> = self.rules.iter().cloned().chain([secrets]).collect();
        for authority in &held {
            authority.held_to(&rules)?;
        }
        let authorities = state.authorities.iter().map(|authority| authority.held_to(&rules));
        Ok(RunAdopted { file, authorities: authorities.collect::<Result<_, _>>()? })
    }

    /// A model's server is sent the provider's key, and its answers drive the tools. An agent file cannot name one either.
    fn check_server(&self, model: &ModelChoice) -> anyhow::Result<()> {
        let Some(server) = &model.base_url else { return Ok(()) };
        if self.servers.contains(server) || model::is_on_this_machine(server) {
            return Ok(());
        }
        let (name, server) = (text::line(&model.name, ADDRESS_CHARS_MAX), text::line(server, ADDRESS_CHARS_MAX));
        bail!(
            "it asks the model `{name}` at `{server}`\n  rule: your keys are sent to servers that you named yourself\n  hint: \
             if this one is yours, say so by `--base-url` or by `base_url` in your `settings.toml`"
        )
    }

    /// What rules name is compared as text, so nothing may lead elsewhere; and no secret comes from the host's own folder,
    /// which rules about directories do not speak of.
    fn check_places(&self, grant: &Grant) -> anyhow::Result<()> {
        for fs in &grant.fs {
            let shown = text::line(&fs.host, ADDRESS_CHARS_MAX);
            let leads = deepest_real(Path::new(&fs.host)).with_context(|| format!("cannot look at `{shown}`"))?;
            ensure!(leads == Path::new(&fs.host), "it holds `{shown}`, which leads to `{}` here", leads.display());
        }
        for secret in &grant.secrets {
            let SecretSource::File(file) = &secret.from else { continue };
            let leads = deepest_real(Path::new(file.as_str())).with_context(|| format!("secret `{}`", secret.name))?;
            ensure!(
                !leads.starts_with(&self.state_folder),
                "it uses `{}`, which is agent-host's own, as a secret",
                file.as_str()
            );
        }
        Ok(())
    }
}

/// No rule of this host could have raised a limit beyond these.
fn check_limits(grant: &Grant) -> anyhow::Result<()> {
    let beyond = |limit: &&Limit| limit.highest().is_some_and(|highest| grant.limits.get(**limit) > highest);
    match Limit::ALL.iter().find(beyond) {
        None => Ok(()),
        Some(limit) => {
            let (unit, is) = (limit.unit(), grant.limits.get(*limit));
            let highest = limit.highest().map(|highest| unit.written(highest)).unwrap_or_default();
            bail!("it holds `{limit} = {}`, and the most that can be granted is {highest}", unit.written(is))
        }
    }
}
