//! What changed inside of a text file, as a unified diff. Called by `agent-host changes --diff`.

use std::io::{self, Write};
use std::time::Duration;

use agent_core::file_changes::PathChange;
use agent_core::path_state::PathKind;
use similar::TextDiff;

use crate::report::text;

/// Largest file that is compared: what a person would read of one.
pub const BYTES_MAX: usize = 1 << 20;

/// Most lines shown of one file, and characters of one line: `--json` and the files themselves have all.
const LINES_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 400;

/// Lines around a change.
const CONTEXT_LINES: usize = 3;

/// How long to look for the shortest diff: after that, a longer one is as good.
const COMPARE_TIME: Duration = Duration::from_secs(2);

/// A file before and after; neither where it is not known.
#[derive(Default)]
pub struct Sides {
    /// Nothing in it where there was no file.
    pub before: Option<Vec<u8>>,
    /// The same of afterwards.
    pub after: Option<Vec<u8>>,
}

/// Writes the diff of one path, or why there is none.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(change: &PathChange, sides: &Sides, out: &mut dyn Write) -> io::Result<()> {
    if change.kind != PathKind::File {
        return Ok(());
    }
    let after = if change.after.is_none() { Some(&[][..]) } else { sides.after.as_deref() };
    let (before, after) = match (sides.before.as_deref(), after) {
        (Some(before), Some(after)) if before.len().max(after.len()) > BYTES_MAX => {
            return writeln!(out, "    (too long to compare)");
        }
        (Some(before), Some(after)) => (as_text(before), as_text(after)),
        (None, _) | (_, None) => {
            return writeln!(out, "    (what it was then is not kept, or it was changed since)");
        }
    };
    let (Some(before), Some(after)) = (before, after) else { return writeln!(out, "    (no text)") };
    if before == after {
        return Ok(());
    }
    let diff = TextDiff::configure().timeout(COMPARE_TIME).diff_lines(before, after);
    let unified = diff.unified_diff().context_radius(CONTEXT_LINES).to_string();
    text::block(&unified, LINES_MAX, LINE_CHARS_MAX).iter().try_for_each(|line| writeln!(out, "    {line}"))
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}
