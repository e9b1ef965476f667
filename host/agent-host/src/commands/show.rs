//! `agent-host show`: what a run said and did.

use std::io::Write;

use agent_core::event::Event;
use agent_core::hardening::Hardening;
use agent_core::name::RunId;
use agent_core::state::folding::Folding;
use agent_core::units::UnixMillis;
use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::progress::Progress;
use crate::journal::Journal;
use crate::journal::pages::Pages;
use crate::report::json;
use crate::report::run::{self, Detail, Known};

/// Shows a run: the conversation, its calls, and what they did.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The run, or the beginning of its name [default: the latest]
    pub run: Option<String>,
    /// List every effect of every call
    #[arg(long)]
    pub effects: bool,
    /// Print the recorded events, one JSON object a line
    #[arg(long, conflicts_with = "effects")]
    pub json: bool,
}

/// Writes the run to `out`.
///
/// # Errors
/// Where there is no such run, the journal cannot be read or `out` not be written.
pub fn run(args: &ShowArgs, journal: &dyn Journal, zone: &TimeZone, out: &mut dyn Write) -> anyhow::Result<()> {
    let id = journal.find_run(args.run.as_deref())?;
    let Look { last, started, hardening, folding } = look(journal, &id)?;
    let events = Pages::of(journal, &id, last);
    if args.json {
        for recorded in events {
            json::write_event(&recorded?, out)?;
        }
        return Ok(());
    }
    let state = folding.end().with_context(|| format!("run `{id}` does not hang together"))?;
    let state = state.with_context(|| format!("run `{id}` has no event"))?;
    let detail = if args.effects { Detail::Effects } else { Detail::Conversation };
    let hardening = hardening.as_ref().unwrap_or(&state.started.hardening);
    let known = Known { state: &state, status: journal.summary(&id)?.status, started, hardening };
    run::write(&known, events, zone, detail, out)
}

/// What a first look at a run tells, before its events are written one by one.
struct Look {
    /// The number of its last event.
    last: u64,
    started: UnixMillis,
    /// What confined the host of its last start, where there were several.
    hardening: Option<Hardening>,
    folding: Folding,
}

fn look(journal: &dyn Journal, run: &RunId) -> anyhow::Result<Look> {
    let folding = Folding::without_conversation();
    let mut look = Look { last: 0, started: UnixMillis(0), hardening: None, folding };
    let mut progress = Progress::new("reading events");
    journal.read_into(run, &mut |recorded| {
        progress.step();
        look.last = recorded.seq;
        match &recorded.event {
            Event::RunStarted(_) => look.started = recorded.at,
            Event::RunResumed(body) => look.hardening = Some(body.hardening.clone()),
            _ => {}
        }
        look.folding.see(&recorded);
    })?;
    Ok(look)
}
