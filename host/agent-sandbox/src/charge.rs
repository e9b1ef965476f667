//! What a host call costs. A host call costs a guest next to no fuel whatever it does, so each is counted by its work
//! against `limits.host_calls`; who asks for too much is stopped.

use agent_core::outcome::Fault;

use crate::layer::{self, Layer};
use crate::pace::{HOST_CALLS_MAX, Lent};
use crate::stop::Stop;

/// Bytes that one unit moves between guest and host: a call that moves fewer costs one unit, as one that moves none. Sized so
/// that the standard limits on file bytes can be used up without meeting the limit on calls first.
pub(crate) const BYTES_PER_UNIT: u64 = 16 << 10;

/// Random bytes that one unit buys: the generator is slower than a copy.
pub(crate) const RANDOM_BYTES_PER_UNIT: u64 = 1 << 10;

/// Counts the units of one call.
#[derive(Debug)]
pub(crate) struct Charge {
    used: u64,
    limit: u64,
    /// Fewer units are there while the call is on its caller's thread.
    lent: Lent,
}

impl Charge {
    /// Nothing used yet.
    pub(crate) fn new(limit: u64, lent: Lent) -> Self {
        Self { used: 0, limit, lent }
    }

    /// Uses up units, or stops the call.
    pub(crate) fn take(&mut self, units: u64) -> Result<(), Stop> {
        self.used = self.used.saturating_add(units);
        let too_many = self.used > self.limit || self.used > HOST_CALLS_MAX && self.lent.is_lent();
        if too_many && !layer::is_off(Layer::Charge) {
            let message = format!("the tool made more than {} host calls, weighted by their work", self.limit);
            return Err(Stop::fault(Fault::HostcallLimit, message));
        }
        Ok(())
    }

    /// Uses up the units for moving bytes, beyond the one for the call.
    pub(crate) fn take_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        match bytes as u64 / BYTES_PER_UNIT {
            0 => Ok(()),
            units => self.take(units),
        }
    }

    /// Units used so far, at most the limit.
    pub(crate) fn used(&self) -> u64 {
        self.used.min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Begin;

    #[test]
    fn the_call_over_the_limit_is_stopped() {
        let mut charge = Charge::new(3, Lent::default());
        assert!(charge.take(1).is_ok() && charge.take_bytes(100).is_ok() && charge.take(2).is_ok());
        assert!(matches!(charge.take(1), Err(Stop::Fault { fault: Fault::HostcallLimit, .. })));
        assert_eq!(charge.used(), 3);
    }

    #[test]
    fn fewer_calls_are_made_on_the_callers_thread() {
        let lent = Lent::begin(Begin::Here);
        let mut charge = Charge::new(2 * HOST_CALLS_MAX, lent.clone());
        assert!(charge.take(HOST_CALLS_MAX).is_ok() && charge.take(1).is_err());
        lent.give_back();
        assert!(charge.take(HOST_CALLS_MAX - 1).is_ok() && charge.take(1).is_err());
    }
}
