//! agent-host runs an AI agent's loop and loads every tool as a WASI component. This file reads the command line, hands over
//! to the verb, and turns what came of it into an exit code.

mod adoption;
mod agent;
mod arguments;
mod aside;
mod asking;
mod authoring;
mod boot;
mod bounded_lock;
mod cli;
mod clock;
mod commands;
mod compiler;
mod components;
mod crash_order;
mod defect;
mod diagnostics;
mod driver;
mod exact_json;
mod failpoint;
mod file_diff;
mod hardening;
mod home;
mod input;
mod journal;
mod keyring;
mod learning;
mod mcp;
mod missing_defences;
mod model;
mod named;
mod needs;
mod operator;
mod own_schema;
mod person;
mod process_limits;
mod proposal;
mod real_path;
mod recorded_calls;
mod report;
mod reporter;
mod results;
mod rules;
mod saved_policy;
mod schema_guard;
mod secret_values;
mod sessions;
mod settings;
mod signals;
mod signing;
mod stores;
mod strict;
mod tool_build;
mod tool_folders;
mod tool_identity;
mod tool_places;
mod tool_words;
mod toolset;
mod trace;
mod trust;
mod unchanging;
mod wasm_target;
mod wit_docs;
mod wit_files;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, JournalCommand, OfRuns, ToolCommand};
use crate::commands::confined::Confined;
use crate::commands::{
    approve, changes, crashtest, doctor, export, fork, gc, import, init, ls, mcp as serving, opened, rebase, replay,
    resolve, resume, rm, run, scout, show, tool_adapt, tool_build as build, tool_call, tool_check, tool_inspect,
    tool_list, tool_new, tool_pack, tool_test, trace as tracer, trust as trusting, verify,
};
use crate::hardening::{Files, keeper, kept, probe};
use crate::journal::sqlite::SqliteJournal;

const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How long blocking work may keep a finished process: a person's prompt that nobody answers any more must not.
const SHUTDOWN_TIME: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let cli = cli::parse();
    if let Command::CompileWorker(args) = &cli.command {
        return compiler::worker::run(args);
    }
    if let Command::ProbeDirectory(args) = &cli.command {
        return probe::run(args);
    }
    if let Command::ScoutRun(args) = &cli.command {
        return scout::run(args);
    }
    let ended = start(cli);
    ended.unwrap_or_else(|error| {
        say(&error);
        ExitCode::FAILURE
    })
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    process_limits::set();
    let _ = boot::number();
    failpoint::begin();
    if let Some(ended) = keeper::keep(&cli)? {
        return Ok(ended);
    }
    kept::end_with_keeper()?;
    diagnostics::start(cli.log.as_deref())?;
    match cli.command {
        Command::Run(args) => behind_walls(run::prepare(args)),
        Command::Resume(args) => behind_walls(resume::prepare(args)),
        Command::Approve(args) => approve::approve(&args),
        Command::Deny(args) => approve::deny(&args),
        Command::Ls(of) => look(&of, |args, journal, out| ls::run(args, journal, &zone(), out)),
        Command::Changes(args) => unless_seen_enough(behind_walls(changes::prepare(args))),
        Command::Show(of) => look(&of, |args, journal, out| show::run(args, journal, &zone(), out)),
        Command::Trace(of) if of.args.export => tracer::export(&of),
        Command::Trace(of) => look(&of, |args, journal, out| tracer::run(args, journal, out)),
        // Reads whatever agent file it is asked about, and runs nothing.
        Command::Trust(args) => {
            let _ = hardening::put_up(Files::Anywhere);
            drive(trusting::trust(args))
        }
        Command::Init(args) => drive(init::init(args)),
        Command::Mcp(args) => behind_walls(serving::prepare(args)),
        #[cfg(feature = "failpoints")]
        Command::InWalls(args) => commands::in_walls::in_walls(&args),
        #[cfg(feature = "failpoints")]
        Command::LongRun(args) => commands::long_run::long_run(&args),
        // Looks at everything, and at the journal last: behind the walls, since it may be a stranger's.
        Command::Doctor(args) => unless_seen_enough(behind_walls(async { Ok(doctor::prepare(args).await) })),
        // Runs no guest itself: its children do, each behind its own walls.
        Command::Crashtest(args) => drive(crashtest::crashtest(args)),
        Command::Tool(ToolCommand::List(args)) => unless_seen_enough(behind_walls(tool_list::prepare(args))),
        Command::Tool(ToolCommand::Inspect(args)) => unless_seen_enough(behind_walls(tool_inspect::prepare(args))),
        Command::Tool(ToolCommand::Call(args)) => behind_walls(tool_call::prepare(args)),
        Command::Tool(ToolCommand::New(args)) => drive(tool_new::new(args)),
        Command::Tool(ToolCommand::Test(args)) => behind_walls(tool_test::prepare(args)),
        Command::Tool(ToolCommand::Check(args)) => unless_seen_enough(behind_walls(tool_check::prepare(args))),
        // Runs compilers, which do what compilers do: no wall, and none that they would inherit.
        Command::Tool(ToolCommand::Build(args)) => drive(build::build(args)),
        Command::Tool(ToolCommand::Adapt(args)) => behind_walls(tool_adapt::prepare(args)),
        // Reads whatever folder it is asked about.
        Command::Tool(ToolCommand::Pack(args)) => {
            let _ = hardening::put_up(Files::Anywhere);
            tool_pack::pack(&args)
        }
        Command::Journal(command) => journal(command),
        Command::CompileWorker(_) | Command::ProbeDirectory(_) | Command::ScoutRun(_) => {
            unreachable!("such a process is done before there is a runtime")
        }
    }
}

fn journal(command: JournalCommand) -> anyhow::Result<ExitCode> {
    match command {
        JournalCommand::Verify(OfRuns { args, .. }) if args.file.is_some() => {
            unless_seen_enough(verify::file(args.file.as_deref().unwrap_or(Path::new("")), &args))
        }
        JournalCommand::Verify(of) => look(&of, verify::run),
        JournalCommand::Resolve(args) => resolve::resolve(&args),
        JournalCommand::Fork(of) => look(&of, |args, journal, out| fork::run(args, journal, out)),
        JournalCommand::Rebase(args) => behind_walls(rebase::prepare(args)),
        JournalCommand::Export(args) => export::export(&args),
        JournalCommand::Import(args) => import::import(&args),
        JournalCommand::Rm(args) => rm::rm(&args),
        JournalCommand::Replay(of) => behind_walls(replay::prepare(of)),
        JournalCommand::Gc(args) => gc::gc(&args),
    }
}

/// Does both halves of a verb that loads tools, the walls in between. The first half has its own runtime without workers,
/// which is gone by then: the file wall holds only for threads that begin after it.
fn behind_walls(prepare: impl Future<Output = anyhow::Result<Confined>>) -> anyhow::Result<ExitCode> {
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let prepared = first.block_on(prepare);
    first.shutdown_timeout(SHUTDOWN_TIME);
    let Confined { reach, act } = prepared?;
    let hardening = hardening::put_up(Files::Within(&reach));
    drive(act(hardening))
}

fn drive(verb: impl Future<Output = anyhow::Result<ExitCode>> + Send + 'static) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(on_a_worker(&runtime, verb));
    runtime.shutdown_timeout(SHUTDOWN_TIME);
    ended
}

/// Drives `verb` by a thread of the pool. By the main thread, each tool call would change threads twice more.
async fn on_a_worker<T: Send + 'static>(runtime: &Runtime, verb: impl Future<Output = T> + Send + 'static) -> T {
    match runtime.spawn(verb).await {
        Ok(ended) => ended,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("nobody cancels it: {error}"),
        },
    }
}

/// Has `verb` look at the journal and write to standard output.
fn look<T: clap::Args>(
    of: &OfRuns<T>,
    verb: impl FnOnce(&T, &SqliteJournal, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let journal = opened::journal(of.agent.as_deref())?;
    unless_seen_enough(verb(&of.args, &journal, &mut anstream::stdout().lock()).map(|()| ExitCode::SUCCESS))
}

/// Whoever reads a listing may have seen enough: `agent-host show | head`.
fn unless_seen_enough(looked: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match looked {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        looked => looked,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn zone() -> TimeZone {
    TimeZone::system()
}

/// Prints the error and its causes, each once.
fn say(error: &anyhow::Error) {
    let mut err = anstream::stderr();
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let name = named::of(error).map(|name| format!("[{name}]")).unwrap_or_default();
    let _ = writeln!(err, "{ERROR}error{name}:{ERROR:#} {}", report::text::lines(&causes.join(": ")));
}
