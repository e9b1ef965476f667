//! How much fuel a guest has used at most, as far as that can be known beside it. Who comes after a killed host cannot ask the guest
//! any more, so that fuel is taken in advances, each recorded before it is used: a call whose host was killed has used no more
//! than it took. `invoke` polls the guest through here.
//!
//! wasmtime's own count is out of reach while a guest runs. But it yields after every so much fuel, so that a guest uses no more
//! each time that it is polled, but for what its last instruction costs beyond that: one for each byte, where it fills or copies
//! memory. Code written for nothing else, thousands of small fills in one function without a branch, can use some more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use agent_core::budget::FUEL_ADVANCE;
use agent_core::limits::Limits;
use agent_core::units::Fuel;

use crate::effects::Effects;
use crate::engine::YIELD_INTERVAL_FUEL;
use crate::gate::GateClosed;
use crate::stop::Stop;

/// What an advance is at least of what was used before: a call that uses all of the largest limit says so a few dozen times.
const PART_OF_USED: u64 = 4;

/// The fuel that one call takes.
pub(crate) struct Advances {
    effects: Arc<Effects>,
    /// The guest's memory as it is.
    memory: Arc<AtomicU64>,
    limits: Limits,
    /// At most.
    used: u64,
    taken: u64,
}

impl Advances {
    /// Of a call that has the first one.
    pub(crate) fn new(effects: Arc<Effects>, memory: Arc<AtomicU64>, limits: &Limits) -> Self {
        Self { effects, memory, limits: limits.clone(), used: 0, taken: FUEL_ADVANCE.0 }
    }

    /// Polls the guest. Ends it where what it takes cannot be recorded.
    pub(crate) fn poll<T>(
        &mut self,
        guest: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
        cx: &mut Context<'_>,
    ) -> Poll<wasmtime::Result<T>> {
        if let Err(closed) = self.before() {
            return Poll::Ready(Err(Stop::from(closed).into()));
        }
        let polled = guest.poll(cx);
        self.after();
        polled
    }

    /// The guest is about to be polled: takes more where it might use more than it has taken.
    fn before(&mut self) -> Result<(), GateClosed> {
        let most = self.used.saturating_add(self.in_one_poll(self.limits.memory.0)).min(self.limits.fuel.0);
        if most <= self.taken {
            return Ok(());
        }
        let more = FUEL_ADVANCE.0.max(self.used / PART_OF_USED);
        self.taken = most.saturating_add(more).min(self.limits.fuel.0);
        self.effects.take_fuel(Fuel(self.taken))
    }

    /// The guest was polled.
    fn after(&mut self) {
        self.used = self.used.saturating_add(self.in_one_poll(self.memory.load(Ordering::Relaxed)));
    }

    fn in_one_poll(&self, memory_bytes: u64) -> u64 {
        YIELD_INTERVAL_FUEL.saturating_add(memory_bytes.max(self.limits.table_elements))
    }
}
