//! `agent-host approve` and `agent-host deny`: a person answers what a suspended run asks, from any terminal and at any time.
//! The answer is recorded with this host's mark, bound to exactly what was asked, and used when the run goes on.
//!
//! A run that a living process drives asks at its own terminal, and is answered only there: it has one writer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::answer_events::{AnswerPlace, Approval, ApprovalDecided, ApprovalSubject};
use agent_core::digest::Digest;
use agent_core::name::{CallNumber, RunId};
use agent_core::pending::PendingCall;
use agent_core::state::State;
use anyhow::{Context, bail, ensure};

use crate::asking;
use crate::clock;
use crate::commands::{apart, opened, taking};
use crate::journal::Journal as _;
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Durable, RunLog};
use crate::journal::sqlite::SqliteJournal;
use crate::person::{self, Person, Question};
use crate::report::waiting::{self, Wants};
use crate::report::{text, typed};

/// `agent-host approve`.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    asked: AskedArgs,
    /// Approve without being asked once more.
    #[arg(long, requires = "call")]
    yes: bool,
}

/// `agent-host deny`.
#[derive(Debug, clap::Args)]
pub struct DenyArgs {
    #[command(flatten)]
    asked: AskedArgs,
    /// Why: the model is told.
    #[arg(long, value_name = "TEXT", requires = "call", value_parser = reason)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct AskedArgs {
    /// The run: any unique beginning of its identifier [default: the latest].
    run: Option<String>,
    /// The call's number; without it, what the run waits for is listed.
    call: Option<u32>,
    /// Go on with the run at once.
    #[arg(long, requires = "call")]
    resume: bool,
    /// Who started this goes on with the run.
    #[arg(long, hide = true, conflicts_with = "resume")]
    goes_on: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Longest reason in bytes: it goes to the model.
const REASON_BYTES_MAX: usize = 4096;

/// What a person means to say.
enum Word {
    /// Yes, once the person has seen what it is about.
    YesAfterLooking,
    Yes,
    No(Option<String>),
}

/// Approves what a call asks, or lists what waits.
///
/// # Errors
/// Where nothing of the kind waits, nobody confirms it, or it cannot be recorded.
pub fn approve(args: &ApproveArgs) -> anyhow::Result<ExitCode> {
    let word = if args.yes { Word::Yes } else { Word::YesAfterLooking };
    answer(&args.asked, &word)
}

/// Denies what a call asks, or lists what waits.
///
/// # Errors
/// Where nothing of the kind waits, or it cannot be recorded.
pub fn deny(args: &DenyArgs) -> anyhow::Result<ExitCode> {
    answer(&args.asked, &Word::No(args.reason.clone()))
}

fn answer(args: &AskedArgs, word: &Word) -> anyhow::Result<ExitCode> {
    if args.resume {
        return apart::record_and_resume(args.run.as_deref(), args.agent.as_deref());
    }
    let journal = opened::journal(args.agent.as_deref())?;
    let run = journal.find_run(args.run.as_deref())?;
    let Some(call) = args.call else { return list(&journal, &run, args.agent.as_deref()) };
    let (state, log) = taking::take_or(&journal, &run, TakeOver::IfDead, where_it_asks)?;
    let mut waited = Waited::of(state, CallNumber(call))?;
    let answer = waited.put(word)?;
    for (subject, digest) in std::mem::take(&mut waited.questions) {
        let by = person::answered(AnswerPlace::Command);
        let decided = ApprovalDecided { call: waited.call.number, subject, digest, answer: answer.clone(), by };
        waited.record(log.as_ref(), decided)?;
    }
    drop(log);
    if !args.goes_on {
        waited.say_recorded(&answer, args.agent.as_deref())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn where_it_asks(error: JournalError) -> anyhow::Error {
    match error {
        JournalError::RunLocked { run, holder } => anyhow::anyhow!(
            "run `{run}` is driven by {holder}, which asks at its own terminal\n  hint: answer there; or stop it \
             (Ctrl-C), and what waits is answered here"
        ),
        error => error.into(),
    }
}

fn list(journal: &SqliteJournal, run: &RunId, agent: Option<&Path>) -> anyhow::Result<ExitCode> {
    let state = taking::look(journal, run)?;
    let waiting = waiting::of_run(&state);
    let mut out = anstream::stdout();
    if waiting.is_empty() {
        writeln!(out, "run {run} waits for nobody")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "run {run} waits for you:")?;
    waiting::write(&waiting, &named(run, agent), "  ", &mut out)?;
    writeln!(out, "then go on with `agent-host resume {}`", named(run, agent))?;
    Ok(ExitCode::SUCCESS)
}

/// A call that waits for an approval.
struct Waited {
    state: State,
    call: PendingCall,
    questions: Vec<(ApprovalSubject, Digest)>,
}

impl Waited {
    fn of(state: State, number: CallNumber) -> anyhow::Result<Self> {
        let run = &state.run;
        let waiting = waiting::of_run(&state).into_iter().find(|waiting| waiting.call == number);
        let questions = match waiting.map(|waiting| waiting.wants) {
            Some(Wants::Approval(questions)) => questions,
            Some(Wants::Word { .. }) => bail!(
                "call {number} of run {run} is in doubt, not in need of approval\n  hint: say what happened with \
                 `agent-host journal resolve {run} {number}`"
            ),
            None => bail!(
                "call {number} of run {run} waits for no approval\n  hint: `agent-host approve {run}` lists what waits"
            ),
        };
        let call = state.call(number).cloned().context("the call is not pending")?;
        for (subject, digest) in &questions {
            ensure!(
                waiting::is_as_asked(&state, &call, subject, digest),
                "what call {number} of run {run} asks has changed since it was asked\n  hint: `agent-host resume {run}` \
                 asks again"
            );
        }
        Ok(Self { state, call, questions })
    }

    /// Shows what is asked, and makes sure of the person's word.
    fn put(&self, word: &Word) -> anyhow::Result<Approval> {
        for (subject, _) in &self.questions {
            self.show(subject)?;
        }
        match word {
            Word::Yes => Ok(Approval::yes(clock::now())),
            Word::No(reason) => Ok(Approval::Denied { reason: reason.clone() }),
            Word::YesAfterLooking => self.confirm(),
        }
    }

    fn show(&self, subject: &ApprovalSubject) -> anyhow::Result<()> {
        let tool = self.call.call.tool.replacen("__", ".", 1);
        let mut err = anstream::stderr();
        writeln!(err, "{}", text::whole(&waiting::title(&tool, subject)))?;
        let of_call = match subject {
            ApprovalSubject::Call => Vec::new(),
            ApprovalSubject::Effect { .. } => waiting::call_lines(&self.call),
        };
        for line in waiting::details(&self.state, &self.call, subject).into_iter().chain(of_call) {
            writeln!(err, "    {}", text::whole(&line))?;
        }
        Ok(())
    }

    fn confirm(&self) -> anyhow::Result<Approval> {
        let title = format!("approve this for call {}, once?", self.call.number);
        let who = format!("`{}`", self.call.call.tool.replacen("__", ".", 1));
        let question = Question { title, details: Vec::new(), who, answers: &[('y', "yes"), ('n', "not now")] };
        match ask(question)? {
            Some('y') => Ok(asking::answer('y', None, clock::now())),
            Some(_) => bail!("not approved, and nothing is recorded\n  hint: `agent-host deny` says no for good"),
            None => bail!(
                "nobody is there to be asked\n  hint: `agent-host approve {} {} --yes` approves what is shown above",
                self.state.run,
                self.call.number
            ),
        }
    }

    fn record(&mut self, log: &dyn RunLog, decided: ApprovalDecided) -> anyhow::Result<()> {
        let decided = decided.into();
        self.state.check(&decided)?;
        let recorded = log.append(clock::now(), decided, Durable::Now)?;
        Ok(self.state.apply(&recorded)?)
    }

    fn say_recorded(&self, answer: &Approval, agent: Option<&Path>) -> anyhow::Result<()> {
        let run = named(&self.state.run, agent);
        let mut out = anstream::stdout();
        match answer {
            Approval::Approved { .. } => {
                writeln!(out, "approved, once and for ten minutes; go on with `agent-host resume {run}`")?;
            }
            Approval::Denied { .. } => {
                writeln!(out, "denied; go on with `agent-host resume {run}`")?;
            }
        }
        let more = waiting::of_run(&self.state);
        if !more.is_empty() {
            writeln!(out, "the run still waits for this:")?;
            waiting::write(&more, &run, "  ", &mut out)?;
        }
        Ok(())
    }
}

/// Asks the person at this terminal. The walls stand by now, and hold for the thread that reads.
pub(super) fn ask(question: Question) -> anyhow::Result<Option<char>> {
    let person = Person::at_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    // Bounded, since the run is held meanwhile.
    let answered = runtime.block_on(person.ask_within(question, asking::answer_wait()));
    runtime.shutdown_background();
    Ok(answered.unwrap_or_default())
}

/// The run as a command line names it.
pub(super) fn named(run: &RunId, agent: Option<&Path>) -> String {
    agent.map_or_else(|| run.to_string(), |file| format!("{run} --agent {}", typed::path(file)))
}

fn reason(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty() && text.len() <= REASON_BYTES_MAX;
    if good { Ok(text.trim().to_owned()) } else { Err(format!("a reason has 1 to {REASON_BYTES_MAX} bytes")) }
}
