//! A call that runs again along the transcript of an attempt before. While there are entries left, the guest is told what it
//! was told then: `state` compares each request with the next entry and takes the answer from it. What the call made and
//! changed then is made and changed again, unless it is replayed offline: then nothing is touched. A request other than the
//! recorded one ends the call, never goes on.

use std::collections::{BTreeMap, BTreeSet};

use agent_core::effect::Effect;
use agent_core::outcome::Fault;
use bytes::{Buf, Bytes};

use crate::state::GuestError;
use crate::stop::Stop;
use crate::transcript::{Decode, Operation, Recall, Transcript, decode_all, read_entry};

/// Most characters of a request or answer that a message shows.
const SHOWN_CHARS_MAX: usize = 120;

/// What an attempt before was told, and what becomes of the call where that ends.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Every answer of the attempt before, up to where its record ends.
    pub transcript: Transcript,
    /// The keyed and opaque writes that were answered, by the effect's number: they are not sent again.
    pub answers: BTreeMap<u32, Answered>,
    /// What comes then.
    pub end: ReplayEnd,
}

/// A keyed or opaque write that was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What was sent, and what came of it.
    pub effect: Effect,
    /// The whole answer, as [`crate::gate::EffectGate::keep_answer`] was given it.
    pub answer: Vec<u8>,
}

/// What becomes of a call whose record ends.
#[derive(Debug, Clone)]
pub enum ReplayEnd {
    /// It goes on, and its effects are real.
    GoLive,
    /// It ends. Nothing is touched at all: no file, no network, no gate.
    StayOffline {
        /// What the call did then, for its outcome names what it was refused.
        effects: Vec<Effect>,
    },
}

/// How far a call has followed a transcript.
pub(crate) enum Following {
    /// There is none, or it has ended.
    Nothing,
    /// Made and changed again is what was.
    Resumed(Log),
    /// Nothing is touched.
    Offline(Log),
}

/// What is left of a transcript.
pub(crate) struct Log {
    left: Bytes,
    /// The number of the entry that is answered from, the first being 1.
    number: u64,
    told: Option<Told>,
    /// Handles of streams that write files.
    pub(crate) file_writers: BTreeSet<u32>,
    /// Handles of what waits for such a stream, or for an answer: waited for again, since otherwise the one could not be written
    /// and the other not be taken.
    pub(crate) waiting: BTreeSet<u32>,
}

/// The entry that the guest's present question is answered from.
struct Told {
    operation: u16,
    answer: Bytes,
    effects: u32,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// There is no transcript: the host answers.
    Live,
    /// It is in the transcript.
    Told,
    /// The transcript has just ended: from here on the host answers.
    Ended,
}

impl Following {
    /// At the beginning of a transcript, if there is one.
    pub(crate) fn begin(replay: Option<&Replay>) -> Self {
        let Some(replay) = replay else { return Self::Nothing };
        let left = replay.transcript.clone().into_entries();
        let log = Log { left, number: 0, told: None, file_writers: BTreeSet::new(), waiting: BTreeSet::new() };
        match replay.end {
            ReplayEnd::GoLive => Self::Resumed(log),
            ReplayEnd::StayOffline { .. } => Self::Offline(log),
        }
    }

    /// Compares a question with the next entry.
    pub(crate) fn follow(&mut self, (operation, asked): (u16, &[u8])) -> Result<Followed, Stop> {
        let (Self::Resumed(log) | Self::Offline(log)) = self else { return Ok(Followed::Live) };
        if log.left.is_empty() {
            let Self::Offline(log) = self else {
                *self = Self::Nothing;
                return Ok(Followed::Ended);
            };
            let question = shown(operation, asked);
            return Err(diverged(format!(
                "the record ends after answer {}, and the tool asks on: {question}",
                log.number
            )));
        }
        log.number += 1;
        let mut bytes = &log.left[..];
        let Some(entry) = read_entry(&mut bytes) else {
            return Err(diverged(format!("answer {} of the record cannot be read", log.number)));
        };
        if (entry.operation, entry.request) != (operation, asked) {
            let (then, now) = (shown(entry.operation, entry.request), shown(operation, asked));
            return Err(diverged(format!(
                "at answer {} of the record the tool asked {then}; now it asks {now}",
                log.number
            )));
        }
        log.told = Some(Told { operation, answer: log.left.slice_ref(entry.answer), effects: entry.effects });
        let taken = log.left.len() - bytes.len();
        log.left.advance(taken);
        Ok(Followed::Told)
    }

    /// Whether nothing may be touched.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, Self::Offline(_))
    }

    /// Whether the present question is answered from the record.
    pub(crate) fn is_told(&mut self) -> bool {
        self.log().is_some_and(|log| log.told.is_some())
    }

    /// A handle waits for an answer.
    pub(crate) fn waits(&mut self, handle: u32) {
        if let Self::Resumed(log) = self {
            log.waiting.insert(handle);
        }
    }

    /// The guest gave a handle back.
    pub(crate) fn forget(&mut self, handle: u32) {
        if let Some(log) = self.log() {
            log.file_writers.remove(&handle);
            log.waiting.remove(&handle);
        }
    }

    /// What is followed, where there is anything.
    pub(crate) fn log(&mut self) -> Option<&mut Log> {
        match self {
            Self::Nothing => None,
            Self::Resumed(log) | Self::Offline(log) => Some(log),
        }
    }

    /// The recorded answer to the present question, where it is one of the transcript.
    pub(crate) fn recall<T: Decode, E: GuestError>(&mut self) -> Option<Result<T, E>> {
        let log = self.log()?;
        let told = log.told.as_ref()?;
        let answer = match told.answer.split_first() {
            Some((0, value)) => decode_all(value).map(Ok),
            Some((1, error)) => E::recall(error).map(Err),
            _ => None,
        };
        Some(answer.unwrap_or_else(|| Err(log.unreadable().into())))
    }

    /// The recorded failure of what is asked presently.
    pub(crate) fn recall_failure<E: GuestError>(&mut self) -> Option<E> {
        let log = self.log()?;
        let told = log.told.as_ref()?;
        let (1, error) = told.answer.split_first().map(|(first, rest)| (*first, rest))? else { return None };
        Some(E::recall(error).unwrap_or_else(|| log.unreadable().into()))
    }

    /// The same of one effect of what is asked presently. Where that is several entries of a store at once, only the last of its
    /// effects failed: those before it were done.
    pub(crate) fn recall_failure_of<E: GuestError>(&mut self, effect: u32) -> Option<E> {
        let told = self.log()?.told.as_ref()?;
        let several = [Operation::KvSetMany as u16, Operation::KvDeleteMany as u16];
        if several.contains(&told.operation) && effect < told.effects { None } else { self.recall_failure() }
    }

    /// The last effect of what is asked presently, where it was asked then.
    pub(crate) fn told_effects(&mut self) -> Option<u32> {
        Some(self.log()?.told.as_ref()?.effects)
    }

    /// The entry of the present question, and what the guest is given: the recorded value or failure, and the object that was
    /// made now. `Err` ends the call.
    pub(crate) fn settle<T: Recall, E: GuestError>(&mut self, now: Result<T, E>) -> Settled<T, E> {
        let Some(told) = self.log().and_then(|log| log.told.take()) else { return Settled::Live(now) };
        let number = self.log().map_or(0, |log| log.number);
        let name = operation_name(told.operation);
        let differs = |then: &str, now: &str| {
            let text = format!("at answer {number} of the record, {name}, the host {then}; now it {now}");
            Settled::Over(E::from(diverged(text)))
        };
        let (ok, rest) = match told.answer.split_first() {
            Some((first @ (0 | 1), rest)) => (*first == 0, rest),
            _ => return Settled::Over(E::from(unreadable(number, &name))),
        };
        let given = match (ok, now) {
            // What ends the call ends it, whatever was recorded.
            (_, Err(error)) if error.refusal().is_none() => return Settled::Over(error),
            (true, Ok(now)) => T::recall(rest, now).map(Ok),
            (false, Err(_)) => E::recall(rest).map(Err),
            (true, Err(_)) => return differs("did it", "cannot"),
            (false, Ok(_)) => return differs("could not do it", "can"),
        };
        match given {
            Some(given) => Settled::Told { given, answer: told.answer, effects: told.effects },
            None => differs(&format!("answered {}", excerpt(rest)), "has something else there"),
        }
    }

    /// Why a call that has ended did not do again what it did then.
    pub(crate) fn rest(&self) -> Option<String> {
        let (Self::Resumed(log) | Self::Offline(log)) = self else { return None };
        if log.left.is_empty() {
            return None;
        }
        let next = read_entry(&mut &log.left[..]).map(|entry| shown(entry.operation, entry.request));
        let next = next.unwrap_or_else(|| "something that cannot be read".to_owned());
        Some(format!("the tool ended after answer {} of the record, where it had asked on: {next}", log.number))
    }
}

/// An answer on its way to the guest.
pub(crate) enum Settled<T, E> {
    /// The host's own.
    Live(Result<T, E>),
    /// A recorded one.
    Told { given: Result<T, E>, answer: Bytes, effects: u32 },
    /// None: the call ends.
    Over(E),
}

impl Log {
    fn unreadable(&self) -> Stop {
        unreadable(self.number, &self.told.as_ref().map_or_else(String::new, |told| operation_name(told.operation)))
    }
}

fn unreadable(number: u64, name: &str) -> Stop {
    diverged(format!("answer {number} of the record, {name}, is none that this host can give"))
}

/// How a call ends that does not do what it did.
pub(crate) fn diverged(text: impl Into<String>) -> Stop {
    Stop::fault(Fault::ReplayDiverged, text)
}

fn operation_name(number: u16) -> String {
    Operation::of_number(number).map_or_else(|| format!("operation {number}"), |operation| format!("{operation:?}"))
}

fn shown(operation: u16, asked: &[u8]) -> String {
    let name = operation_name(operation);
    match asked {
        [] => name,
        asked => format!("{name} {}", excerpt(asked)),
    }
}

/// Text as it is, anything else in hexadecimal digits.
fn excerpt(bytes: &[u8]) -> String {
    let text: String = match bytes.strip_prefix(b"sha256:") {
        Some(digest) => format!("sha256:{}", hex::encode(digest)),
        None => String::from_utf8_lossy(bytes).escape_debug().collect(),
    };
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
