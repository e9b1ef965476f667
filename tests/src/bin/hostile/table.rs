//! What the suite prints: a line for each case as it ends, then what is owed and what does not apply, then the sums.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::case::{Case, Without};
use crate::ids::Suite;
use crate::judge::Figures;

/// One run of a case.
pub(crate) struct Line {
    id: String,
    title: String,
    expected: String,
    figures: Figures,
    problems: Vec<String>,
    kind: LineKind,
}

#[derive(PartialEq, Eq)]
enum LineKind {
    Case,
    Without,
}

/// The lines so far.
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Line {
    /// A case.
    pub(crate) fn of(case: &Case, figures: Figures, problems: Vec<String>) -> Self {
        let calls = case.form.call.iter().map(|call| call.outcome.as_str());
        let expected = each_once(calls.chain(case.form.load.as_ref().map(|load| load.problem.as_str())));
        let expected = if expected.is_empty() { "passes".to_owned() } else { expected };
        Self { id: case.id.clone(), title: case.form.title.clone(), expected, figures, problems, kind: LineKind::Case }
    }

    /// A case with defences off.
    pub(crate) fn without(case: &Case, without: &Without, figures: Figures, problems: Vec<String>) -> Self {
        let title = format!("  the same without {}", without.defence.join(", "));
        let expected = without.outcome.clone().unwrap_or_else(|| "gets through".to_owned());
        Self { id: case.id.clone(), title, expected, figures, problems, kind: LineKind::Without }
    }

    fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    fn print(&self) {
        let Figures { outcome, took_ms, over_mib, canary } = &self.figures;
        let took = took_ms.map_or_else(String::new, |took| format!("{took} ms"));
        let over = over_mib.map_or_else(String::new, |over| format!("{over:.1} MiB"));
        let canary = canary.map_or_else(String::new, |ratio| format!("{ratio:.1}×"));
        let mark = if self.passed() { "ok" } else { "FAILED" };
        let (id, expected) = (&self.id, &self.expected);
        println!(
            "{mark:<6} {id:<4} {:<62} {:<24} {:<24} {took:>9} {over:>9} {canary:>6}",
            cut(&self.title, 62),
            cut(expected, 24),
            cut(outcome, 24)
        );
        for problem in &self.problems {
            println!("       · {}", problem.replace('\n', "\n         "));
        }
    }
}

/// Each name once, in the order in which they first come.
pub(crate) fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join(", ")
}

fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars { text.to_owned() } else { text.chars().take(chars - 1).chain(['…']).collect() }
}

impl Table {
    /// Prints the head.
    pub(crate) fn begin(confined: Result<(), String>) -> Self {
        match confined {
            Ok(()) => println!("in a network of its own, without routes"),
            Err(why) => println!("in the network of this machine: {why}"),
        }
        let head = format!(
            "{:<6} {:<4} {:<62} {:<24} {:<24} {:>9} {:>9} {:>6}",
            "", "case", "what", "expected", "seen", "time", "over", "canary"
        );
        println!("{head}");
        Self { lines: Vec::new() }
    }

    /// Prints a line and keeps it.
    pub(crate) fn add(&mut self, line: Line) {
        line.print();
        self.lines.push(line);
    }

    /// Prints the rest, and says whether all is well.
    pub(crate) fn end(&self, suite: &Suite, took: Duration) -> bool {
        println!();
        suite.inapplicable.iter().for_each(|(id, why)| println!("not here {id:<4} {why}"));
        suite.owed.iter().for_each(|(id, why)| println!("owed     {id:<4} {why}"));
        suite.problems.iter().for_each(|problem| println!("problem       {problem}"));
        let count = |kind: LineKind, passed: bool| {
            self.lines.iter().filter(|line| line.kind == kind && line.passed() == passed).count()
        };
        let (held, fell) = (count(LineKind::Case, true), count(LineKind::Case, false));
        let (shown, hidden) = (count(LineKind::Without, true), count(LineKind::Without, false));
        let failed = fell + hidden + suite.problems.len();
        println!(
            "{} cases: {held} passed, {fell} failed · {} runs with a defence off: {shown} failed as they must, {hidden} did not · \
             {} not applicable here · {} owed · {:.0} s",
            held + fell,
            shown + hidden,
            suite.inapplicable.len(),
            suite.owed.len(),
            took.as_secs_f64()
        );
        let result = if failed == 0 { "ok" } else { "FAILED" };
        // The closing line of cargo's own test runner, so that whoever counts tests counts these.
        println!(
            "test result: {result}. {} passed; {failed} failed; 0 ignored; finished in {:.2}s",
            held + shown,
            took.as_secs_f64()
        );
        failed == 0
    }
}

/// The table, whatever became of the other thread.
pub(crate) fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
