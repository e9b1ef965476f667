//! The time and the dice: the only place where the program asks for either. Everything that matters is then recorded.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use agent_core::name::RunId;
use agent_core::state::State;
use agent_core::units::UnixMillis;
use anyhow::Context;

use crate::failpoint;

/// The time now.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add_signed(failpoint::clock_set_by()))
}

/// The times of a run's events, as this process records them. A run's active time is the sum of what lies between them.
#[derive(Debug)]
pub enum EventClock {
    /// The time at which this process took the run up, and what has passed since. A clock that is set meanwhile uses up nobody's
    /// budget; nor does a machine that sleeps, since the system's monotonic clock stands still then.
    Steady {
        /// By the wall clock.
        began: UnixMillis,
        /// The same instant by the clock that is never set.
        since: Instant,
    },
    /// The time as it is: a run that serves clients has no budget of time, and goes on for months.
    Wall,
}

impl EventClock {
    /// The clock of a run in this state, from now on.
    #[must_use]
    pub fn of(state: &State) -> Self {
        if state.is_served() { Self::Wall } else { Self::Steady { began: now(), since: Instant::now() } }
    }

    /// The time of an event now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::Steady { began, since } => {
                let passed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                UnixMillis(began.0.saturating_add(passed))
            }
            Self::Wall => now(),
        }
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// Where it has none, which ends the run: nothing can stand in for them.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(bytes)
}

/// A new run's identifier.
///
/// # Errors
/// See [`random`].
pub fn new_run() -> anyhow::Result<RunId> {
    Ok(RunId::from_parts(now(), random()?))
}
