//! The soak: one process in which hostile guests attack without pause while a polite one is called and timed. What must hold
//! is that nothing is left behind (memory, descriptors, threads) and that the polite caller hardly notices.
//!
//! `main` runs it for minutes, `cargo xtask test` for a quarter of one. `place` holds the sandbox, `server` what the guests reach,
//! `work` the calls, `sample` what the process holds, `times` how long calls took, `findings` what came of it.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for developers, which fails by panicking")]

mod findings;
mod place;
mod sample;
mod server;
mod times;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub use self::findings::Findings;
use self::place::Place;
use self::sample::Sample;
use self::times::Times;
use self::work::{HOSTILE, POLITE, Work};

/// Hostile callers at once: twice as many as there are processors on a small machine, so that they are never all waiting.
const HOSTILE_CALLERS: u64 = 4;

/// Between two polite calls.
const POLITE_PAUSE: Duration = Duration::from_millis(5);

/// Between two looks at the process.
const SAMPLE_PAUSE: Duration = Duration::from_secs(1);

/// How long what was used may take to be given back: idle threads stay for a second.
const SETTLE_MAX: Duration = Duration::from_secs(15);

/// How long the parts take.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Polite calls alone.
    pub idle: Duration,
    /// Polite and hostile calls.
    pub mixed: Duration,
}

impl Plan {
    /// A tenth of the time is for the idle host.
    #[must_use]
    pub fn lasting(whole: Duration) -> Self {
        let idle = whole / 10;
        Self { idle, mixed: whole - idle }
    }
}

/// Runs the plan. `guests` is where the test guests are.
#[must_use]
pub fn run(plan: Plan, guests: &std::path::Path) -> Findings {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = runtime.block_on(server::start());
    let place = Arc::new(Place::new(guests, server));
    runtime.block_on(soak(plan, place))
}

async fn soak(plan: Plan, place: Arc<Place>) -> Findings {
    let outcomes = Outcomes::default();
    // What is allocated once is allocated before the first sample.
    for work in HOSTILE.iter().chain(&POLITE) {
        outcomes.count(work, &place.call(work).await);
    }
    drop(polite(&place, plan.idle / 3, &outcomes).await);
    settle(None).await;
    let before = Sample::now();
    let idle = polite(&place, plan.idle, &outcomes).await;
    let (mixed, resident) = mixed(plan.mixed, &place, &outcomes).await;
    settle(Some(before)).await;
    Findings { before, after: Sample::now(), idle, mixed, resident, outcomes: outcomes.take() }
}

/// Polite calls for a time: how long each took.
async fn polite(place: &Place, time: Duration, outcomes: &Outcomes) -> Times {
    let end = Instant::now() + time;
    let mut times = Times::new();
    while Instant::now() < end {
        for work in &POLITE {
            let started = Instant::now();
            let outcome = place.call(work).await;
            times.add(started.elapsed());
            outcomes.count(work, &outcome);
        }
        tokio::time::sleep(POLITE_PAUSE).await;
    }
    times
}

/// Polite and hostile calls for a time: how long each polite one took, and what the process held meanwhile.
async fn mixed(time: Duration, place: &Arc<Place>, outcomes: &Outcomes) -> (Times, Vec<Sample>) {
    let end = Instant::now() + time;
    let mut hostile = JoinSet::new();
    for caller in 0..HOSTILE_CALLERS {
        hostile.spawn(attack(Arc::clone(place), caller, end, outcomes.clone()));
    }
    let sampler = tokio::spawn(async move {
        let mut samples = Vec::with_capacity(time.as_secs() as usize + 1);
        while Instant::now() < end {
            samples.push(Sample::now());
            tokio::time::sleep(SAMPLE_PAUSE).await;
        }
        samples
    });
    let times = polite(place, time, outcomes).await;
    while let Some(ended) = hostile.join_next().await {
        ended.expect("a hostile caller ends");
    }
    (times, sampler.await.expect("the sampler ends"))
}

async fn attack(place: Arc<Place>, caller: u64, end: Instant, outcomes: Outcomes) {
    let mut dice = work::Dice::new(caller);
    while Instant::now() < end {
        let work = dice.choose(&HOSTILE);
        outcomes.count(work, &place.call(work).await);
    }
}

/// Waits until the process holds what it held, or for a bounded time.
async fn settle(before: Option<Sample>) {
    let end = Instant::now() + SETTLE_MAX;
    let least = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let returned = before.is_none_or(|before| Sample::now().holds_no_more_than(&before));
        if returned && Instant::now() > least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How often each call ended how.
#[derive(Debug, Clone, Default)]
struct Outcomes(Arc<Mutex<Counts>>);

/// By operation and outcome, and whether that is as it should be.
pub(crate) type Counts = BTreeMap<(&'static str, String), Count>;

/// How often, and whether it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) expected: bool,
}

impl Outcomes {
    fn count(&self, work: &Work, outcome: &str) {
        let mut counts = self.0.lock().expect("no counter panics");
        let count = counts.entry((work.operation, outcome.to_owned())).or_default();
        count.calls += 1;
        count.expected = work.may_end(outcome);
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut *self.0.lock().expect("no counter panics"))
    }
}
