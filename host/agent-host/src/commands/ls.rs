//! `agent-host ls`: which runs there are.

use std::io::Write;

use agent_core::metadata::Entry;
use agent_core::name::Name;
use agent_core::stop::StopReason;
use jiff::tz::TimeZone;

use super::taking;
use crate::journal::Journal as _;
use crate::journal::runs::{RunStatus, RunSummary, StatusName, Wanted};
use crate::journal::sqlite::SqliteJournal;
use crate::report::waiting::{self, Waiting};
use crate::report::{json, list};

/// Lists the runs of this folder, the newest first.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Only the runs of this session
    #[arg(long, value_name = "NAME")]
    pub session: Option<Name>,
    /// Only runs about which this was noted. May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub meta: Vec<Entry>,
    /// Only runs that stand like this: `running`, `interrupted`, `damaged`, or a stop reason such as `completed`
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StatusName>,
    /// Also runs that were removed, of which only the tombstone is left
    #[arg(long, conflicts_with_all = ["session", "meta", "status"])]
    pub all: bool,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
}

/// Writes the listing to `out`.
///
/// # Errors
/// Where the journal cannot be read or `out` not be written.
pub fn run(args: &LsArgs, journal: &SqliteJournal, zone: &TimeZone, out: &mut dyn Write) -> anyhow::Result<()> {
    let wanted = Wanted { session: args.session.clone(), meta: args.meta.clone(), status: args.status };
    let mut runs = journal.runs(&wanted, args.limit.saturating_add(1))?;
    let more = runs.len() > args.limit;
    runs.truncate(args.limit);
    let mut removed = if args.all { journal.tombstones()? } else { Vec::new() };
    removed.truncate(args.limit);
    let waits: Vec<_> = runs.iter().map(|run| waits(journal, run)).collect();
    if args.json {
        json::write_runs(&runs, &waits, &removed, out)?;
    } else {
        list::write(&runs, &removed, zone, out)?;
        list::write_waiting(&runs, &waits, out)?;
        if more {
            writeln!(out, "… older ones are not listed: `--limit {}` shows more", args.limit.saturating_mul(10))?;
        }
    }
    Ok(())
}

/// What a run waits for. Only one that says so is read: the others wait for nobody.
fn waits(journal: &SqliteJournal, run: &RunSummary) -> Vec<Waiting> {
    match run.status {
        RunStatus::Stopped(StopReason::SuspendedApproval | StopReason::SuspendedDoubt) => {
            // One that is damaged is listed all the same; `show` says what is wrong with it.
            taking::look(journal, &run.run).ok().as_ref().map(waiting::of_run).unwrap_or_default()
        }
        RunStatus::Stopped(_) | RunStatus::Running { .. } | RunStatus::Interrupted | RunStatus::Damaged => Vec::new(),
    }
}
