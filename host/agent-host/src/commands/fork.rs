//! `agent-host journal fork`: a new run that shares the beginning of another one, and goes its own way from there.

use std::io::Write;

use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::{RunRebased, RunStarted};
use agent_core::session::ForkedFrom;
use agent_core::settled::{fork_points, open_work};
use agent_core::state::State;
use agent_core::units::UnixMillis;
use anyhow::{Context, bail};

use crate::clock;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::verify::Marks;

/// How many points are named where one is missing.
const POINTS_SHOWN_MAX: usize = 12;

/// Begins a new run with the first events of another one.
#[derive(Debug, clap::Args)]
pub struct ForkArgs {
    /// The run, or the beginning of its name.
    pub run: String,
    /// The last event that the two share, as `agent-host show --json` numbers them: one at which no call is under way.
    #[arg(long, value_name = "SEQ")]
    pub at: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Begins the fork and writes its name to `out`.
///
/// # Errors
/// Where there is no such run, this host did not record it, or it cannot be forked there.
pub fn run(args: &ForkArgs, journal: &dyn Journal, out: &mut dyn Write) -> anyhow::Result<()> {
    let source = journal.find_run(Some(&args.run))?;
    if let Marks::NotOursFrom(seq) = journal.verify(&source)?.marks {
        return Err(JournalError::NotOurs { run: source, seq }.into());
    }
    let events = journal.events(&source)?;
    let at = point(&source, &events, args.at)?;
    let stored = journal.stored(&source)?;
    let last = stored.iter().find(|stored| stored.seq == at).context("the run became shorter meanwhile")?;
    let from = ForkedFrom { run: source.clone(), seq: at, hash: last.hash };
    let fork = clock::new_run()?;
    let mut begun = shared(&events, at, &from);
    begun.extend(match adopted_later(&events, at)? {
        Some(adopted) => Some(adopted),
        None => without_widened(&events, at)?.map(|rebased| (clock::now(), rebased.into())),
    });
    journal.begin_with(&fork, &begun)?;
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "run": fork, "forked_from": from }))?;
    } else {
        writeln!(out, "{fork}")?;
        writeln!(
            out,
            "  shares events 1 to {at} of run {source}; what that run did to files and elsewhere stays done"
        )?;
        writeln!(out, "  hint: go on with `agent-host resume {fork}`")?;
    }
    Ok(())
}

/// What the fork begins with. It takes no place in a session: the run that it was forked from has that.
fn shared(events: &[Recorded], at: u64, from: &ForkedFrom) -> Vec<(UnixMillis, Event)> {
    let shared = events.iter().filter(|recorded| recorded.seq <= at);
    // It is about the other run's record.
    let shared = shared.filter(|recorded| !matches!(recorded.event, Event::HeadSigned(_)));
    let begun = |recorded: &Recorded| match &recorded.event {
        Event::RunStarted(started) => {
            let mut started = started.clone();
            (started.session, started.forked_from) = (None, Some(from.clone()));
            (recorded.at, started.into())
        }
        event => (recorded.at, event.clone()),
    };
    shared.map(begun).collect()
}

/// The last adoption after the shared events, which are a stranger's then: the terms on which the operator vouched for the other
/// run hold in the fork, too.
fn adopted_later(events: &[Recorded], at: u64) -> anyhow::Result<Option<(UnixMillis, Event)>> {
    let later = events.iter().rev().take_while(|recorded| recorded.seq > at);
    let mut adoptions = later.filter(|recorded| matches!(recorded.event, Event::RunAdopted(_)));
    let Some(adopted) = adoptions.next() else { return Ok(None) };
    let state = usize::try_from(at).ok().and_then(|at| events.get(..at)).map(State::fold).transpose()?.flatten();
    let mut next = state.context("a run without events")?;
    let (run, seq) = (next.run.clone(), adopted.seq);
    let follows = next.apply(&Recorded { seq: at + 1, ..adopted.clone() });
    follows.ok().with_context(|| {
        format!(
            "run {run} was let go on here at event {seq}, with other tools than it had at event {at}: it cannot be forked \
             there\n  hint: fork it at event {seq} or later"
        )
    })?;
    Ok(Some((adopted.at, adopted.event.clone())))
}

/// What a person had allowed in the middle of the other run was for that run: the fork is moved to what it began with, and asks
/// again.
fn without_widened(events: &[Recorded], at: u64) -> anyhow::Result<Option<RunRebased>> {
    let shared: Vec<_> = events.iter().take_while(|recorded| recorded.seq <= at).collect();
    if !shared.iter().any(|recorded| matches!(recorded.event, Event::GrantWidened(_))) {
        return Ok(None);
    }
    let state = State::fold(shared)?.context("a run without events")?;
    let RunStarted { agent, agent_file, instructions, models, tools, .. } = state.started;
    Ok(Some(RunRebased { agent, agent_file, instructions, models, tools }))
}

fn point(run: &RunId, events: &[Recorded], wanted: Option<u64>) -> anyhow::Result<u64> {
    let points = fork_points(events)?;
    let Some(at) = wanted else {
        bail!("at which event? `--at SEQ` is missing\n  hint: run {run} can be forked at {}", listed(&points));
    };
    if points.contains(&at) {
        return Ok(at);
    }
    let hint = format!("hint: it can be forked at {}", listed(&points));
    let Some(upto) = usize::try_from(at).ok().and_then(|at| events.get(..at)).filter(|upto| !upto.is_empty()) else {
        bail!("run {run} has no event {at}: its last is {}\n  {hint}", events.len());
    };
    let state = State::fold(upto)?.context("a run without events")?;
    let why = match (&state.stopped, open_work(&state)) {
        (Some(_), _) => "the run has stopped there".to_owned(),
        (None, Some(open)) => open.to_string(),
        (None, None) => "it is no point".to_owned(),
    };
    bail!("run {run} cannot be forked at event {at}: {why}\n  {hint}")
}

/// The latest of the points, since one forks where something went wrong.
fn listed(points: &[u64]) -> String {
    let shown = &points[points.len().saturating_sub(POINTS_SHOWN_MAX)..];
    let words: Vec<_> = shown.iter().map(u64::to_string).collect();
    let earlier = if shown.len() < points.len() {
        format!("{} earlier events, ", points.len() - shown.len())
    } else {
        String::new()
    };
    format!("{earlier}{}", words.join(", "))
}
