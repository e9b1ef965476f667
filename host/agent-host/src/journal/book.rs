//! Everything that a journal keeps, in memory: runs, blobs and entries, and the changes that make it. The journals of the tests
//! are books; what they do with a change before it counts is their own affair.

use std::collections::{BTreeMap, HashMap};

use agent_core::digest::Digest;
use agent_core::name::RunId;

use super::chain::{Body, Stored};
use super::lease::Holder;

/// What a journal keeps.
#[derive(Default)]
pub(super) struct Book {
    /// In the order in which they began.
    pub(super) runs: Vec<KeptRun>,
    pub(super) blobs: HashMap<Digest, Vec<u8>>,
    /// Of component, store and key.
    pub(super) entries: BTreeMap<[String; 3], Entry>,
}

/// A run as a book keeps it.
pub(super) struct KeptRun {
    pub(super) run: RunId,
    pub(super) events: Vec<Stored>,
    /// The current lease.
    pub(super) epoch: u64,
    pub(super) holder: Option<Holder>,
}

/// A value in a key-value store of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) mark: [u8; 32],
}

/// One change. Several of them that belong together are made together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Begin { run: RunId, holder: Holder, first: Stored },
    Append { run: RunId, next: Stored },
    Claim { run: RunId, epoch: u64, holder: Holder },
    Release { run: RunId },
    Keep { bytes: Vec<u8> },
    Put { place: [String; 3], entry: Entry },
    Remove { place: [String; 3] },
}

impl Book {
    /// The run, if there is one of that name.
    pub(super) fn run(&self, run: &RunId) -> Option<&KeptRun> {
        self.runs.iter().find(|kept| kept.run == *run)
    }

    /// Makes a change. One about a run that is not there changes nothing.
    pub(super) fn make(&mut self, change: Change) {
        match change {
            Change::Begin { run, holder, first } => {
                self.runs.push(KeptRun { run, epoch: first.epoch, events: vec![first], holder: Some(holder) });
            }
            Change::Append { run, next } => self.at(&run, |kept| kept.events.push(next)),
            Change::Claim { run, epoch, holder } => {
                self.at(&run, |kept| (kept.epoch, kept.holder) = (epoch, Some(holder)));
            }
            Change::Release { run } => self.at(&run, |kept| kept.holder = None),
            Change::Keep { bytes } => drop(self.blobs.insert(Digest::of(&bytes), bytes)),
            Change::Put { place, entry } => drop(self.entries.insert(place, entry)),
            Change::Remove { place } => drop(self.entries.remove(&place)),
        }
    }

    fn at(&mut self, run: &RunId, change: impl FnOnce(&mut KeptRun)) {
        if let Some(kept) = self.runs.iter_mut().find(|kept| kept.run == *run) {
            change(kept);
        }
    }
}

impl KeptRun {
    /// Number and hash of the last event.
    pub(super) fn end(&self) -> (u64, Digest) {
        self.events.last().map_or((0, Digest::from_bytes([0; 32])), |last| (last.seq, last.hash))
    }

    /// How many events are of this kind, and satisfy `which`.
    pub(super) fn count(&self, kind: &str, which: impl Fn(&str) -> bool) -> u64 {
        let text = |stored: &Stored| match &stored.body {
            Body::Text { text, .. } => which(text),
            Body::Missing | Body::Changed => false,
        };
        self.events.iter().filter(|stored| stored.kind == kind && text(stored)).count() as u64
    }
}
