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

use crate::host::Build;
use crate::report::{Progress, Verdict};
use crate::workload::Workload;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// What `cargo xtask test` runs.
    Short,
    /// Before a release.
    Release,
}

/// What a method is asked for.
struct Ask {
    scale: Scale,
    seed: u64,
    /// With which work alone points are tried, where not with all of it.
    only: Vec<Workload>,
}

/// A way to disturb, and what came of it in a sentence.
type Method = fn(&Ask, &Progress) -> Result<String, String>;

/// What a method says first where this machine does not allow it.
const NOT_HERE: &str = "not here: ";

const METHODS: [(&str, Method); 5] = [
    (FAILPOINTS, failpoints::run),
    ("kills", kills::run),
    ("two-hosts", two_hosts::run),
    ("disk", disk::run),
    ("defects", defects::run),
];

const USAGE: &str = "agent-crash --list | [--short | --release-figures] [--seed N] [--workload W1…W5] [METHOD…]; methods: \
                     failpoints, kills, two-hosts, disk, defects; `--workload` is for failpoints alone, and may be given again";

/// The method whose work can be chosen.
const FAILPOINTS: &str = "failpoints";

/// What the command line asks for.
struct Choice {
    ask: Ask,
    methods: Vec<(&'static str, Method)>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(ended) = disk::inside(&words) {
        return ended;
    }
    if words == ["--list"] {
        METHODS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let choice = match Choice::read(&words) {
        Ok(choice) => choice,
        Err(problem) => {
            println!("error: {problem}\n  usage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("crash: seed {} (again with `--seed {}`)", choice.ask.seed, choice.ask.seed);
    if let Err(problem) = [Build::Plain, Build::Failpoints].into_iter().try_for_each(Build::warm_up) {
        println!("error: {problem}");
        return ExitCode::FAILURE;
    }
    let started = Instant::now();
    let verdicts: Vec<Verdict> =
        choice.methods.iter().map(|(name, method)| try_method(name, *method, &choice.ask)).collect();
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

fn try_method(name: &'static str, method: Method, ask: &Ask) -> Verdict {
    let progress = Progress::begin(name);
    let verdict = match method(ask, &progress) {
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
        let ask = Ask { scale: Scale::Short, seed: u64::try_from(now).unwrap_or(0), only: Vec::new() };
        let mut choice = Self { ask, methods: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--short" => choice.ask.scale = Scale::Short,
                "--release-figures" => choice.ask.scale = Scale::Release,
                "--seed" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    choice.ask.seed = number.ok_or("`--seed` takes a number")?;
                }
                "--workload" => {
                    let work = words.next().and_then(|name| Workload::named(name));
                    choice.ask.only.push(work.ok_or("`--workload` takes one of W1 to W5")?);
                }
                name => {
                    let method = METHODS.into_iter().find(|(known, _)| *known == name);
                    choice.methods.push(method.ok_or(format!("there is no `{name}`"))?);
                }
            }
        }
        if !choice.ask.only.is_empty() && choice.methods.iter().any(|(name, _)| *name != FAILPOINTS) {
            return Err("`--workload` chooses the work of `failpoints` alone".to_owned());
        }
        if choice.methods.is_empty() && !choice.ask.only.is_empty() {
            choice.methods = vec![(FAILPOINTS, failpoints::run)];
        } else if choice.methods.is_empty() {
            choice.methods = METHODS.to_vec();
        }
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The methods and the work that are chosen, or the problem.
    fn read(words: &str) -> Result<(Vec<&'static str>, Vec<Workload>), String> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let choice = Choice::read(&words)?;
        Ok((choice.methods.iter().map(|(name, _)| *name).collect(), choice.ask.only))
    }

    #[test]
    fn without_a_method_all_are_meant() {
        assert_eq!(read("--seed 17"), Ok((METHODS.map(|(name, _)| name).to_vec(), vec![])));
        assert_eq!(read("disk kills"), Ok((vec!["disk", "kills"], vec![])));
    }

    #[test]
    fn work_is_chosen_for_failpoints_alone() {
        let chosen = Ok((vec![FAILPOINTS], vec![Workload::Mixed, Workload::Long]));
        assert_eq!(read("--workload W4 --workload W5 --seed 17"), chosen);
        assert!(read("failpoints --workload W6").is_err_and(|problem| problem.contains("W1 to W5")));
        assert!(read("kills --workload W1").is_err_and(|problem| problem.contains("`failpoints` alone")));
    }
}
