//! The hostile suite: each folder of `tests/hostile` is an attack on the built host and what must come of it. This file picks
//! the cases, runs two at a time, and prints what came of them. `cargo xtask hostile` builds what is needed and starts it.

#![expect(clippy::print_stdout, reason = "a program for developers at a terminal")]

mod attack;
mod bombs;
mod case;
mod coded;
mod components;
mod generators;
mod ids;
mod judge;
mod layout;
mod names;
mod network;
mod record;
mod script;
mod servers;
mod table;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent_tests::repository;

use crate::case::{Case, Driver};
use crate::coded::{Coded, Methods, Programs};
use crate::ids::Suite;
use crate::table::{Line, Table};

/// Cases at once: each measures its own process, and the machine that counts has two cores.
const AT_ONCE: usize = 2;

/// What the command line asks for.
struct Choice {
    /// `C5`, or `C*` for a family.
    patterns: Vec<String>,
    coded: Coded,
}

fn main() -> ExitCode {
    let choice = Choice::read();
    let confined = network::enter();
    match run(&choice, confined) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            println!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(choice: &Choice, confined: Result<(), String>) -> Result<bool, String> {
    let mut suite = Suite::read(&repository().join("tests/hostile"))?;
    suite.cases.retain(|case| choice.wants(&case.id));
    if suite.cases.is_empty() && !choice.patterns.is_empty() {
        return Err("no case has such an identifier".to_owned());
    }
    let table = Table::begin(confined);
    let has = |driver| suite.cases.iter().any(|case| case.form.driver == driver);
    let programs = if has(Driver::Rust) { Some(Programs::build()?) } else { None };
    let methods = if has(Driver::Crash) { Some(Methods::ask()?) } else { None };
    attack::warm_up()?;
    let started = Instant::now();
    let table = Mutex::new(table);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = suite.cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    for line in carry_out(case, programs.as_ref(), methods.as_ref(), choice.coded) {
                        table::locked(&table).add(line);
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(table.end(&suite, started.elapsed()))
}

/// Runs one case, and once more for each `[[without]]`.
fn carry_out(case: &Case, programs: Option<&Programs>, methods: Option<&Methods>, coded: Coded) -> Vec<Line> {
    let missing = || (judge::Figures::default(), vec!["what carries it out was not built".to_owned()]);
    match case.form.driver {
        Driver::Rust => {
            let (figures, problems) = programs.map_or_else(missing, |programs| programs.run(case, coded));
            return vec![Line::of(case, figures, problems)];
        }
        Driver::Crash => {
            let (figures, problems) = methods.map_or_else(missing, |methods| methods.see(case));
            return vec![Line::of(case, figures, problems)];
        }
        Driver::Host => {}
    }
    let limit = Duration::from_millis(case.form.bounds.command_ms);
    let mut lines = vec![match attack::attack(case, &[], limit) {
        Ok(seen) => Line::of(case, judge::figures(&seen), judge::judge(case, &seen)),
        Err(problem) => Line::of(case, judge::Figures::default(), vec![problem]),
    }];
    for without in &case.form.without {
        let limit = without.outlives_ms.map_or(limit, Duration::from_millis);
        lines.push(match attack::attack(case, &without.defence, limit) {
            Ok(seen) => Line::without(case, without, judge::figures(&seen), judge::judge_without(case, without, &seen)),
            Err(problem) => Line::without(case, without, judge::Figures::default(), vec![problem]),
        });
    }
    lines
}

impl Choice {
    fn read() -> Self {
        let (flags, patterns) = std::env::args().skip(1).partition::<Vec<_>, _>(|word| word.starts_with("--"));
        let coded = if flags.iter().any(|flag| flag == "--coded-ran-before") { Coded::See } else { Coded::Run };
        Self { patterns, coded }
    }

    fn wants(&self, id: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => id.starts_with(beginning),
            None => id == pattern,
        };
        self.patterns.is_empty() || self.patterns.iter().any(fits)
    }
}
