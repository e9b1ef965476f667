//! Judges one journal as often as one likes: the crash harness does after each of hundreds of disturbances. A run whose row names
//! the same end as when it was last read is not read again; [`Judge::forget`] has everything read anew.

use std::path::{Path, PathBuf};

use crate::evidence::Evidence;
use crate::file::{Blobs, End, Run, Snapshot};
use crate::reference::Reference;
use crate::walk::{Walk, walk};
use crate::{Invariant, Violation, outside, reference, size};

/// A journal, and what is known of it.
pub struct Judge {
    path: PathBuf,
    known: Known,
}

/// What a journal held when it was read last.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) runs: Vec<Judged>,
    pub(crate) blobs: Blobs,
    /// Blobs that are not what their digest says.
    damage: Vec<Violation>,
    /// Bytes of the database.
    pub(crate) bytes: u64,
    /// Bytes of key-value stores.
    pub(crate) entries_bytes: u64,
    /// Bytes of checkpoints.
    pub(crate) checkpoint_bytes: u64,
    host_key: Option<[u8; 32]>,
}

/// What came of reading a run.
pub(crate) struct Judged {
    end: End,
    pub(crate) walk: Walk,
    /// Where its events do not hang together.
    damage: Vec<Violation>,
    /// The promises that its events break.
    found: Vec<Violation>,
    /// The body of its first event.
    first: String,
    last: Option<Last>,
    pub(crate) events: u64,
    /// Bytes of the bodies that are kept beside their events.
    pub(crate) inline_bytes: u64,
}

/// The last event of a run.
struct Last {
    seq: u64,
    hash: [u8; 32],
    epoch: u64,
}

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its identifier.
    pub run: String,
    /// The number of its last event.
    pub seq: u64,
    /// That event's hash.
    pub hash: String,
    /// That event's epoch.
    pub epoch: u64,
    /// Why it stopped, if it has.
    pub stop: Option<String>,
    /// Its answer, where it stopped with one.
    pub answer: Option<String>,
    /// The calls in doubt, each with the URLs of what it had announced.
    pub in_doubt: Vec<(u64, Vec<String>)>,
    /// The calls of which a person was asked something and has not answered.
    pub waiting: Vec<u64>,
}

impl Judge {
    /// Of this journal, of which nothing is known yet.
    #[must_use]
    pub fn of(journal: &Path) -> Self {
        Self { path: journal.to_owned(), known: Known::default() }
    }

    /// Has everything read anew: what stands in the file, and not what is known of it.
    pub fn forget(&mut self) {
        self.known = Known::default();
    }

    /// Every promise that the evidence shows broken, the first first.
    #[must_use]
    pub fn check(&mut self, evidence: &Evidence) -> Vec<Violation> {
        if self.known.host_key != evidence.host_key {
            self.known = Known { host_key: evidence.host_key, ..Known::default() };
        }
        if let Err(what) = self.known.refresh(&self.path) {
            return vec![Violation { invariant: Invariant::I9, run: String::new(), seq: None, what }];
        }
        let known = &self.known;
        let damage = known.damage.iter().chain(known.runs.iter().flat_map(|run| &run.damage));
        let mut found: Vec<Violation> = damage.chain(known.runs.iter().flat_map(|run| &run.found)).cloned().collect();
        let walks: Vec<&Walk> = known.runs.iter().map(|run| &run.walk).collect();
        outside::compare(&walks, evidence, &mut found);
        reference::compare(&walks, &evidence.references, &mut found);
        size::compare(known, &mut found);
        found
    }

    /// Every run of the journal as it stands, the oldest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn standings(&mut self) -> Result<Vec<Standing>, String> {
        self.known.refresh(&self.path)?;
        Ok(self.known.runs.iter().filter_map(Judged::standing).collect())
    }

    /// Whether the first event of a run holds a text, as the journal was read last.
    #[must_use]
    pub fn mentions(&self, run: &str, text: &str) -> bool {
        self.known.runs.iter().any(|judged| judged.end.run == run && judged.first.contains(text))
    }

    /// What the last run of the journal said and did, to compare others with.
    ///
    /// # Errors
    /// Where the file cannot be read, or that run is not as promised itself.
    pub fn reference(&mut self) -> Result<Reference, String> {
        self.known.refresh(&self.path)?;
        let run = self.known.runs.last().ok_or("the reference has no run")?;
        match run.found.first() {
            Some(violation) => Err(format!("the reference itself is broken: {violation}")),
            None => Ok(Reference::of(&run.walk)),
        }
    }
}

impl Known {
    /// Reads what is new.
    fn refresh(&mut self, path: &Path) -> Result<(), String> {
        let Some(snapshot) = Snapshot::open(path)? else {
            *self = Self { host_key: self.host_key, ..Self::default() };
            return Ok(());
        };
        self.bytes = snapshot.bytes()?;
        self.entries_bytes = snapshot.entries_bytes()?;
        self.checkpoint_bytes = snapshot.checkpoint_bytes()?;
        snapshot.learn_blobs(&mut self.blobs, &mut self.damage)?;
        let mut before = std::mem::take(&mut self.runs);
        for end in snapshot.ends()? {
            let judged = match before.iter().position(|known| known.end == end) {
                Some(place) => before.swap_remove(place),
                None => self.judge(&snapshot, end)?,
            };
            self.runs.push(judged);
        }
        Ok(())
    }

    fn judge(&self, snapshot: &Snapshot, end: End) -> Result<Judged, String> {
        let mut damage = Vec::new();
        let run = snapshot.run(&end, &self.blobs, self.host_key.as_ref(), &mut damage)?;
        let (walk, found) = walk(&run, &self.blobs);
        Ok(Judged::of(end, &run, walk, damage, found))
    }
}

impl Judged {
    fn of(end: End, run: &Run, walk: Walk, damage: Vec<Violation>, found: Vec<Violation>) -> Self {
        let inline = run.events.iter().filter(|event| event.is_inline);
        let inline_bytes = inline.map(|event| event.body.len() as u64).sum();
        let first = run.events.first().map(|first| first.body.clone()).unwrap_or_default();
        let last = run.events.last().map(|last| Last { seq: last.seq, hash: last.hash, epoch: last.epoch });
        Self { end, walk, damage, found, first, last, events: run.events.len() as u64, inline_bytes }
    }

    /// The run as it stands; `None` where it has no event.
    fn standing(&self) -> Option<Standing> {
        let (last, walk) = (self.last.as_ref()?, &self.walk);
        let stop = walk.stopped();
        Some(Standing {
            run: self.end.run.clone(),
            seq: last.seq,
            hash: hex::encode(last.hash),
            epoch: last.epoch,
            stop: stop.map(|stop| stop.reason.clone()),
            answer: stop.and_then(|stop| stop.answer.clone()),
            in_doubt: walk.in_doubt(),
            waiting: walk.waiting(),
        })
    }
}
