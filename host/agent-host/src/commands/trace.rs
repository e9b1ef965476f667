//! `agent-host trace`: a run over time, in the terminal or for a collector.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use agent_core::name::RunId;
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Span};
use anyhow::{Context, bail};

use crate::cli::OfRuns;
use crate::clock;
use crate::commands::resume::runs_folder;
use crate::hardening::reach::Reach;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::runs::RunStatus;
use crate::journal::sqlite::SqliteJournal;
use crate::report::waterfall::{self, Effects};
use crate::report::{spans, text};
use crate::trace::{Sent, Telemetry, settings};

/// How wide the picture is where nobody says how wide the terminal is.
const WIDTH: usize = 100;
/// Events that are read at once: more would be held in memory for nothing.
const PAGE_EVENTS: usize = 256;

/// Shows where a run's time, tokens and fuel went, or sends its trace to a collector.
#[derive(Debug, clap::Args)]
pub struct TraceArgs {
    /// The run, or the beginning of its name [default: the latest]
    pub run: Option<String>,
    /// Draw every effect of every call
    #[arg(long)]
    pub effects: bool,
    /// Print the spans as they would be exported, one JSON object a line
    #[arg(long, conflicts_with = "effects")]
    pub json: bool,
    /// Send what the collector of `OTEL_EXPORTER_OTLP_ENDPOINT` does not have yet
    #[arg(long, conflicts_with_all = ["effects", "json"])]
    pub export: bool,
}

/// Draws the run on `out`.
///
/// # Errors
/// Where there is no such run, the journal cannot be read or `out` not be written.
pub fn run(args: &TraceArgs, journal: &dyn Journal, out: &mut dyn Write) -> anyhow::Result<()> {
    let id = journal.find_run(args.run.as_deref())?;
    if args.json {
        return Ok(spans::write(&project(journal, &id, settings::content())?, out)?);
    }
    let all = project(journal, &id, Content::Brief)?;
    if all.is_empty() {
        return Ok(writeln!(
            out,
            "run {id} shares all its events with the run that it was forked from: nothing of its own yet"
        )?);
    }
    let effects = if args.effects { Effects::All } else { Effects::Some };
    Ok(waterfall::write(&all, width(), effects, out)?)
}

/// Sends the run's trace and its metrics, as far as the collectors do not have them.
///
/// # Errors
/// Where there is no collector or no such run, or the collector did not take everything.
pub fn export(of: &OfRuns<TraceArgs>) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(of.agent.as_deref())?;
    let _ = hardening::put_up(Files::Within(&Reach::of_journal(&runs)));
    let _ = hardening::close_memory();
    let run = SqliteJournal::open_existing(&runs, &key)?.find_run(of.args.run.as_deref())?;
    let telemetry = Telemetry::prepare(&runs, &key);
    if telemetry.is_off() {
        bail!(
            "no collector is named\n  hint: `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 agent-host trace {run} --export`"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let tell = |line: &str| {
        let _ = writeln!(anstream::stderr(), "· {}", text::whole(line));
    };
    let (mut out, mut failure) = (anstream::stdout(), None);
    for sent in runtime.block_on(telemetry.send(&run, tell)) {
        match sent {
            Ok(Sent { count, of, to }) => {
                writeln!(out, "sent {count} {of} of run {run} to {to}").context("cannot write the result")?;
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// The spans of the run as it stands: what goes on is open where somebody drives it, and has ended with its host where nobody
/// does.
fn project(journal: &dyn Journal, run: &RunId, content: Content) -> anyhow::Result<Vec<Span>> {
    let mut projection = Projection::new(content);
    let mut all: Vec<Span> = Vec::new();
    loop {
        let page = journal.events_after(run, projection.seq(), PAGE_EVENTS)?;
        if page.is_empty() {
            break;
        }
        all.extend(page.iter().flat_map(|(recorded, hash)| projection.follow(recorded, Some(hash))));
    }
    all.extend(match journal.summary(run)?.status {
        RunStatus::Running { .. } => projection.open(clock::now()),
        RunStatus::Interrupted | RunStatus::Stopped(_) | RunStatus::Damaged => projection.interrupted(),
    });
    Ok(all)
}

/// The terminal's width. `COLUMNS` says it to those who write into a file.
fn width() -> usize {
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let seen = || match std::io::stdout().is_terminal() {
        true => terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
        false => None,
    };
    seen().or_else(said).unwrap_or(WIDTH)
}
