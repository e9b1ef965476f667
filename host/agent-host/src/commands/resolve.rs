//! `agent-host journal resolve`: a person says what became of a call in doubt.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::answer_events::{AnswerPlace, DoubtResolved, Resolution, ResolvedBy, RetryFrom};
use agent_core::name::{CallNumber, RunId};
use agent_core::pending::CallStatus;
use agent_core::state::State;
use anyhow::{Context, bail};

use crate::clock;
use crate::commands::{apart, approve, opened, taking};
use crate::input;
use crate::journal::Journal as _;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::person::{self, Question};
use crate::report::text;
use crate::report::waiting::{self, Waiting, Wants};

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
    /// Go on with the run at once.
    #[arg(long)]
    resume: bool,
    /// Who started this goes on with the run.
    #[arg(long, hide = true, conflicts_with = "resume")]
    goes_on: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct ResolutionArgs {
    /// It happened; the model is told the text of this file as the call's result.
    #[arg(long, value_name = "FILE")]
    happened: Option<PathBuf>,
    /// It did not happen; the model is told so.
    #[arg(long)]
    did_not: bool,
    /// Make the call again, though what is in doubt may then happen twice. It goes on from there, along what it was told
    /// before; where it cannot, it begins anew.
    #[arg(long)]
    retry: bool,
}

/// Shows what is in doubt, and records the person's word: what the command line says, else what the person at the terminal
/// does.
///
/// # Errors
/// Where the run or call is not there or not in doubt, or nobody says anything.
pub fn resolve(args: &ResolveArgs) -> anyhow::Result<ExitCode> {
    if args.resume {
        return apart::record_and_resume(Some(&args.run), args.agent.as_deref());
    }
    let given = given(&args.resolution)?;
    let journal = opened::journal(args.agent.as_deref())?;
    let run = journal.find_run(Some(&args.run))?;
    let (mut state, log) = taking::take(&journal, &run, TakeOver::IfDead)?;
    let call = CallNumber(args.call);
    show(&state, call)?;
    let resolution = match given {
        Some(resolution) => resolution,
        None => ask(&run, call)?,
    };
    let by = ResolvedBy::Person(person::answered(AnswerPlace::Command));
    let resolved = DoubtResolved { call, resolution, by }.into();
    state.check(&resolved)?;
    let recorded = log.append(clock::now(), resolved, Durable::Now)?;
    state.apply(&recorded)?;
    drop(log);
    if !args.goes_on {
        let named = approve::named(&run, args.agent.as_deref());
        writeln!(anstream::stdout(), "recorded; go on with `agent-host resume {named}`")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what is not known of the call.
fn show(state: &State, number: CallNumber) -> anyhow::Result<()> {
    let run = &state.run;
    let waiting = waiting::of_run(state).into_iter().find(|waiting| waiting.call == number);
    let Some(Waiting { tool, wants: Wants::Word { request, reason }, .. }) = waiting else {
        bail!("call {number} of run {run} is not in doubt\n  hint: `agent-host show {run}` lists its calls");
    };
    let mut err = anstream::stderr();
    writeln!(err, "call {number} `{tool}` may or may not have done this: {}", text::whole(&request.to_string()))?;
    writeln!(err, "    {}", text::whole(&reason))?;
    let call = state.call(number).context("the call is not pending")?;
    for line in waiting::call_lines(call) {
        writeln!(err, "    {}", text::whole(&line))?;
    }
    if matches!(call.status, CallStatus::InDoubt { retry: RetryFrom::Start, .. }) {
        writeln!(err, "    made again, it begins anew: all that it sent is sent once more")?;
    }
    Ok(())
}

/// What the person at the terminal says.
fn ask(run: &RunId, call: CallNumber) -> anyhow::Result<Resolution> {
    let question = Question {
        title: "what happened?".to_owned(),
        details: vec!["where it happened, `--happened FILE` says so, and what the model is to be told".to_owned()],
        who: format!("call {call}"),
        answers: &[
            ('d', "it did not happen"),
            ('r', "do it again, though it may then happen twice"),
            ('n', "not known yet"),
        ],
    };
    match approve::ask(question)? {
        Some('d') => Ok(Resolution::DidNotHappen),
        Some('r') => Ok(Resolution::Retry),
        Some(_) => bail!("nothing is recorded: the call stays in doubt"),
        None => bail!(
            "nobody is there to be asked\n  hint: `agent-host journal resolve {run} {call}` with `--happened FILE`, \
             `--did-not` or `--retry`"
        ),
    }
}

/// What the command line says.
fn given(args: &ResolutionArgs) -> anyhow::Result<Option<Resolution>> {
    match &args.happened {
        Some(file) => {
            let text = input::read_text(file, ANSWER_BYTES_MAX)
                .with_context(|| format!("cannot read `{}`", file.display()))?;
            Ok(Some(Resolution::Happened(text)))
        }
        None if args.retry => Ok(Some(Resolution::Retry)),
        None if args.did_not => Ok(Some(Resolution::DidNotHappen)),
        None => Ok(None),
    }
}
