//! What came of a call, told to the caller: an answer within its bounds, or why there is none.

use std::sync::Arc;

use agent_core::effect::{Decision, Effect, Refusal};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::outcome::{
    Content, Fault, Media, MeteredFuel, Metering, Printed, RefusedCall, ResourceBody, Said, ToolOutcome,
};
use agent_core::units::{Fuel, Millis};
use wasmtime::component::Val;

use crate::base64;
use crate::bindings::agent_host::tool::types;
use crate::bindings::exports::agent_host::tool::tools::Part;
use crate::bindings::reconciler::exports::agent_host::tool::reconcile::Finding;
use crate::call::{CallReport, Remains};
use crate::command;
use crate::defence::{self, Defence};
use crate::fault::{Stopped, classify};
use crate::gate::GateClosed;
use crate::invoke::{Answer, Ending, Finished};
use crate::plain_text;
use crate::plainly::PlainValue;
use crate::transcript::Transcript;
use crate::value::{Mismatch, NODES_MAX, json::Json, lift::lift, shape::Shape};

/// Longest media type: RFC 6838 allows 127 characters on each side of the slash.
const MIME_TYPE_BYTES_MAX: usize = 255;

/// Longest name of an embedded resource.
const URI_BYTES_MAX: usize = 2_048;

/// Most refusals that an outcome names: the model needs the first reasons, not every repetition.
const REFUSALS_NAMED_MAX: usize = 3;

/// Longest act or rule in an outcome. A guest chooses paths.
const REFUSAL_CHARS_MAX: usize = 200;

/// The report of a guest that ran.
///
/// # Errors
/// Where the gate closed during the call: nothing more can be recorded.
pub(crate) fn of_finished(mut finished: Finished, limits: &Limits) -> Result<CallReport, GateClosed> {
    let outcome = match finished.ending {
        Ending::Answered(Answer::Exit(exit)) => {
            within_bounds(command::outcome(exit, &mut finished.account.printed, limits), limits)
        }
        Ending::Answered(answer) => outcome_of(answer, limits),
        Ending::Stopped(error) => match classify(&error, limits) {
            Stopped::Faulted { fault, message } => ToolOutcome::Faulted { fault, message },
            Stopped::Overloaded => return Ok(refused(RefusedCall::Overloaded, OVERLOADED)),
            Stopped::Gate(closed) => return Err(closed),
        },
        Ending::DeadlineExceeded => deadline_exceeded(limits),
        Ending::Cancelled => cancelled(),
    };
    let mut account = finished.account;
    let outcome = match (account.divergence.take(), &outcome) {
        // Stopped by something that had no part in what it did then.
        (
            Some(_),
            ToolOutcome::Faulted { fault: Fault::Cancelled | Fault::DeadlineExceeded | Fault::ReplayDiverged, .. },
        )
        | (None, _) => outcome,
        (Some(message), _) => ToolOutcome::Faulted { fault: Fault::ReplayDiverged, message },
    };
    // A call that was stopped has written nothing.
    let kv = if matches!(outcome, ToolOutcome::Faulted { .. }) { Vec::new() } else { account.kv };
    let outcome = with_refusals(outcome, &account.effects);
    let metering = Metering {
        fuel: finished.fuel,
        memory_peak: finished.memory_peak,
        duration: finished.duration,
        host_calls: account.host_calls,
        output_dropped: account.printed.dropped,
        effects_dropped: account.effects_dropped,
        log_dropped: account.log.dropped,
        log_bytes_dropped: account.log.bytes_dropped,
    };
    let said = Said {
        stdout: printed(std::mem::take(&mut account.printed.stdout)),
        stderr: printed(std::mem::take(&mut account.printed.stderr)),
        log: account.log.records,
    };
    let (effects, transcript, remains) = (account.effects, account.transcript, Remains::Nothing);
    Ok(CallReport { outcome, metering, effects, kv, said, transcript, remains })
}

/// A call that did not do what was asked, with what the host refused it on the way: all that a tool learns of a full quota is
/// that writing failed, and one that traps says nothing at all. A tool that failed in its own words knows of the other refusals.
/// The rule is named where it is the sandbox's own; others speak of the operator's files.
fn with_refusals(mut outcome: ToolOutcome, effects: &[Effect]) -> ToolOutcome {
    let (message, own_words) = match &mut outcome {
        ToolOutcome::Failed { message } => (message, true),
        ToolOutcome::Faulted { message, .. } => (message, false),
        ToolOutcome::Returned { .. } | ToolOutcome::Refused { .. } => return outcome,
    };
    let mut named = Vec::new();
    for effect in effects {
        let Decision::Deny { refusal, rule, .. } = &effect.decision else { continue };
        let act = plain_text::one_line(&effect.request.to_string(), REFUSAL_CHARS_MAX);
        let line = match refusal {
            Refusal::FsQuota | Refusal::FsSpecialFile | Refusal::ApprovalDenied => format!("{refusal}: {act}: {rule}"),
            _ if own_words => continue,
            _ => format!("{refusal}: {act}"),
        };
        if named.len() < REFUSALS_NAMED_MAX && !named.contains(&line) {
            named.push(line);
        }
    }
    for line in named {
        message.push_str("\nthe host refused: ");
        message.push_str(&line);
    }
    outcome
}

/// The report of a call that was given up while it waited for a file system. Its guest is out of reach, and with it all that
/// only the guest's side knows: what it printed, its memory, its fuel.
pub(crate) fn given_up(
    outcome: ToolOutcome,
    (effects, effects_dropped): (Vec<Effect>, u64),
    duration: Millis,
) -> CallReport {
    let fuel = MeteredFuel::AtLeast(Fuel(0));
    let metering = Metering { fuel, duration, effects_dropped, ..Metering::nothing() };
    CallReport { effects, metering, remains: Remains::FileWork, ..not_started(outcome) }
}

/// What a caller is told whose call found no slot in time.
pub(crate) const OVERLOADED: &str = "every slot of the sandbox is taken; try again in a moment";

/// The report of a call that was not started.
pub(crate) fn refused(reason: RefusedCall, message: impl Into<String>) -> CallReport {
    not_started(ToolOutcome::Refused { reason, message: message.into() })
}

/// The report of a call that ended before it started.
pub(crate) fn not_started(outcome: ToolOutcome) -> CallReport {
    CallReport {
        outcome,
        metering: Metering::nothing(),
        effects: Vec::new(),
        kv: Vec::new(),
        said: Said::default(),
        transcript: Transcript::default(),
        remains: Remains::Nothing,
    }
}

/// What is not text is kept as it is, too.
fn printed(bytes: Vec<u8>) -> Printed {
    match String::from_utf8(bytes) {
        Ok(text) => Printed { text, base64: None },
        Err(error) => {
            let bytes = error.as_bytes();
            Printed { text: String::from_utf8_lossy(bytes).into_owned(), base64: Some(base64::encode(bytes)) }
        }
    }
}

pub(crate) fn deadline_exceeded(limits: &Limits) -> ToolOutcome {
    ToolOutcome::Faulted { fault: Fault::DeadlineExceeded, message: deadline_message(limits) }
}

/// What is said of a call that ran too long.
pub(crate) fn deadline_message(limits: &Limits) -> String {
    format!(
        "the tool ran longer than its deadline of {}; give it less to do at once, or raise `limits.deadline`",
        limits.deadline
    )
}

/// What is said of a call that its caller ended.
pub(crate) const CANCELLED: &str = "the call was cancelled";

/// The outcome of a call that its caller ended.
pub(crate) fn cancelled() -> ToolOutcome {
    ToolOutcome::Faulted { fault: Fault::Cancelled, message: CANCELLED.to_owned() }
}

fn outcome_of(answer: Answer, limits: &Limits) -> ToolOutcome {
    let limit = defence::limit(Defence::Results, limits.result_bytes.0);
    let mut room = Room { limit, left: limit };
    let outcome = match answer {
        Answer::Value(value) => room.answer(value),
        Answer::Plain(Ok(PlainValue::Nothing)) => Ok(nothing()),
        Answer::Plain(Ok(PlainValue::Text(text))) => room.text(text).map(|text| returned(Content::Text(text))),
        Answer::Plain(Ok(PlainValue::Bytes(bytes))) => room.bytes(&bytes).map(returned),
        Answer::Plain(Err(message)) => room.text(message).map(failed),
        Answer::Parts(Ok(parts)) => room.parts(parts).map(|content| ToolOutcome::Returned { content }),
        Answer::Parts(Err(message)) => room.text(message).map(failed),
        Answer::Finding(Finding::Happened(text)) => room.text(text).map(|text| returned(Content::Text(text))),
        Answer::Finding(Finding::DidNotHappen | Finding::Unknown) => Ok(nothing()),
        Answer::Tools(_) => unreachable!("only `describe` asks for tools"),
        Answer::Exit(_) => unreachable!("a command's end was told before"),
    };
    outcome.unwrap_or_else(unusable)
}

fn unusable(Invalid(problem): Invalid) -> ToolOutcome {
    ToolOutcome::Faulted {
        fault: Fault::ResultInvalid,
        message: plain_text::one_line(&format!("the tool's result cannot be used: {problem}"), 4_000),
    }
}

/// What a command printed is its result, and has the bound of any result beside that of what is printed.
fn within_bounds(outcome: ToolOutcome, limits: &Limits) -> ToolOutcome {
    let bytes = match &outcome {
        ToolOutcome::Returned { content } => content.iter().map(printed_bytes).sum(),
        ToolOutcome::Failed { message } => message.len(),
        ToolOutcome::Refused { .. } | ToolOutcome::Faulted { .. } => 0,
    };
    let limit = defence::limit(Defence::Results, limits.result_bytes.0);
    let fits = Room { limit, left: limit }.take(bytes);
    fits.map_or_else(unusable, |()| outcome)
}

/// How much of a result one part of it is.
fn printed_bytes(content: &Content) -> usize {
    match content {
        Content::Text(text) | Content::Resource { body: ResourceBody::Text(text) | ResourceBody::Base64(text), .. } => {
            text.len()
        }
        Content::Json(json) => json.as_str().len(),
        Content::Image(media) | Content::Audio(media) => media.base64.len(),
    }
}

fn nothing() -> ToolOutcome {
    ToolOutcome::Returned { content: Vec::new() }
}

fn returned(content: Content) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![content] }
}

fn failed(message: String) -> ToolOutcome {
    ToolOutcome::Failed { message }
}

/// Why a result cannot be used.
struct Invalid(String);

impl From<Mismatch> for Invalid {
    fn from(mismatch: Mismatch) -> Self {
        Self(mismatch.to_string())
    }
}

/// What a result may still hold.
struct Room {
    limit: u64,
    left: u64,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Invalid> {
        let left = self.left.checked_sub(bytes as u64);
        let limit = agent_core::units::Bytes(self.limit);
        self.left = left.ok_or_else(|| {
            Invalid(format!("it is larger than {limit}; ask for less, or raise `limits.result_bytes`"))
        })?;
        Ok(())
    }

    fn text(&mut self, text: String) -> Result<String, Invalid> {
        self.take(text.len())?;
        Ok(text)
    }

    /// What a function returned. The error of a result is the tool's failure; a result without value says nothing.
    fn answer(&mut self, value: Option<(Val, Arc<Shape>)>) -> Result<ToolOutcome, Invalid> {
        let Some((val, shape)) = value else { return Ok(nothing()) };
        match (val, &*shape) {
            (Val::Result(Ok(Some(val))), Shape::Result { ok: Some(shape), .. }) => {
                self.value(*val, shape).map(returned)
            }
            (Val::Result(Err(Some(val))), Shape::Result { err: Some(shape), .. }) => {
                self.failure(*val, shape).map(failed)
            }
            (Val::Result(Ok(_)), _) => Ok(nothing()),
            (Val::Result(Err(_)), _) => Ok(failed("the tool failed without saying why".to_owned())),
            (val, shape) => self.value(val, shape).map(returned),
        }
    }

    /// A string is text; everything else is JSON.
    fn value(&mut self, val: Val, shape: &Shape) -> Result<Content, Invalid> {
        match val {
            Val::String(text) => self.text(text).map(Content::Text),
            val => self.lifted(&val, shape).map(Content::Json),
        }
    }

    fn failure(&mut self, val: Val, shape: &Shape) -> Result<String, Invalid> {
        match val {
            Val::String(text) => self.text(text),
            val => Ok(self.lifted(&val, shape)?.as_str().to_owned()),
        }
    }

    /// The same as bytes among other values: a string of base64.
    fn bytes(&mut self, bytes: &[u8]) -> Result<Content, Invalid> {
        self.take(base64::encoded_len(bytes.len()).saturating_add(2))?;
        let text = format!("\"{}\"", base64::encode(bytes));
        JsonText::parse(&text).map(Content::Json).map_err(|error| Invalid(error.to_string()))
    }

    fn lifted(&mut self, val: &Val, shape: &Shape) -> Result<JsonText, Invalid> {
        let text = lift(val, shape, usize::try_from(self.left).unwrap_or(usize::MAX))?;
        self.take(text.len())?;
        JsonText::parse(&text).map_err(|error| Invalid(error.to_string()))
    }

    fn parts(&mut self, parts: Vec<Part>) -> Result<Vec<Content>, Invalid> {
        if parts.len() > NODES_MAX {
            return Err(Invalid(format!("it has more than {NODES_MAX} parts")));
        }
        parts.into_iter().map(|part| self.part(part)).collect()
    }

    fn part(&mut self, part: Part) -> Result<Content, Invalid> {
        Ok(match part {
            Part::Text(text) => Content::Text(self.text(text)?),
            Part::Json(text) => Content::Json(self.json(&text)?),
            Part::Image(media) => Content::Image(self.media(media)?),
            Part::Audio(media) => Content::Audio(self.media(media)?),
            Part::Embedded(resource) => self.resource(resource)?,
        })
    }

    /// The guest's own JSON, kept as written. What no reader can hold exactly, or two could read differently, is refused.
    fn json(&mut self, text: &str) -> Result<JsonText, Invalid> {
        self.take(text.len())?;
        if !defence::is_off(Defence::Results) {
            check_numbers(&Json::parse(text, "result")?)?;
        }
        JsonText::parse(text).map_err(|error| Invalid(error.to_string()))
    }

    fn media(&mut self, media: types::Media) -> Result<Media, Invalid> {
        self.take(base64::encoded_len(media.data.len()))?;
        Ok(Media { mime_type: mime_type(media.mime_type)?, base64: base64::encode(&media.data) })
    }

    fn resource(&mut self, resource: types::ResourceContent) -> Result<Content, Invalid> {
        if resource.uri.len() > URI_BYTES_MAX || resource.uri.chars().any(char::is_control) {
            return Err(Invalid(format!("the name of a resource is no text of at most {URI_BYTES_MAX} bytes")));
        }
        let body = match resource.body {
            types::ResourceBody::Text(text) => ResourceBody::Text(self.text(text)?),
            types::ResourceBody::Blob(bytes) => {
                self.take(base64::encoded_len(bytes.len()))?;
                ResourceBody::Base64(base64::encode(&bytes))
            }
        };
        let mime_type = resource.mime_type.map(mime_type).transpose()?;
        Ok(Content::Resource { uri: self.text(resource.uri)?, mime_type, body })
    }
}

fn mime_type(text: String) -> Result<String, Invalid> {
    let plain = text.len() <= MIME_TYPE_BYTES_MAX
        && text.contains('/')
        && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if plain { Ok(text) } else { Err(Invalid(format!("`{}` is not a media type", crate::value::excerpt(&text)))) }
}

/// Digits of a number in a guest's own JSON that some reader could still hold.
const NUMBER_BYTES_MAX: usize = 400;

fn check_numbers(json: &Json<'_>) -> Result<(), Invalid> {
    match json {
        Json::Number(text) => {
            let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
            if finite && text.len() <= NUMBER_BYTES_MAX {
                return Ok(());
            }
            Err(Invalid(format!(
                "the number `{}` is beyond what readers of JSON can hold",
                crate::value::excerpt(text)
            )))
        }
        Json::Array(items) => items.iter().try_for_each(check_numbers),
        Json::Object(members) => members.iter().try_for_each(|(_, value)| check_numbers(value)),
        Json::Null | Json::Bool(_) | Json::String(_) => Ok(()),
    }
}
