//! `agent-host journal verify`: what can be proved about a run from its journal.

use std::io::Write;

use crate::journal::Journal;
use crate::journal::verify::{Marks, Verified};

/// Checks that a run is complete and unchanged, and whether this host wrote it.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The run, or the beginning of its name [default: the latest]
    pub run: Option<String>,
}

/// Writes what was proved to `out`.
///
/// # Errors
/// Where the run is damaged, there is no such run, the journal cannot be read or `out` not be written.
pub fn run(args: &VerifyArgs, journal: &dyn Journal, out: &mut dyn Write) -> anyhow::Result<()> {
    let verified = journal.verify(&journal.find_run(args.run.as_deref())?)?;
    write_proof(&verified, out)?;
    match &verified.damage {
        None => Ok(()),
        Some(damage) => anyhow::bail!(
            "run `{}` is damaged at {damage}\n  hint: copy the whole folder before anything else; restore it from a backup",
            verified.run
        ),
    }
}

fn write_proof(verified: &Verified, out: &mut dyn Write) -> std::io::Result<()> {
    let events = if verified.intact == 1 { "event" } else { "events" };
    writeln!(out, "run     {}", verified.run)?;
    writeln!(out, "intact  {} {events}, unchanged and in their order", verified.intact)?;
    let author = match verified.marks {
        Marks::Ours if verified.intact == 0 => "unknown".to_owned(),
        Marks::Ours => "this host, by its mark on each".to_owned(),
        Marks::NotOursFrom(seq) => format!("not proved from event {seq} on: this host's mark is not there"),
    };
    writeln!(out, "author  {author}")?;
    match &verified.head {
        Some(head) => writeln!(out, "head    {head}"),
        None => Ok(()),
    }
}
