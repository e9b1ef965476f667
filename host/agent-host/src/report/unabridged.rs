//! What a person is shown whole or not at all. A stranger who wrote what is asked about chose what comes first and how long it is: a
//! line that matters could stand behind thousands that do not.

use std::collections::BTreeSet;

use super::text;

/// Lines at most: more than these nobody reads before an answer.
pub const LINES_MAX: usize = 200;
/// Longest of them: a path and an address, and where the rule stands.
pub const CHARS_MAX: usize = 400;

/// Lines of which none is left out or cut.
#[derive(Default)]
pub struct Unabridged {
    shown: Vec<String>,
    known: BTreeSet<String>,
}

impl Unabridged {
    /// Adds a line that says something new. `false` where it cannot be shown.
    #[must_use]
    pub fn add(&mut self, line: &str) -> bool {
        if !self.known.insert(line.to_owned()) {
            return true;
        }
        let shown = text::whole(line);
        let is_short = shown.chars().count() <= CHARS_MAX;
        self.shown.push(shown);
        is_short && self.shown.len() <= LINES_MAX
    }

    /// The lines.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.shown
    }
}
