//! The crash harness: disturbs the built program in every way that its promises cover, and has an independent checker judge
//! what it recovers. `cargo xtask crash` builds what is needed and starts it; `docs/crash-tests.md` says what is done and why.
//!
//! A method is one way to disturb: `kills`, `failpoints`, `two_hosts`, `disk`. `defects` has the harness itself tested: builds
//! with a planted defect must be caught.

#![expect(clippy::print_stdout, reason = "a program for developers at a terminal")]

mod answer;
mod counter;
mod defects;
mod dice;
mod disk;
mod failpoints;
mod host;
mod kills;
mod report;
mod side_by_side;
mod store;
mod strace;
mod two_hosts;
mod workload;

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::report::{Progress, Verdict};

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// What `cargo xtask test` runs.
    Short,
    /// Before a release.
    Release,
}

/// A way to disturb, and what came of it in a sentence.
type Method = fn(Scale, u64, &Progress) -> Result<String, String>;

/// What a method says first where this machine does not allow it.
const NOT_HERE: &str = "not here: ";

const METHODS: [(&str, Method); 5] = [
    ("failpoints", failpoints::run),
    ("kills", kills::run),
    ("two-hosts", two_hosts::run),
    ("disk", disk::run),
    ("defects", defects::run),
];

const USAGE: &str = "agent-crash [--short | --release-figures] [--seed N] [METHOD…]; methods: failpoints, kills, two-hosts, disk, defects";

/// What the command line asks for.
struct Choice {
    scale: Scale,
    seed: u64,
    methods: Vec<(&'static str, Method)>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(ended) = disk::inside(&words) {
        return ended;
    }
    let choice = match Choice::read(&words) {
        Ok(choice) => choice,
        Err(problem) => {
            println!("error: {problem}\n  usage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("crash: seed {} (again with `--seed {}`)", choice.seed, choice.seed);
    let started = Instant::now();
    let verdicts: Vec<Verdict> =
        choice.methods.iter().map(|(name, method)| try_method(name, *method, &choice)).collect();
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| wanted(verdict)).count();
    let held = count(|verdict| matches!(verdict, Verdict::Held(_)));
    let failed = count(|verdict| matches!(verdict, Verdict::Broken(_)));
    let ignored = count(|verdict| matches!(verdict, Verdict::NotHere(_)));
    let result = if failed == 0 { "ok" } else { "FAILED" };
    // As cargo's own tests end, so that `cargo xtask test` counts it.
    println!(
        "\ntest result: {result}. {held} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        started.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn try_method(name: &'static str, method: Method, choice: &Choice) -> Verdict {
    let progress = Progress::begin(name);
    let verdict = match method(choice.scale, choice.seed, &progress) {
        Ok(what) => Verdict::Held(what),
        Err(problem) => match problem.strip_prefix(NOT_HERE) {
            Some(why) => Verdict::NotHere(why.to_owned()),
            None => Verdict::Broken(problem),
        },
    };
    progress.end(&verdict);
    verdict
}

impl Choice {
    fn read(words: &[String]) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let mut choice = Self { scale: Scale::Short, seed: u64::try_from(now).unwrap_or(0), methods: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--short" => choice.scale = Scale::Short,
                "--release-figures" => choice.scale = Scale::Release,
                "--seed" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    choice.seed = number.ok_or("`--seed` takes a number")?;
                }
                name => {
                    let method = METHODS.into_iter().find(|(known, _)| *known == name);
                    choice.methods.push(method.ok_or(format!("there is no `{name}`"))?);
                }
            }
        }
        if choice.methods.is_empty() {
            choice.methods = METHODS.to_vec();
        }
        Ok(choice)
    }
}
