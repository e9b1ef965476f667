//! `agent-host ls`: the runs as a table.

use std::io::{self, Write};

use agent_core::name::RunId;
use jiff::tz::TimeZone;

use super::waiting::{self, Waiting};
use super::{HEADING, run, text};
use crate::journal::removal::{Found, Tombstone};
use crate::journal::runs::RunSummary;

/// The time and two random characters: two runs of one host that share them are a rarity.
pub const SHORT_RUN_CHARS: usize = 12;
const INPUT_CHARS_MAX: usize = 48;
const COLUMNS: [&str; 7] = ["RUN", "STARTED", "STATUS", "TURNS", "CALLS", "AGENT", "INPUT"];

/// Writes a table with one line for each run.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(runs: &[RunSummary], gone: &[Found], zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    let short = short_chars(runs);
    let rows: Vec<_> = runs.iter().map(|summary| cells(summary, short, zone)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(COLUMNS[column].len())
    };
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    writeln!(out, "{HEADING}{}{HEADING:#}", aligned(&COLUMNS.map(str::to_owned), &widths))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", aligned(row, &widths)))?;
    gone.iter().try_for_each(|found| {
        let Tombstone { run, seq, head, at } = &found.tombstone;
        let when = run::local(*at, zone, "%Y-%m-%d %H:%M");
        writeln!(out, "{run}  removed {when} with {seq} events, the last {head}")
    })
}

/// Writes what any of the runs waits for a person for: `waits` holds that of each. Nothing where none does.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_waiting(runs: &[RunSummary], waits: &[Vec<Waiting>], out: &mut dyn Write) -> io::Result<()> {
    if waits.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let short = short_chars(runs);
    writeln!(out, "\n{HEADING}waiting for you{HEADING:#}")?;
    let short = |run: &RunId| run.as_str().chars().take(short).collect::<String>();
    runs.iter().zip(waits).try_for_each(|(run, waits)| waiting::write(waits, &short(&run.run), "  ", out))
}

/// How many characters tell the listed runs apart.
fn short_chars(runs: &[RunSummary]) -> usize {
    let shared = |a: &RunId, b: &RunId| a.as_str().bytes().zip(b.as_str().bytes()).take_while(|(a, b)| a == b).count();
    let mut names: Vec<_> = runs.iter().map(|summary| &summary.run).collect();
    names.sort_unstable();
    let needed = names.windows(2).map(|pair| shared(pair[0], pair[1]) + 1).max().unwrap_or(0);
    needed.max(SHORT_RUN_CHARS)
}

fn cells(summary: &RunSummary, short: usize, zone: &TimeZone) -> [String; 7] {
    let began = summary.began.as_ref();
    [
        summary.run.as_str().chars().take(short).collect(),
        began.map_or_else(|| "?".to_owned(), |began| run::local(began.at, zone, "%Y-%m-%d %H:%M")),
        summary.status.name().to_string(),
        summary.turns.to_string(),
        summary.calls.to_string(),
        began.map_or_else(|| "?".to_owned(), |began| began.agent.to_string()),
        began.map_or_else(|| "?".to_owned(), |began| text::line(&began.input, INPUT_CHARS_MAX)),
    ]
}

fn aligned(cells: &[String; 7], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
