//! What the events of a run name and the journal does not have any more: contents of files before a change, what a call was told,
//! components. The events have hashes, and their chain says nothing about such parts. `agent-host journal verify` tells of them.

use std::collections::BTreeMap;
use std::fmt;

use agent_core::digest::Digest;
use agent_core::name::RunId;

use super::Journal;
use super::error::JournalError;

/// Lost parts that are told of. More do not help a person: the file is to be restored from a backup, whatever else it lacks.
const LOST_MAX: usize = 20;

/// A part that the journal does not have as an event names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What it is called.
    pub digest: Digest,
    /// The number of the first event that names it.
    pub seq: u64,
    /// What became of it.
    pub how: How,
}

/// What became of a lost part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is not there.
    Missing,
    /// It is not what its digest says.
    Changed,
}

/// The first parts of an intact run that are lost, in the order in which events name them.
///
/// # Errors
/// Where there is no such run, it is not intact, or the journal cannot be read.
pub fn of_run(journal: &dyn Journal, run: &RunId) -> Result<Vec<Lost>, JournalError> {
    let mut named: BTreeMap<Digest, u64> = BTreeMap::new();
    journal.read_into(run, &mut |recorded| {
        for digest in recorded.event.kept() {
            named.entry(digest).or_insert(recorded.seq);
        }
    })?;
    let mut named: Vec<(u64, Digest)> = named.into_iter().map(|(digest, seq)| (seq, digest)).collect();
    named.sort_unstable();
    let mut lost = Vec::new();
    for (seq, digest) in named {
        let how = match journal.blob(&digest) {
            Ok(Some(_)) => continue,
            Ok(None) => How::Missing,
            Err(JournalError::StoreCorrupt { .. }) => How::Changed,
            Err(error) => return Err(error),
        };
        lost.push(Lost { digest, seq, how });
        if lost.len() == LOST_MAX {
            break;
        }
    }
    Ok(lost)
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, seq, how } = self;
        let is = match how {
            How::Missing => "is missing",
            How::Changed => "was changed",
        };
        write!(f, "{digest}, which event {seq} names, {is}")
    }
}
