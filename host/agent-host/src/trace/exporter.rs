//! Sends traces while a run goes on, beside it: it reads the journal by a connection of its own, so the run neither waits for it
//! nor knows of it. What a collector did not take stays in the journal, and the next host of this folder sends it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::name::RunId;
use agent_core::trace::Content;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::collector::{Answer, Collector};
use super::cursor;
use super::feed::{Feed, Whose};
use super::settings::Settings;
use crate::clock;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::runs::RunStatus;

/// How often the journal is looked at: what happens within a second is one request.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a finished run may be kept by what is still to be sent. The answer is out by then; a collector that takes longer
/// gets the rest from the next host.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// The wait after the first failure; it doubles with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait of our own choice.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Earlier runs of this folder that one host looks after. The next host takes the next ones.
const EARLIER_RUNS_MAX: usize = 64;
/// Requests for one feed in one round, so that a long trace does not keep another one waiting for ever.
const REQUESTS_PER_ROUND: usize = 1_000;

/// What sending needs, found out before the walls stand.
pub(super) struct Means {
    pub(super) settings: Settings,
    /// A handle of its own: reading by the run's would make the run wait.
    pub(super) journal: Arc<dyn Journal>,
    /// Where the cursors of this endpoint are.
    pub(super) folder: PathBuf,
    pub(super) content: Content,
}

/// Sends in the background, until it is stopped.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Left>,
}

/// What was not sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Why the collector does not have everything; `None` where it does.
    pub(super) why: Option<String>,
    /// Spans that it does not want.
    pub(super) unwanted: u64,
}

impl Running {
    /// Begins to send the trace of `run`, which this process drives, and what earlier runs of the folder left over.
    pub(super) fn begin(means: Means, run: RunId) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(work(means, run, stopped)) }
    }

    /// Sends the rest, as far as that is quickly done.
    pub(super) async fn finish(self) -> Left {
        let Self { stop, mut task } = self;
        // An error means that it has given up already.
        let _ = stop.send(true);
        match tokio::time::timeout(FLUSH_TIME, &mut task).await {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => Left { why: Some(format!("a defect of this program: {error}")), unwanted: 0 },
            Err(_) => {
                task.abort();
                Left { why: Some("it does not answer in time".to_owned()), unwanted: 0 }
            }
        }
    }
}

/// Sends what there is of one run and reports; for a person who asks for it. `limit` bounds it all.
pub(super) async fn send_one(means: Means, run: RunId, limit: Duration) -> (u64, Left) {
    let Means { settings, journal, folder, content } = means;
    let mut line = Line::new();
    let sent = async {
        let collector = Collector::new(settings)?;
        let opened = blocking(move || Feed::open(&journal, &folder, &run, (content, Whose::Others))).await?;
        let mut feed = opened.ok_or("another process is sending it at this moment")?;
        loop {
            tokio::time::sleep_until(line.not_before.into()).await;
            feed = line.drain(&collector, feed).await?;
            if line.is_clear() {
                break;
            }
        }
        blocking(move || feed.close()).await
    };
    let why = match tokio::time::timeout(limit, sent).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => line.trouble.take().or_else(|| Some("it does not take everything in time".to_owned())),
    };
    (line.sent, Left { why: why.or(line.trouble), unwanted: line.unwanted })
}

async fn work(means: Means, run: RunId, mut stop: watch::Receiver<bool>) -> Left {
    let mut line = Line::new();
    let result = attend(&mut line, means, run, &mut stop).await;
    if let Err(why) = result {
        tracing::warn!(why, "the trace of the run is not sent any more");
        line.trouble = Some(why);
    }
    Left { why: line.trouble, unwanted: line.unwanted }
}

async fn attend(line: &mut Line, means: Means, run: RunId, stop: &mut watch::Receiver<bool>) -> Result<(), String> {
    let Means { settings, journal, folder, content } = means;
    let collector = tokio::task::spawn_blocking(|| Collector::new(settings)).await.map_err(|e| e.to_string())??;
    let mut own = None;
    let listed = folder.clone();
    let mut earlier: VecDeque<RunId> = blocking(move || Ok(cursor::unsent(&listed, EARLIER_RUNS_MAX))).await?.into();
    earlier.retain(|earlier| *earlier != run);
    loop {
        let is_last = *stop.borrow();
        if own.is_none() {
            // Another process may be sending what was left of it before it was resumed.
            let (journal, folder, run) = (Arc::clone(&journal), folder.clone(), run.clone());
            own = blocking(move || Feed::open(&journal, &folder, &run, (content, Whose::Ours))).await?;
        }
        if let Some(feed) = own.take_if(|_| line.may_send(is_last)) {
            own = Some(line.drain(&collector, feed).await?);
        }
        while line.is_clear()
            && let Some(next) = earlier.pop_front()
        {
            let left = open_earlier(&journal, &folder, next, content).await?;
            if let Some(feed) = left {
                let feed = line.drain(&collector, feed).await?;
                blocking(move || feed.close()).await?;
            }
            if !is_last {
                break;
            }
        }
        if is_last {
            let own = own.ok_or("another process is sending it")?;
            return blocking(move || own.close()).await;
        }
        let told = tokio::time::timeout(line.pause(), stop.wait_for(|stopped| *stopped)).await;
        if matches!(told, Ok(Err(_))) {
            // Nobody waits for the rest.
            return Ok(());
        }
    }
}

/// What an earlier host left unsent of a run that nobody drives. Runs that cannot be read are passed over.
async fn open_earlier(
    journal: &Arc<dyn Journal>,
    folder: &std::path::Path,
    run: RunId,
    content: Content,
) -> Result<Option<Feed>, String> {
    let (journal, folder) = (Arc::clone(journal), folder.to_owned());
    blocking(move || {
        match journal.summary(&run) {
            Ok(summary) => match summary.status {
                RunStatus::Interrupted | RunStatus::Stopped(_) => {}
                RunStatus::Running { .. } | RunStatus::Damaged => return Ok(None),
            },
            // Deleted since: there is nothing to send any more.
            Err(JournalError::NoSuchRun { .. }) => {
                if let Some(cursor) = cursor::Cursor::take(&folder, &run)? {
                    cursor.put_away()?;
                }
                return Ok(None);
            }
            Err(error) => {
                tracing::debug!(%run, %error, "the trace of an earlier run cannot be sent");
                return Ok(None);
            }
        }
        Feed::open(&journal, &folder, &run, (content, Whose::Others))
    })
    .await
}

/// The way to the collector: when it may be used next, and what went wrong on it.
struct Line {
    not_before: Instant,
    failures: u32,
    /// The collector itself said how long to wait.
    was_told: bool,
    trouble: Option<String>,
    sent: u64,
    unwanted: u64,
}

impl Line {
    fn new() -> Self {
        Self { not_before: Instant::now(), failures: 0, was_told: false, trouble: None, sent: 0, unwanted: 0 }
    }

    /// Whether the last request came through.
    fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// Whether it is time. At the end once more, unless the collector asked for the wait.
    fn may_send(&self, is_last: bool) -> bool {
        Instant::now() >= self.not_before || is_last && !self.was_told
    }

    fn pause(&self) -> Duration {
        LOOK_INTERVAL.max(self.not_before.saturating_duration_since(Instant::now()))
    }

    /// Sends all that there is, or up to the first failure. An error means that there is no point in going on.
    async fn drain(&mut self, collector: &Collector, mut feed: Feed) -> Result<Feed, String> {
        for _ in 0..REQUESTS_PER_ROUND {
            feed = blocking(move || feed.fill().map(|()| feed)).await?;
            let spans = feed.request();
            let count = spans.len();
            if count == 0 {
                break;
            }
            match collector.send(&spans).await {
                Answer::Taken { rejected, words } => {
                    if rejected > 0 || !words.is_empty() {
                        tracing::warn!(rejected, words, "the collector did not want every span");
                    }
                    self.unwanted += rejected;
                    self.sent += (count as u64).saturating_sub(rejected);
                }
                Answer::Never(why) => {
                    tracing::warn!(spans = count, why, "the collector does not want these spans");
                    self.unwanted += count as u64;
                }
                Answer::Later { wait, why } => {
                    self.put_off(wait, why);
                    return Ok(feed);
                }
                Answer::Wrong(why) => return Err(format!("{}: {why}", collector.shown())),
            }
            (self.failures, self.was_told, self.trouble) = (0, false, None);
            feed = blocking(move || feed.advance(count).map(|()| feed)).await?;
        }
        Ok(feed)
    }

    fn put_off(&mut self, asked: Option<Duration>, why: String) {
        let doubled = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MAX);
        // Up to a quarter more, so that many hosts do not come back in step.
        let share = clock::random::<1>().map_or(0, |dice| u32::from(dice[0]));
        let wait = asked.unwrap_or(doubled + doubled / 4 * share / 255);
        tracing::debug!(why, ?wait, "the collector does not take the trace now");
        self.failures += 1;
        self.was_told = asked.is_some();
        self.not_before = Instant::now() + wait;
        self.trouble = Some(why);
    }
}

/// Has a thread for it do something that waits for files.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done.map_err(|error| format!("{error:#}")),
        Err(error) => Err(error.to_string()),
    }
}
