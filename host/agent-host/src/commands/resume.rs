//! `agent-host resume`: folds a run's events and drives on. Everything comes from the journal: the components, the grants,
//! the models, the instructions; files that changed since do not matter.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::event::{Durability, RunResumed};
use agent_core::name::Name;
use agent_core::state::State;
use agent_sandbox::Sandbox;
use agent_sandbox::component::Component;
use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::launch;
use crate::cli::ResumeArgs;
use crate::driver::ports::Ports;
use crate::driver::recorder::Recorder;
use crate::home::{Home, RUNS_FOLDER};
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::model;
use crate::person::Person;
use crate::secret_values::SecretValues;
use crate::toolset;

/// Goes on with a run.
///
/// # Errors
/// Where the run cannot be taken up, or cannot go on in this process.
pub async fn resume(args: ResumeArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(args.agent.as_deref())?;
    let journal = Arc::new(Journal::open_existing(&runs, &key)?);
    let run = journal.find_run(args.run.as_deref())?;
    let take_over = if args.take_over { TakeOver::Always } else { TakeOver::IfDead };
    let (events, log) = journal.resume_run(&run, take_over)?;
    let state = State::fold(&events)?.with_context(|| format!("run {run} has no events"))?;
    if let Some(stopped) = state.stopped.as_ref().filter(|stopped| !stopped.stop.is_resumable()) {
        bail!("run {run} is {}: there is nothing to go on with\n  hint: `agent-host show {run}`", stopped.stop);
    }
    let secrets = SecretValues::read(state.authorities.iter().map(|authority| &authority.grant))?;
    let sandbox = launch::sandbox(&home, &key, args.output.quiet || args.output.json, state.started.strictness)?;
    let components = components(&journal, &sandbox, &state)?;
    let models = model::open_all(&state.started.models).await?;
    let resumed = RunResumed { budget: launch::budget(&state.budget, &args.budget) };
    let sync = match state.started.durability {
        Durability::Strict => Durable::Now,
        Durability::Relaxed => Durable::Later,
    };
    let recorder = Recorder::new(log, state);
    recorder.record(resumed, sync)?;
    let ports = Ports {
        recorder,
        journal,
        sandbox,
        components,
        secrets,
        models,
        person: Person::at_terminal(),
        reporter: launch::reporter(&args.output),
        saved_policy: home.policy_file(),
        cancel: CancellationToken::new(),
        offered: Default::default(),
        refused: Default::default(),
        schemas: Default::default(),
    };
    launch::drive(Arc::new(ports), &args.output, args.agent.as_deref()).await
}

/// The folder in which runs live: beside the agent file, else in the working directory.
///
/// # Errors
/// Where the agent file is not there.
pub fn runs_folder(agent: Option<&Path>) -> anyhow::Result<std::path::PathBuf> {
    let folder = match agent {
        Some(file) => {
            let file = file.canonicalize().with_context(|| format!("cannot find agent file `{}`", file.display()))?;
            file.parent().context("an agent file stands in a folder")?.to_owned()
        }
        None => std::env::current_dir().context("there is no working directory")?,
    };
    Ok(folder.join(RUNS_FOLDER))
}

/// The components that the run is locked to, from the journal.
fn components(journal: &Journal, sandbox: &Sandbox, state: &State) -> anyhow::Result<HashMap<Digest, Arc<Component>>> {
    let mut names: HashMap<Digest, &Name> = HashMap::new();
    for tool in &state.started.tools {
        names.insert(tool.component, &tool.descriptor.name.component);
    }
    let mut components = HashMap::new();
    for (digest, name) in names {
        let missing = || format!("the journal lacks component `{name}` ({digest})");
        let bytes = journal.blob(&digest)?.with_context(missing)?;
        components.insert(digest, toolset::load_bytes(sandbox, name, &bytes)?);
    }
    Ok(components)
}
