//! `agent-host show`: what a run said and did.

use std::io::Write;

use agent_core::state::State;
use anyhow::Context as _;
use jiff::tz::TimeZone;

use crate::journal::Journal;
use crate::report::json;
use crate::report::run::{self, Detail};

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
    let events = journal.events(&id)?;
    if args.json {
        return Ok(json::write_events(&events, out)?);
    }
    let state = State::fold(&events).with_context(|| format!("run `{id}` does not hang together"))?;
    let state = state.with_context(|| format!("run `{id}` has no event"))?;
    let detail = if args.effects { Detail::Effects } else { Detail::Conversation };
    Ok(run::write(&state, &events, journal.summary(&id)?.status, zone, detail, out)?)
}
