//! `agent-host journal rm`: removes a run, for good. Its tombstone says that it was there, and nothing of what it said.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::name::RunId;

use super::opened;
use crate::clock;
use crate::journal::Journal as _;
use crate::journal::removal::{Rewrite, SWEEP_TIME, SweepMode, Swept, Tombstone};
use crate::journal::sqlite::SqliteJournal;
use crate::report::text;

/// `agent-host journal rm`.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// The run, or the beginning of its name.
    run: String,
    /// Remove it without being asked.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Removes the run, and with it what no other run refers to.
///
/// # Errors
/// Where there is no such run, a living process drives it, or nobody says yes.
pub fn rm(args: &RmArgs) -> anyhow::Result<ExitCode> {
    let journal = opened::journal(args.agent.as_deref())?;
    let run = journal.find_run(Some(&args.run))?;
    let heirs = journal.descendants(&run)?;
    let how = format!("`agent-host journal rm --yes {run}` removes it");
    let title = format!("remove run {run} for good?");
    opened::confirm(&run, (title, about(&journal, &run, &heirs)?), args.yes, &how)?;
    let tombstone = journal.remove_run(&run, clock::now())?;
    let swept = journal.sweep(SweepMode::Remove, SWEEP_TIME, &mut |_| {})?;
    let rewritten = journal.rewrite()?;
    let mut out = anstream::stdout();
    if args.json {
        let object = serde_json::json!({
            "run": run, "events": tombstone.seq, "head": tombstone.head, "also_in": heirs,
            "swept": swept.is_some_and(|swept| swept.complete), "rewritten": rewritten == Rewrite::Done,
        });
        writeln!(out, "{object}")?;
    } else {
        write(&tombstone, &heirs, swept.as_ref(), &mut out)?;
        let left = match rewritten {
            Rewrite::Done => None,
            Rewrite::TooLarge => Some("in the file; as that is large, it was not written anew, and copies may be left"),
            Rewrite::AtWork => {
                Some("in the file; as a host is at work there, it was not written anew, and copies may be left")
            }
            Rewrite::BeingRead => Some(
                "in the file's log only, as another process reads the file: it is left there until `agent-host journal gc` is \
                 complete",
            ),
        };
        if let Some(left) = left {
            writeln!(out, "  what was removed is overwritten {left}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn about(journal: &SqliteJournal, run: &RunId, heirs: &[RunId]) -> anyhow::Result<Vec<String>> {
    let summary = journal.summary(run)?;
    let began = summary.began.map(|began| format!("{}: {}", began.agent, text::line(&began.input, 100)));
    let kept =
        heirs.iter().map(|heir| format!("what was said in it is also kept in run {heir}, which goes on from it"));
    Ok(began.into_iter().chain(kept).collect())
}

fn write(tombstone: &Tombstone, heirs: &[RunId], swept: Option<&Swept>, out: &mut dyn Write) -> std::io::Result<()> {
    let Tombstone { run, seq, head, .. } = tombstone;
    writeln!(out, "removed run {run}: {seq} events; its tombstone keeps the hash of the last one, {head}")?;
    for heir in heirs {
        writeln!(out, "  hint: what was said in it is also kept in run {heir}: `agent-host journal rm {heir}`")?;
    }
    match swept {
        Some(swept) if swept.complete => Ok(()),
        Some(_) => {
            writeln!(out, "  hint: `agent-host journal gc` removes what only it referred to: there was not time enough")
        }
        None => writeln!(
            out,
            "  hint: a host is at work in this folder, so long entries of the run and what it referred to are left in the file: \
             `agent-host journal gc` removes them when none is any more"
        ),
    }
}
