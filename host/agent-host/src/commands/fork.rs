//! `agent-host journal fork`: a new run that shares the beginning of another one, and goes its own way from there.

use std::collections::VecDeque;
use std::io::Write;

use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::{RunRebased, RunStarted};
use agent_core::session::ForkedFrom;
use agent_core::settled::{is_fork_point, open_work};
use agent_core::state::State;
use agent_core::state::folding::Folding;
use agent_core::units::UnixMillis;
use anyhow::{Context, bail};

use super::progress::Progress;
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
    let found = look(journal, &source, args.at)?;
    let at = found.point(&source, args.at)?;
    let (_, hash) = journal.events_after(&source, at - 1, 1)?.pop().context("the run became shorter meanwhile")?;
    let state = found.state.context("a run without events")?;
    let from = ForkedFrom { run: source.clone(), seq: at, hash, time: state.spent.time };
    let more = match (found.adopted, found.widened) {
        (Some(adopted), _) => Some(adopted_later(state, adopted)?),
        (None, Widened::Yes) => Some((clock::now(), without_widened(state).into())),
        (None, Widened::No) => None,
    };
    let fork = clock::new_run()?;
    let mut progress = Progress::new("copying events");
    let mut shared = |recorded| {
        progress.step();
        shared(recorded, &from)
    };
    journal.begin_from(&fork, (&source, at), &mut shared, &mut more.into_iter())?;
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

/// What a look through a run finds that is to be forked.
#[derive(Default)]
struct Found {
    /// The latest points, as many as are named.
    points: VecDeque<u64>,
    /// How many there are before them.
    earlier: u64,
    /// The state at the wanted event, where the run has that; without what was said in it.
    state: Option<State>,
    /// Whether a person allowed more before it.
    widened: Widened,
    /// The last adoption after it.
    adopted: Option<Recorded>,
    /// The number of the last event.
    last: u64,
}

/// Whether a person allowed more in the middle of a run.
#[derive(Default, Clone, Copy)]
enum Widened {
    #[default]
    No,
    Yes,
}

/// Looks through the run, event by event.
fn look(journal: &dyn Journal, run: &RunId, wanted: Option<u64>) -> anyhow::Result<Found> {
    let (mut found, mut folding) = (Found::default(), Folding::without_conversation());
    let mut progress = Progress::new("looking through events");
    journal.read_into(run, &mut |recorded| {
        progress.step();
        folding.see(&recorded);
        if let Some(state) = folding.state() {
            found.see(state, recorded, wanted);
        }
    })?;
    folding.end()?;
    Ok(found)
}

impl Found {
    fn see(&mut self, state: &State, recorded: Recorded, wanted: Option<u64>) {
        self.last = recorded.seq;
        if is_fork_point(state) {
            self.points.push_back(recorded.seq);
            if self.points.len() > POINTS_SHOWN_MAX {
                self.points.pop_front();
                self.earlier += 1;
            }
        }
        let is_shared = wanted.is_some_and(|wanted| recorded.seq <= wanted);
        if Some(recorded.seq) == wanted {
            self.state = Some(state.clone());
        }
        match &recorded.event {
            Event::GrantWidened(_) if is_shared => self.widened = Widened::Yes,
            Event::RunAdopted(_) if !is_shared => self.adopted = Some(recorded),
            _ => {}
        }
    }

    fn point(&self, run: &RunId, wanted: Option<u64>) -> anyhow::Result<u64> {
        let Some(at) = wanted else {
            bail!("at which event? `--at SEQ` is missing\n  hint: run {run} can be forked at {}", self.listed());
        };
        let hint = format!("hint: it can be forked at {}", self.listed());
        let Some(state) = &self.state else {
            bail!("run {run} has no event {at}: its last is {}\n  {hint}", self.last);
        };
        let why = match (&state.stopped, open_work(state)) {
            (Some(_), _) => "the run has stopped there".to_owned(),
            (None, Some(open)) => open.to_string(),
            (None, None) => return Ok(at),
        };
        bail!("run {run} cannot be forked at event {at}: {why}\n  {hint}")
    }

    /// The latest of the points, since one forks where something went wrong.
    fn listed(&self) -> String {
        let words: Vec<_> = self.points.iter().map(u64::to_string).collect();
        let earlier = if self.earlier > 0 { format!("{} earlier events, ", self.earlier) } else { String::new() };
        format!("{earlier}{}", words.join(", "))
    }
}

/// What the fork has of an event. It takes no place in a session: the run that it was forked from has that.
fn shared(recorded: Recorded, from: &ForkedFrom) -> Option<(UnixMillis, Event)> {
    match recorded.event {
        // It is about the other run's record.
        Event::HeadSigned(_) => None,
        Event::RunStarted(started) => {
            let started = RunStarted { session: None, forked_from: Some(from.clone()), ..started };
            Some((recorded.at, started.into()))
        }
        event => Some((recorded.at, event)),
    }
}

/// The last adoption after the shared events, which are a stranger's then: the terms on which the operator vouched for the other
/// run hold in the fork, too.
fn adopted_later(mut state: State, adopted: Recorded) -> anyhow::Result<(UnixMillis, Event)> {
    let (run, at, seq) = (state.run.clone(), state.seq, adopted.seq);
    let follows = state.apply(&Recorded { seq: at + 1, ..adopted.clone() });
    follows.ok().with_context(|| {
        format!(
            "run {run} was let go on here at event {seq}, with other tools than it had at event {at}: it cannot be forked \
             there\n  hint: fork it at event {seq} or later"
        )
    })?;
    Ok((adopted.at, adopted.event))
}

/// What a person had allowed in the middle of the other run was for that run: the fork is moved to what it began with, and asks
/// again.
fn without_widened(state: State) -> RunRebased {
    let RunStarted { agent, agent_file, instructions, models, tools, .. } = state.started;
    RunRebased { agent, agent_file, instructions, models, tools }
}
