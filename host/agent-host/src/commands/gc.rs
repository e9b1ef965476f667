//! `agent-host journal gc`: removes what no event refers to any more, and gives the space back.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_core::units::{Bytes, Millis};
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::opened;
use crate::journal::removal::{Progress, SWEEP_TIME, SweepMode, Swept};

/// `agent-host journal gc`.
#[derive(Debug, clap::Args)]
pub struct GcArgs {
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Stop after this time; the next one goes on from there. Runs that begin meanwhile wait for it.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = parse_time)]
    time: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Sweeps and says how much was removed.
///
/// # Errors
/// Where there is no journal, or a host is at work in its folder.
pub fn gc(args: &GcArgs) -> anyhow::Result<ExitCode> {
    let journal = opened::journal(args.agent.as_deref())?;
    let mode = if args.dry_run { SweepMode::DryRun } else { SweepMode::Remove };
    let bar = bar();
    let swept = journal.sweep(mode, args.time, &mut |progress| say(&bar, progress))?;
    bar.finish_and_clear();
    let Some(swept) = swept else {
        bail!(
            "a host is at work in this folder: what it has kept may not be named by an event yet\n  hint: try again when \
             `agent-host ls --status running` lists nothing"
        );
    };
    let mut out = anstream::stdout();
    if args.json {
        let object = serde_json::json!({
            "blobs": swept.blobs, "removed": swept.unnamed, "removed_bytes": swept.unnamed_bytes,
            "given_back_bytes": swept.given_back, "complete": swept.complete, "dry_run": args.dry_run,
        });
        writeln!(out, "{object}")?;
    } else {
        write(&swept, mode, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(swept: &Swept, mode: SweepMode, out: &mut dyn Write) -> std::io::Result<()> {
    let bytes = Bytes(swept.unnamed_bytes);
    let (unnamed, blobs) = (swept.unnamed, swept.blobs);
    match mode {
        SweepMode::DryRun => writeln!(out, "would remove {unnamed} of {blobs} blobs, {bytes}")?,
        SweepMode::Remove => {
            let smaller = Bytes(swept.given_back);
            writeln!(out, "removed {unnamed} of {blobs} blobs, {bytes}; the file is {smaller} smaller")?;
        }
    }
    if swept.complete {
        return Ok(());
    }
    writeln!(
        out,
        "  hint: there was not time enough, or another process read the file all the time: the next one goes on; `--time 5m` \
         gives it more"
    )
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("· {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

fn say(bar: &ProgressBar, progress: Progress) {
    bar.set_message(match progress {
        Progress::Looking { events, of } => format!("looking through events: {events} of {of}"),
        Progress::Removing { blobs } => format!("removing: {blobs} blobs"),
    });
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let time: Millis =
        text.parse().map_err(|error: agent_core::config::quantity::InvalidQuantity| error.to_string())?;
    if time.0 == 0 { Err("a sweep takes some time".to_owned()) } else { Ok(time.to_duration()) }
}

const _: () = assert!(SWEEP_TIME.as_secs() == 20, "the default of `--time` is that of every sweep");
