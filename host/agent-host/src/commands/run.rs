//! `agent-host run`: from a command line to a driven run.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use agent_core::config::problem::ProblemKind;
use agent_core::hardening::Hardening;
use agent_core::metadata::Metadata;
use agent_core::run_events::{ModelChoice, Record, RunStarted};
use agent_core::state::State;
use anyhow::{Context, anyhow, bail, ensure};
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::{launch, scout};
use crate::agent::Agent;
use crate::cli::RunArgs;
use crate::clock;
use crate::components::Components;
use crate::driver::ports::Ports;
use crate::driver::recorder::Recorder;
use crate::hardening::kept::KeeperPipe;
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::folder::prepare_folder;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;
use crate::keyring::Keyring;
use crate::learning::Learning;
use crate::model::{self, Model};
use crate::operator;
use crate::person::Person;
use crate::rules::{self, Misfit, Rules};
use crate::secret_values::SecretValues;
use crate::sessions;
use crate::settings::{self, Settings};
use crate::signing::SigningKey;
use crate::strict;
use crate::toolset::{self, Loaded, Unloaded};
use crate::trace::Telemetry;
use crate::unchanging::Unchanging;

/// The agent file that is taken where none is named.
const AGENT_FILE: &str = "agent.toml";
/// Longest input in bytes: it travels with every model request.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Finds out everything that a run on an input needs: whom it may trust, what its rules are, which tools there are. Its journal is
/// opened behind the walls.
///
/// # Errors
/// Where nothing could be run.
pub async fn prepare(mut args: RunArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    args.agent = args.agent.take().or_else(|| agent_here(&args));
    let mut agent = args.agent.as_deref().map_or_else(Agent::plain, Agent::read)?;
    let input = input(args.input.as_deref())?;
    let person = Person::at_terminal();
    let mut rules = operator::rules(&home, &person, &args.allow, &agent).await?;
    let settings = Settings::join(&args.model, &settings::read(&home.settings_file())?, &agent);
    let choices = choices(&settings).await?;
    let models = model::open_all(&choices).await.map_err(|error| settings.explained(error))?;
    let mut tools = std::mem::take(&mut agent.tools);
    tools.extend(toolset::read_all(&args.tools.paths)?);
    let loaded = Unchanging::default().and_tools(&agent.tool_paths)?.and_tools(&args.tools.paths)?;
    let loaded = loaded.and_agent_file(args.agent.as_deref());
    loaded.guard(&mut rules)?;
    let unchanging = Unchanging::of_operator(&home, args.allow.policy.as_deref())?.and(loaded);
    let key = HostKey::load_or_create(home.root())?;
    // A wall knows no folder that is not there yet.
    prepare_folder(&agent.runs)?;
    let meta = Metadata::of(std::mem::take(&mut args.record.meta))?;
    let signing = launch::signing_key(&home)?;

    let mut reach = launch::reach_of_run(&home, &person, &agent.runs)?;
    reach.rules(&rules, tools.iter().map(|tool| &tool.found));
    if let Some(session) = &args.record.session {
        // Whether somebody still drives its last run.
        scout::needs_of_session(&home, &agent.runs, session).add_holders(&mut reach);
    }
    reach.unchanging = unchanging.clone();
    let learning = args.learn.learn.as_deref().map(|path| Learning::begin(path, &home)).transpose()?;
    let keeper = KeeperPipe::of_environment();
    if let Some(keeper) = &keeper {
        keeper.say_reach(&reach)?;
    }
    let keyring = Keyring::for_tools(&rules, tools.iter().map(|tool| &tool.found), &reach, launch::voice(&args.output));
    let begun = Begun {
        args,
        home,
        key,
        agent,
        input,
        person,
        rules,
        settings,
        choices,
        models,
        tools,
        meta,
        signing,
        keeper,
        learning,
        unchanging,
        keyring,
    };
    Ok(Confined::new(reach, |hardening| begun.run(hardening)))
}

/// The agent file of the working directory, where the command line says nothing of tools. It is a proposal like any other: it
/// counts once it is trusted.
pub(crate) fn agent_here(args: &RunArgs) -> Option<PathBuf> {
    let here = PathBuf::from(AGENT_FILE);
    (args.tools.paths.is_empty() && here.is_file()).then_some(here)
}

/// A run that is ready to begin.
struct Begun {
    args: RunArgs,
    home: Home,
    key: HostKey,
    agent: Agent,
    input: String,
    person: Person,
    rules: Rules,
    settings: Settings,
    choices: Vec<ModelChoice>,
    models: Vec<Box<dyn Model>>,
    tools: Vec<Unloaded>,
    meta: Metadata,
    signing: Option<Arc<SigningKey>>,
    keeper: Option<KeeperPipe>,
    learning: Option<Learning>,
    unchanging: Unchanging,
    keyring: Keyring,
}

impl Begun {
    async fn run(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let Self {
            args,
            home,
            key,
            agent,
            input,
            person,
            rules,
            settings,
            choices,
            models,
            tools,
            meta,
            signing,
            keeper,
            learning,
            unchanging,
            keyring,
        } = self;
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::create_or_open(&agent.runs, &key)?);
        let standing = sessions::standing(&*journal, &args.record)?;
        let telemetry = Telemetry::prepare(&agent.runs, &key);
        let sandbox = launch::sandbox(&home, &key, args.output.quiet || args.output.json, args.strict.strictness())?;
        let hardening = launch::sealed(hardening);
        let loaded = toolset::load_all(&sandbox, tools)?;
        check_names(&rules, &agent, &loaded)?;
        if loaded.is_empty() && agent.file.is_none() {
            launch::reporter(&args.output).note("this run has no tools; `--tools DIR` names some");
        }
        let widening = launch::widening(&hardening, keeper, unchanging);
        let started = RunStarted {
            agent: agent.name.clone(),
            agent_file: agent.file.as_ref().map(|file| file.digest),
            instructions: agent.instructions.clone(),
            input,
            models: choices,
            tools: toolset::lock(&loaded, &rules)?,
            budget: launch::budget(&agent.budget, &args.budget),
            durability: settings.durability,
            strictness: args.strict.strictness(),
            doubt: agent.doubt,
            record: args.kept.map(Record::from).or(agent.record).unwrap_or(Record::Effects),
            hardening,
            session: standing.place.clone(),
            earlier: standing.earlier.clone(),
            meta,
            forked_from: None,
        };
        for component in &loaded {
            let of_it = started.tools.iter().filter(|tool| tool.component == component.component.digest);
            strict::check(started.strictness, component, of_it.map(|tool| &tool.authority))?;
        }
        let secrets = SecretValues::read(started.tools.iter().map(|tool| &tool.authority.grant), &keyring)?;
        let recorder = begin(&*journal, started, &loaded)?;
        if !args.output.quiet && !args.output.json {
            sessions::say_left_out(&standing);
        }
        let ports = Ports {
            recorder,
            journal,
            sandbox,
            components: Components::of(&loaded),
            secrets,
            models,
            person,
            reporter: launch::reporter(&args.output),
            saved_policy: home.policy_file(),
            cancel: CancellationToken::new(),
            asked: Default::default(),
            widening,
            mounts: Default::default(),
            schemas: Default::default(),
            callers: Default::default(),
            signing,
        };
        launch::drive(Arc::new(ports), &args.output, args.agent.as_deref(), learning, telemetry).await
    }
}

/// What the agent is asked: from the command line, else from standard input.
fn input(given: Option<&str>) -> anyhow::Result<String> {
    let text = match given {
        Some(text) => text.to_owned(),
        None if std::io::stdin().is_terminal() => {
            bail!("no input: what should the agent do?\n  hint: `agent-host run … \"your question\"`, or pipe it in")
        }
        None => {
            let mut text = String::new();
            let read = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
            read.context("cannot read the input from standard input")?;
            text
        }
    };
    ensure!(text.len() as u64 <= INPUT_BYTES_MAX, "the input is longer than {INPUT_BYTES_MAX} bytes");
    ensure!(!text.trim().is_empty(), "the input is empty\n  hint: `agent-host run … \"your question\"`, or pipe it in");
    Ok(text)
}

/// The models with everything that a resume needs to open them again.
async fn choices(settings: &Settings) -> anyhow::Result<Vec<ModelChoice>> {
    if settings.models.is_empty() {
        bail!(model::none_chosen().await);
    }
    let choice = |model: &ModelChoice| Ok(ModelChoice { name: absolute_script(&model.name)?, ..model.clone() });
    settings.models.iter().map(choice).collect()
}

/// A script is found again from any working directory.
///
/// # Errors
/// Where it is not there.
pub fn absolute_script(name: &str) -> anyhow::Result<String> {
    let Some(script) = name.strip_prefix("scripted:") else { return Ok(name.to_owned()) };
    let path = Path::new(script).canonicalize().map_err(|error| {
        let hint =
            "`scripted:FILE` names a file of replies, from this folder on; docs/models.md says what stands in it";
        anyhow!("cannot find script `{script}`: {error}\n  hint: {hint}")
    })?;
    Ok(format!("scripted:{}", path.display()))
}

/// The rules of an agent file and of this command must each be for a tool that is there: one for a misspelt tool would silently
/// do nothing.
///
/// # Errors
/// Where one is not.
pub fn check_names(rules: &Rules, agent: &Agent, loaded: &[Loaded]) -> anyhow::Result<()> {
    let known = rules::known(loaded);
    agent.proposal.check_selectors(ProblemKind::AgentFileInvalid, "agent", &known)?;
    rules.check_names(&known, loaded, Misfit::Refused)
}

/// Records the start of the run, with the bytes of every component that it is locked to.
fn begin(journal: &dyn Journal, started: RunStarted, loaded: &[Loaded]) -> anyhow::Result<Recorder> {
    for component in loaded {
        journal.put_blob(&component.bytes)?;
    }
    let (log, first) = journal.start_run(clock::new_run()?, clock::now(), started)?;
    let mut state = State::begin(&first)?;
    state.carry(sessions::conversation(journal, &state.started.earlier)?);
    Ok(Recorder::new(log, state))
}
