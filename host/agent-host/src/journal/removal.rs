//! What is left of a removed run, and what a sweep gives back. The journal's file does the work in `sqlite/sweep.rs`; the verbs
//! `journal rm` and `journal gc` ask for it.

use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::units::UnixMillis;

use super::chain::Marker;

/// What a mark is over, first of all: a tombstone of this form and no other thing.
const DOMAIN: &[u8] = b"agent-host tombstone 1";

/// How long a sweep may take if nobody says otherwise: writers wait for it.
pub const SWEEP_TIME: Duration = Duration::from_secs(20);

/// Where a run was. Nothing of what it said is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The run.
    pub run: RunId,
    /// How many events it had.
    pub seq: u64,
    /// The hash of the last one: who kept it elsewhere can still tell which run it was.
    pub head: Digest,
    /// When it was removed.
    pub at: UnixMillis,
}

/// A tombstone, and whether this host put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub tombstone: Tombstone,
    /// Whether it carries this host's mark.
    pub is_ours: bool,
}

/// What became of the space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs in the journal before.
    pub blobs: u64,
    /// Blobs that no event names, removed, or to be removed.
    pub unnamed: u64,
    /// Their bytes.
    pub unnamed_bytes: u64,
    /// By how many bytes the file became smaller.
    pub given_back: u64,
    /// Whether the time was enough.
    pub complete: bool,
}

/// Whether a file was written anew as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// It was, and nothing else is left on the disk.
    Done,
    /// It is too large for that.
    TooLarge,
    /// A host is at work in its folder.
    AtWork,
    /// Another process read it all the time: what is new stands in its log, and what was removed may still be in the file.
    BeingRead,
}

/// Whether a sweep changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepMode {
    /// Only count.
    DryRun,
    /// Remove.
    Remove,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Events looked through.
    Looking {
        /// So many.
        events: u64,
        /// Of so many.
        of: u64,
    },
    /// Blobs removed.
    Removing {
        /// So many.
        blobs: u64,
    },
}

impl Tombstone {
    pub(super) fn mark(&self, marker: &Marker) -> [u8; 32] {
        marker.mark(&self.hash())
    }

    pub(super) fn is_ours(&self, marker: &Marker, mark: &[u8; 32]) -> bool {
        marker.is_ours(&self.hash(), mark)
    }

    fn hash(&self) -> Digest {
        Digest::of_parts(&[
            DOMAIN,
            self.run.as_str().as_bytes(),
            &self.seq.to_le_bytes(),
            self.head.as_bytes(),
            &self.at.0.to_le_bytes(),
        ])
    }
}

/// The digests that stand in a stored body. Any text that looks like one counts: a blob too many is kept rather than one too
/// few, whatever kind of event a later version adds.
pub(super) fn named_in(body: &[u8], mut see: impl FnMut(Digest)) {
    const PREFIX: &[u8] = b"sha256:";
    const DIGITS: usize = 64;
    let mut rest = body;
    while let Some(place) = rest.windows(PREFIX.len()).position(|window| window == PREFIX) {
        rest = &rest[place + PREFIX.len()..];
        let digest = rest.get(..DIGITS).and_then(|digits| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(digits, &mut bytes).ok().map(|()| Digest::from_bytes(bytes))
        });
        if let Some(digest) = digest {
            see(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_in_a_body_is_seen() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let body = format!("{{\"x\":\"{a}\",\"y\":[\"sha256:short\",\"sha256:{b}\"],\"z\":\"sha256:");
        let mut seen = Vec::new();
        named_in(body.as_bytes(), |digest| seen.push(digest));
        assert_eq!(seen, [a, b]);
    }
}
