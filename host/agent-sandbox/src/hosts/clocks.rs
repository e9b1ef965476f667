//! `wasi:clocks`, virtual: time begins where the call's record says and goes on only by waits. A wait is really waited for,
//! so that a tool which retries does not hammer a server; what the guest then reads follows from the record alone.

use std::collections::HashMap;
use std::time::Duration;

use agent_core::units::UnixMillis;
use tokio::time::Instant as RealInstant;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable};

use crate::state::{CallState, table_stop};
use crate::stop::Stop;
use crate::transcript::Operation as Op;

/// What the monotonic clock says when a call begins: an hour, so that a guest may subtract from it.
const MONOTONIC_START_NS: u64 = 3_600_000_000_000;

/// How fine the guest's clocks are: a millisecond, as fine as the start is known.
const RESOLUTION_NS: u32 = 1_000_000;

/// Longest wait that can end: longer than any call may last, and short enough that no sum of it overflows.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// How fine the time is that a guest can measure. Its clock is virtual and shows no time but its own waits; a guest that
/// waits for something and for very short timers beside it could still count those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockGrain {
    /// A wait is as long as the guest asks.
    AsAsked,
    /// A wait ends at a whole millisecond: `--strict`.
    Millisecond,
}

/// The clocks of one call.
pub(crate) struct Clock {
    start: UnixMillis,
    grain: ClockGrain,
    elapsed_ns: u64,
    /// The timers, by their pollables' numbers in the table.
    timers: HashMap<u32, Running>,
}

/// A timer.
#[derive(Debug, Clone, Copy)]
struct Running {
    /// The point in guest time at which it ends.
    end_ns: u64,
    /// The number of the timer itself in the table.
    timer: u32,
}

impl Clock {
    /// Clocks at the beginning of a call.
    pub(crate) fn new(start: UnixMillis, grain: ClockGrain) -> Self {
        Self { start, grain, elapsed_ns: 0, timers: HashMap::new() }
    }

    /// Pollables that a wait found ready: where they are timers, time goes on to where they end. Others leave time as it is.
    pub(crate) fn ended<'a>(&mut self, ready: impl IntoIterator<Item = &'a u32>) {
        for handle in ready {
            if let Some(running) = self.timers.get(handle) {
                self.elapsed_ns = self.elapsed_ns.max(running.end_ns);
            }
        }
    }

    /// A pollable was given back.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.timers.remove(&handle);
    }

    fn monotonic_ns(&self) -> u64 {
        MONOTONIC_START_NS.saturating_add(self.elapsed_ns)
    }

    fn wall(&self) -> wall_clock::Datetime {
        let now = Duration::from_millis(self.start.0).saturating_add(Duration::from_nanos(self.elapsed_ns));
        wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() }
    }
}

impl ClockGrain {
    /// The wait that is waited for instead of this one.
    fn rounded(self, wait_ns: u64) -> u64 {
        match self {
            Self::AsAsked => wait_ns,
            Self::Millisecond => wait_ns.checked_next_multiple_of(u64::from(RESOLUTION_NS)).unwrap_or(wait_ns),
        }
    }
}

impl CallState {
    fn subscribe_timer(&mut self, wait_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let wait_ns = self.clock.grain.rounded(wait_ns);
        let timer = self.push(Timer::after(wait_ns))?;
        let number = timer.rep();
        let pollable = wasmtime_wasi::p2::subscribe(&mut self.table, timer)?;
        let running = Running { end_ns: self.clock.elapsed_ns.saturating_add(wait_ns), timer: number };
        self.clock.timers.insert(pollable.rep(), running);
        Ok(pollable)
    }

    /// Lets every timer run for what is left of it in guest time: in a replay waits were skipped, so that all of it is.
    pub(crate) fn restart_timers(&mut self) -> Result<(), Stop> {
        for running in self.clock.timers.values() {
            let timer = Resource::<Timer>::new_borrow(running.timer);
            let left = running.end_ns.saturating_sub(self.clock.elapsed_ns);
            *self.table.get_mut(&timer).map_err(table_stop)? = Timer::after(left);
        }
        Ok(())
    }
}

impl wall_clock::Host for CallState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.ask(Op::WallClockNow, &[], &())?;
        let now = self.clock.wall();
        self.answer(Ok(now))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.pay()?;
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: RESOLUTION_NS })
    }
}

impl monotonic_clock::Host for CallState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.ask(Op::MonotonicNow, &[], &())?;
        let now = self.clock.monotonic_ns();
        self.answer(Ok(now))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.pay()?;
        Ok(u64::from(RESOLUTION_NS))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.ask(Op::SubscribeInstant, &[], &when)?;
        let pollable = self.subscribe_timer(when.saturating_sub(self.clock.monotonic_ns()));
        self.answer(pollable)
    }

    fn subscribe_duration(&mut self, wait_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.ask(Op::SubscribeDuration, &[], &wait_ns)?;
        let pollable = self.subscribe_timer(wait_ns);
        self.answer(pollable)
    }
}

/// When a timer ends in real time. Fixed when the guest asks for it, so that a guest which waits for something else in
/// between does not wait twice.
enum Timer {
    Past { yielded: bool },
    At(RealInstant),
    Never,
}

impl Timer {
    fn after(wait_ns: u64) -> Self {
        match Duration::from_nanos(wait_ns) {
            Duration::ZERO => Self::Past { yielded: false },
            wait if wait > WAIT_MAX => Self::Never,
            wait => Self::At(RealInstant::now() + wait),
        }
    }
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        match self {
            // Let the runtime look at its sockets: a guest that polls in a loop without waiting would otherwise keep it
            // from ever finding another pollable ready.
            Self::Past { yielded: true } => {}
            Self::Past { yielded } => {
                *yielded = true;
                tokio::task::yield_now().await;
            }
            Self::At(end) => tokio::time::sleep_until(*end).await,
            Self::Never => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_knows_whole_milliseconds() {
        for (asked, waited) in [(0, 0), (1, 1_000_000), (1_000_000, 1_000_000), (1_000_001, 2_000_000)] {
            assert_eq!(ClockGrain::Millisecond.rounded(asked), waited);
            assert_eq!(ClockGrain::AsAsked.rounded(asked), asked);
        }
        assert_eq!(ClockGrain::Millisecond.rounded(u64::MAX), u64::MAX);
    }

    #[test]
    fn time_goes_on_only_by_timers_that_ended() {
        let mut clock = Clock::new(UnixMillis(1_500), ClockGrain::AsAsked);
        let running = |end_ns| Running { end_ns, timer: 0 };
        clock.timers.extend([(1, running(5)), (2, running(2_000_000_000))]);
        clock.ended([&7]);
        assert_eq!(clock.monotonic_ns(), MONOTONIC_START_NS);
        clock.ended([&1]);
        assert_eq!(clock.monotonic_ns(), MONOTONIC_START_NS + 5);
        clock.ended([&1, &2]);
        let now = clock.wall();
        assert_eq!((now.seconds, now.nanoseconds), (3, 500_000_000));
    }
}
