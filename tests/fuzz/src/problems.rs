//! What every list of problems must be, whichever file it is about: bounded, placed inside the file, and safe to print.

use agent_core::config::problem::{PROBLEMS_MAX, Problems};

/// Longest line of a problem that still helps: the longest hint lists all limits.
const LINE_CHARS_MAX: usize = 2_000;

/// Checks what a refused file's reader is told.
pub(crate) fn check(problems: &Problems, text: &str) {
    let listed = problems.as_slice();
    assert!((1..=PROBLEMS_MAX + 1).contains(&listed.len()), "{} problems", listed.len());
    let lines = text.matches('\n').count() + 1;
    for problem in listed {
        let line = problem.line.unwrap_or(1) as usize;
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {problem}");
        for shown in std::iter::once(&problem.message).chain(&problem.hint) {
            assert!(!shown.chars().any(char::is_control), "a terminal would obey this: {shown:?}");
            assert!(shown.chars().count() <= LINE_CHARS_MAX, "too long to read: {shown}");
        }
    }
}
