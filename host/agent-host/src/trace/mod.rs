//! Where the trace of a run goes, and its metrics: to a collector, by OTLP over HTTP, if the standard variables of OpenTelemetry name
//! one. Both are projections of the journal, in `agent_core::trace`; what is here only brings them away. It never fails a run,
//! and holds one up at most for a moment, after its answer is out.
//!
//! Commands prepare it behind the walls, since it opens the journal, begin it with each run and finish it after. `docs/telemetry.md` says what is sent
//! and what is promised.

mod choice;
mod collector;
mod cursor;
mod exporter;
mod feed;
mod otlp;
mod otlp_metrics;
pub mod settings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::name::RunId;
use anyhow::anyhow;

use self::exporter::{Left, Means, Running};
use self::settings::{Settings, Signal, Wanted};
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::folder::prepare_folder;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;

/// How long a person who asks for a run to be sent is kept waiting, for its trace and for its metrics.
const ASKED_TIME_MAX: Duration = Duration::from_secs(20);

/// What sending a run needs.
pub struct Telemetry {
    traces: Prepared,
    metrics: Prepared,
}

/// Whether one kind of data can be sent.
enum Prepared {
    /// Nobody asked for it.
    Off,
    /// It was asked for, but cannot be done so.
    Impossible(String),
    /// It can begin.
    Ready(Box<Ready>),
}

/// Everything that is needed to send.
#[derive(Clone)]
struct Ready {
    means: Means,
    shown: String,
}

/// A run on its way, as spans and as metrics, and where to, as it may be shown.
pub struct Exporting {
    traces: Option<(Running, String)>,
    metrics: Option<(Running, String)>,
}

/// What was sent.
pub struct Sent {
    /// How much.
    pub count: u64,
    /// Of what, in words.
    pub of: &'static str,
    /// Where to, as it may be shown.
    pub to: String,
}

impl Telemetry {
    /// What the environment asks for, for the journal in `runs`.
    #[must_use]
    pub fn prepare(runs: &Path, key: &HostKey) -> Self {
        let [traces, metrics] = [Signal::Traces, Signal::Metrics].map(settings::of_environment);
        let journal = match (&traces, &metrics) {
            (Wanted::Yes(_), _) | (_, Wanted::Yes(_)) => Some(SqliteJournal::open_existing(runs, key)),
            (Wanted::No | Wanted::Impossible(_), Wanted::No | Wanted::Impossible(_)) => None,
        };
        let journal = journal.map(|opened| opened.map(|journal| Arc::new(journal) as Arc<dyn Journal>));
        let prepared = |signal, wanted| match (wanted, &journal) {
            (Wanted::No, _) | (Wanted::Yes(_), None) => Prepared::Off,
            (Wanted::Impossible(why), _) => Prepared::Impossible(why),
            (Wanted::Yes(settings), Some(journal)) => Prepared::new(signal, *settings, runs, journal),
        };
        Self { traces: prepared(Signal::Traces, traces), metrics: prepared(Signal::Metrics, metrics) }
    }

    /// Whether nobody asked for anything to be sent.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!((&self.traces, &self.metrics), (Prepared::Off, Prepared::Off))
    }

    /// Says by `tell` what was asked for and cannot be done.
    pub fn tell_impossible(&self, tell: impl Fn(&str)) {
        match (&self.traces, &self.metrics) {
            (Prepared::Impossible(why), Prepared::Impossible(also)) if why == also => {
                tell(&format!("the trace is not sent, and no metrics are: {why}"));
            }
            (Prepared::Impossible(why), _) => tell(&format!("the trace is not sent: {why}")),
            (_, Prepared::Impossible(why)) => tell(&format!("no metrics are sent: {why}")),
            (Prepared::Off | Prepared::Ready(_), Prepared::Off | Prepared::Ready(_)) => {}
        }
    }

    /// Begins to send a run that this process drives.
    #[must_use]
    pub fn begin(&self, run: &RunId) -> Exporting {
        Exporting { traces: self.traces.begin(run), metrics: self.metrics.begin(run) }
    }

    /// Sends what there is of a run, and says of each kind of data what that was; an error where the collector does not have all of
    /// it, or it cannot be sent as it is asked.
    pub async fn send(self, run: &RunId, tell: impl Fn(&str)) -> Vec<anyhow::Result<Sent>> {
        let mut all = Vec::new();
        for (prepared, words) in [(self.traces, TRACE), (self.metrics, METRICS)] {
            let name = words.name;
            match prepared {
                Prepared::Off => {}
                Prepared::Impossible(why) => all.push(Err(anyhow!("{name} not sent: {why}"))),
                Prepared::Ready(ready) => {
                    let (count, left) = exporter::send_one(ready.means, run.clone(), ASKED_TIME_MAX).await;
                    let to = ready.shown;
                    tell_unwanted(&left, words, &to, &tell);
                    let hint = "the same command goes on where it stopped";
                    all.push(match left.why {
                        Some(why) => Err(anyhow!("{name} not complete at {to}: {why}\n  hint: {hint}")),
                        None => Ok(Sent { count, of: words.of(count), to }),
                    });
                }
            }
        }
        all
    }
}

/// How a kind of data is called in messages.
#[derive(Debug, Clone, Copy)]
struct Words {
    /// All of a run.
    name: &'static str,
    /// One of what it consists of.
    one: &'static str,
    /// Several of them.
    several: &'static str,
}

const TRACE: Words = Words { name: "the trace is", one: "span", several: "spans" };
const METRICS: Words = Words { name: "the metrics are", one: "point of metrics", several: "points of metrics" };

impl Words {
    fn of(self, count: u64) -> &'static str {
        if count == 1 { self.one } else { self.several }
    }
}

impl Prepared {
    fn new(signal: Signal, settings: Settings, runs: &Path, journal: &Result<Arc<dyn Journal>, JournalError>) -> Self {
        // The folder beside the journal in which the cursors are.
        let folder = match signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        };
        // Each level of it by itself: what a stranger shipped there could be a link to elsewhere.
        let folder = match prepare_folder(&runs.join(folder)) {
            Ok(folder) => folder.join(settings.short_name()),
            Err(error) => return Self::Impossible(format!("nothing can be kept about it: {error}")),
        };
        match journal {
            Ok(journal) => {
                let shown = settings.shown();
                Self::Ready(Box::new(Ready { means: Means { settings, journal: Arc::clone(journal), folder }, shown }))
            }
            Err(error) => Self::Impossible(format!("the journal cannot be read a second time: {error}")),
        }
    }

    fn begin(&self, run: &RunId) -> Option<(Running, String)> {
        match self {
            Self::Off | Self::Impossible(_) => None,
            Self::Ready(ready) => Some((Running::begin(ready.means.clone(), run.clone()), ready.shown.clone())),
        }
    }
}

impl Exporting {
    /// Sends the rest, for a moment. Says by `tell` what did not arrive; `run` is how a person names it.
    pub async fn finish(self, run: &str, tell: impl Fn(&str)) {
        let [(traces, sent_traces), (metrics, sent_metrics)] = [self.traces, self.metrics].map(Option::unzip);
        let (traces, metrics) = tokio::join!(finished(traces), finished(metrics));
        for (left, words, to) in [(traces, TRACE, sent_traces), (metrics, METRICS, sent_metrics)] {
            let to = to.unwrap_or_default();
            if let Some(why) = &left.why {
                let (name, cure) = (words.name, format!("`agent-host trace {run} --export` sends the rest"));
                tell(&format!("{name} not complete at {to}: {why}; {cure}"));
            }
            tell_unwanted(&left, words, &to, &tell);
        }
    }
}

async fn finished(running: Option<Running>) -> Left {
    match running {
        Some(running) => running.finish().await,
        None => Left::default(),
    }
}

fn tell_unwanted(left: &Left, words: Words, to: &str, tell: impl Fn(&str)) {
    if left.unwanted > 0 {
        tell(&format!("{} {} were not wanted at {to}: `--log warn` says why", left.unwanted, words.several));
    }
}
