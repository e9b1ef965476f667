//! The trace of a run: what its events say, as spans. A projection of the journal and nothing beside it, so that a trace is
//! complete whenever the journal is, and the same however often it is made. `agent-host trace` draws it, the exporter sends it.
//!
//! A span is made when the event that ends it is seen, and never changes after: its identifier is a hash of the run, of the
//! number of the event that began it, and of what it is about. All spans of a run are one trace.

mod content;
mod drive;
mod effects;
mod facts;
pub mod instruments;
mod model_call;
pub mod names;
pub mod projection;
mod talk;
mod tool_call;
pub mod totals;

use crate::digest::Digest;
use crate::name::RunId;
use crate::units::{Millis, UnixMillis};

use self::names::{Attribute, Subject};

/// Names a trace. One run is one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// Names a span within all traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// Something that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its name in machines.
    pub id: SpanId,
    /// The span that it is part of.
    pub parent: Option<SpanId>,
    /// Spans that it goes on from.
    pub links: Vec<Link>,
    /// What it is about.
    pub subject: Subject,
    /// Where it happened.
    pub side: Side,
    /// Its name for people. Few different ones: texts that vary are attributes.
    pub name: String,
    /// When it began.
    pub start: UnixMillis,
    /// When it ended, never before it began. Of an open one: when it was looked at.
    pub end: UnixMillis,
    /// How it ended.
    pub ended: Ended,
    /// Whether it did what it was for.
    pub status: Status,
    /// What is known about it.
    pub attributes: Vec<(&'static Attribute, Value)>,
    /// What happened within it.
    pub notes: Vec<Note>,
}

/// Another span, of this trace or another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

/// Where a span happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In this program.
    Internal,
    /// Somebody outside was asked.
    Client,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Done,
    /// With its host, or because the run was stopped.
    Interrupted,
    /// It goes on.
    Open,
}

/// Whether a span did what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing to complain about.
    Fine,
    /// It did not. In whose words, only where content was asked for.
    Failed(Option<String>),
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A whole number.
    Integer(i64),
    /// Any number, in thousandths of it: so two are the same or not.
    Thousandths(i32),
    /// Yes or no.
    Flag(bool),
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// When.
    pub at: UnixMillis,
    /// What: one of [`names::note`].
    pub name: &'static str,
    /// What is known about it.
    pub attributes: Vec<(&'static Attribute, Value)>,
}

/// Whether words of people, models, tools and servers are in the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// They stay in the journal.
    LeftOut,
    /// What was touched and what went wrong is told in full, but not what was said: for eyes on this machine.
    Brief,
    /// All of them were asked for.
    Captured,
}

impl TraceId {
    /// The trace of a run.
    #[must_use]
    pub fn of(run: &RunId) -> Self {
        Self(first(&Digest::of_parts(&[b"agent-host trace 1", run.as_str().as_bytes()])))
    }

    /// The bytes as exported.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 32 hexadecimal digits, by which viewers find it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl SpanId {
    /// The span of `run` that event `seq` began, where `what` tells apart those that one event begins.
    #[must_use]
    pub fn of(run: &RunId, seq: u64, what: (&str, u32)) -> Self {
        let (word, number) = what;
        let parts: [&[u8]; 5] =
            [b"agent-host span 1", run.as_str().as_bytes(), &seq.to_le_bytes(), word.as_bytes(), &number.to_le_bytes()];
        Self(first(&Digest::of_parts(&parts)))
    }

    /// The bytes as exported.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// The first bytes of a digest. All zeros would mean that there is none; the last of them never is.
fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest.as_bytes()[..N]);
    bytes[N - 1] |= 1;
    bytes
}

impl Span {
    /// One that begins at `at`, and is part of nothing yet.
    pub(crate) fn begin(
        trace: TraceId,
        id: SpanId,
        (subject, side): (Subject, Side),
        name: String,
        at: UnixMillis,
    ) -> Self {
        Self {
            trace,
            id,
            parent: None,
            links: Vec::new(),
            subject,
            side,
            name,
            start: at,
            end: at,
            ended: Ended::Open,
            status: Status::Fine,
            attributes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Millis {
        self.end.since(self.start)
    }

    /// The value of an attribute, where it has it.
    #[must_use]
    pub fn get(&self, attribute: &Attribute) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| *known == attribute).map(|(_, value)| value)
    }

    /// The same, of one that holds a text.
    #[must_use]
    pub fn text(&self, attribute: &Attribute) -> Option<&str> {
        match self.get(attribute) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Texts(_) | Value::Integer(_) | Value::Thousandths(_) | Value::Flag(_)) | None => None,
        }
    }

    /// The same, of one that holds a number.
    #[must_use]
    pub fn number(&self, attribute: &Attribute) -> Option<i64> {
        match self.get(attribute) {
            Some(Value::Integer(number)) => Some(*number),
            Some(Value::Text(_) | Value::Texts(_) | Value::Thousandths(_) | Value::Flag(_)) | None => None,
        }
    }

    /// What happened when a request to a model, or an attempt of a call that was made, went wrong: by the conventions an event of
    /// its own, with the same words.
    #[must_use]
    pub fn exception(&self) -> Option<Note> {
        let Status::Failed(words) = &self.status else { return None };
        let name = match self.subject {
            Subject::Model => names::note::MODEL_EXCEPTION,
            Subject::Tool if self.get(&names::ATTEMPT).is_some() => names::note::TOOL_EXCEPTION,
            Subject::Tool | Subject::Run | Subject::Turn | Subject::Effect | Subject::Note | Subject::Point => {
                return None;
            }
        };
        let kind = self.get(&names::ERROR_TYPE).cloned().map(|kind| (&names::EXCEPTION_TYPE, kind));
        let words = words.clone().map(|words| (&names::EXCEPTION_MESSAGE, words.into()));
        Some(Note { at: self.end, name, attributes: kind.into_iter().chain(words).collect() })
    }

    /// Says something about it, once: what was said before is replaced.
    pub(crate) fn set(&mut self, attribute: &'static Attribute, value: impl Into<Value>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|(known, _)| *known == attribute) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((attribute, value)),
        }
    }

    /// It did not do what it was for. `kind` is one of few stable names; `words` are whoever's.
    pub(crate) fn fail(&mut self, kind: &str, words: Option<String>) {
        self.set(&names::ERROR_TYPE, kind);
        self.status = Status::Failed(words);
    }

    /// Ends it. A clock that went backwards makes it end where it began.
    pub(crate) fn end(&mut self, at: UnixMillis, how: Ended) {
        self.end = at.max(self.start);
        self.ended = how;
        if how == Ended::Interrupted {
            self.set(&names::INTERRUPTED, true);
            self.fail(INTERRUPTED, None);
        }
    }
}

/// The kind of error of what its host did not live to end.
const INTERRUPTED: &str = "interrupted";

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    /// The conventions have signed numbers only.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}
