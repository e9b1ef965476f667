//! Where a call begins. A change of thread costs as much as a whole short call, so a call begins on its caller's thread, and
//! goes to the guests' threads where it first waits or yields. `runtime` does so for `sandbox`.
//!
//! A caller's thread is lent for short calls only, since the host's own work waits for it meanwhile. A slice ends by itself
//! after `YIELD_INTERVAL_FUEL`, but host calls cost no fuel to speak of: a guest that makes nothing else would keep the thread.
//! So a call may make few of them while it is here. One that makes more is dropped and made anew on the guests' threads, which
//! nobody can tell: only calls begin here that can change nothing, those without a folder, of components that import neither
//! HTTP nor stores. One that went on to the guests' threads has all that it was granted, and is never made anew: it would
//! have its fuel and its time twice. A component whose call was not short is sent to the guests' threads for its next calls, too. What counts as
//! short is told by what the call did and not by a clock, which a busy machine would upset.

use crate::layer::{self, Layer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Most host calls, weighted, of a call on its caller's thread: some hundred microseconds of work, a few milliseconds where
/// each moves much. An ordinary tool makes some dozens.
pub(crate) const HOST_CALLS_MAX: u64 = 1_000;

/// Calls of a component that begin elsewhere after one that was not short.
const CALLS_ELSEWHERE: u32 = 64;

/// Where a call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// On the caller's thread.
    Here,
    /// On one of the guests'.
    Elsewhere,
}

/// Whether a call is still on its caller's thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lent(Arc<AtomicBool>);

impl Lent {
    /// It begins there.
    pub(crate) fn begin(begin: Begin) -> Self {
        Self(Arc::new(AtomicBool::new(begin == Begin::Here)))
    }

    /// It goes on elsewhere.
    pub(crate) fn give_back(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How the calls of one component have gone lately.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    elsewhere: AtomicU32,
}

impl Pace {
    /// Where the next call begins.
    pub(crate) fn begin(&self) -> Begin {
        if layer::is_off(Layer::CallersThread) {
            return Begin::Elsewhere;
        }
        let one_less = |left: u32| left.checked_sub(1);
        match self.elsewhere.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Begin::Elsewhere,
            Err(_) => Begin::Here,
        }
    }

    /// A call that began here waited, yielded, or made too many host calls.
    pub(crate) fn was_not_short(&self) {
        self.elsewhere.store(CALLS_ELSEWHERE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_sends_the_next_ones_elsewhere_for_a_while() {
        let pace = Pace::default();
        assert_eq!([pace.begin(), pace.begin()], [Begin::Here; 2]);
        pace.was_not_short();
        assert!((0..CALLS_ELSEWHERE).all(|_| pace.begin() == Begin::Elsewhere));
        assert_eq!(pace.begin(), Begin::Here);
    }
}
