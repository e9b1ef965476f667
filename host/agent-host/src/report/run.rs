//! `agent-host show RUN`: a run as a person reads it.

use std::io::{self, Write};

use agent_core::answer_events::{AnswerPlace, Approval, ApprovalSubject, Resolution, ResolvedBy};
use agent_core::budget::Spent;
use agent_core::effect::Decision;
use agent_core::event::{Event, Recorded, Suspension, ToolFinished};
use agent_core::file_events::ChangesUndone;
use agent_core::hardening::Hardening;
use agent_core::outcome::{Content, LogLevel, LogRecord, MeteredFuel, Metering, ResourceBody, ToolOutcome};
use agent_core::run_events::RunStarted;
use agent_core::session::{Earlier, ForkedFrom, SessionPlace};
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::UnixMillis;
use jiff::tz::TimeZone;

use super::story::{Call, Step, Teller, Turn};
use super::{HEADING, QUIET, effects, text, waiting};
use crate::journal::error::JournalError;
use crate::journal::runs::RunStatus;

/// One line of a tool's words or a model's: enough for any real one.
pub(super) const LINE_CHARS_MAX: usize = 2_000;
/// What a model or person said is shown whole, up to what one would scroll through.
const SAID_LINES_MAX: usize = 1_000;
/// A call's arguments are recognised by their beginning; `--json` has all.
const ARGUMENTS_CHARS_MAX: usize = 120;
/// A call's result, likewise.
const RESULT_LINES_MAX: usize = 6;
const RESULT_CHARS_MAX: usize = 160;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What was said, and the outcome of each call.
    Conversation,
    /// Also every effect.
    Effects,
}

/// What there is to know of a run before its events are told.
pub struct Known<'k> {
    /// Its state at the end, without what was said in it.
    pub state: &'k State,
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started: UnixMillis,
    /// What confined the host of its last start.
    pub hardening: &'k Hardening,
}

/// Writes a run, whose events are handed over one by one.
///
/// # Errors
/// Where `out` cannot be written, or there is no next event.
pub fn write(
    known: &Known<'_>,
    events: impl Iterator<Item = Result<Recorded, JournalError>>,
    zone: &TimeZone,
    detail: Detail,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Known { state, status, started, hardening } = known;
    write_header(state, *started, *status, zone, out)?;
    waiting::write(&waiting::of_run(state), state.run.as_str(), "  waits    ", out)?;
    writeln!(out, "  walls    {}", text::line(&hardening.to_string(), LINE_CHARS_MAX))?;
    writeln!(out, "\n{HEADING}input{HEADING:#}")?;
    write_block(&state.started.input, "  ", SAID_LINES_MAX, LINE_CHARS_MAX, out)?;
    let mut teller = Teller::new(&state.started.tools);
    for recorded in events {
        teller.see(recorded?);
        while let Some(step) = teller.next() {
            write_step(&step, state, detail, out)?;
        }
    }
    let rest = teller.end();
    for (index, step) in rest.iter().enumerate() {
        let is_last = index + 1 == rest.len();
        // The last stop is in the header.
        let is_stop = matches!(step, Step::Note(last) if matches!(last.event, Event::RunEnded(_)));
        if !(is_last && is_stop) {
            write_step(step, state, detail, out)?;
        }
    }
    Ok(write_end(state, out)?)
}

fn write_step(step: &Step, state: &State, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    match step {
        // The answer is below.
        Step::Turn(turn) if is_answer(turn, state) => Ok(()),
        Step::Turn(turn) => write_turn(turn, detail, out),
        Step::Served(client, call) => {
            let by = text::line(&format!("{} {}", client.name, client.version), ARGUMENTS_CHARS_MAX);
            writeln!(out, "\n{QUIET}asked by {by}{QUIET:#}")?;
            write_call(call, detail, out)
        }
        Step::Note(recorded) => write_note(recorded, out),
    }
}

/// A time as people of that zone write it.
pub(super) fn local(at: UnixMillis, zone: &TimeZone, format: &str) -> String {
    let time = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "?".to_owned(), |time| time.to_zoned(zone.clone()).strftime(format).to_string())
}

fn write_header(
    state: &State,
    started: UnixMillis,
    status: RunStatus,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    let models: Vec<_> = state.started.models.iter().map(|model| text::line(&model.name, LINE_CHARS_MAX)).collect();
    writeln!(out, "{HEADING}run {}{HEADING:#}", state.run)?;
    writeln!(out, "  agent    {}", state.started.agent)?;
    let none = "none: it serves clients".to_owned();
    writeln!(out, "  models   {}", if models.is_empty() { none } else { models.join(", ") })?;
    writeln!(out, "  started  {}", local(started, zone, "%Y-%m-%d %H:%M:%S %Z"))?;
    write_ties(&state.started, out)?;
    writeln!(out, "  status   {}", status_line(state, status))?;
    writeln!(out, "  spent    {}", spent_line(&state.spent))
}

/// What the run belongs to and is found by.
fn write_ties(started: &RunStarted, out: &mut dyn Write) -> io::Result<()> {
    if let Some(SessionPlace { name, place }) = &started.session {
        let Earlier { runs, left_out } = &started.earlier;
        let before = runs.last().map(|last| format!(", after {}", last.run)).unwrap_or_default();
        let left_out = if *left_out > 0 { format!(", the first {left_out} left out") } else { String::new() };
        writeln!(out, "  session  {name}, run {place}{before}{left_out}")?;
    }
    if let Some(ForkedFrom { run, seq, .. }) = &started.forked_from {
        writeln!(out, "  fork     of {run} at event {seq}")?;
    }
    if !started.meta.is_empty() {
        let entries: Vec<_> = started.meta.iter().map(|(key, value)| format!("{key}={value}")).collect();
        writeln!(out, "  meta     {}", text::line(&entries.join(", "), LINE_CHARS_MAX))?;
    }
    Ok(())
}

fn status_line(state: &State, status: RunStatus) -> String {
    match (status, &state.stopped) {
        (RunStatus::Running { pid }, _) => format!("running in process {pid}"),
        (RunStatus::Interrupted, _) => format!("interrupted: go on with `agent-host resume {}`", state.run),
        (RunStatus::Stopped(stop), Some(_)) if is_answered(state, stop) => {
            format!("{stop}, answered: go on with `agent-host resume {}`", state.run)
        }
        (RunStatus::Stopped(_) | RunStatus::Damaged, Some(ended)) => match &ended.detail {
            Some(detail) => format!("{}: {}", ended.stop, text::line(detail, LINE_CHARS_MAX)),
            None => ended.stop.to_string(),
        },
        (RunStatus::Stopped(stop), None) => stop.to_string(),
        (RunStatus::Damaged, None) => "damaged".to_owned(),
    }
}

/// Whether a run that waited for a person has all that it waited for.
fn is_answered(state: &State, stop: StopReason) -> bool {
    matches!(stop, StopReason::SuspendedApproval | StopReason::SuspendedDoubt) && waiting::of_run(state).is_empty()
}

fn spent_line(spent: &Spent) -> String {
    let tokens = format!("{} tokens ({} in, {} out)", spent.tokens(), spent.input_tokens, spent.output_tokens);
    let (turns, calls) = (counted(spent.turns, "turn"), counted(spent.tool_calls, "tool call"));
    format!("{turns} · {calls} · {tokens} · {} fuel · {}", spent.fuel, spent.time)
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn is_answer(turn: &Turn, state: &State) -> bool {
    let answer = state.stopped.as_ref().and_then(|ended| ended.answer.as_deref());
    turn.calls.is_empty() && answer == Some(&turn.replied.reply.text)
}

fn write_turn(turn: &Turn, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let model = text::line(&turn.replied.reply.model, LINE_CHARS_MAX);
    writeln!(out, "\n{HEADING}turn {}{HEADING:#}{QUIET} · {model}{QUIET:#}", turn.replied.turn)?;
    write_block(&turn.replied.reply.text, "  ", SAID_LINES_MAX, LINE_CHARS_MAX, out)?;
    turn.calls.iter().try_for_each(|call| write_call(call, detail, out))
}

fn write_call(call: &Call, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let (number, tool) = (call.number, text::line(&call.tool, LINE_CHARS_MAX));
    let arguments = text::line(&call.arguments, ARGUMENTS_CHARS_MAX);
    writeln!(out, "  {HEADING}call {number}  {tool}{HEADING:#} {arguments}")?;
    for event in &call.events {
        if let Some(note) = call_note(event) {
            writeln!(out, "    {note}")?;
        }
    }
    match call.finished() {
        Some(finished) => {
            let (outcome, used) = (&finished.outcome, used(&finished.metering));
            writeln!(out, "    {}{QUIET} · {used}{QUIET:#}", outcome.name())?;
            write_result(outcome, out)?;
            write_hidden(finished.hidden, out)?;
            if !outcome.is_success() || detail == Detail::Effects {
                write_said(finished, out)?;
            }
        }
        None if call.is_resolved() || call.is_set_aside() => {}
        None => writeln!(out, "    no outcome is recorded")?,
    }
    match detail {
        Detail::Effects => effects::write(call.effects(), out)?,
        Detail::Conversation => {
            let mut once = effects::each_once(call.effects().recorded);
            once.retain(|repeated| matches!(repeated.effect.decision, Decision::Deny { .. }));
            once.iter().try_for_each(|repeated| write_refusal(repeated, out))?;
        }
    }
    write_effects_dropped(call.finished().map_or(0, |finished| finished.metering.effects_dropped), out)
}

/// What happened to a call besides that it started and ended.
fn call_note(event: &Event) -> Option<String> {
    match event {
        Event::ToolStarted(body) if body.attempt > 1 => Some(format!("attempt {}", body.attempt)),
        Event::ApprovalRequested(body) => Some(format!("approval asked: {}", subject(&body.subject))),
        Event::ApprovalDecided(body) => {
            let (subject, place) = (subject(&body.subject), place(body.by.place));
            Some(match &body.answer {
                Approval::Approved { .. } => format!("approved by a person{place}: {subject}"),
                Approval::Denied { reason: None } => format!("denied by a person{place}: {subject}"),
                Approval::Denied { reason: Some(reason) } => {
                    format!("denied by a person{place}: {subject}: {}", text::line(reason, LINE_CHARS_MAX))
                }
            })
        }
        Event::EffectPermitted(body) => {
            let (request, place) = (text::line(&body.request.to_string(), LINE_CHARS_MAX), place(body.by.place));
            Some(format!("allowed this once by a person{place}: {request}"))
        }
        Event::CallUndone(body) => Some(format!("attempt {} undone: {}", body.attempt, counted(body.restored, "path"))),
        Event::ToolInDoubt(body) => {
            let (request, reason) = (body.request.to_string(), &body.reason);
            let (request, reason) = (text::line(&request, LINE_CHARS_MAX), text::line(reason, LINE_CHARS_MAX));
            Some(format!("in doubt: {request}: {reason}"))
        }
        Event::ToolSuspended(body) => Some(match body.reason {
            Suspension::Approval => format!("attempt {} set aside: it waits for a person", body.attempt),
            Suspension::Unanswered => format!("attempt {} ended: a request is sent again with its key", body.attempt),
            Suspension::Cancelled => format!("attempt {} ended: the run was stopped", body.attempt),
        }),
        Event::DoubtResolved(body) => {
            let by = match &body.by {
                ResolvedBy::Person(by) => format!("a person{}", place(by.place)),
                ResolvedBy::Policy => "the run's policy".to_owned(),
                ResolvedBy::Component { .. } => "the tool itself".to_owned(),
            };
            Some(format!("doubt resolved by {by}: {}", resolution(&body.resolution)))
        }
        _ => None,
    }
}

/// Where a person answered, where that was not at the run.
fn place(place: AnswerPlace) -> &'static str {
    match place {
        AnswerPlace::Run => "",
        AnswerPlace::Command => ", by a command",
        AnswerPlace::Client => ", at the client",
    }
}

fn subject(subject: &ApprovalSubject) -> String {
    match subject {
        ApprovalSubject::Call => "the call".to_owned(),
        ApprovalSubject::Effect { request, .. } => text::line(&request.to_string(), LINE_CHARS_MAX),
    }
}

fn resolution(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Happened(told) => format!("it happened: {}", text::line(told, RESULT_CHARS_MAX)),
        Resolution::DidNotHappen => "it did not happen".to_owned(),
        Resolution::Retry => "do it again".to_owned(),
        Resolution::LeftOpen => "nobody knows, and the model is told so".to_owned(),
        Resolution::Unknown => "not known: a person must say".to_owned(),
    }
}

fn used(metering: &Metering) -> String {
    let fuel = match metering.fuel {
        MeteredFuel::Exact(fuel) => format!("{fuel} fuel"),
        MeteredFuel::AtLeast(fuel) => format!("at least {fuel} fuel"),
    };
    format!("{} · {fuel} · {}", metering.duration, metering.memory_peak)
}

fn write_result(outcome: &ToolOutcome, out: &mut dyn Write) -> io::Result<()> {
    let show = |words: &str, out: &mut dyn Write| write_block(words, "    ", RESULT_LINES_MAX, RESULT_CHARS_MAX, out);
    match outcome {
        ToolOutcome::Returned { content } => content.iter().try_for_each(|part| show(&content_text(part), out)),
        ToolOutcome::Failed { message }
        | ToolOutcome::Refused { message, .. }
        | ToolOutcome::Faulted { message, .. } => show(message, out),
    }
}

/// A person who reads an answer should know that there is more in it than they see.
fn write_hidden(hidden: u64, out: &mut dyn Write) -> io::Result<()> {
    match hidden {
        0 => Ok(()),
        1 => writeln!(out, "    one hidden character, shown escaped"),
        hidden => writeln!(out, "    {hidden} hidden characters, shown escaped"),
    }
}

/// A list of effects that is not complete says so.
fn write_effects_dropped(dropped: u64, out: &mut dyn Write) -> io::Result<()> {
    match dropped {
        0 => Ok(()),
        1 => writeln!(out, "    one more look or refusal, which was counted and not kept"),
        more => writeln!(out, "    {more} more looks and refusals, which were counted and not kept"),
    }
}

/// What a call said beside its result, and how much of it was dropped.
fn write_said(finished: &ToolFinished, out: &mut dyn Write) -> io::Result<()> {
    let said = &finished.said;
    write_block(&said.stdout.text, "    stdout: ", RESULT_LINES_MAX, RESULT_CHARS_MAX, out)?;
    write_block(&said.stderr.text, "    stderr: ", RESULT_LINES_MAX, RESULT_CHARS_MAX, out)?;
    for LogRecord { level, message } in said.log.iter().take(RESULT_LINES_MAX) {
        writeln!(out, "    log {}: {}", level_word(*level), text::line(message, RESULT_CHARS_MAX))?;
    }
    match said.log.len().saturating_sub(RESULT_LINES_MAX) {
        0 => {}
        more => writeln!(out, "    log: … {more} more, in `--json`")?,
    }
    let Metering { output_dropped, log_dropped, log_bytes_dropped, .. } = &finished.metering;
    if output_dropped.0 > 0 {
        writeln!(out, "    {output_dropped} more were printed and dropped")?;
    }
    if log_bytes_dropped.0 > 0 {
        writeln!(out, "    {log_bytes_dropped} more were logged and dropped, {log_dropped} records among them")?;
    }
    Ok(())
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn content_text(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Json(json) => json.to_string(),
        Content::Image(media) | Content::Audio(media) => {
            format!("[{}, {} characters]", media.mime_type, media.base64.len())
        }
        Content::Resource { uri, body: ResourceBody::Text(text), .. } => format!("[{uri}]\n{text}"),
        Content::Resource { uri, body: ResourceBody::Base64(text), .. } => {
            format!("[{uri}, {} characters]", text.len())
        }
    }
}

/// A refused effect, with the line that would allow it.
pub(super) fn write_refusal(repeated: &effects::Repeated<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Decision::Deny { refusal, rule, hint } = &repeated.effect.decision else { return Ok(()) };
    let request = text::line(&repeated.effect.request.to_string(), LINE_CHARS_MAX);
    writeln!(out, "    refused ({refusal}): {request}{}", repeated.again())?;
    write_rule(rule, hint.as_deref(), out)
}

pub(super) fn write_rule(rule: &str, hint: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "      rule: {}", text::line(rule, LINE_CHARS_MAX))?;
    match hint {
        Some(hint) => writeln!(out, "      hint: {}", text::line(hint, LINE_CHARS_MAX)),
        None => Ok(()),
    }
}

fn write_note(recorded: &Recorded, out: &mut dyn Write) -> io::Result<()> {
    let note = match &recorded.event {
        Event::ModelFailed(body) => {
            format!("turn {}: no reply: {}", body.turn, text::line(&body.failure.message, LINE_CHARS_MAX))
        }
        Event::GrantWidened(body) => format!("a person allowed `{}` more", body.authority.tool),
        Event::ChangesUndone(body) => undone(body),
        Event::RunResumed(body) => match body.repaired {
            Some(bytes) => format!("resumed; {}", text::cut_off(bytes)),
            None => "resumed".to_owned(),
        },
        Event::RunRebased(_) => "the operator moved what the run is locked to".to_owned(),
        Event::RunAdopted(_) => "imported: the operator vouched for everything before".to_owned(),
        Event::RunEnded(body) => match &body.detail {
            Some(detail) => format!("stopped: {}: {}", body.stop, text::line(detail, LINE_CHARS_MAX)),
            None => format!("stopped: {}", body.stop),
        },
        other => other.kind().to_owned(),
    };
    writeln!(out, "\n{QUIET}{note}{QUIET:#}")
}

fn undone(body: &ChangesUndone) -> String {
    let calls: Vec<_> = body.attempts.iter().map(|attempt| attempt.call.to_string()).collect();
    let left: usize = body.attempts.iter().map(|attempt| attempt.left.len()).sum();
    let but =
        if left == 0 { String::new() } else { format!(", but for {left} paths that something else changed since") };
    format!("a person had the file changes undone of call {}{but}", calls.join(", "))
}

fn write_end(state: &State, out: &mut dyn Write) -> io::Result<()> {
    match state.stopped.as_ref().and_then(|ended| ended.answer.as_deref()) {
        Some(answer) => {
            writeln!(out, "\n{HEADING}answer{HEADING:#}")?;
            write_block(answer, "  ", SAID_LINES_MAX, LINE_CHARS_MAX, out)
        }
        None => Ok(()),
    }
}

fn write_block(words: &str, indent: &str, lines_max: usize, chars_max: usize, out: &mut dyn Write) -> io::Result<()> {
    text::block(words, lines_max, chars_max)
        .iter()
        .try_for_each(|line| writeln!(out, "{}", format!("{indent}{line}").trim_end()))
}
