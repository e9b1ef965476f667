//! What the events of a run name and the journal does not have any more: contents of files before a change, what a call was told,
//! components. The events have hashes, and their chain says nothing about such parts. `agent-host journal verify` tells of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use agent_core::digest::Digest;
use agent_core::event::Recorded;
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
    let mut named = Named::new();
    journal.read_into(run, &mut |recorded| name(&mut named, &recorded))?;
    among(journal, named, LOST_MAX)
}

/// The first lost part that one of the first `count` events of a run names, which are intact: the others may not be.
///
/// # Errors
/// Where there is no such run, or the journal cannot be read.
pub fn in_first(journal: &dyn Journal, run: &RunId, count: u64) -> Result<Option<Lost>, JournalError> {
    let (mut named, mut read) = (Named::new(), Ok(()));
    journal.stored_into(run, &mut |stored| {
        match stored.to_recorded(run) {
            Ok(recorded) => name(&mut named, &recorded),
            Err(source) => read = Err(JournalError::Event { run: run.clone(), seq: stored.seq, source }),
        }
        if read.is_ok() && stored.seq < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    read?;
    Ok(among(journal, named, 1)?.pop())
}

/// Digests, and the number of the first event that names each.
type Named = BTreeMap<Digest, u64>;

fn name(named: &mut Named, recorded: &Recorded) {
    for digest in recorded.event.kept() {
        named.entry(digest).or_insert(recorded.seq);
    }
}

/// The first of them that are lost, at most `count_max`.
fn among(journal: &dyn Journal, named: Named, count_max: usize) -> Result<Vec<Lost>, JournalError> {
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
        if lost.len() == count_max {
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
