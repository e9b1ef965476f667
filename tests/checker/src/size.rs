//! Whether a journal's file is in proportion to what it holds.

use crate::judge::Known;
use crate::{Invariant, Violation};

/// How much larger than what it holds a file may be.
const TIMES_MAX: u64 = 2;

/// What a small file may take beside: SQLite gives each of the tables and indexes pages of their own.
const FREE_BYTES: u64 = 256 << 10;

/// What an event or a blob costs beside its content: its columns, and its places in the indexes.
const ROW_BYTES: u64 = 192;

pub(crate) fn compare(journal: &Known, found: &mut Vec<Violation>) {
    let blobs: u64 = journal.blobs.values().map(|bytes| bytes.len() as u64 + ROW_BYTES).sum();
    let events: u64 = journal.runs.iter().map(|run| run.events * ROW_BYTES + run.inline_bytes).sum();
    let logical = blobs + events + journal.entries_bytes + journal.checkpoint_bytes;
    let bytes_max = TIMES_MAX * logical + FREE_BYTES;
    if journal.bytes > bytes_max {
        let what = format!("the file has {} bytes for {logical} bytes of content", journal.bytes);
        found.push(Violation { invariant: Invariant::I12, run: String::new(), seq: None, what });
    }
}
