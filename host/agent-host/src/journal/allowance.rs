//! How much is read of what this host did not write. A small file of a stranger can name one large blob in any number of events,
//! each of which would be held in memory by itself. Whoever reads a whole run asks here for each event; an exported run is held
//! to the same bounds.

use super::chain::{Damage, DamageKind, Marker, Stored};

/// Events of one run at most. A run of a thousand turns has some ten thousand.
pub const EVENTS_MAX: u64 = 1_000_000;

/// All their kinds and bodies together: they are held in memory while the chain is checked.
pub const EVENT_BYTES_MAX: u64 = 512 << 20;

/// What may still be read of one run.
pub(super) struct Allowance<'m> {
    marker: &'m Marker,
    events: u64,
    bytes: u64,
}

impl<'m> Allowance<'m> {
    /// Before the first event. What `marker` marks is not counted.
    pub(super) fn begin(marker: &'m Marker) -> Self {
        Self { marker, events: EVENTS_MAX, bytes: EVENT_BYTES_MAX }
    }

    /// Counts the next event, unless it is ours; whether it is.
    pub(super) fn take(&mut self, stored: &Stored) -> Result<bool, Damage> {
        if stored.mark.is_some_and(|mark| self.marker.is_ours(&stored.hash, &mark)) {
            return Ok(true);
        }
        let (events, bytes) = (self.events.checked_sub(1), self.bytes.checked_sub(stored.bytes()));
        let (Some(events), Some(bytes)) = (events, bytes) else {
            return Err(Damage { seq: stored.seq, kind: DamageKind::TooMuch });
        };
        (self.events, self.bytes) = (events, bytes);
        Ok(false)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use agent_core::digest::Digest;
    use agent_core::name::RunId;
    use agent_core::units::UnixMillis;

    use super::*;
    use crate::journal::chain::{Body, Chain};
    use crate::journal::key::HostKey;

    fn marker() -> Marker {
        let home = tempfile::tempdir().unwrap();
        Marker::new(&HostKey::load_or_create(&home.path().join("state")).unwrap())
    }

    fn event(marker: &Marker, body_bytes: usize) -> Stored {
        let chain = Chain::begin(RunId::from_parts(UnixMillis(1), [1; 10]));
        let stored = chain.next(UnixMillis(1), "ModelFailed", String::new(), marker);
        // Untouched memory, which takes no room; nobody looks at its digest here.
        let text = String::from_utf8(vec![0; body_bytes]).unwrap();
        Stored { body: Body::Text { text, digest: Digest::of(b"") }, ..stored }
    }

    #[test]
    fn a_run_of_a_stranger_is_read_up_to_a_bound_and_our_own_to_its_end() {
        let ours = marker();
        let taken = |event: &Stored| {
            let mut allowance = Allowance::begin(&ours);
            (1..=9).find(|_| allowance.take(event) == Err(Damage { seq: 1, kind: DamageKind::TooMuch }))
        };
        assert_eq!(taken(&event(&ours, 64 << 20).without_mark()), Some(8));
        assert_eq!(taken(&event(&ours, 64 << 20)), None);
        let mut allowance = Allowance::begin(&ours);
        let small = event(&ours, 2).without_mark();
        assert!((0..EVENTS_MAX).all(|_| allowance.take(&small) == Ok(false)));
        assert!(allowance.take(&small).is_err());
    }
}
