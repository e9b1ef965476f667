//! What the harness says: a line of progress now and then, a line for each method, and the line that closes a test run.

use std::time::{Duration, Instant};

/// How often a line of progress is worth it.
const EVERY: Duration = Duration::from_secs(15);

/// Progress of one method.
pub(crate) struct Progress {
    method: &'static str,
    started: Instant,
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
        Self { method, started: Instant::now(), said: Instant::now() }
    }

    /// Says how far it is, if it was not said a moment ago.
    pub(crate) fn step(&mut self, done: u64, of: u64) {
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            println!("crash: {}: {done} of {of}, {:.0} s", self.method, self.started.elapsed().as_secs_f64());
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
