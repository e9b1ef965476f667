//! `agent-host ls`: which runs there are.

use std::io::Write;

use jiff::tz::TimeZone;

use crate::journal::Journal;
use crate::report::{json, list};

/// Lists the runs of this folder, the newest first.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
}

/// Writes the listing to `out`.
///
/// # Errors
/// Where the journal cannot be read or `out` not be written.
pub fn run(args: &LsArgs, journal: &dyn Journal, zone: &TimeZone, out: &mut dyn Write) -> anyhow::Result<()> {
    let runs = journal.runs(args.limit)?;
    if args.json {
        json::write_runs(&runs, out)?;
    } else {
        list::write(&runs, zone, out)?;
    }
    Ok(())
}
