//! Sessions: a conversation over several runs. `run --session` asks here where the conversation stands and what of it the new
//! run is given; a resume asks for the same again. Which of two hosts goes on with a session is the journal's to decide.

use std::io::Write;

use agent_core::message::Message;
use agent_core::metadata;
use agent_core::name::{Name, RunId};
use agent_core::session::{CARRIED_BYTES_MAX, CARRIED_RUNS_MAX, Conversation, Earlier, EarlierRun, SessionPlace};
use agent_core::state::State;
use agent_core::state::folding::Folding;
use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::runs::RunStatus;
use crate::journal::verify::Marks;

/// What a run belongs to and is found by.
#[derive(Debug, Args)]
#[command(next_help_heading = "Record")]
pub struct RecordArgs {
    /// Go on with the conversation of that name, or begin it: the model is given what was said in its earlier runs.
    #[arg(long, value_name = "NAME")]
    pub session: Option<Name>,
    /// Give the model at most this many earlier runs of the session [default: 100, and at most 1 MiB].
    #[arg(long, value_name = "N", requires = "session")]
    pub carry: Option<u32>,
    /// Note something about the run, to find it by with `agent-host ls --meta`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub meta: Vec<metadata::Entry>,
}

/// Where a conversation stands for the next run of it.
#[derive(Debug, Default)]
pub struct Standing {
    /// The place of the next run.
    pub place: Option<SessionPlace>,
    /// What it is given.
    pub earlier: Earlier,
    /// Runs that were still given to the run before, and are not any more.
    pub newly_left_out: u32,
}

/// Where the session stands; nowhere without one.
///
/// # Errors
/// Where its last run has not come to its end, was not recorded by this host, or says more than can be carried.
pub fn standing(journal: &dyn Journal, args: &RecordArgs) -> anyhow::Result<Standing> {
    let Some(session) = &args.session else { return Ok(Standing::default()) };
    let at = |place| Some(SessionPlace { name: session.clone(), place });
    let Some((place, last)) = journal.session_end(session)? else {
        return Ok(Standing { place: at(1), ..Standing::default() });
    };
    check_ended(session, &last, journal.summary(&last)?.status)?;
    let state = fold_own(journal, &last)?;
    let kept = Conversation::of(place, &state.messages).to_bytes()?;
    let newest = EarlierRun { run: last, bytes: kept.len() as u64, conversation: journal.put_blob(&kept)? };
    let before = &state.started.earlier;
    let runs_max = args.carry.unwrap_or(CARRIED_RUNS_MAX);
    let earlier = before.and(newest, runs_max);
    ensure!(
        !earlier.runs.is_empty() || runs_max == 0,
        "the last run of session `{session}` is {} bytes of conversation, more than the {CARRIED_BYTES_MAX} that are \
         carried\n  hint: `--carry 0` goes on without what was said before; another `--session` begins anew",
        kept.len()
    );
    let newly_left_out = earlier.left_out - before.left_out;
    Ok(Standing { place: at(place + 1), earlier, newly_left_out })
}

/// What was said in the earlier runs that a run carries, each checked against its digest.
///
/// # Errors
/// Where it is not in the journal, or not what the run says that it was given.
pub fn conversation(journal: &dyn Journal, earlier: &Earlier) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for EarlierRun { run, conversation, .. } in &earlier.runs {
        let kept = journal.blob(conversation)?;
        let kept = kept.with_context(|| format!("the journal lacks what was said in the earlier run {run}"))?;
        let said = Conversation::read(&kept).with_context(|| format!("what was said in the earlier run {run}"))?;
        messages.extend(said);
    }
    Ok(messages)
}

/// Says what of the conversation the model is no longer given.
pub fn say_left_out(standing: &Standing) {
    let (Some(place), left_out) = (&standing.place, standing.newly_left_out) else { return };
    if left_out > 0 {
        let carried = standing.earlier.runs.len();
        let all = standing.earlier.left_out;
        let _ = writeln!(
            anstream::stderr(),
            "· session `{}`: the model is given its newest {carried} runs; the first {all} are left out, and it is told so",
            place.name
        );
    }
}

/// A session goes on from an answer. Anything else would leave what was begun behind.
fn check_ended(session: &Name, last: &RunId, status: RunStatus) -> anyhow::Result<()> {
    let how = match status {
        RunStatus::Stopped(stop) if !stop.is_resumable() => return Ok(()),
        RunStatus::Running { pid } => {
            bail!(
                "session `{session}` is being continued in process {pid}, by run {last}\n  hint: wait for it, or begin \
                 another session"
            )
        }
        RunStatus::Damaged => {
            bail!("the last run of session `{session}` is damaged\n  hint: `agent-host journal verify {last}`")
        }
        RunStatus::Interrupted => "was interrupted".to_owned(),
        RunStatus::Stopped(stop) => format!("is {stop}"),
    };
    bail!(
        "the last run of session `{session}` has no answer yet: it {how}\n  hint: go on with it by `agent-host resume \
         {last}`, take it out of the session with `agent-host journal rm {last}`, or begin another session"
    )
}

/// What another host wrote would be told to the model as what was said here.
fn fold_own(journal: &dyn Journal, run: &RunId) -> anyhow::Result<State> {
    if let Marks::NotOursFrom(seq) = journal.verify(run)?.marks {
        return Err(JournalError::NotOurs { run: run.clone(), seq }.into());
    }
    let mut folding = Folding::default();
    journal.read_into(run, &mut |recorded| folding.see(&recorded))?;
    folding.end()?.with_context(|| format!("run {run} has no events"))
}
