//! What scripts read: stored events as JSON lines, and the listing as one array. The forms are stable; `docs/journal.md`
//! describes them.

use std::io::{self, Write};

use agent_core::event::{Recorded, VERSION};
use agent_core::metadata::Metadata;
use agent_core::units::UnixMillis;
use serde::Serialize;
use serde_json::value::RawValue;

use super::text;
use super::waiting::{Waiting, Wants};
use crate::journal::removal::{Found, Tombstone};
use crate::journal::runs::{RunStatus, RunSummary};

#[derive(Serialize)]
struct EventLine<'a> {
    run: &'a str,
    seq: u64,
    epoch: u64,
    /// RFC 3339, UTC, milliseconds.
    at: String,
    kind: &'a str,
    version: u32,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct RunEntry<'a> {
    run: &'a str,
    agent: Option<&'a str>,
    /// The first line.
    input: Option<&'a str>,
    started: Option<String>,
    status: &'static str,
    /// The process, while the status is `running`.
    pid: Option<u32>,
    turns: u64,
    calls: u64,
    session: Option<&'a str>,
    place: Option<u32>,
    meta: Option<&'a Metadata>,
    waits: Vec<WaitingEntry<'a>>,
}

/// Something that a person is waited for.
#[derive(Serialize)]
pub struct WaitingEntry<'a> {
    call: u32,
    tool: &'a str,
    /// `approval`, or `word`: what became of a call in doubt.
    r#for: &'static str,
    what: String,
}

/// Writes the line of an event.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_event(recorded: &Recorded, out: &mut dyn Write) -> io::Result<()> {
    let body = RawValue::from_string(recorded.event.to_body()?)?;
    let line = EventLine {
        run: recorded.run.as_str(),
        seq: recorded.seq,
        epoch: recorded.epoch,
        at: rfc3339(recorded.at),
        kind: recorded.event.kind(),
        version: VERSION,
        body: &body,
    };
    writeln!(out, "{}", text::json(&serde_json::to_string(&line)?))
}

/// What a run waits for.
#[must_use]
pub fn waits(waits: &[Waiting]) -> Vec<WaitingEntry<'_>> {
    waits.iter().map(waiting_entry).collect()
}

fn waiting_entry(waiting: &Waiting) -> WaitingEntry<'_> {
    WaitingEntry {
        call: waiting.call.0,
        tool: &waiting.tool,
        r#for: match waiting.wants {
            Wants::Approval(_) => "approval",
            Wants::Word { .. } => "word",
        },
        what: waiting.what(),
    }
}

/// Writes one array; `waits` holds what each run waits for.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_runs(runs: &[RunSummary], waits: &[Vec<Waiting>], gone: &[Found], out: &mut dyn Write) -> io::Result<()> {
    let runs = runs.iter().zip(waits).map(|(run, waits)| serde_json::to_value(entry(run, waits)));
    let entries = runs.chain(gone.iter().map(|found| Ok(removed(found)))).collect::<Result<Vec<_>, _>>()?;
    writeln!(out, "{}", text::json(&serde_json::to_string_pretty(&entries)?))
}

/// What is left of a removed run.
#[must_use]
pub fn removed(found: &Found) -> serde_json::Value {
    let Tombstone { run, seq, head, at } = &found.tombstone;
    serde_json::json!({
        "run": run, "status": "removed", "removed": rfc3339(*at), "events": seq, "head": head, "ours": found.is_ours,
    })
}

fn entry<'a>(summary: &'a RunSummary, waiting: &'a [Waiting]) -> RunEntry<'a> {
    let began = summary.began.as_ref();
    let pid = match summary.status {
        RunStatus::Running { pid } => Some(pid),
        RunStatus::Interrupted | RunStatus::Stopped(_) | RunStatus::Damaged => None,
    };
    RunEntry {
        run: summary.run.as_str(),
        agent: began.map(|began| began.agent.as_str()),
        input: began.map(|began| began.input.as_str()),
        started: began.map(|began| rfc3339(began.at)),
        status: summary.status.name().as_str(),
        pid,
        turns: summary.turns,
        calls: summary.calls,
        session: began.and_then(|began| Some(began.session.as_ref()?.name.as_str())),
        place: began.and_then(|began| Some(began.session.as_ref()?.place)),
        meta: began.map(|began| &began.meta),
        waits: waits(waiting),
    }
}

/// A time for programs: RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    super::run::local(at, &jiff::tz::TimeZone::UTC, "%Y-%m-%dT%H:%M:%S.%3fZ")
}
