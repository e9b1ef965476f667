//! How the events of a run hang together: each carries the hash of the one before, and this host's mark over its own hash.
//! Made by the logs of every kind of journal, checked by everything that reads. `docs/journal.md` has the same in words.

use std::fmt;

use agent_core::digest::Digest;
use agent_core::event::{Event, EventError, Recorded, VERSION};
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::error::JournalError;
use super::key::{self, HostKey};

/// What a hash is over, first of all: an event of this form and no other thing.
const DOMAIN: &[u8] = b"agent-host journal event 1";

/// The purpose of the key that marks are made with.
const MARK_PURPOSE: &str = "journal mark 1";

/// What stands where the first event has no event before it.
pub(super) const NO_HASH: [u8; 32] = [0; 32];

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    pub(super) epoch: u64,
    pub(super) at: UnixMillis,
    pub(super) kind: String,
    pub(super) version: u32,
    pub(super) body: Body,
    pub(super) prev_hash: Digest,
    /// Its hash.
    pub hash: Digest,
    pub(super) mark: Option<[u8; 32]>,
}

/// A stored body, wherever it was kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Text {
        /// As it was written.
        text: String,
        /// The digest of `text`, computed from it.
        digest: Digest,
    },
    /// The blob that should hold it is not there.
    Missing,
    /// The blob that should hold it has other content than its digest says.
    Changed,
}

/// Where the events of a run stop hanging together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The number of the first event that is not intact.
    pub seq: u64,
    /// What is wrong with it.
    pub kind: DamageKind,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// It is not there, but later ones are.
    Missing,
    /// It names another predecessor than the one before it.
    OutOfChain,
    /// Its content does not have its hash.
    Changed,
    /// Its body is not there.
    BodyMissing,
    /// Its body does not have the body's digest.
    BodyChanged,
    /// It was written under an earlier lease than the one before it.
    EpochBackwards,
    /// The run was longer: this event and those after it are not there.
    EndMissing,
    /// The file cannot be read from here on.
    Unreadable(String),
    /// It is intact, but such an event cannot follow those before it.
    DoesNotFollow(String),
    /// This host did not write it, and those before it are all that is read of such a run.
    TooMuch,
}

/// The end of a chain that was found intact, or that is being written.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) run: RunId,
    pub(super) seq: u64,
    pub(super) epoch: u64,
    pub(super) head: Digest,
}

/// Makes and checks this host's marks.
#[derive(Clone)]
pub struct Marker(Hmac<Sha256>);

impl Chain {
    /// Before the first event.
    pub(super) fn begin(run: RunId) -> Self {
        Self { run, seq: 0, epoch: 1, head: Digest::from_bytes(NO_HASH) }
    }

    /// The event that comes next, complete with hash and mark.
    pub(super) fn next(&self, at: UnixMillis, kind: &str, body: String, marker: &Marker) -> Stored {
        let mut next = Stored {
            seq: self.seq + 1,
            epoch: self.epoch,
            at,
            kind: kind.to_owned(),
            version: VERSION,
            prev_hash: self.head,
            hash: Digest::from_bytes(NO_HASH),
            mark: None,
            body: Body::Missing,
        };
        let digest = Digest::of(body.as_bytes());
        next.hash = next.hash_with(&self.run, &digest);
        next.mark = Some(marker.mark(&next.hash));
        next.body = Body::Text { text: body, digest };
        next
    }

    /// Goes on to `stored`, if it is intact and comes next.
    pub(super) fn follow(&mut self, stored: &Stored) -> Result<(), Damage> {
        let seq = self.seq + 1;
        self.check(stored).map_err(|kind| Damage { seq, kind })?;
        (self.seq, self.epoch, self.head) = (seq, stored.epoch, stored.hash);
        Ok(())
    }

    fn check(&self, stored: &Stored) -> Result<(), DamageKind> {
        if stored.seq != self.seq + 1 {
            return Err(DamageKind::Missing);
        }
        let digest = match &stored.body {
            Body::Text { digest, .. } => digest,
            Body::Missing => return Err(DamageKind::BodyMissing),
            Body::Changed => return Err(DamageKind::BodyChanged),
        };
        if stored.hash != stored.hash_with(&self.run, digest) {
            return Err(DamageKind::Changed);
        }
        if stored.prev_hash != self.head {
            return Err(DamageKind::OutOfChain);
        }
        if stored.epoch < self.epoch {
            return Err(DamageKind::EpochBackwards);
        }
        Ok(())
    }
}

impl Stored {
    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> u64 {
        let body = match &self.body {
            Body::Text { text, .. } => text.len(),
            Body::Missing | Body::Changed => 0,
        };
        (self.kind.len() + body) as u64
    }

    /// The same event as nobody's.
    #[must_use]
    pub fn without_mark(self) -> Self {
        Self { mark: None, ..self }
    }

    /// Whether this host recorded it as it is, wherever it stands.
    pub(super) fn is_ours(&self, run: &RunId, marker: &Marker) -> bool {
        let Body::Text { digest, .. } = &self.body else { return false };
        self.hash == self.hash_with(run, digest) && self.mark.is_some_and(|mark| marker.is_ours(&self.hash, &mark))
    }

    fn hash_with(&self, run: &RunId, body: &Digest) -> Digest {
        Digest::of_parts(&[
            DOMAIN,
            self.prev_hash.as_bytes(),
            run.as_str().as_bytes(),
            &self.seq.to_le_bytes(),
            &self.epoch.to_le_bytes(),
            &self.at.0.to_le_bytes(),
            self.kind.as_bytes(),
            &self.version.to_le_bytes(),
            body.as_bytes(),
        ])
    }

    /// The event. Without its body it is read as if the body were empty, which no kind's is.
    ///
    /// # Errors
    /// Where it is not one of this program's.
    pub fn to_recorded(&self, run: &RunId) -> Result<Recorded, EventError> {
        let body = match &self.body {
            Body::Text { text, .. } => text,
            Body::Missing | Body::Changed => "",
        };
        let event = Event::from_stored(&self.kind, self.version, body)?;
        Ok(Recorded { run: run.clone(), seq: self.seq, epoch: self.epoch, at: self.at, event })
    }

    /// The event with its hash, for somebody who does not check the chain.
    pub(super) fn to_hashed(&self, run: &RunId) -> Result<(Recorded, Digest), JournalError> {
        let event = |source| JournalError::Event { run: run.clone(), seq: self.seq, source };
        Ok((self.to_recorded(run).map_err(event)?, self.hash))
    }
}

impl Marker {
    /// The marker of the host with this key.
    #[must_use]
    pub fn new(key: &HostKey) -> Self {
        Self(key::keyed(&key.derive(MARK_PURPOSE)))
    }

    pub(super) fn mark(&self, hash: &Digest) -> [u8; 32] {
        self.0.clone().chain_update(hash.as_bytes()).finalize().into_bytes().into()
    }

    /// Whether `mark` was made by this host over `hash`. Takes the same time whatever is wrong.
    pub(super) fn is_ours(&self, hash: &Digest, mark: &[u8; 32]) -> bool {
        self.0.clone().chain_update(hash.as_bytes()).verify_slice(mark).is_ok()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.seq, self.kind)
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::OutOfChain => f.write_str("it does not name the event before it"),
            Self::Changed => f.write_str("its content was changed"),
            Self::BodyMissing => f.write_str("its body is missing"),
            Self::BodyChanged => f.write_str("its body was changed"),
            Self::EpochBackwards => f.write_str("it was written under an older lease than the one before it"),
            Self::EndMissing => f.write_str("it is missing, and with it the end of the run"),
            Self::Unreadable(why) => write!(f, "the file cannot be read from here on: {why}"),
            Self::DoesNotFollow(why) => write!(f, "it is intact but cannot follow: {why}"),
            Self::TooMuch => {
                f.write_str("this host did not write it, and of such a run no more than is before it is read")
            }
        }
    }
}
