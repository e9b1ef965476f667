//! What the harness says: a line of progress now and then, a line for each method, and the line that closes a test run.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line of progress is worth it.
const EVERY: Duration = Duration::from_secs(15);

/// Progress of one method, to which all its stores add.
pub(crate) struct Progress {
    method: &'static str,
    started: Instant,
    steps: Mutex<Steps>,
}

struct Steps {
    done: u64,
    of: u64,
    said: Instant,
}

/// How a method ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held(String),
    Broken(String),
    /// This machine does not allow it.
    NotHere(String),
}

impl Progress {
    pub(crate) fn begin(method: &'static str) -> Self {
        println!("crash: {method} …");
        let now = Instant::now();
        Self { method, started: now, steps: Mutex::new(Steps { done: 0, of: 0, said: now }) }
    }

    /// So many more steps are to come.
    pub(crate) fn expect(&self, steps: u64) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).of += steps;
    }

    /// So many steps are done. Says how far it is, if that was not said a moment ago.
    pub(crate) fn step(&self, steps: u64) {
        let mut all = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        all.done += steps;
        if all.said.elapsed() >= EVERY {
            all.said = Instant::now();
            let took = self.started.elapsed().as_secs_f64();
            println!("crash: {}: {} of {}, {took:.0} s", self.method, all.done, all.of);
        }
    }

    pub(crate) fn end(self, verdict: &Verdict) {
        let took = self.started.elapsed().as_secs_f64();
        match verdict {
            Verdict::Held(what) => println!("crash: {} ok, {took:.1} s: {what}", self.method),
            Verdict::Broken(what) => println!("crash: {} FAILED, {took:.1} s: {what}", self.method),
            Verdict::NotHere(why) => println!("crash: {} not here: {why}", self.method),
        }
    }
}
