//! What of one run a collector does not have yet: read from the journal, page by page, from where the cursor stands. Spans are sent
//! each by itself. Of metrics the whole since the run began is sent, whenever something was added: who gets that twice, or gets
//! only the last of it, has the same numbers. Waits for files; the exporter has it do so on a thread for that.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use agent_core::name::RunId;
use agent_core::trace::projection::Projection;
use agent_core::trace::totals::Totals;
use agent_core::trace::{Content, Span, Value};
use anyhow::Context as _;
use prost::Message as _;

use super::choice::Choice;
use super::cursor::{Cursor, Position};
use super::settings::{Form, What};
use super::{otlp, otlp_metrics};
use crate::failpoint;
use crate::journal::Journal;
use crate::journal::runs::RunStatus;

/// Events that are read at once: what a feed holds in memory is what they end.
const PAGE_EVENTS: usize = 64;
/// Pages that are read before the thread is given back: a run of a server may have thousands.
const PAGES_MAX: usize = 64;
/// Spans in one request: what collectors' own clients send.
const REQUEST_SPANS_MAX: usize = 512;
/// About the largest request. Collectors take a few MiB.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// What a span takes besides the texts of its attributes.
const SPAN_BYTES: usize = 256;

/// The rest of what there is of a run.
pub(super) struct Feed {
    journal: Arc<dyn Journal>,
    run: RunId,
    projection: Projection,
    cursor: Cursor,
    waiting: Waiting,
    whose: Whose,
    /// Its host is gone, and what that had open was put with what waits.
    is_broken_off: bool,
}

/// What waits to be sent.
enum Waiting {
    /// Spans, in order.
    Spans(VecDeque<(Position, Span)>),
    /// What all spans up to that place add up to.
    Totals { totals: Box<Totals>, up_to: Position, choice: Arc<Choice> },
}

/// What is sent next.
pub(super) struct Request {
    /// How many spans or points it has.
    pub(super) count: usize,
    pub(super) message: Vec<u8>,
}

/// Whether there is more in the journal than was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    All,
    Some,
}

/// Who drives the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This process: what goes on is not sent yet.
    Ours,
    /// Another one, or nobody.
    Others,
}

impl Feed {
    /// Takes the run's cursor; `None` while another process has it.
    pub(super) fn open(
        journal: &Arc<dyn Journal>,
        folder: &Path,
        run: &RunId,
        (what, whose): (&What, Whose),
    ) -> anyhow::Result<Option<Self>> {
        let taken = Cursor::take(folder, run).with_context(|| format!("cannot use `{}`", folder.display()))?;
        let (content, waiting) = match what {
            What::Spans(content) => (*content, Waiting::Spans(VecDeque::new())),
            // Points are told apart by few things: none of them is what somebody said.
            What::Totals(choice) => (Content::LeftOut, Waiting::nothing_of(choice)),
        };
        Ok(taken.map(|cursor| Self {
            journal: Arc::clone(journal),
            run: run.clone(),
            projection: Projection::new(content),
            cursor,
            waiting,
            whose,
            is_broken_off: false,
        }))
    }

    /// Reads on until something can be sent, or there is no more, or it was a lot.
    pub(super) fn fill(&mut self) -> anyhow::Result<Read> {
        for _ in 0..PAGES_MAX {
            if self.is_broken_off || self.has_a_request() {
                return Ok(Read::All);
            }
            let page = self.journal.events_after(&self.run, self.projection.seq(), PAGE_EVENTS)?;
            for (recorded, hash) in &page {
                let ended = self.projection.follow(recorded, Some(hash));
                self.queue(recorded.seq, ended);
            }
            if page.is_empty() {
                if self.whose == Whose::Others {
                    self.break_off()?;
                }
                return Ok(Read::All);
            }
        }
        Ok(Read::Some)
    }

    /// Whether there is no point in reading on first. Of what is added up all is read.
    fn has_a_request(&self) -> bool {
        match &self.waiting {
            Waiting::Spans(spans) => !spans.is_empty(),
            Waiting::Totals { .. } => false,
        }
    }

    /// Where nobody drives the run any more, what its host had open has ended with it. Asked after the last event was read:
    /// who takes the run up later goes on behind that.
    fn break_off(&mut self) -> anyhow::Result<()> {
        match self.journal.summary(&self.run)?.status {
            RunStatus::Running { .. } => return Ok(()),
            RunStatus::Interrupted | RunStatus::Stopped(_) | RunStatus::Damaged => {}
        }
        // The next event, whatever it is, would end them first.
        let ended = self.projection.interrupted();
        self.queue(self.projection.seq() + 1, ended);
        self.is_broken_off = true;
        Ok(())
    }

    /// What one event ended: spans that the collector does not have, or something more to add.
    fn queue(&mut self, seq: u64, ended: Vec<Span>) {
        let at = self.cursor.at();
        for (place, span) in (1..).map(|spans| Position { seq, spans }).zip(ended) {
            match &mut self.waiting {
                Waiting::Spans(spans) if place > at => spans.push_back((place, span)),
                Waiting::Spans(_) => {}
                Waiting::Totals { totals, up_to, .. } => {
                    totals.count(&span);
                    *up_to = place;
                }
            }
        }
    }

    /// Whether a collector of traces need not take it.
    pub(super) fn is_extra(&self) -> bool {
        match &self.waiting {
            Waiting::Spans(_) => false,
            Waiting::Totals { .. } => true,
        }
    }

    /// What is to be sent next; `None` where nothing waits.
    pub(super) fn request(&self, form: &Form) -> Option<Request> {
        match &self.waiting {
            Waiting::Spans(spans) => {
                let spans = first(spans);
                let message = otlp::request(form, spans.iter().copied()).encode_to_vec();
                (!spans.is_empty()).then_some(Request { count: spans.len(), message })
            }
            Waiting::Totals { totals, up_to, choice } if *up_to > self.cursor.at() => {
                let period = self.projection.period()?;
                let period = if self.is_broken_off { period.broken_off() } else { period };
                let (request, count) = otlp_metrics::request(form, choice, (&self.run, period), totals);
                Some(Request { count, message: request.encode_to_vec() })
            }
            Waiting::Totals { .. } => None,
        }
    }

    /// The collector has the first `count` of what waited, or will never want them.
    pub(super) fn advance(&mut self, count: usize) -> anyhow::Result<()> {
        let (last, [sent, advanced]) = match &mut self.waiting {
            Waiting::Spans(spans) => {
                (spans.drain(..count).next_back().map(|(place, _)| place), ["trace-sent", "trace-advanced"])
            }
            Waiting::Totals { up_to, .. } => (Some(*up_to), ["metrics-sent", "metrics-advanced"]),
        };
        let Some(last) = last else { return Ok(()) };
        failpoint::hit(sent);
        self.cursor.advance(last).context("cannot record how far the run was sent")?;
        failpoint::hit(advanced);
        Ok(())
    }

    /// Lets go of the run. Where nothing more can come of it, nobody needs to look at it again.
    pub(super) fn close(self) -> anyhow::Result<()> {
        let is_sent = match &self.waiting {
            Waiting::Spans(spans) => spans.is_empty(),
            Waiting::Totals { up_to, .. } => *up_to <= self.cursor.at(),
        };
        if is_sent && (self.is_broken_off || self.projection.is_at_rest()) {
            self.cursor.put_away().context("cannot record that the run was sent")?;
        }
        Ok(())
    }
}

impl Waiting {
    fn nothing_of(choice: &Arc<Choice>) -> Self {
        Self::Totals { totals: Box::default(), up_to: Position::default(), choice: Arc::clone(choice) }
    }
}

/// As many spans as go into one request.
fn first(waiting: &VecDeque<(Position, Span)>) -> Vec<&Span> {
    let mut bytes = 0;
    let fits = |span: &&Span| {
        let is_first = bytes == 0;
        bytes += weight(span);
        is_first || bytes <= REQUEST_BYTES_MAX
    };
    waiting.iter().map(|(_, span)| span).take(REQUEST_SPANS_MAX).take_while(fits).collect()
}

fn weight(span: &Span) -> usize {
    let notes = span.notes.iter().flat_map(|note| &note.attributes);
    let texts = span.attributes.iter().chain(notes).map(|(attribute, value)| {
        attribute.name.len()
            + match value {
                Value::Text(text) => text.len(),
                Value::Texts(texts) => texts.iter().map(String::len).sum(),
                Value::Integer(_) | Value::Flag(_) => 0,
            }
    });
    SPAN_BYTES + texts.sum::<usize>()
}
