//! The command line: what can be typed, and its help. Meaning is given to it in `commands`.

mod choices;
mod tool;

use std::ffi::OsStr;
use std::path::PathBuf;

use agent_core::run_events::Strictness;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Id, Parser, Subcommand};

use crate::commands::{
    approve, changes, crashtest, doctor, export, fork, gc, import, init, ls, mcp, rebase, replay, resolve, rm, show,
    trace, verify,
};
use crate::compiler::worker::WorkerArgs;
use crate::hardening::probe::ProbeArgs;
use crate::learning;
use crate::sessions::RecordArgs;

pub use choices::{DurabilityArg, RecordArg, ToolModeArg};
pub use tool::{ToolBuildArgs, ToolCallArgs, ToolCommand, ToolInspectArgs, ToolListArgs};

/// Runs an AI agent's loop and loads every tool as a WASI component: each call confined to what was granted, metered,
/// recorded, and recoverable after a crash.
#[derive(Debug, Parser)]
#[command(
    name = "agent-host",
    bin_name = "agent-host",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Write diagnostics to stderr, for instance `info` or `agent_host=debug`. Off by default; the journal is the record.
    #[arg(long, global = true, env = "AGENT_HOST_LOG", value_name = "FILTER", hide_env_values = true)]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an agent file, a prompt and a first tool that work at once.
    Init(init::InitArgs),
    /// Run an agent on an input and print its answer.
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Go on with a run that was interrupted or suspended.
    Resume(ResumeArgs),
    /// Approve what a run waits for, or list what it waits for.
    Approve(approve::ApproveArgs),
    /// Deny what a run waits for; the model is told.
    Deny(approve::DenyArgs),
    /// List the runs of a folder.
    Ls(OfRuns<ls::LsArgs>),
    /// Show what happened in a run.
    Show(OfRuns<show::ShowArgs>),
    /// Show the files that a run changed, or undo that.
    #[command(after_help = changes::HELP)]
    Changes(changes::ChangesArgs),
    /// Show a run over time, or send its trace to a collector.
    #[command(after_help = TRACE_HELP)]
    Trace(OfRuns<trace::TraceArgs>),
    /// Look at what an agent file would be granted, and accept it.
    Trust(TrustArgs),
    /// Say what works on this machine, what does not, and what to do about it.
    #[command(after_help = DOCTOR_HELP)]
    Doctor(doctor::DoctorArgs),
    /// Serve tools to other programs, by the Model Context Protocol.
    #[command(after_help = mcp::HELP)]
    Mcp(mcp::McpArgs),
    /// Begin a tool, build it, try it, look at it, call it.
    #[command(subcommand)]
    Tool(ToolCommand),
    /// Check journals and settle what only a person can.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Kill an agent's host at up to 200 steps of a run, resume it each time, and show what became of it.
    #[command(after_help = CRASHTEST_HELP)]
    Crashtest(crashtest::CrashtestArgs),
    /// Compile one component: what this program starts as a process of its own.
    #[command(hide = true)]
    CompileWorker(WorkerArgs),
    /// Ask whether a directory answers: what this program starts as a process of its own.
    #[command(hide = true)]
    ProbeDirectory(ProbeArgs),
    /// Say what a run reaches: what this program starts as a process of its own.
    #[command(hide = true)]
    ScoutRun(crate::commands::scout::ScoutArgs),
    /// Start a program behind the walls of a run.
    #[cfg(feature = "failpoints")]
    #[command(hide = true)]
    InWalls(crate::commands::in_walls::InWallsArgs),
    /// Record a run of many events.
    #[cfg(feature = "failpoints")]
    #[command(hide = true)]
    LongRun(crate::commands::long_run::LongRunArgs),
}

const RUN_HELP: &str = "\
Examples:
  agent-host run --agent agent.toml \"Which month was the wettest?\"
  agent-host run --tools ./tools --allow-read . --model openai:gpt-5 \"What is in this folder?\"
  agent-host run --tools ./tools --model scripted:replies.toml \"no key, no network\"

Exit codes:
  0 completed, 1 error, 2 wrong command line, 10 to 17 stopped at a limit or a failure,
  20 and 22 suspended for a person, 23 suspended because the journal cannot be written, 130 cancelled";

const TRACE_HELP: &str = "\
Traces are sent while a run goes on where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; docs/telemetry.md has the
other variables. `--export` sends what is missing there.";

const DOCTOR_HELP: &str = "\
Exit codes:
  0 the host works, though something may be missing; 1 something is broken";

const CRASHTEST_HELP: &str = "\
Works in a copy of the agent's folder, so your files stay as they are. Requests to the network are really made, each time.

Exit codes:
  0 every promise held, 1 one was broken or nothing could be tried, 2 wrong command line";

const REPLAY_HELP: &str = "\
Exit codes:
  0 every call did the same with the same fuel, 1 one did not or could not be made again, 2 wrong command line";

/// `agent-host run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What the agent is asked. Read from standard input if it is not given here.
    pub input: Option<String>,
    /// An agent file [default: agent.toml, where there is one and no tools are named].
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    #[command(flatten)]
    pub tools: ToolsArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub allow: AllowArgs,
    #[command(flatten)]
    pub strict: StrictArg,
    #[command(flatten)]
    pub learn: LearnArgs,
    /// Keep all that each call was told (`full`), for `journal replay`, or only what a resume needs.
    #[arg(long = "record", value_enum, value_name = "WHAT", help_heading = "Record")]
    pub kept: Option<RecordArg>,
    #[command(flatten)]
    pub record: RecordArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Learning a policy from a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Grants")]
pub struct LearnArgs {
    /// At the end, write the smallest policy that the run needed, for review [default file: learned-policy.toml].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = learning::STANDARD_FILE)]
    pub learn: Option<PathBuf>,
}

/// Arguments of a verb that looks at runs.
#[derive(Debug, Args)]
pub struct OfRuns<T: Args> {
    #[command(flatten)]
    pub args: T,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
}

/// Where tools come from.
#[derive(Debug, Args)]
pub struct ToolsArgs {
    /// A component, a tool's folder, or a folder of either. May be given several times.
    #[arg(long = "tools", value_name = "DIR")]
    pub paths: Vec<PathBuf>,
}

/// Where the tools of a verb are that is nothing without any.
#[derive(Debug, Args)]
pub struct ToolsHereArgs {
    /// A component, a tool's folder, or a folder of either. May be given several times.
    #[arg(long = "tools", value_name = "DIR", default_value = "tools")]
    pub paths: Vec<PathBuf>,
}

/// Which model is asked, and how.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// The model: PROVIDER:NAME, for instance `anthropic:…`, `openai:…`, `ollama:…`, or `scripted:FILE`.
    #[arg(long, env = "AGENT_HOST_MODEL", value_name = "MODEL")]
    pub model: Option<String>,
    /// The model's server, where it is not the provider's own.
    #[arg(long, env = "AGENT_HOST_BASE_URL", value_name = "URL")]
    pub base_url: Option<String>,
    /// How tool calls are asked for: `json` suits models without native tool calls.
    #[arg(long, env = "AGENT_HOST_TOOL_MODE", value_enum, value_name = "MODE")]
    pub tool_mode: Option<ToolModeArg>,
    /// What the journal survives.
    #[arg(long, env = "AGENT_HOST_DURABILITY", value_enum, value_name = "LEVEL")]
    pub durability: Option<DurabilityArg>,
    /// Which of these were typed; the others come from variables.
    #[arg(skip)]
    pub typed: Vec<Id>,
}

impl ModelArgs {
    /// Whether the option of this field was typed.
    #[must_use]
    pub fn is_typed(&self, field: &str) -> bool {
        self.typed.iter().any(|id| id == field)
    }
}

/// What the operator grants in this command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Grants")]
pub struct AllowArgs {
    /// Let tools read a directory, which they see as `/data`. Most tools take one.
    #[arg(long, value_name = "DIR")]
    pub allow_read: Vec<String>,
    /// Let tools read and change a directory, which they see as `/data`.
    #[arg(long, value_name = "DIR")]
    pub allow_write: Vec<String>,
    /// Let tools reach a host by HTTPS, or a URL such as `http://127.0.0.1:8080`.
    #[arg(long, value_name = "HOST")]
    pub allow_net: Vec<String>,
    /// Let tools see an environment variable.
    #[arg(long, value_name = "NAME")]
    pub allow_env: Vec<String>,
    /// Let the host add a secret to requests of tools that declare it. SOURCE is `env:NAME`, `file:PATH` for a file of mode 0600,
    /// or `keyring:SERVICE/ACCOUNT` of the desktop; without it, the environment variable of that name.
    #[arg(long, value_name = "NAME[=SOURCE]")]
    pub secret: Vec<String>,
    /// Let a tool keep things from call to call, in stores of its own beside the runs.
    #[arg(long, value_name = "TOOL")]
    pub allow_kv: Vec<String>,
    /// More rules: a policy file, beside the one in the user's state folder.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// Whether speed is given up for a smaller surface.
#[derive(Debug, Args)]
#[command(next_help_heading = "Grants")]
pub struct StrictArg {
    /// Refuse tools that import files, HTTP, sockets or stores without a grant; keep nothing in memory between calls; make clocks coarse.
    #[arg(long)]
    pub strict: bool,
}

impl StrictArg {
    /// As it is recorded.
    #[must_use]
    pub fn strictness(&self) -> Strictness {
        if self.strict { Strictness::Strict } else { Strictness::Standard }
    }
}

/// What the run may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Budget")]
pub struct BudgetArgs {
    /// Model replies at most, of the whole run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_turns: Option<u32>,
    /// Tool calls at most.
    #[arg(long, value_name = "N")]
    pub max_tool_calls: Option<u32>,
    /// Model tokens at most, in and out.
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,
    /// Active time at most, for instance `10m`.
    #[arg(long, value_name = "TIME", value_parser = parse_quantity::<agent_core::units::Millis>)]
    pub max_time: Option<agent_core::units::Millis>,
    /// Guest instructions at most, all calls together, for instance `5T`.
    #[arg(long, value_name = "FUEL", value_parser = parse_quantity::<agent_core::units::Fuel>)]
    pub max_fuel: Option<agent_core::units::Fuel>,
}

/// How results are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print one JSON object for programs instead of the answer.
    #[arg(long)]
    pub json: bool,
    /// Say nothing on the way.
    #[arg(long, short)]
    pub quiet: bool,
}

/// `agent-host resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run: any unique beginning of its identifier [default: the latest].
    pub run: Option<String>,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Take the run over from a host that is alive but stopped. That host can then write no more.
    #[arg(long)]
    pub take_over: bool,
    #[command(flatten)]
    pub learn: LearnArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `agent-host trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The agent file, or a tool's folder whose build command is to be trusted.
    pub file: PathBuf,
    /// Accept without being asked.
    #[arg(long)]
    pub yes: bool,
}

/// `agent-host journal …`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Check a run's hash chain and marks of authority.
    Verify(OfRuns<verify::VerifyArgs>),
    /// Make the calls of a run again, without touching anything, and compare.
    #[command(after_help = REPLAY_HELP)]
    Replay(OfRuns<replay::ReplayArgs>),
    /// Say what became of a call in doubt.
    Resolve(resolve::ResolveArgs),
    /// Begin a new run with the first events of another one.
    Fork(OfRuns<fork::ForkArgs>),
    /// Move what a run is locked to: agent file, tools, model.
    Rebase(rebase::RebaseArgs),
    /// Write a run as one file that needs nothing else.
    Export(export::ExportArgs),
    /// Bring an exported run in, to look at or, with `--trust`, to go on with.
    Import(import::ImportArgs),
    /// Remove a run for good. Its tombstone stays.
    Rm(rm::RmArgs),
    /// Remove what no run refers to any more, and give the space back.
    Gc(gc::GcArgs),
}

/// What was typed, with the variables. Ends the process where it makes no command.
#[must_use]
pub fn parse() -> Cli {
    let matches = command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let (Command::Run(args), Some((_, given))) = (&mut cli.command, matches.subcommand()) {
        let is_typed = |id: &&Id| given.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        args.model.typed = given.ids().filter(is_typed).cloned().collect();
    }
    cli
}

/// The command line with its variables. One that is set to nothing is not set.
fn command() -> clap::Command {
    unset_empty(Cli::command())
}

fn unset_empty(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(None::<&'static str>),
        Some(_) | None => arg,
    });
    command.mut_subcommands(unset_empty)
}

fn parse_quantity<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
