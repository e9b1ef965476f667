//! `agent-host journal import`: an exported run comes into this journal. Whoever made it, it can be looked at; only with the
//! operator's word does what it grants and approves count here.

use std::fs::File;
use std::io::{BufReader, Seek as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::event::Recorded;
use agent_core::name::RunId;
use agent_core::state::State;
use anyhow::{Context, bail, ensure};

use super::export::named;
use super::opened;
use crate::adoption::Terms;
use crate::clock;
use crate::home::Home;
use crate::journal::chain::{Marker, Stored};
use crate::journal::portable::{self, FILE_BYTES_MAX, Portable};
use crate::journal::sqlite::{Import, SqliteJournal};
use crate::journal::verify::{Marks, Verified, Walk};
use crate::journal::{Journal as _, error::JournalError};
use crate::report::{typed, vouching};

/// `agent-host journal import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file that `agent-host journal export` wrote.
    file: PathBuf,
    /// Vouch for every event: shows what the run may do, asks, and marks it as this host's own, so that it can be resumed.
    #[arg(long)]
    trust: bool,
    /// With `--trust`: without being asked. What is vouched for is printed.
    #[arg(long, requires = "trust")]
    yes: bool,
    /// With `--trust`: a server at which the run's models may be asked, and be sent your key
    #[arg(long, env = "AGENT_HOST_BASE_URL", value_name = "URL")]
    base_url: Option<String>,
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
    let terms = args.trust.then(|| Terms::read(&Home::open()?, args.base_url.as_deref())).transpose()?;
    let journal = opened::journal_or_new(args.agent.as_deref())?;
    let Checked { portable, verified, events } = check(&mut file, journal.marker())?;
    if let Some(damage) = verified.damage {
        return Err(JournalError::RunDamaged { run: portable.run, damage }.into());
    }
    let run = portable.run.clone();
    let state = State::fold(&events)?.context("the run has no events")?;
    let standing = Standing::of(verified.marks, &state);
    let adoption = match (&terms, standing) {
        (None, _) | (Some(_), Standing::Ended) => None,
        (Some(terms), Standing::Strangers | Standing::GoesOn) => {
            let adoption = terms.adopt(&state, &events, portable.file)?;
            vouch(args, &run, vouching::lines(&state, &events)?)?;
            Some(adoption)
        }
    };
    if !(adoption.is_some() && is_there(&journal, &portable)?) {
        journal.check_new(&run)?;
        file.rewind()?;
        portable::read(&mut BufReader::new(&file), &mut |_, bytes| journal.put_blob(&bytes).map(drop))?;
        let events = portable.events.into_iter().map(|stored| standing.kept(stored)).collect();
        journal.import(&Import { run: run.clone(), started: state.started.clone(), events })?;
    }
    let adopted = adoption.map(|adoption| journal.adopt(&run, clock::now(), adoption)).transpose()?;
    say(args, &run, verified.intact, if adopted.is_some() { Standing::Ended } else { standing })?;
    Ok(ExitCode::SUCCESS)
}

/// What a run from a file is to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// This host did not record all of it.
    Strangers,
    /// This host recorded it, and it could go on. Its marks do not say that it did not go on already, from there or from a
    /// later event, in another folder or on another machine: whatever it did then would be done again.
    GoesOn,
    /// This host recorded it, and it has its answer.
    Ended,
}

impl Standing {
    fn of(marks: Marks, state: &State) -> Self {
        let goes_on = state.stopped.as_ref().is_none_or(|stopped| stopped.stop.is_resumable());
        match marks {
            Marks::NotOursFrom(_) => Self::Strangers,
            Marks::Ours if goes_on => Self::GoesOn,
            Marks::Ours => Self::Ended,
        }
    }

    /// The event as it comes in. Marks that would let the run go on come back with the operator's word.
    fn kept(self, stored: Stored) -> Stored {
        match self {
            Self::Strangers | Self::Ended => stored,
            Self::GoesOn => stored.without_mark(),
        }
    }
}

/// The operator's word for all of it.
fn vouch(args: &ImportArgs, run: &RunId, lines: Vec<String>) -> anyhow::Result<()> {
    if args.yes {
        let mut err = anstream::stderr();
        writeln!(err, "run {run} goes on here with this:")?;
        return Ok(lines.iter().try_for_each(|line| writeln!(err, "    {line}"))?);
    }
    let how = format!("`agent-host journal import --trust --yes {}` vouches for it", typed::path(&args.file));
    opened::confirm(run, (format!("let run {run} go on here with this?"), lines), false, &how)
}

/// Whether exactly this run was imported before, to be looked at.
fn is_there(journal: &SqliteJournal, portable: &Portable) -> anyhow::Result<bool> {
    let mut end = None;
    let read = journal.stored_into(&portable.run, &mut |stored| {
        end = Some((stored.seq, stored.hash));
        ControlFlow::Continue(())
    });
    match read {
        Err(JournalError::NoSuchRun { .. }) => Ok(false),
        read => {
            read?;
            let same = end == portable.events.last().map(|last| (last.seq, last.hash));
            ensure!(same, "run {} is in this journal already, and is not the same as in the file", portable.run);
            Ok(true)
        }
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

fn say(args: &ImportArgs, run: &RunId, events: u64, standing: Standing) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    if args.json {
        let trusted = standing == Standing::Ended;
        writeln!(out, "{}", serde_json::json!({ "run": run, "events": events, "trusted": trusted }))?;
        return Ok(());
    }
    writeln!(out, "imported run {run}: {events} events")?;
    let why = match standing {
        Standing::Ended => return Ok(()),
        Standing::Strangers => "it was not recorded by this host",
        Standing::GoesOn => "it was recorded by this host, and may have gone on elsewhere since",
    };
    writeln!(
        out,
        "  {why}: it can be shown, verified and replayed; what it grants and approves does not count\n  hint: `agent-host \
         journal import --trust {}` lets it go on here",
        typed::path(&args.file)
    )?;
    Ok(())
}
