//! What others than the host know: a client, which keeps a line of JSON for each thing that it was told, and a counter outside
//! the host, which keeps a line for each request that reached it. Written by the crash harness, read by the checker.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::reference::Reference;

/// Everything beside the journal.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What a client was told, in order.
    pub acks: Vec<Ack>,
    /// What reached the counter, in order; `None` where there was no counter.
    pub hits: Option<Vec<Hit>>,
    /// The same work without any interruption, by the run that is compared with it; under an empty name: for every other run.
    pub references: BTreeMap<String, Reference>,
    /// The key of the host, where its marks are to be checked too.
    pub host_key: Option<[u8; 32]>,
}

/// Something that a client was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ack {
    /// It read the journal, and this was the last event of the run.
    Seen {
        /// The run.
        run: String,
        /// The event's number.
        seq: u64,
        /// The event's hash, in hexadecimal digits.
        hash: String,
        /// The event's epoch.
        epoch: u64,
    },
    /// The host said how the run stopped: `--json`.
    Ended {
        /// The run.
        run: String,
        /// Why it stopped.
        stop: String,
        /// The answer.
        answer: Option<String>,
        /// What it had used.
        spent: Spent,
    },
    /// After a kill, the host was started again, with nothing in its way.
    Restarted {
        /// The run.
        run: String,
        /// Until it ended or was suspended.
        took_ms: u64,
        /// Whether it did.
        settled: bool,
    },
}

/// What a run has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the budget")]
pub struct Spent {
    pub turns: u64,
    pub tool_calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub fuel: u64,
}

/// A request that reached the counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// `POST` and the like.
    pub method: String,
    /// As the client names it: with scheme and host.
    pub url: String,
    /// The idempotency key that came with it.
    pub key: Option<String>,
    /// Whether it acted: a repetition under the same key does not.
    pub acted: bool,
}

/// Reads a file of JSON lines. A last line that was cut off was not yet told to anybody.
///
/// # Errors
/// Where a line is none of `T`.
pub fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {} of `{}`: {error}", index + 1, path.display()))
    };
    whole.lines().enumerate().map(line).collect()
}
