//! A call whose host ended after it had sent what cannot be taken back: the next attempt does the same again along the record,
//! without sending it, and goes on from where the record ends. Called by `call` for such an attempt.

use std::collections::BTreeMap;

use agent_core::answer_events::RetryFrom;
use agent_core::digest::Digest;
use agent_core::event::ToolStarted;
use agent_core::name::CallNumber;
use agent_core::pending::{Attempt, CallStatus, Send};
use agent_core::units::Fuel;
use agent_sandbox::replay::{Answered, Replay, ReplayEnd};
use agent_sandbox::transcript::Transcript;

use super::ports::Ports;
use crate::boot;
use crate::journal::error::JournalError;

/// How an attempt begins.
pub enum Beginning {
    /// From the start, with fresh reads.
    Anew,
    /// Along the record of the attempt before.
    Along(Box<Along>),
    /// Not at all: what was sent cannot be told again, for this reason. A person who said that the call is to be made again did not
    /// know that all of it would be sent once more.
    Never(String),
}

/// What an attempt needs that continues another.
pub struct Along {
    /// How the other began, and its number.
    pub started: ToolStarted,
    /// The fuel that it has used at most.
    pub taken: Fuel,
    /// What it was told.
    pub replay: Replay,
}

/// How the next attempt of a call begins, on an engine that calls itself `engine`.
///
/// # Errors
/// Where the journal cannot be read.
pub fn beginning(ports: &Ports, call: CallNumber, engine: &str) -> anyhow::Result<Beginning> {
    let attempt = match ports.recorder.state().call(call).map(|pending| &pending.status) {
        Some(CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, from: RetryFrom::Record }) => {
            attempt.clone()
        }
        Some(
            CallStatus::Again { from: RetryFrom::Start, .. }
            | CallStatus::Proposed
            | CallStatus::Running(_)
            | CallStatus::InDoubt { .. }
            | CallStatus::Finished(_),
        )
        | None => return Ok(Beginning::Anew),
    };
    if attempt.sends.is_empty() {
        return Ok(Beginning::Anew);
    }
    along(ports, attempt, engine)
}

/// Along the record of an attempt that has sent something, where that is possible.
fn along(ports: &Ports, attempt: Attempt, engine: &str) -> anyhow::Result<Beginning> {
    let never = Beginning::Never;
    if attempt.started.engine != engine {
        let then = &attempt.started.engine;
        return Ok(never(format!("replay_diverged: the call ran on `{then}`, and this host has `{engine}`")));
    }
    let transcript = match transcript(ports, &attempt)? {
        Ok(transcript) => transcript,
        Err(lost) => return Ok(never(lost)),
    };
    if !transcript.is_complete() {
        let reason = "the host ended before the call did, and the record of what the call was told is not complete: it \
                      is too long, or the call changed files that are not undone";
        return Ok(never(reason.to_owned()));
    }
    let mut answers = BTreeMap::new();
    for send in &attempt.sends {
        match answered(ports, send)? {
            Answer::Whole(answered) => drop(answers.insert(send.number, *answered)),
            // It goes out again: a keyed write, or one of which a person said so.
            Answer::Awaited => {}
            Answer::Lost(lost) => return Ok(never(lost)),
            Answer::NotKept => {
                return Ok(never("it happened, but what the call was told of it is not kept".to_owned()));
            }
        }
    }
    let replay = Replay { transcript, answers, end: ReplayEnd::GoLive };
    let taken = attempt.taken_until(boot::known());
    Ok(Beginning::Along(Box::new(Along { started: *attempt.started, taken, replay })))
}

fn transcript(ports: &Ports, attempt: &Attempt) -> anyhow::Result<Result<Transcript, String>> {
    let mut parts = Vec::new();
    for digest in &attempt.transcript {
        let part = match kept(ports, digest, "a part of what the call was told")? {
            Ok(bytes) => bytes,
            Err(lost) => return Ok(Err(lost)),
        };
        match Transcript::from_bytes(&part) {
            Ok(part) => parts.push(part),
            Err(error) => {
                return Ok(Err(format!("`{digest}`, a part of what the call was told, cannot be read: {error}")));
            }
        }
    }
    Ok(Ok(Transcript::joined(parts)))
}

enum Answer {
    Whole(Box<Answered>),
    Awaited,
    NotKept,
    /// The journal does not have it any more, for this reason.
    Lost(String),
}

fn answered(ports: &Ports, send: &Send) -> anyhow::Result<Answer> {
    let Some(result) = send.result() else { return Ok(Answer::Awaited) };
    let Some(digest) = &result.answer else { return Ok(Answer::NotKept) };
    Ok(match kept(ports, digest, "the answer to a request of the call")? {
        Ok(answer) => Answer::Whole(Box::new(Answered { effect: result.effect.clone(), answer })),
        Err(lost) => Answer::Lost(lost),
    })
}

/// What the journal has under a digest that an event names, or why it has it no more. That is damage, but of this one call: the run
/// has another way on, which is a person's word. A journal that is damaged as a whole fails at the record of the doubt.
fn kept(ports: &Ports, digest: &Digest, what: &str) -> anyhow::Result<Result<Vec<u8>, String>> {
    match ports.journal.blob(digest) {
        Ok(Some(bytes)) => Ok(Ok(bytes)),
        Ok(None) => Ok(Err(format!("the journal lacks `{digest}`, {what}"))),
        Err(JournalError::StoreCorrupt { .. }) => Ok(Err(format!("the journal has `{digest}`, {what}, only damaged"))),
        Err(error) => Err(error.into()),
    }
}
