//! The spans of one run that a collector does not have yet: read from the journal, page by page, from where the cursor stands.
//! Waits for files; the exporter has it do so on a thread for that.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use agent_core::name::RunId;
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Span, Value};
use anyhow::Context as _;

use super::cursor::{Cursor, Position};
use crate::failpoint;
use crate::journal::Journal;
use crate::journal::runs::RunStatus;

/// Events that are read at once: what a feed holds in memory is what they end.
const PAGE_EVENTS: usize = 64;
/// Spans in one request: what collectors' own clients send.
const REQUEST_SPANS_MAX: usize = 512;
/// About the largest request. Collectors take a few MiB.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// What a span takes besides the texts of its attributes.
const SPAN_BYTES: usize = 256;

/// The rest of a run's trace.
pub(super) struct Feed {
    journal: Arc<dyn Journal>,
    run: RunId,
    projection: Projection,
    cursor: Cursor,
    waiting: VecDeque<(Position, Span)>,
    whose: Whose,
    /// Its host is gone, and what that had open was put with what waits.
    is_broken_off: bool,
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
        (content, whose): (Content, Whose),
    ) -> anyhow::Result<Option<Self>> {
        let taken = Cursor::take(folder, run).with_context(|| format!("cannot use `{}`", folder.display()))?;
        Ok(taken.map(|cursor| Self {
            journal: Arc::clone(journal),
            run: run.clone(),
            projection: Projection::new(content),
            cursor,
            waiting: VecDeque::new(),
            whose,
            is_broken_off: false,
        }))
    }

    /// Reads on until something waits to be sent, or there is no more.
    pub(super) fn fill(&mut self) -> anyhow::Result<()> {
        while self.waiting.is_empty() && !self.is_broken_off {
            let page = self.journal.events_after(&self.run, self.projection.seq(), PAGE_EVENTS)?;
            if page.is_empty() {
                break;
            }
            for (recorded, hash) in &page {
                let ended = self.projection.follow(recorded, Some(hash));
                self.queue(recorded.seq, ended);
            }
        }
        if self.waiting.is_empty() && self.whose == Whose::Others && !self.is_broken_off {
            self.break_off()?;
        }
        Ok(())
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

    /// Those of one event that the collector does not have.
    fn queue(&mut self, seq: u64, ended: Vec<Span>) {
        let places = (1..).map(|spans| Position { seq, spans });
        let at = self.cursor.at();
        self.waiting.extend(places.zip(ended).filter(|(place, _)| *place > at));
    }

    /// What is to be sent next; nothing where nothing waits.
    pub(super) fn request(&self) -> Vec<&Span> {
        let mut bytes = 0;
        let fits = |span: &&Span| {
            let is_first = bytes == 0;
            bytes += weight(span);
            is_first || bytes <= REQUEST_BYTES_MAX
        };
        self.waiting.iter().map(|(_, span)| span).take(REQUEST_SPANS_MAX).take_while(fits).collect()
    }

    /// The collector has the first `count` of what waited, or will never want them.
    pub(super) fn advance(&mut self, count: usize) -> anyhow::Result<()> {
        let Some(last) = self.waiting.drain(..count).next_back() else { return Ok(()) };
        failpoint::hit("trace-sent");
        self.cursor.advance(last.0).context("cannot record how far the trace was sent")?;
        failpoint::hit("trace-advanced");
        Ok(())
    }

    /// Lets go of the run. Where nothing more can come of it, nobody needs to look at it again.
    pub(super) fn close(self) -> anyhow::Result<()> {
        if self.waiting.is_empty() && (self.is_broken_off || self.projection.is_at_rest()) {
            self.cursor.put_away().context("cannot record that the trace was sent")?;
        }
        Ok(())
    }
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
