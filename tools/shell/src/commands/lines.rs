//! Lines of several inputs, one after the other.

use crate::run::{Call, Inputs};
use crate::stop::Outcome;
use crate::streams::Input;

/// Reads the lines of all inputs as if they were one.
pub(super) struct Lines {
    pub(super) inputs: Inputs,
    current: Option<Input>,
    end: u8,
    /// Whether the last line that was read had its end.
    pub(super) had_end: bool,
}

impl Lines {
    pub(super) fn new(names: &[String]) -> Self {
        Self::ending_with(names, b'\n')
    }

    /// Lines that end with another byte, as with `-z`.
    pub(super) fn ending_with(names: &[String], end: u8) -> Self {
        Self { inputs: Inputs::new(names), current: None, end, had_end: true }
    }

    /// Puts the next line into `line`, without its end. False at the end of the last input.
    pub(super) async fn next(&mut self, call: &mut Call<'_>, line: &mut Vec<u8>) -> Outcome<bool> {
        loop {
            let Some(input) = &self.current else {
                match call.next_input(&mut self.inputs).await? {
                    Some((_, input)) => self.current = Some(input),
                    None => return Ok(false),
                }
                continue;
            };
            if input.record(line, self.end).await? {
                self.had_end = line.last() == Some(&self.end);
                if self.had_end {
                    line.pop();
                }
                return Ok(true);
            }
            self.current = None;
        }
    }
}

/// A line without its end.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The lines of a text that is in memory, without their ends.
pub(super) fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    if text.is_empty() {
        return Vec::new();
    }
    without_end(text).split(|byte| *byte == b'\n').collect()
}
