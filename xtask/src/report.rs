//! The steps of `check` and `test`: what ran, how long it took, how it ended, and what the test runs among them counted.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::talk::{print, say};
use crate::tally::{self, Tally};

/// The steps so far.
pub(crate) struct Report {
    steps: Vec<Step>,
    tally: Tally,
    started: Instant,
}

struct Step {
    name: String,
    took: Duration,
    end: End,
}

enum End {
    Ok,
    Failed,
    /// The step could not be taken here, and that is no failure.
    Impossible(String),
}

/// What came of a step that not every machine can take.
pub(crate) enum Attempt {
    Done,
    Impossible(String),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), tally: Tally::default(), started: Instant::now() }
    }

    /// Takes a step.
    pub(crate) fn step<T>(&mut self, name: &str, take: impl FnOnce() -> Result<T>) -> Result<T> {
        let (result, took) = timed(name, take);
        self.record(name, took, if result.is_ok() { End::Ok } else { End::Failed });
        result
    }

    /// Takes a step that the machine may not allow, and notes it if so.
    pub(crate) fn attempt(&mut self, name: &str, take: impl FnOnce() -> Result<Attempt>) -> Result<()> {
        let (result, took) = timed(name, take);
        let end = match &result {
            Ok(Attempt::Done) => End::Ok,
            Ok(Attempt::Impossible(why)) => End::Impossible(why.clone()),
            Err(_) => End::Failed,
        };
        self.record(name, took, end);
        result.map(drop)
    }

    /// Takes a step that runs tests, and counts them.
    pub(crate) fn tests(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.counted(name, |counted| tally::run(command, counted))
    }

    /// Takes a step that counts tests by itself.
    pub(crate) fn counted(&mut self, name: &str, take: impl FnOnce(&mut Tally) -> Result<()>) -> Result<()> {
        let mut counted = Tally::default();
        let result = self.step(name, || take(&mut counted));
        self.tally.add(&counted);
        result
    }

    /// Adds the steps that somebody took beside these.
    pub(crate) fn add(&mut self, beside: Self) {
        self.steps.extend(beside.steps);
        self.tally.add(&beside.tally);
    }

    /// Prints all steps, each with its time and its end.
    pub(crate) fn print_steps(&self) {
        print("");
        for step in &self.steps {
            let end = match &step.end {
                End::Ok => "ok".to_owned(),
                End::Failed => "FAILED".to_owned(),
                End::Impossible(why) => format!("not here: {why}"),
            };
            print(&format!("{:>7.1} s  {:<44} {end}", step.took.as_secs_f64(), step.name));
        }
        print(&format!("{:>7.1} s  in all", self.started.elapsed().as_secs_f64()));
    }

    /// Prints the line that closes a test run, alone and last.
    pub(crate) fn print_tally(&self) {
        print(&self.tally.to_string());
    }

    fn record(&mut self, name: &str, took: Duration, end: End) {
        self.steps.push(Step { name: name.to_owned(), took, end });
    }
}

fn timed<T>(name: &str, take: impl FnOnce() -> T) -> (T, Duration) {
    say(&format!("---- {name}"));
    let started = Instant::now();
    (take(), started.elapsed())
}
