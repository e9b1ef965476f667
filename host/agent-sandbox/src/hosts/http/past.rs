//! What was answered to the requests of an attempt before: told again in a replay, and never asked for again. Also how an
//! answer is recorded in a transcript, so that it can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use agent_core::effect::Effect;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::hosts::http::error_code::{decode_error, encode_error};
use crate::replay::{Replay, ReplayEnd};
use crate::transcript::{Decode, Encode, Operation, decode_all, put_blob, put_number, read_entries};

/// The requests of an attempt before, by their effects' numbers.
pub(crate) struct Past {
    known: BTreeMap<u32, Known>,
    /// Those that were made again.
    claimed: Mutex<BTreeSet<u32>>,
    offline: bool,
}

/// What is known of a request.
pub(super) struct Known {
    /// What came of it, where it was a keyed or opaque write.
    pub(super) effect: Option<Effect>,
    /// What the guest was told, or was about to be.
    pub(super) answer: Option<Answer>,
}

/// An answer, or why there was none.
type Answer = Result<Answered, ErrorCode>;

/// An answer as a guest is given it.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Where the whole of it is recorded.
    pub(super) recorded: Recorded,
}

/// Where an answer is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// In the transcript, where the guest is told.
    Inline,
    /// By the gate, before the guest was told.
    ByGate,
}

impl Past {
    /// What a replay knows. An answer that cannot be read is met as such when it is asked for.
    pub(crate) fn of(replay: Replay) -> Self {
        let offline = matches!(replay.end, ReplayEnd::StayOffline { .. });
        let mut known = told_in(&replay.transcript.into_entries());
        for (number, kept) in replay.answers {
            let answer = decode_kept(&kept.answer);
            known.insert(number, Known { effect: Some(kept.effect), answer });
        }
        Self { known, claimed: Mutex::default(), offline }
    }

    /// Whether nothing may be sent at all.
    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// What came of the request of this number, which is made again.
    pub(super) fn claim(&self, number: u32) -> Option<&Known> {
        let known = self.known.get(&number)?;
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        Some(known)
    }

    /// The answer to a write that the gate kept.
    pub(super) fn kept(&self, number: u32) -> Option<Answered> {
        self.known.get(&number)?.answer.as_ref()?.as_ref().ok().cloned()
    }

    /// A write that was answered, and that the call has not made again.
    pub(super) fn unclaimed(&self) -> Option<&Effect> {
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.known.iter().filter(|(number, _)| !self.offline && !claimed.contains(number));
        left.filter_map(|(_, known)| known.effect.as_ref()).next()
    }
}

/// The requests whose end the guest was told of, in the entries of a transcript.
fn told_in(entries: &[u8]) -> BTreeMap<u32, Known> {
    let entries = read_entries(entries).unwrap_or_else(|_| unreachable!("a transcript holds whole entries only"));
    let answers = entries.iter().filter(|entry| entry.operation == Operation::ResponseGet as u16);
    let told = answers.filter_map(|entry| Told::from_bytes(&decode_all::<Vec<u8>>(entry.answer.strip_prefix(&[0])?)?));
    told.filter_map(|told| match told {
        Told::NotYet | Told::Taken | Told::Answered { answer: None, .. } => None,
        Told::Failed { number, code } => Some((number, Known { effect: None, answer: Some(Err(code)) })),
        Told::Answered { number, answer: Some(answer) } => {
            Some((number, Known { effect: None, answer: Some(Ok(answer)) }))
        }
    })
    .collect()
}

/// What a guest was told when it asked for an answer.
pub(super) enum Told {
    /// There is none yet.
    NotYet,
    /// It had it before.
    Taken,
    Failed {
        number: u32,
        code: ErrorCode,
    },
    Answered {
        number: u32,
        /// None where the gate has it.
        answer: Option<Answered>,
    },
}

impl Told {
    /// As it stands in the transcript.
    pub(super) fn record(&self) -> Record {
        let (mut head, mut body) = (Vec::new(), Bytes::new());
        match self {
            Self::NotYet => head.push(0),
            Self::Taken => head.push(1),
            Self::Failed { number, code } => {
                head.push(2);
                number.encode(&mut head);
                encode_error(code, &mut head);
            }
            Self::Answered { number, answer } => {
                head.push(3);
                number.encode(&mut head);
                if let Some(answer) = answer.as_ref().filter(|answer| answer.recorded == Recorded::Inline) {
                    encode_head((answer.status, &answer.headers), &mut head);
                    put_number(answer.body.len() as u64, &mut head);
                    body = answer.body.clone();
                }
            }
        }
        Record { head, body }
    }

    /// Reads it back.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        Some(match kind {
            0 if rest.is_empty() => Self::NotYet,
            1 if rest.is_empty() => Self::Taken,
            2 => Self::Failed { number: u32::decode(&mut rest)?, code: decode_error(rest)? },
            3 => {
                let number = u32::decode(&mut rest)?;
                let inline = !rest.is_empty();
                let answer = if inline { Some(decode_answer(rest, Recorded::Inline)?) } else { None };
                Self::Answered { number, answer }
            }
            _ => return None,
        })
    }
}

/// What a guest was told: bytes, the last of which are a body that the guest may hold unread.
pub(super) struct Record {
    head: Vec<u8>,
    body: Bytes,
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number((self.head.len() + self.body.len()) as u64, out);
        out.extend_from_slice(&self.head);
    }

    fn shared(&self) -> Bytes {
        self.body.clone()
    }
}

impl Decode for Record {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { head: Vec::<u8>::decode(bytes)?, body: Bytes::new() })
    }
}

/// Status, fields, body: all that a replay needs to give the answer again.
fn encode_answer((status, headers, body): (u16, &HeaderMap, &[u8]), out: &mut Vec<u8>) {
    encode_head((status, headers), out);
    put_blob(body, out);
}

fn encode_head((status, headers): (u16, &HeaderMap), out: &mut Vec<u8>) {
    status.encode(out);
    let fields = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    fields.collect::<Fields>().encode(out);
}

/// Names and values, in order.
type Fields = Vec<(String, Vec<u8>)>;

fn decode_answer(bytes: &[u8], recorded: Recorded) -> Option<Answered> {
    let (status, fields, body): (u16, Fields, Vec<u8>) = decode_all(bytes)?;
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        // More than a map of fields can hold is no answer of this host.
        headers.try_append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?).ok()?;
    }
    Some(Answered { status, headers, body: body.into(), recorded })
}

/// What the gate keeps of a write that was sent: its answer, or the error that its guest sees.
pub(super) fn encode_kept(answered: Result<(u16, &HeaderMap, &[u8]), ErrorCode>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match answered {
        Ok(answer) => {
            bytes.push(0);
            encode_answer(answer, &mut bytes);
        }
        Err(code) => {
            bytes.push(1);
            encode_error(&code, &mut bytes);
        }
    }
    bytes
}

fn decode_kept(bytes: &[u8]) -> Option<Answer> {
    match bytes.split_first()? {
        (0, answer) => decode_answer(answer, Recorded::ByGate).map(Ok),
        (1, code) => decode_error(code).map(Err),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_too_many_fields_is_unreadable() {
        let fields: Fields = (0..40_000).map(|number| (format!("x-{number}"), Vec::new())).collect();
        let mut kept = vec![0];
        200_u16.encode(&mut kept);
        fields.encode(&mut kept);
        put_blob(b"", &mut kept);
        assert!(decode_kept(&kept).is_none());
    }

    #[test]
    fn answers_read_back() {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x"), HeaderValue::from_static("y"))]);
        let recorded = Recorded::Inline;
        let answer = Answered { status: 201, headers, body: Bytes::from_static(b"body"), recorded };
        let kept = encode_kept(Ok((answer.status, &answer.headers, &answer.body)));
        let read = decode_kept(&kept).and_then(Result::ok);
        let parts = |answer: &Answered| (answer.status, answer.headers.clone(), answer.body.clone());
        assert_eq!(read.as_ref().map(parts), Some(parts(&answer)));
        assert_eq!(read.map(|read| read.recorded), Some(Recorded::ByGate));
        let bytes = |told: &Told| {
            let Record { head, body } = told.record();
            [head, body.to_vec()].concat()
        };
        let told = bytes(&Told::Answered { number: 300, answer: Some(answer.clone()) });
        let Some(Told::Answered { number: 300, answer: Some(read) }) = Told::from_bytes(&told) else { panic!() };
        assert_eq!(parts(&read), parts(&answer));
        let by_gate = Answered { recorded: Recorded::ByGate, ..answer };
        let told = bytes(&Told::Answered { number: 3, answer: Some(by_gate) });
        assert!(matches!(Told::from_bytes(&told), Some(Told::Answered { number: 3, answer: None })));
        let failed = encode_kept(Err(ErrorCode::HttpResponseTimeout));
        assert!(matches!(decode_kept(&failed), Some(Err(ErrorCode::HttpResponseTimeout))));
        for length in 0..kept.len() {
            assert!(decode_kept(&kept[..length]).is_none(), "{length}");
        }
    }
}
