//! `agent-host journal rebase`: moves what a run is locked to, on purpose. A resume uses what the run began with, whatever became
//! of the files since; this is how a corrected prompt or a rebuilt tool gets into a run that goes on.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::hardening::Hardening;
use agent_core::run_events::{ModelChoice, RunRebased};
use agent_core::settled::{OpenWork, open_work};
use agent_core::state::State;
use anyhow::{bail, ensure};

use super::confined::Confined;
use super::{launch, run as running, scout, taking};
use crate::agent::Agent;
use crate::cli::{AllowArgs, ToolsArgs};
use crate::clock;
use crate::home::Home;
use crate::journal::Journal as _;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Durable, RunLog};
use crate::journal::sqlite::SqliteJournal;
use crate::operator;
use crate::person::{Person, Question};
use crate::report::difference;
use crate::rules::Rules;
use crate::strict;
use crate::toolset::{self, Unloaded};
use crate::unchanging::Unchanging;

/// `agent-host journal rebase`.
#[derive(Debug, clap::Args)]
pub struct RebaseArgs {
    /// The run: any unique beginning of its identifier [default: the latest].
    pub run: Option<String>,
    /// The agent file as it is now: its instructions, models, tools and grants. The run is one of those beside it.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    #[command(flatten)]
    pub tools: ToolsArgs,
    /// The model from now on.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub allow: AllowArgs,
    /// Move it without being asked.
    #[arg(long)]
    pub yes: bool,
}

/// Finds out what the run could be locked to. Its journal is opened behind the walls.
///
/// # Errors
/// Where nothing is said to move to, or that cannot be.
pub async fn prepare(args: RebaseArgs) -> anyhow::Result<Confined> {
    ensure!(
        args.agent.is_some() || args.model.is_some() || !args.tools.paths.is_empty(),
        "to what should the run be moved?\n  hint: name `--agent FILE`, `--tools DIR` or `--model MODEL`"
    );
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let mut agent = args.agent.as_deref().map_or_else(Agent::plain, Agent::read)?;
    let person = Person::at_terminal();
    let mut rules = operator::rules(&home, &person, &args.allow, &agent).await?;
    let mut tools = std::mem::take(&mut agent.tools);
    tools.extend(toolset::read_all(&args.tools.paths)?);
    let loaded = Unchanging::default().and_tools(&agent.tool_paths)?.and_tools(&args.tools.paths)?;
    let loaded = loaded.and_agent_file(args.agent.as_deref());
    loaded.guard(&mut rules)?;
    let mut reach = launch::reach_of_run(&home, &person, &agent.runs)?;
    scout::needs(&home, &agent.runs, args.run.as_deref()).add_holders(&mut reach);
    Ok(Confined::new(reach, move |hardening| async move {
        let journal = SqliteJournal::open_existing(&agent.runs, &key)?;
        let run = journal.find_run(args.run.as_deref())?;
        let (state, log) = taking::take(&journal, &run, TakeOver::IfDead)?;
        check_settled(&state)?;
        let rebase = Rebase { args, home, key, agent, journal, log, state, person, rules, tools };
        rebase.act(hardening).await
    }))
}

/// What a call has begun belongs to the component that began it.
fn check_settled(state: &State) -> anyhow::Result<()> {
    let run = &state.run;
    if state.stopped.as_ref().is_some_and(|stopped| !stopped.stop.is_resumable()) {
        bail!("run {run} is complete: there is nothing to go on with\n  hint: `agent-host show {run}`");
    }
    match open_work(state) {
        None => Ok(()),
        Some(open @ OpenWork::Call(_)) => bail!(
            "run {run} cannot be moved now: {open}\n  hint: `agent-host resume {run}` brings it to an end first; a call in \
             doubt is settled by `agent-host journal resolve`"
        ),
        Some(OpenWork::Complete) => {
            bail!("run {run} has its answer already\n  hint: `agent-host resume {run}` ends it")
        }
    }
}

struct Rebase {
    args: RebaseArgs,
    home: Home,
    key: HostKey,
    agent: Agent,
    journal: SqliteJournal,
    log: Box<dyn RunLog>,
    state: State,
    person: Person,
    rules: Rules,
    tools: Vec<Unloaded>,
}

impl Rebase {
    async fn act(mut self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let sandbox = launch::sandbox(&self.home, &self.key, false, self.state.started.strictness)?;
        launch::sealed(hardening);
        let loaded = toolset::load_all(&sandbox, std::mem::take(&mut self.tools))?;
        let has_tools = self.args.agent.is_some() || !loaded.is_empty();
        if has_tools {
            running::check_names(&self.rules, &self.agent, &loaded)?;
        }
        let tools = if has_tools { toolset::lock(&loaded, &self.rules)? } else { self.state.started.tools.clone() };
        for component in &loaded {
            let of_it = tools.iter().filter(|tool| tool.component == component.component.digest);
            strict::check(self.state.started.strictness, component, of_it.map(|tool| &tool.authority))?;
        }
        let rebased = self.rebased(tools)?;
        let difference = difference::lines(&self.state.started, &self.state.authorities, &rebased);
        let run = self.state.run.clone();
        if difference.is_empty() {
            writeln!(anstream::stdout(), "run {run} is locked to exactly this already: nothing was changed")?;
            return Ok(ExitCode::SUCCESS);
        }
        self.confirm(difference).await?;
        for component in &loaded {
            self.journal.put_blob(&component.bytes)?;
        }
        let rebased = rebased.into();
        self.state.check(&rebased)?;
        let recorded = self.log.append(clock::now(), rebased, Durable::Now)?;
        self.state.apply(&recorded)?;
        writeln!(anstream::stdout(), "recorded; go on with `agent-host resume {run}`")?;
        Ok(ExitCode::SUCCESS)
    }

    fn rebased(&self, tools: Vec<agent_core::run_events::LockedTool>) -> anyhow::Result<RunRebased> {
        let (before, agent) = (&self.state.started, &self.agent);
        let models = self.models()?;
        Ok(match &agent.file {
            Some(file) => RunRebased {
                agent: agent.name.clone(),
                agent_file: Some(file.digest),
                instructions: agent.instructions.clone(),
                models,
                tools,
            },
            None => RunRebased {
                agent: before.agent.clone(),
                agent_file: before.agent_file,
                instructions: before.instructions.clone(),
                models,
                tools,
            },
        })
    }

    /// A model that the run has already is asked as it was.
    fn models(&self) -> anyhow::Result<Vec<ModelChoice>> {
        let before = &self.state.started.models;
        let wanted = match &self.args.model {
            Some(model) => vec![model.clone()],
            None => self.agent.models.clone(),
        };
        if wanted.is_empty() {
            return Ok(before.clone());
        }
        let choice = |name: &String| {
            let name = running::absolute_script(name)?;
            let known = before.iter().find(|known| known.name == name).cloned();
            let tool_mode = self.agent.tool_mode.or(before.first().map(|first| first.tool_mode));
            let tool_mode = tool_mode.unwrap_or(agent_core::run_events::ToolMode::Native);
            Ok(known.unwrap_or(ModelChoice { name, base_url: None, tool_mode }))
        };
        wanted.iter().map(choice).collect()
    }

    async fn confirm(&self, difference: Vec<String>) -> anyhow::Result<()> {
        let title = format!("move run {} to this?", self.state.run);
        if self.args.yes {
            for line in difference {
                writeln!(anstream::stderr(), "    {}", crate::report::text::whole(&line))?;
            }
            return Ok(());
        }
        let details = difference.clone();
        match self
            .person
            .ask(Question {
                title,
                details,
                who: format!("run {}", self.state.run),
                answers: &[('y', "yes"), ('n', "no")],
            })
            .await
        {
            Some('y') => Ok(()),
            Some(_) => bail!("nothing was changed"),
            None => {
                let lines: Vec<_> = difference.iter().map(|line| format!("\n    {line}")).collect();
                bail!(
                    "nobody is there to be asked; it would change:{}\n  hint: `--yes` accepts what is listed",
                    lines.concat()
                )
            }
        }
    }
}
