//! Runs a test command and counts its tests by the closing lines of cargo's runner and of nextest. The output passes
//! through unchanged.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::shown;
use crate::talk::{print, relay, say};

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Counts one test that is no test of cargo's.
    pub(crate) fn count(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// Runs the command and adds what it counted. In CI a skipped test is a failure: nobody would miss it.
pub(crate) fn run(command: &mut Command, tally: &mut Tally) -> Result<()> {
    say(&shown(command));
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (out, err) = std::thread::scope(|scope| {
        let out = scope.spawn(|| stdout.map(|stream| count(stream, print)).unwrap_or_default());
        let err = stderr.map(|stream| count(stream, relay)).unwrap_or_default();
        (out.join().unwrap_or_default(), err)
    });
    let status = child.wait()?;
    tally.add(&out);
    tally.add(&err);
    ensure!(status.success(), "{} failed ({status})", shown(command));
    let in_ci = std::env::var_os("CI").is_some();
    ensure!(!in_ci || tally.skipped == 0, "{} tests were skipped, which CI does not allow", tally.skipped);
    Ok(())
}

fn count(stream: impl Read, pass_on: fn(&str)) -> Tally {
    let mut tally = Tally::default();
    let lines = BufReader::new(stream).split(b'\n');
    for line in lines.map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        pass_on(&line);
        if let Some(counted) = closing_line(&without_colour(&line)) {
            tally.add(&counted);
        }
    }
    tally
}

/// What a line counts, if it closes a test run.
fn closing_line(line: &str) -> Option<Tally> {
    // Not indented: nextest shows the output of a failed test so, and that has a closing line of its own.
    let counts = match line.strip_prefix("test result: ") {
        Some(result) => result.split_once(". ")?.1,
        None => line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?.1,
    };
    let mut tally = Tally::default();
    for part in counts.split([',', ';']) {
        let Some((number, what)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what.split(" (").next().unwrap_or(what) {
            "passed" => tally.passed += number,
            "failed" | "exec failed" | "timed out" => tally.failed += number,
            "ignored" | "skipped" => tally.skipped += number,
            _ => {}
        }
    }
    Some(tally)
}

/// Removes the escape sequences of a terminal: `ESC [ … letter`.
fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_and_others_are_not() {
        let cases = [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
                Some((3, 0, 1)),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
                Some((3, 2, 0)),
            ),
            (
                "     Summary [   0.520s] 12 tests run: 9 passed (1 slow), 1 failed, 1 timed out, 1 exec failed, 4 skipped",
                Some((9, 3, 4)),
            ),
            ("     Summary [   0.001s] 1 test run: 1 passed, 0 skipped", Some((1, 0, 0))),
            (
                "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.1s",
                None,
            ),
            ("test names::a_name_is_short ... ok", None),
            ("3 passed, 0 failed", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|(passed, failed, skipped)| Tally { passed, failed, skipped });
            assert_eq!(closing_line(line), expected, "{line}");
        }
    }

    #[test]
    fn colours_do_not_hide_a_closing_line() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.001s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(closing_line(&without_colour(line)), Some(Tally { passed: 2, failed: 0, skipped: 0 }));
    }

    #[test]
    fn the_tally_reads_as_a_closing_line() {
        assert_eq!(Tally { passed: 7, failed: 0, skipped: 0 }.to_string(), "7 passed, 0 failed");
        assert_eq!(Tally { passed: 7, failed: 1, skipped: 2 }.to_string(), "7 passed, 1 failed, 2 skipped");
    }
}
