//! What the instances of one call may allocate: linear memory summed over all memories, table elements summed over all
//! tables. wasmtime asks before each allocation; its own `StoreLimits` counts per memory, so eight memories would have eight
//! times the limit.
//!
//! Growing is work for the host that costs a guest little fuel, also where it grows by nothing or in vain, so each growth is
//! counted as a host call.
//!
//! A refusal is a trap with the fault's name, not the `-1` of `memory.grow`: guests turn that into an abort whose reason
//! nobody can read. Only growth beyond what the guest's own type declares answers `-1`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent_core::limits::Limits;
use agent_core::outcome::Fault;
use agent_core::units::Bytes;

use crate::charge::Charge;
use crate::defence::{self, Defence};
use crate::engine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use crate::pace::Lent;
use crate::stop::Stop;

/// Counts what one store has allocated. Part of the store's data.
pub(crate) struct CallLimiter {
    memory: Allowance,
    table_elements: Allowance,
    /// Against a limit of its own, as high as that of host functions, whose count is elsewhere in the store's data. The record of
    /// a call adds both up.
    growths: Charge,
    /// The sum of linear memory, for who cannot look into the store.
    shown: Arc<AtomicU64>,
}

impl CallLimiter {
    pub(crate) fn new(limits: &Limits, lent: Lent) -> Self {
        Self {
            memory: Allowance::new(defence::limit(Defence::Memory, limits.memory.0)),
            table_elements: Allowance::new(defence::limit(Defence::Tables, limits.table_elements)),
            growths: Charge::new(defence::limit(Defence::HostCalls, limits.host_calls), lent),
            shown: Arc::default(),
        }
    }

    /// Where the sum of linear memory is shown, at any time.
    pub(crate) fn shown_memory(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shown)
    }

    /// How often memories and tables were made or grown so far, or were to be: each is a host call.
    pub(crate) fn growths(&self) -> u64 {
        self.growths.used()
    }

    /// The highest sum of linear memory so far. Memories never shrink, so it is also the current one.
    pub(crate) fn memory_peak(&self) -> Bytes {
        Bytes(self.memory.used)
    }
}

/// A sum with a ceiling.
struct Allowance {
    limit: u64,
    used: u64,
    /// The last growth that was allowed, taken back if wasmtime then fails to do it.
    last: u64,
}

/// What to answer to a wish to grow.
enum Growth {
    Allowed,
    BeyondItsType,
    BeyondTheLimit,
}

impl Allowance {
    fn new(limit: u64) -> Self {
        Self { limit, used: 0, last: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Growth {
        let more = desired.saturating_sub(current) as u64;
        let sum = self.used.saturating_add(more);
        if sum > self.limit {
            return Growth::BeyondTheLimit;
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Growth::BeyondItsType;
        }
        (self.used, self.last) = (sum, more);
        Growth::Allowed
    }

    fn take_back(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl wasmtime::ResourceLimiter for CallLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.growths.take(1)?;
        match self.memory.grow(current, desired, maximum) {
            Growth::Allowed => {
                self.shown.store(self.memory.used, Ordering::Relaxed);
                Ok(true)
            }
            Growth::BeyondItsType => Ok(false),
            Growth::BeyondTheLimit => Err(Stop::fault(Fault::MemoryLimit, self.memory_message()).into()),
        }
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        self.shown.store(self.memory.used, Ordering::Relaxed);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.growths.take(1)?;
        match self.table_elements.grow(current, desired, maximum) {
            Growth::Allowed => Ok(true),
            Growth::BeyondItsType => Ok(false),
            Growth::BeyondTheLimit => Err(Stop::fault(Fault::TableLimit, self.table_message()).into()),
        }
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        if defence::is_off(Defence::Instances) { usize::MAX } else { CORE_INSTANCES_MAX as usize }
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

impl CallLimiter {
    fn memory_message(&self) -> String {
        let limit = Bytes(self.memory.limit);
        format!(
            "the tool wanted more memory than its limit of {limit}; give it less to do at once, or raise `limits.memory`"
        )
    }

    fn table_message(&self) -> String {
        let limit = self.table_elements.limit;
        format!("the tool wanted more table elements than its limit of {limit}; raise `limits.table_elements`")
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter as _;

    use super::*;

    fn limiter() -> CallLimiter {
        CallLimiter::new(&Limits { memory: Bytes(1000), table_elements: 10, ..Limits::STANDARD }, Lent::default())
    }

    fn fault(answer: wasmtime::Result<bool>) -> Option<Fault> {
        let error = answer.err()?;
        match error.downcast_ref::<Stop>() {
            Some(Stop::Fault { fault, .. }) => Some(*fault),
            _ => None,
        }
    }

    #[test]
    fn memories_are_summed() -> wasmtime::Result<()> {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 600, None)?);
        assert_eq!(fault(limiter.memory_growing(0, 600, None)), Some(Fault::MemoryLimit));
        assert!(limiter.memory_growing(600, 1000, None)?);
        assert_eq!(limiter.memory_peak(), Bytes(1000));
        Ok(())
    }

    #[test]
    fn growth_that_fails_is_not_counted() -> wasmtime::Result<()> {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 900, None)?);
        limiter.memory_grow_failed(wasmtime::Error::msg("out of memory"))?;
        assert!(limiter.memory_growing(0, 900, None)?);
        assert!(!limiter.memory_growing(900, 950, Some(920))?, "beyond its own type: the guest sees -1");
        Ok(())
    }

    #[test]
    fn growths_are_counted_whatever_becomes_of_them() -> wasmtime::Result<()> {
        let limits = Limits { memory: Bytes(1000), host_calls: 3, ..Limits::STANDARD };
        let mut limiter = CallLimiter::new(&limits, Lent::default());
        assert!(limiter.memory_growing(0, 600, None)?);
        assert!(!limiter.memory_growing(600, 650, Some(620))?, "in vain");
        assert!(limiter.table_growing(0, 0, None)?, "by nothing");
        assert_eq!(limiter.growths(), 3);
        assert_eq!(fault(limiter.memory_growing(600, 600, None)), Some(Fault::HostcallLimit));
        assert_eq!(limiter.growths(), 3);
        Ok(())
    }

    #[test]
    fn tables_are_summed() -> wasmtime::Result<()> {
        let mut limiter = limiter();
        assert!(limiter.table_growing(0, 6, None)?);
        assert_eq!(fault(limiter.table_growing(0, 5, None)), Some(Fault::TableLimit));
        Ok(())
    }
}
