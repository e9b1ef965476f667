//! `agent-host journal resolve`: a person says what became of a call in doubt.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::event::{DoubtResolved, Resolution};
use agent_core::name::CallNumber;
use agent_core::pending::CallStatus;
use agent_core::state::State;
use anyhow::{Context, bail};

use crate::clock;
use crate::commands::resume::runs_folder;
use crate::hardening::reach::Reach;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::input;
use crate::journal::Journal as _;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::sqlite::SqliteJournal;

/// Longest answer in bytes that a person may give in a tool's place.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// `agent-host journal resolve`.
#[derive(Debug, clap::Args)]
pub struct ResolveArgs {
    /// The run: any unique beginning of its identifier.
    run: String,
    /// The call's number, as `agent-host show` gives it.
    call: u32,
    #[command(flatten)]
    resolution: ResolutionArgs,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ResolutionArgs {
    /// It happened; the model is told the text of this file as the call's result.
    #[arg(long, value_name = "FILE")]
    happened: Option<PathBuf>,
    /// It did not happen; the model is told so.
    #[arg(long)]
    did_not: bool,
    /// Make the call again, though its effect may then happen twice.
    #[arg(long)]
    retry: bool,
}

/// Records the person's word.
///
/// # Errors
/// Where the run or call is not there or not in doubt.
pub fn resolve(args: &ResolveArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let resolution = resolution(&args.resolution)?;
    let runs = runs_folder(args.agent.as_deref())?;
    let _ = hardening::put_up(Files::Within(&Reach::of_journal(&runs)));
    let _ = hardening::close_memory();
    let journal = SqliteJournal::open_existing(&runs, &key)?;
    let run = journal.find_run(Some(&args.run))?;
    let (events, log) = journal.resume_run(&run, TakeOver::IfDead)?;
    let mut state = State::fold(&events)?.with_context(|| format!("run {run} has no events"))?;
    let call = CallNumber(args.call);
    if !matches!(state.call(call).map(|pending| &pending.status), Some(CallStatus::InDoubt { .. })) {
        bail!("call {call} of run {run} is not in doubt\n  hint: `agent-host show {run}` lists its calls");
    }
    let recorded = log.append(clock::now(), DoubtResolved { call, resolution }.into(), Durable::Now)?;
    state.apply(&recorded)?;
    writeln!(anstream::stdout(), "recorded; go on with `agent-host resume {run}`")?;
    Ok(ExitCode::SUCCESS)
}

fn resolution(args: &ResolutionArgs) -> anyhow::Result<Resolution> {
    match &args.happened {
        Some(file) => {
            let text = input::read_text(file, ANSWER_BYTES_MAX)
                .with_context(|| format!("cannot read `{}`", file.display()))?;
            Ok(Resolution::Happened(text))
        }
        None if args.retry => Ok(Resolution::Retry),
        None => Ok(Resolution::DidNotHappen),
    }
}
