//! `agent-host journal import`: an exported run comes into this journal. Whoever made it, it can be looked at; only with the
//! operator's word does what it grants and approves count here.

use std::fs::File;
use std::io::{BufReader, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::run_events::{RunAdopted, RunStarted};
use agent_core::state::State;
use anyhow::{Context, bail, ensure};

use super::export::named;
use super::opened;
use crate::clock;
use crate::journal::chain::{Marker, Stored};
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::portable::{self, Portable};
use crate::journal::sqlite::{Import, SqliteJournal};
use crate::journal::verify::{Marks, Verified, Walk};
use crate::journal::{Journal as _, error::JournalError};
use crate::report::{authority, text};

/// The largest file that is read. Its largest parts, the components of a run, are a few megabytes each.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Lines that say what a run holds, at most; the rest is counted.
const HELD_LINES_MAX: usize = 200;

/// Longest of them: a stranger wrote them.
const HELD_CHARS_MAX: usize = 200;

/// `agent-host journal import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file that `agent-host journal export` wrote.
    file: PathBuf,
    /// Vouch for every event: shows what the run may do, asks, and marks it as this host's own, so that it can be resumed.
    #[arg(long)]
    trust: bool,
    /// With `--trust`: without being asked.
    #[arg(long, requires = "trust")]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The agent file beside whose runs it comes; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// A file with a run that hangs together.
pub struct Checked {
    /// The run.
    pub portable: Portable,
    /// What was proved about it.
    pub verified: Verified,
    /// Its events.
    pub events: Vec<Recorded>,
}

/// Brings the run in.
///
/// # Errors
/// Where the file is no intact run, there is such a run already, or the operator does not vouch for it after all.
pub fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let mut file = open(&args.file)?;
    let journal = opened::journal_or_new(args.agent.as_deref())?;
    let Checked { portable, verified, events } = check(&mut file, journal.marker())?;
    if let Some(damage) = verified.damage {
        return Err(JournalError::RunDamaged { run: portable.run, damage }.into());
    }
    let run = portable.run.clone();
    let state = State::fold(&events)?.context("the run has no events")?;
    let is_ours = verified.marks == Marks::Ours;
    let adopts = args.trust && !is_ours;
    if adopts {
        let how = format!("`agent-host journal import --trust --yes {}` vouches for it", args.file.display());
        let title = format!("let run {run} go on here with this?");
        opened::confirm(&run, (title, held(&state, &events)), args.yes, &how)?;
    }
    let came = portable.file;
    if !(adopts && is_there(&journal, &portable)?) {
        journal.check_new(&run)?;
        file.rewind()?;
        portable::read(&mut BufReader::new(&file), &mut |_, bytes| journal.put_blob(&bytes).map(drop))?;
        journal.import(&Import { run: run.clone(), started: started(&events)?, events: portable.events })?;
    }
    if adopts {
        journal.adopt(&run)?;
        let (_, log) = journal.resume_run(&run, TakeOver::IfDead)?;
        log.append(clock::now(), RunAdopted { file: came }.into(), Durable::Now)?;
    }
    say(args, &run, verified.intact, is_ours || adopts)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether exactly this run was imported before, to be looked at.
fn is_there(journal: &SqliteJournal, portable: &Portable) -> anyhow::Result<bool> {
    match journal.stored(&portable.run) {
        Err(JournalError::NoSuchRun { .. }) => Ok(false),
        stored => {
            let head = |events: &[Stored]| events.last().map(|last| (last.seq, last.hash));
            let same = head(&stored?) == head(&portable.events);
            ensure!(same, "run {} is in this journal already, and is not the same as in the file", portable.run);
            Ok(true)
        }
    }
}

fn started(events: &[Recorded]) -> anyhow::Result<RunStarted> {
    match events.first().map(|first| &first.event) {
        Some(Event::RunStarted(started)) => Ok(started.clone()),
        Some(_) | None => bail!("the run has no beginning"),
    }
}

/// Opens an exported run.
///
/// # Errors
/// Where there is none, or it is larger than any honest one.
pub fn open(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let cannot = || format!("cannot read `{shown}`");
    // A pipe could never end, and is read twice.
    let found = std::fs::metadata(path).with_context(cannot)?;
    ensure!(found.is_file(), "`{shown}` is not a regular file");
    let bytes = found.len();
    ensure!(bytes <= FILE_BYTES_MAX, "`{shown}` has {bytes} bytes, more than the {FILE_BYTES_MAX} that are read");
    File::open(path).with_context(cannot)
}

/// Reads the file and checks everything that can be checked without its journal.
///
/// # Errors
/// Where it is no exported run, or its blobs are not those that its events name. Damage of the chain is an answer.
pub fn check(file: &mut File, marker: &Marker) -> anyhow::Result<Checked> {
    let portable = portable::read(&mut BufReader::new(file), &mut |_, _| Ok(()))?;
    let mut walk = Walk::begin(portable.run.clone(), marker);
    let seen = portable.events.iter().try_for_each(|stored| walk.see(stored));
    let end = portable.events.last().map(|last| (last.seq, last.hash)).context("the exported run has no events")?;
    let verified = walk.end(end, seen);
    if verified.damage.is_some() {
        return Ok(Checked { portable, verified, events: Vec::new() });
    }
    let events =
        portable.events.iter().map(|stored| stored.to_recorded(&portable.run)).collect::<Result<Vec<_>, _>>()?;
    let named = named(&events);
    if let Some(missing) = named.difference(&portable.blobs).next() {
        bail!("the exported run lacks {missing}, which an event names\n  hint: export it again where it came from");
    }
    if let Some(more) = portable.blobs.difference(&named).next() {
        bail!("the exported run holds {more}, which no event names: it was not made by an export");
    }
    Ok(Checked { portable, verified, events })
}

/// What the run may do, and what was decided in it.
fn held(state: &State, events: &[Recorded]) -> Vec<String> {
    let tools = state.started.tools.iter().zip(&state.authorities);
    let mut lines: Vec<String> = Vec::new();
    for (tool, held) in tools {
        let (name, component) = (&tool.descriptor.name, tool.component.short());
        lines.extend(
            authority::describe_grant(&held.grant).iter().map(|grant| format!("{name} ({component}): {grant}")),
        );
    }
    if let Some(more) = lines.len().checked_sub(HELD_LINES_MAX).filter(|more| *more > 0) {
        lines.truncate(HELD_LINES_MAX);
        lines.push(format!("… {more} more"));
    }
    lines = lines.iter().map(|line| text::line(line, HELD_CHARS_MAX)).collect();
    lines.push(format!("instructions: {}", text::line(&state.started.instructions, HELD_CHARS_MAX)));
    let decided = events.iter().filter(|recorded| {
        matches!(recorded.event, Event::ApprovalDecided(_) | Event::GrantWidened(_) | Event::DoubtResolved(_))
    });
    lines.push(format!("{} decisions that somebody took in it elsewhere", decided.count()));
    lines
}

fn say(args: &ImportArgs, run: &RunId, events: u64, counts: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "run": run, "events": events, "trusted": counts }))?;
        return Ok(());
    }
    writeln!(out, "imported run {run}: {events} events")?;
    if !counts {
        writeln!(
            out,
            "  it was not recorded by this host: it can be shown, verified and replayed; what it grants and approves does \
             not count\n  hint: `agent-host journal import --trust {}` lets it go on here",
            args.file.display()
        )?;
    }
    Ok(())
}
