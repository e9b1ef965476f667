//! Where the trace of a run goes: to a collector, by OTLP over HTTP, if the standard variables of OpenTelemetry name one. The
//! trace itself is a projection of the journal, in `agent_core::trace`; what is here only brings it away. It never fails a run,
//! and holds one up at most for a moment, after its answer is out.
//!
//! Commands prepare it before the walls stand, begin it with a run and finish it after. `docs/telemetry.md` says what is sent
//! and what is promised.

mod collector;
mod cursor;
mod exporter;
mod feed;
mod otlp;
pub mod settings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::name::RunId;

use self::exporter::{Left, Means, Running};
use self::settings::Wanted;
use crate::journal::folder::prepare_folder;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;

/// The folder beside the journal in which the cursors are.
const FOLDER: &str = "traces";
/// How long a person who asks for a trace to be sent is kept waiting.
const ASKED_TIME_MAX: Duration = Duration::from_secs(20);

/// What sending the trace of a run needs; found out before the walls stand.
pub enum Telemetry {
    /// Nobody asked for it.
    Off,
    /// It was asked for, but cannot be done so.
    Impossible(String),
    /// It can begin.
    Ready(Box<Ready>),
}

/// Everything that is needed to send.
pub struct Ready {
    means: Means,
    shown: String,
}

/// The trace of a run on its way, and where to, as it may be shown; nothing where it is not sent.
pub struct Exporting(Option<(Running, String)>);

impl Telemetry {
    /// What the environment asks for, for the journal in `runs`.
    #[must_use]
    pub fn prepare(runs: &Path, key: &HostKey) -> Self {
        let settings = match settings::of_environment() {
            Wanted::No => return Self::Off,
            Wanted::Impossible(why) => return Self::Impossible(why),
            Wanted::Yes(settings) => settings,
        };
        // Each level of it by itself: what a stranger shipped there could be a link to elsewhere.
        let traces = match prepare_folder(&runs.join(FOLDER)) {
            Ok(traces) => traces,
            Err(error) => return Self::Impossible(format!("nothing can be kept about it: {error}")),
        };
        match SqliteJournal::open_existing(runs, key) {
            Ok(journal) => {
                let folder = traces.join(settings.short_name());
                let shown = settings.shown();
                let (settings, journal, content) = (*settings, Arc::new(journal), settings::content());
                Self::Ready(Box::new(Ready { means: Means { settings, journal, folder, content }, shown }))
            }
            Err(error) => Self::Impossible(format!("the journal cannot be read a second time: {error}")),
        }
    }

    /// Begins to send the trace of the run that this process drives. Says what cannot be done by `tell`.
    #[must_use]
    pub fn begin(self, run: &RunId, tell: impl FnOnce(&str)) -> Exporting {
        match self {
            Self::Off => Exporting(None),
            Self::Impossible(why) => {
                tell(&format!("the trace is not sent: {why}"));
                Exporting(None)
            }
            Self::Ready(ready) => {
                let Ready { means, shown } = *ready;
                Exporting(Some((Running::begin(means, run.clone()), shown)))
            }
        }
    }
}

impl Exporting {
    /// Sends the rest, for a moment. Says by `tell` what did not arrive; `run` is how a person names it.
    pub async fn finish(self, run: &str, tell: impl Fn(&str)) {
        let Some((running, to)) = self.0 else { return };
        let left = running.finish().await;
        if let Some(why) = &left.why {
            tell(&format!(
                "the trace is not complete at {to}: {why}; `agent-host trace {run} --export` sends the rest"
            ));
        }
        tell_unwanted(&left, &to, tell);
    }
}

impl Ready {
    /// Sends what there is of a run, and says how many spans that were.
    ///
    /// # Errors
    /// Where the collector does not have all of it.
    pub async fn send(self, run: &RunId, tell: impl Fn(&str)) -> anyhow::Result<(u64, String)> {
        let Self { means, shown } = self;
        let (sent, left) = exporter::send_one(means, run.clone(), ASKED_TIME_MAX).await;
        tell_unwanted(&left, &shown, tell);
        match left.why {
            None => Ok((sent, shown)),
            Some(why) => anyhow::bail!(
                "the trace is not complete at {shown}: {why}\n  hint: the same command goes on where it stopped"
            ),
        }
    }
}

fn tell_unwanted(left: &Left, to: &str, tell: impl Fn(&str)) {
    if left.unwanted > 0 {
        tell(&format!("{} spans were not wanted at {to}: `--log warn` says why", left.unwanted));
    }
}
