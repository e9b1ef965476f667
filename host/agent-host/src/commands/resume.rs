//! `agent-host resume`: folds a run's events and drives on. Everything comes from the journal: the components, the grants,
//! the models, the instructions; files that changed since do not matter.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use agent_core::grant::Access;
use agent_core::hardening::Hardening;
use agent_core::run_events::RunResumed;
use anyhow::{Context, bail, ensure};
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::launch;
use super::scout::{self, Holders, Needs};
use super::taking::{self, Held};
use crate::agent;
use crate::asking;
use crate::boot;
use crate::cli::ResumeArgs;
use crate::components::Components;
use crate::defect;
use crate::driver::ports::Ports;
use crate::driver::recorder::Recorder;
use crate::failpoint;
use crate::hardening::kept::{self, Handed, KeeperPipe, Wider};
use crate::home::{Home, RUNS_FOLDER};
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::sqlite::SqliteJournal;
use crate::keyring::Keyring;
use crate::learning::Learning;
use crate::model::{self, Model};
use crate::operator;
use crate::person::Person;
use crate::secret_values::SecretValues;
use crate::sessions;
use crate::signing::SigningKey;
use crate::trace::Telemetry;
use crate::unchanging::Unchanging;

/// Finds out what the run needs. Its journal is opened behind the walls.
///
/// # Errors
/// Where nothing could go on.
pub async fn prepare(args: ResumeArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(args.agent.as_deref())?;
    let needs = scout::needs(&home, &runs, args.run.as_deref());
    // What is wrong with one is said once it is known that the run can go on.
    let models = model::open_all(&needs.models).await;
    let signing = launch::signing_key(&home)?;
    let person = Person::at_terminal();
    let mut reach = launch::reach_of_run(&home, &person, &runs)?;
    needs.add_holders(&mut reach);
    needs.add_directories(&mut reach, &home, (Holders::Now, Access::Write));
    needs.add_secrets(&mut reach);
    reach.unchanging = Unchanging::of_operator(&home, None)?;
    let learning = args.learn.learn.as_deref().map(|path| Learning::begin(path, &home)).transpose()?;
    let keeper = KeeperPipe::of_environment();
    let handed = kept::handed()?;
    if let (Some(keeper), None) = (&keeper, &handed) {
        keeper.say_reach(&reach)?;
    }
    let unchanging = reach.unchanging.clone();
    // Where a keeper says where the wall is, the journal has no word in it: a guest that broke out could write there.
    let reach = handed.as_ref().map_or(reach, |handed| handed.reach.clone());
    let keyring = Keyring::ask(&needs.keyring, &reach, launch::voice(&args.output));
    let wanted =
        Wanted { args, home, key, runs, needs, models, person, signing, keeper, handed, learning, unchanging, keyring };
    Ok(Confined::new(reach, |hardening| wanted.go_on(hardening)))
}

/// A run that is to go on.
struct Wanted {
    args: ResumeArgs,
    home: Home,
    key: HostKey,
    runs: PathBuf,
    needs: Needs,
    models: Result<Vec<Box<dyn Model>>, anyhow::Error>,
    person: Person,
    signing: Option<Arc<SigningKey>>,
    keeper: Option<KeeperPipe>,
    handed: Option<Handed>,
    learning: Option<Learning>,
    unchanging: Unchanging,
    keyring: Keyring,
}

impl Wanted {
    async fn go_on(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open_existing(&self.runs, &self.key)?);
        let (state, log) = self.take(&*journal)?;
        let telemetry = Telemetry::prepare(&self.runs, &self.key);
        let Self {
            args, home, key, needs, models, person, signing, keeper, handed, learning, unchanging, keyring, ..
        } = self;
        // Secrets are read behind the walls, where the files that they come from can be.
        let secrets = SecretValues::read(state.authorities.iter().map(|authority| &authority.grant), &keyring)?;
        let models = models?;
        // What was looked up before the walls stood was only a word.
        let is_known = needs.has(&state.run) && needs.models == state.started.models;
        ensure!(is_known, "what run {} needs was not found out, or has changed meanwhile: try again", state.run);
        let sandbox = launch::sandbox(&home, &key, args.output.quiet || args.output.json, state.started.strictness)?;
        let hardening = launch::sealed(hardening);
        let components = Components::of_run(&*journal, &sandbox, &state.started.tools)?;
        let widening = launch::widening(&hardening, keeper, unchanging);
        let budget = launch::budget(&state.budget, &args.budget);
        let resumed = RunResumed { budget, hardening, boot: boot::known(), repaired: journal.cut_off() };
        let recorder = Recorder::new(log, state);
        recorder.record(resumed, Durable::Now)?;
        failpoint::hit("run-resumed");
        let (asked, wider) = handed.map(|handed| (handed.asked, handed.wider)).unwrap_or_default();
        let ports = Ports {
            recorder,
            journal,
            sandbox,
            components,
            secrets,
            models,
            person,
            reporter: launch::reporter(&args.output),
            saved_policy: home.policy_file(),
            cancel: CancellationToken::new(),
            asked: Mutex::new(asked),
            widening,
            mounts: Default::default(),
            schemas: Default::default(),
            callers: Default::default(),
            signing,
        };
        if let Some(Wider { tool, host, access }) = wider {
            asking::grant_directory(&ports, &tool, host, access);
        }
        launch::drive(Arc::new(ports), &args.output, args.agent.as_deref(), learning, telemetry).await
    }

    /// Takes the run over, if it can go on here.
    fn take(&self, journal: &dyn Journal) -> anyhow::Result<Held> {
        let run = journal.find_run(self.args.run.as_deref())?;
        let take_over = if self.args.take_over { TakeOver::Always } else { TakeOver::IfDead };
        let (mut state, log) = taking::take(journal, &run, take_over)?;
        defect::misread(&mut state);
        if let Some(stopped) = state.stopped.as_ref().filter(|stopped| !stopped.stop.is_resumable()) {
            bail!("run {run} is {}: there is nothing to go on with\n  hint: `agent-host show {run}`", stopped.stop);
        }
        operator::check_held(&self.home, &state.authorities)?;
        state.carry(sessions::conversation(journal, &state.started.earlier)?);
        Ok((state, log))
    }
}

/// The folder in which runs live: beside the agent file, else in the working directory.
///
/// # Errors
/// Where the agent file is not there.
pub fn runs_folder(agent: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match agent {
        Some(file) => {
            let file = agent::find(file)?;
            file.parent().context("an agent file stands in a folder")?.to_owned()
        }
        None => std::env::current_dir().context("there is no working directory")?,
    };
    Ok(folder.join(RUNS_FOLDER))
}
