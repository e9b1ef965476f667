//! An independent judge of what agent-host promises about crashes. It reads a journal as `docs/journal.md` describes the
//! file, what a client was told ([`evidence::Ack`]), and what a counter outside the host saw ([`evidence::Hit`]); it shares no
//! code with the host. `docs/crash-tests.md` has the invariants in words.
//!
//! `file` reads the database and checks the hash chain, `walk` goes through the events of each run, `judge` keeps what both found,
//! `outside` compares it with what others saw, `reference` with a run that nobody interrupted, `size` looks at the file as a whole.

mod body;
mod call;
pub mod evidence;
mod file;
mod fuel;
mod judge;
mod outside;
mod reference;
mod size;
mod walk;

use std::fmt;
use std::path::Path;

use evidence::Evidence;

/// A promise, by its number in `docs/crash-tests.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the sentences are in `Invariant::sentence`")]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I9,
    I10,
    I11,
    I12,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub invariant: Invariant,
    /// The run, where it is about one.
    pub run: String,
    /// The event at which it shows, where it is about one.
    pub seq: Option<u64>,
    /// What was found.
    pub what: String,
}

/// Every promise that the evidence shows broken, the first first.
#[must_use]
pub fn check(journal: &Path, evidence: &Evidence) -> Vec<Violation> {
    Judge::of(journal).check(evidence)
}

/// What the last run of a journal said and did, to compare others with.
///
/// # Errors
/// Where the file cannot be read, or that run is not as promised itself.
pub fn reference_of(journal: &Path) -> Result<Reference, String> {
    Judge::of(journal).reference()
}

pub use judge::{Judge, Standing};
pub use reference::Reference;

impl Invariant {
    /// What is promised.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::I1 => "no acknowledged event is lost",
            Self::I2 => "a recovered log is a prefix of the uninterrupted one, plus recovery events",
            Self::I3 => "a resumed conversation extends the earlier one",
            Self::I4 => "a write that cannot be repeated safely happens at most once, unless a person says retry",
            Self::I5 => "no effect without a recorded intent",
            Self::I6 => "no outcome without intent, no two outcomes for one attempt",
            Self::I7 => "doubt is visible before any other step",
            Self::I8 => "epochs never decrease",
            Self::I9 => "the hash chain verifies",
            Self::I10 => "what was used is never forgotten",
            Self::I11 => "approvals and policy are never weaker after recovery",
            Self::I12 => "every run reaches an end or a suspension in time, and the store stays small",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.invariant)?;
        if !self.run.is_empty() {
            write!(f, " run {}", self.run)?;
        }
        if let Some(seq) = self.seq {
            write!(f, " event {seq}")?;
        }
        write!(f, ": {} ({})", self.what, self.invariant.sentence())
    }
}
