//! Which runs there are: the listing, and how a person's short name for a run becomes its identifier.

use std::path::Path;

use std::fmt;
use std::str::FromStr;

use agent_core::event::{Event, Recorded};
use agent_core::metadata::{Entry, Metadata};
use agent_core::name::{Name, RunId};
use agent_core::run_events::RunStarted;
use agent_core::session::SessionPlace;
use agent_core::stop::StopReason;
use agent_core::units::UnixMillis;

use super::chain::Stored;
use super::error::JournalError;
use super::lease::{Holder, Presence};

/// How many of the runs that a prefix could mean are named.
pub(super) const CANDIDATES_MAX: usize = 5;

/// A run in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// What the first event says; `None` where it cannot be read.
    pub began: Option<Began>,
    /// How it stands.
    pub status: RunStatus,
    /// As its budget counts them: replies of models, and requests that a crash left open.
    pub turns: u64,
    /// Tool calls with an outcome.
    pub calls: u64,
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Began {
    /// When.
    pub at: UnixMillis,
    /// The agent.
    pub agent: Name,
    /// The first line of the input.
    pub input: String,
    /// The session that it belongs to.
    pub session: Option<SessionPlace>,
    /// What was noted about it.
    pub meta: Metadata,
}

/// Which runs are looked for: those of which all of this is so.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// They belong to this session.
    pub session: Option<Name>,
    /// All of this is noted about them.
    pub meta: Vec<Entry>,
    /// They stand like this.
    pub status: Option<StatusName>,
}

/// A status by its stable name: that of the stop reason, where the run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusName(&'static str);

/// The text names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a status is one of {}", StatusName::all().map(|name| name.0).collect::<Vec<_>>().join(", "))]
pub struct UnknownStatus;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// A living process drives it.
    Running {
        /// The process.
        pid: u32,
    },
    /// Its host ended before it did: it can be resumed.
    Interrupted,
    /// It stopped.
    Stopped(StopReason),
    /// Its first or last event cannot be read.
    Damaged,
}

/// The kinds of events by which turns are counted.
pub(super) const KINDS_OF_TURNS: [&str; 4] = ["ModelRequested", "ModelReplied", "ModelFailed", "RunResumed"];

/// The turns of a run, from the kinds of its events in their order. They are counted as the fold of the run counts them, which is not
/// made for a listing.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) count: u64,
    /// Whether a request has neither a reply nor a failure yet.
    is_open: bool,
}

impl Turns {
    /// Counts one event. Those of other kinds than [`KINDS_OF_TURNS`] count nothing.
    pub(super) fn see(&mut self, kind: &str) {
        match kind {
            "ModelRequested" => self.is_open = true,
            "ModelFailed" => self.is_open = false,
            "ModelReplied" => {
                self.count += 1;
                self.is_open = false;
            }
            // The request is sent again, and both count: a crash refunds nothing.
            "RunResumed" => self.count += u64::from(std::mem::take(&mut self.is_open)),
            _ => {}
        }
    }
}

/// A run as it is kept, before its ends are read.
pub(super) struct Kept {
    pub(super) run: RunId,
    /// Who holds it.
    pub(super) holder: Option<Holder>,
    /// Its first event, and the last one that says how it stands.
    pub(super) ends: [Option<Stored>; 2],
    pub(super) turns: u64,
    pub(super) calls: u64,
}

impl RunStatus {
    /// Its stable name.
    #[must_use]
    pub fn name(self) -> StatusName {
        StatusName(match self {
            Self::Running { .. } => "running",
            Self::Interrupted => "interrupted",
            Self::Stopped(stop) => stop.name(),
            Self::Damaged => "damaged",
        })
    }
}

impl StatusName {
    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    fn all() -> impl Iterator<Item = Self> {
        let stopped = StopReason::ALL.into_iter().map(RunStatus::Stopped);
        let others = [RunStatus::Running { pid: 0 }, RunStatus::Interrupted, RunStatus::Damaged];
        others.into_iter().chain(stopped).map(RunStatus::name)
    }
}

impl FromStr for StatusName {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::all().find(|name| name.0 == text).ok_or(UnknownStatus)
    }
}

impl fmt::Display for StatusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Wanted {
    /// Whether a run is one of these.
    #[must_use]
    pub fn has(&self, summary: &RunSummary) -> bool {
        let began = |says: &dyn Fn(&Began) -> bool| summary.began.as_ref().is_some_and(says);
        let in_session = |session: &Name| began(&|began| began.session.as_ref().is_some_and(|at| at.name == *session));
        self.session.as_ref().is_none_or(in_session)
            && self.meta.iter().all(|entry| began(&|began| began.meta.has(entry)))
            && self.status.is_none_or(|status| status == summary.status.name())
    }
}

impl Kept {
    /// How it is listed, as seen from `here`.
    pub(super) fn summary(self, here: &Holder) -> RunSummary {
        let Self { run, holder, ends, turns, calls } = self;
        let [first, last] = ends.map(|stored| stored.and_then(|stored| stored.to_recorded(&run).ok()));
        let began = first.and_then(began);
        let status = if began.is_some() { status(last, holder, here) } else { RunStatus::Damaged };
        RunSummary { run, began, status, turns, calls }
    }
}

/// How a run stands whose last event is `last`, as far as that says.
pub(super) fn status(last: Option<Recorded>, holder: Option<Holder>, here: &Holder) -> RunStatus {
    let held = holder.filter(|holder| holder.presence(here) != Presence::Gone);
    match (last.map(|last| last.event), held) {
        (None, _) => RunStatus::Damaged,
        (Some(Event::RunEnded(ended)), _) => RunStatus::Stopped(ended.stop),
        (Some(_), Some(holder)) => RunStatus::Running { pid: holder.pid },
        (Some(_), None) => RunStatus::Interrupted,
    }
}

/// The one run that `prefix` means among those that begin with it, the newest first; the newest without a prefix.
pub(super) fn pick(prefix: Option<&str>, mut found: Vec<RunId>, folder: &Path) -> Result<RunId, JournalError> {
    match (found.len(), prefix) {
        (1, _) => Ok(found.remove(0)),
        (0, Some(prefix)) => Err(JournalError::NoSuchRun { prefix: prefix.to_owned() }),
        (_, Some(prefix)) => Err(JournalError::AmbiguousRun { prefix: prefix.to_owned(), runs: found }),
        (_, None) => Err(JournalError::NoRuns { folder: folder.to_path_buf() }),
    }
}

fn began(first: Recorded) -> Option<Began> {
    let Event::RunStarted(started) = first.event else { return None };
    let input = started.input.lines().next().unwrap_or_default().to_owned();
    let RunStarted { agent, session, meta, .. } = started;
    Some(Began { at: first.at, agent, input, session, meta })
}
