//! agent-host runs an AI agent's loop and loads every tool as a WASI component. This file reads the command line, hands over
//! to the verb, and turns what came of it into an exit code.

mod agent;
mod arguments;
mod asking;
mod cli;
mod clock;
mod commands;
mod diagnostics;
mod driver;
mod failpoint;
mod home;
mod input;
mod journal;
mod model;
mod operator;
mod person;
mod report;
mod reporter;
mod saved_policy;
mod settings;
mod tool_build;
mod toolset;
mod trust;
mod wasm_target;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Parser;

use crate::cli::{Cli, Command, JournalCommand, ToolCommand};
use crate::commands::{ls, resolve, resume, run, show, tool_build as build, tool_call, tool_inspect, tool_list, trust as trusting, verify};

const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How long blocking work may keep a finished process: a person's prompt that nobody answers any more must not.
const SHUTDOWN_TIME: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = start(cli);
    ended.unwrap_or_else(|error| {
        say(&error);
        ExitCode::FAILURE
    })
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    diagnostics::start(cli.log.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(dispatch(cli.command));
    runtime.shutdown_timeout(SHUTDOWN_TIME);
    ended
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args).await,
        Command::Resume(args) => resume::resume(args).await,
        Command::Ls(args) => ls::ls(&args),
        Command::Show(args) => show::show(&args),
        Command::Trust(args) => trusting::trust(args).await,
        Command::Tool(ToolCommand::List(args)) => tool_list::list(args).await,
        Command::Tool(ToolCommand::Inspect(args)) => tool_inspect::inspect(args).await,
        Command::Tool(ToolCommand::Call(args)) => tool_call::call(args).await,
        Command::Tool(ToolCommand::Build(args)) => build::build(args).await,
        Command::Journal(JournalCommand::Verify(args)) => verify::verify(&args),
        Command::Journal(JournalCommand::Resolve(args)) => resolve::resolve(&args),
    }
}

/// Prints the error and its causes, each once.
fn say(error: &anyhow::Error) {
    let mut err = anstream::stderr();
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let _ = writeln!(err, "{ERROR}error:{ERROR:#} {}", report::text::neutral_block(&causes.join(": ")));
}
