//! Sends traces, or metrics, while a run goes on, beside it: it reads the journal by a connection of its own, so the run neither waits for it
//! nor knows of it. What a collector did not take stays in the journal, and the next host of this folder sends it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::name::RunId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::collector::{Answer, Collector};
use super::cursor;
use super::feed::{Feed, Read, Request, Whose};
use super::settings::{Named, Settings, What};
use crate::clock;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::runs::RunStatus;
use crate::journal::verify::Marks;

/// How often the journal is looked at for spans: what happens within a second is one request.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a finished run may be kept by what is still to be sent. The answer is out by then; a collector that takes longer
/// gets the rest from the next host. One that was stopped has ten seconds in all, of which its calls have seven.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// The wait after the first failure; it doubles with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait of our own choice.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// The pause after a collector took nothing for a reason that waiting a moment does not mend, such as a key that it does not know: a
/// server of tools lives for months, and somebody may mend it.
const REST: Duration = Duration::from_secs(5 * 60);
/// Earlier runs of this folder that one host sends something of. The next host takes the next ones.
const EARLIER_RUNS_MAX: usize = 64;
/// Earlier runs that one host looks at: most are passed over, since another host drives them or they cannot be sent.
const EARLIER_LOOKED_AT_MAX: usize = 1_000;
/// How many of these in one round, so that its own trace does not wait for them.
const EARLIER_PER_ROUND: usize = 16;
/// Requests for one feed in one round, so that a long trace does not keep another one waiting for ever.
const REQUESTS_PER_ROUND: usize = 1_000;

/// What sending needs.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) settings: Settings,
    /// A handle of its own: reading by the run's would make the run wait.
    pub(super) journal: Arc<dyn Journal>,
    /// Where the cursors of this endpoint are.
    pub(super) folder: PathBuf,
}

impl Means {
    fn interval(&self) -> Duration {
        match &self.settings.what {
            What::Spans(_) => LOOK_INTERVAL,
            What::Totals(choice) => choice.interval,
        }
    }
}

/// Sends in the background, until it is stopped.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Left>,
}

/// Why there is no point in going on.
#[derive(Debug)]
enum Trouble {
    /// Something of the one run: of its events or its cursor. Others may be sent all the same.
    Run(String),
    /// The collector will take nothing from us, or this program cannot ask it.
    Collector(String),
    /// The collector takes nothing of this kind, and nobody said that it would.
    Unasked(String),
}

impl Trouble {
    fn why(self) -> String {
        match self {
            Self::Run(why) | Self::Collector(why) | Self::Unasked(why) => why,
        }
    }
}

/// What was not sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Why the collector does not have everything; `None` where it does.
    pub(super) why: Option<String>,
    /// Spans or points that it does not want.
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
    let mut line = Line::new(means.interval());
    let Means { settings, journal, folder } = means;
    let what = settings.what.clone();
    let sent = async {
        let collector = Collector::new(settings).map_err(Trouble::Collector)?;
        let opened = blocking(move || Feed::open(&journal, &folder, &run, (&what, Whose::Others))).await?;
        let busy = || Trouble::Run("another process is sending it at this moment".to_owned());
        let mut feed = opened.ok_or_else(busy)?;
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
        Ok(Ok(()) | Err(Trouble::Unasked(_))) => None,
        Ok(Err(trouble)) => Some(trouble.why()),
        Err(_) => line.trouble.take().or_else(|| Some("it does not take everything in time".to_owned())),
    };
    (line.sent, Left { why: why.or(line.trouble), unwanted: line.unwanted })
}

async fn work(means: Means, run: RunId, mut stop: watch::Receiver<bool>) -> Left {
    let mut line = Line::new(means.interval());
    loop {
        match attend(&mut line, means.clone(), run.clone(), &mut stop).await {
            Ok(()) => break,
            Err(Trouble::Unasked(why)) => {
                tracing::info!(why, "the collector takes no data of this kind");
                break;
            }
            Err(trouble) => {
                let why = trouble.why();
                tracing::warn!(why, "nothing of the run is sent for now");
                line.trouble = Some(why);
            }
        }
        // What was not sent is in the journal. At the end, or where nobody waits for it any more, it stays there.
        if tokio::time::timeout(REST, stop.wait_for(|stopped| *stopped)).await.is_ok() {
            break;
        }
    }
    Left { why: line.trouble, unwanted: line.unwanted }
}

async fn attend(line: &mut Line, means: Means, run: RunId, stop: &mut watch::Receiver<bool>) -> Result<(), Trouble> {
    let Means { settings, journal, folder } = means;
    let what = settings.what.clone();
    let collector = blocking(move || Collector::new(settings).map_err(anyhow::Error::msg)).await;
    let collector = collector.map_err(|trouble| Trouble::Collector(trouble.why()))?;
    let mut own = None;
    let listed = folder.clone();
    let unsent = blocking(move || Ok(cursor::unsent(&listed, EARLIER_LOOKED_AT_MAX))).await?;
    let mut earlier = Earlier::new(unsent, &run, (&journal, &folder, &what));
    loop {
        let is_last = *stop.borrow();
        if own.is_none() {
            // Another process may be sending what was left of it before it was resumed.
            let (journal, folder, run, what) = (Arc::clone(&journal), folder.clone(), run.clone(), what.clone());
            own = blocking(move || Feed::open(&journal, &folder, &run, (&what, Whose::Ours))).await?;
        }
        if let Some(feed) = own.take_if(|_| line.may_send(is_last)) {
            own = Some(line.drain(&collector, feed).await?);
        }
        earlier.round(line, &collector, is_last).await?;
        if is_last {
            let own = own.ok_or_else(|| Trouble::Run("another process is sending it".to_owned()))?;
            return blocking(move || own.close()).await;
        }
        let told = tokio::time::timeout(line.pause(), stop.wait_for(|stopped| *stopped)).await;
        if matches!(told, Ok(Err(_))) {
            // Nobody waits for the rest.
            return Ok(());
        }
    }
}

/// What earlier hosts of this folder left unsent.
struct Earlier {
    waiting: VecDeque<RunId>,
    sent: usize,
    journal: Arc<dyn Journal>,
    folder: PathBuf,
    what: What,
}

impl Earlier {
    fn new(unsent: Vec<RunId>, own: &RunId, (journal, folder, what): (&Arc<dyn Journal>, &Path, &What)) -> Self {
        let waiting = unsent.into_iter().filter(|earlier| earlier != own).collect();
        Self { waiting, sent: 0, journal: Arc::clone(journal), folder: folder.to_owned(), what: what.clone() }
    }

    /// Sends what there is of the next one; at the end of all of them. One that cannot be sent is passed over, whatever is wrong
    /// with it: it says nothing about the others.
    async fn round(&mut self, line: &mut Line, collector: &Collector, is_last: bool) -> Result<(), Trouble> {
        let mut passed = 0;
        while line.is_clear() && self.sent < EARLIER_RUNS_MAX && (is_last || passed < EARLIER_PER_ROUND) {
            let Some(run) = self.waiting.pop_front() else { break };
            match self.send(line, collector, run.clone()).await {
                Ok(false) => passed += 1,
                Ok(true) => {
                    self.sent += 1;
                    if !is_last {
                        break;
                    }
                }
                Err(Trouble::Run(why)) => {
                    passed += 1;
                    tracing::debug!(%run, why, "an earlier run cannot be sent");
                }
                Err(wrong @ (Trouble::Collector(_) | Trouble::Unasked(_))) => return Err(wrong),
            }
        }
        Ok(())
    }

    async fn send(&self, line: &mut Line, collector: &Collector, run: RunId) -> Result<bool, Trouble> {
        let Some(feed) = self.open(run).await? else { return Ok(false) };
        let feed = line.drain(collector, feed).await?;
        blocking(move || feed.close()).await?;
        Ok(true)
    }

    /// What an earlier host left unsent of a run that nobody drives. Only of one that this host recorded: what a stranger put
    /// there would be sent with the operator's own headers, as spans of any run that he likes.
    async fn open(&self, run: RunId) -> Result<Option<Feed>, Trouble> {
        let (journal, folder, what) = (Arc::clone(&self.journal), self.folder.clone(), self.what.clone());
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
                Err(error) => return Err(error.into()),
            }
            let verified = journal.verify(&run)?;
            if verified.marks != Marks::Ours || verified.damage.is_some() {
                return Ok(None);
            }
            Feed::open(&journal, &folder, &run, (&what, Whose::Others))
        })
        .await
    }
}

/// The way to the collector: when it may be used next, and what went wrong on it.
struct Line {
    interval: Duration,
    not_before: Instant,
    failures: u32,
    /// The collector itself said how long to wait.
    was_told: bool,
    trouble: Option<String>,
    sent: u64,
    unwanted: u64,
}

impl Line {
    fn new(interval: Duration) -> Self {
        let not_before = Instant::now();
        Self { interval, not_before, failures: 0, was_told: false, trouble: None, sent: 0, unwanted: 0 }
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
        self.interval.max(self.not_before.saturating_duration_since(Instant::now()))
    }

    /// Sends all that there is, or up to the first failure. An error means that there is no point in going on.
    async fn drain(&mut self, collector: &Collector, mut feed: Feed) -> Result<Feed, Trouble> {
        for _ in 0..REQUESTS_PER_ROUND {
            let read;
            (feed, read) = blocking(move || feed.fill().map(|read| (feed, read))).await?;
            if read == Read::Some {
                continue;
            }
            let Some(Request { count, message }) = feed.request(collector.form()) else { break };
            feed.leave();
            match collector.send(message).await {
                Answer::Taken { rejected, words } => {
                    if rejected > 0 || !words.is_empty() {
                        tracing::warn!(rejected, words, "the collector did not want all of it");
                    }
                    self.unwanted += rejected;
                    self.sent += (count as u64).saturating_sub(rejected);
                }
                Answer::Never(why) => {
                    tracing::warn!(count, why, "the collector does not want this");
                    self.unwanted += count as u64;
                }
                Answer::Later { wait, why } => {
                    self.put_off(wait, why);
                    return Ok(feed);
                }
                Answer::Nowhere(why) if collector.named() == Named::ForAll && feed.is_extra() => {
                    return Err(Trouble::Unasked(why));
                }
                Answer::Nowhere(why) | Answer::Wrong(why) => {
                    return Err(Trouble::Collector(format!("{}: {why}", collector.shown())));
                }
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
        tracing::debug!(why, ?wait, "the collector takes nothing now");
        self.failures += 1;
        self.was_told = asked.is_some();
        self.not_before = Instant::now() + wait;
        self.trouble = Some(why);
    }
}

/// Has a thread for it do something about one run that waits for files.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done.map_err(|error| Trouble::Run(format!("{error:#}"))),
        Err(error) => Err(Trouble::Collector(error.to_string())),
    }
}
