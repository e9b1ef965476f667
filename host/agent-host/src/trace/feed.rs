//! What of one run a collector does not have yet: read from the journal, page by page, from where the cursor stands. Spans are sent
//! each by itself. Of metrics the whole since the run began is sent, whenever something was added: who gets that twice, or gets
//! only the last of it, has the same numbers. Waits for files; the exporter has it do so on a thread for that.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::trace::projection::Projection;
use agent_core::trace::totals::Totals;
use agent_core::trace::{Content, Span, Value};
use anyhow::Context as _;
use prost::Message as _;

use super::choice::Choice;
use super::cursor::{Cursor, Extent, Position};
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
    content: Content,
    projection: Projection,
    /// The hash of the last event that was read.
    head: Option<Digest>,
    cursor: Cursor,
    waiting: Waiting,
    whose: Whose,
    /// Its host is gone, and what that had open was put with what waits.
    is_broken_off: bool,
}

/// What waits to be sent.
enum Waiting {
    /// Spans, in order.
    Spans(VecDeque<(Place, Span)>),
    /// What all spans up to that place add up to.
    Totals { totals: Box<Totals>, up_to: Option<Place>, choice: Arc<Choice> },
}

/// Where the cursor will stand.
#[derive(Clone, Copy)]
struct Place {
    at: Position,
    /// The hash of the last event that was read for it.
    head: Digest,
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
            content,
            projection: Projection::new(content),
            head: None,
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
                self.head = Some(*hash);
                self.cursor.see(hash);
                self.queue(recorded.seq, *hash, ended);
            }
            let read = if page.is_empty() { Extent::All } else { Extent::UpTo(self.projection.seq()) };
            if self.cursor.is_of_others(read) {
                tracing::warn!(run = %self.run, "the journal does not have all that was sent of it: all is sent anew");
                self.begin_anew();
                continue;
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

    /// Reads the run from its beginning, as if nothing of it had been sent.
    fn begin_anew(&mut self) {
        (self.projection, self.head) = (Projection::new(self.content), None);
        match &mut self.waiting {
            Waiting::Spans(spans) => spans.clear(),
            Waiting::Totals { totals, up_to, .. } => (**totals, *up_to) = (Totals::default(), None),
        }
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
        if let Some(head) = self.head {
            let ended = self.projection.interrupted();
            self.queue(self.projection.seq() + 1, head, ended);
        }
        self.is_broken_off = true;
        Ok(())
    }

    /// What one event ended: spans that the collector does not have, or something more to add. `head` is the hash of the last
    /// event that was read for it.
    fn queue(&mut self, seq: u64, head: Digest, ended: Vec<Span>) {
        let sent = self.cursor.at();
        for (at, span) in (1..).map(|spans| Position { seq, spans }).zip(ended) {
            match &mut self.waiting {
                Waiting::Spans(spans) if at > sent => spans.push_back((Place { at, head }, span)),
                Waiting::Spans(_) => {}
                Waiting::Totals { totals, up_to, .. } => {
                    totals.count(&span);
                    *up_to = Some(Place { at, head });
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
            Waiting::Totals { totals, up_to, choice } if is_behind(&self.cursor, *up_to) => {
                let period = self.projection.period()?;
                let period = if self.is_broken_off { period.broken_off() } else { period };
                let (request, count) = otlp_metrics::request(form, choice, (&self.run, period), totals);
                Some(Request { count, message: request.encode_to_vec() })
            }
            Waiting::Totals { .. } => None,
        }
    }

    /// Says that a request leaves: from here until the cursor has moved, a kill makes it go again.
    pub(super) fn leave(&self) {
        failpoint::hit(match &self.waiting {
            Waiting::Spans(_) => "trace-sending",
            Waiting::Totals { .. } => "metrics-sending",
        });
    }

    /// The collector has the first `count` of what waited, or will never want them.
    pub(super) fn advance(&mut self, count: usize) -> anyhow::Result<()> {
        let (last, [sent, advanced]) = match &mut self.waiting {
            Waiting::Spans(spans) => {
                (spans.drain(..count).next_back().map(|(place, _)| place), ["trace-sent", "trace-advanced"])
            }
            Waiting::Totals { up_to, .. } => (*up_to, ["metrics-sent", "metrics-advanced"]),
        };
        let Some(Place { at, head }) = last else { return Ok(()) };
        failpoint::hit(sent);
        self.cursor.advance(at, &head).context("cannot record how far the run was sent")?;
        failpoint::hit(advanced);
        Ok(())
    }

    /// Lets go of the run. Where nothing more can come of it, nobody needs to look at it again.
    pub(super) fn close(self) -> anyhow::Result<()> {
        let is_sent = match &self.waiting {
            Waiting::Spans(spans) => spans.is_empty(),
            Waiting::Totals { up_to, .. } => !is_behind(&self.cursor, *up_to),
        };
        if is_sent && (self.is_broken_off || self.projection.is_at_rest()) {
            self.cursor.put_away().context("cannot record that the run was sent")?;
        }
        Ok(())
    }
}

impl Waiting {
    fn nothing_of(choice: &Arc<Choice>) -> Self {
        Self::Totals { totals: Box::default(), up_to: None, choice: Arc::clone(choice) }
    }
}

fn is_behind(cursor: &Cursor, place: Option<Place>) -> bool {
    place.is_some_and(|place| place.at > cursor.at())
}

/// As many spans as go into one request.
fn first(waiting: &VecDeque<(Place, Span)>) -> Vec<&Span> {
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
                Value::Integer(_) | Value::Thousandths(_) | Value::Flag(_) => 0,
            }
    });
    SPAN_BYTES + texts.sum::<usize>()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use agent_core::event::{Event, ModelFailed, ModelRequested};
    use agent_core::model::{ModelFailure, ModelFailureKind};
    use agent_core::run_events::RunStarted;

    use super::super::settings::Names;
    use crate::journal::key::HostKey;
    use crate::journal::log::{Durable, RunLog};
    use crate::journal::sqlite::SqliteJournal;
    use crate::report::samples;

    /// A journal in which a run goes on, with a failed request for each of these words.
    struct Going {
        journal: Arc<dyn Journal>,
        _log: Box<dyn RunLog>,
        _home: tempfile::TempDir,
    }

    fn going(words: &[&str]) -> Going {
        let home = tempfile::tempdir().unwrap();
        let key = HostKey::load_or_create(home.path()).unwrap();
        let journal = SqliteJournal::create_or_open(&home.path().join(".agent-host"), &key).unwrap();
        let started = RunStarted { session: None, earlier: Default::default(), ..samples::started() };
        let (log, first) = journal.start_run(samples::run_id(1), samples::at(1), started).unwrap();
        let mut seq = first.seq;
        for (attempt, words) in (1..).zip(words) {
            let failure = ModelFailure::new(ModelFailureKind::Network, *words);
            let asked: Event = ModelRequested { turn: 1, attempt, model: 0 }.into();
            for event in [asked, ModelFailed { turn: 1, failure }.into()] {
                seq += 1;
                log.append(samples::at(seq), event, Durable::Later).unwrap();
            }
        }
        Going { journal: Arc::new(journal), _log: log, _home: home }
    }

    /// How many spans, or points, a collector gets in all that is sent now.
    fn sent(going: &Going, folder: &Path, what: &What) -> usize {
        let form = Form { resource: Default::default(), names: Names::Latest };
        let opened = Feed::open(&going.journal, folder, &samples::run_id(1), (what, Whose::Ours));
        let (mut feed, mut sent) = (opened.unwrap().unwrap(), 0);
        loop {
            assert_eq!(feed.fill().unwrap(), Read::All);
            let Some(request) = feed.request(&form) else { break };
            feed.advance(request.count).unwrap();
            sent += request.count;
        }
        feed.close().unwrap();
        sent
    }

    /// A machine that loses its power may lose the last events of a run, which a collector may have by then. What the run does
    /// after that is not taken for what was lost.
    #[test]
    fn a_run_that_lost_its_end_with_the_power_is_sent_from_its_beginning() {
        let metrics = What::Totals(Arc::new(Choice::read(&|_| None).unwrap()));
        for what in [What::Spans(Content::LeftOut), metrics] {
            let folder = tempfile::tempdir().unwrap();
            let sent = |words: &[&str]| sent(&going(words), folder.path(), &what);
            let found = [
                sent(&["one", "two", "three"]),
                sent(&["one", "two", "three", "four"]),
                sent(&["one", "two", "three", "four"]),
                // The power took what came after, and nobody went on yet.
                sent(&["one", "two"]),
                // Somebody did, to where the cursor stands and with other events.
                sent(&["one", "again", "and again"]),
            ];
            match &what {
                What::Spans(_) => assert_eq!(found, [3, 1, 0, 2, 3]),
                // Always all points that there are, where there is anything new.
                What::Totals(_) => assert_eq!(found.map(|count| count > 0), [true, true, false, true, true]),
            }
        }
    }
}
