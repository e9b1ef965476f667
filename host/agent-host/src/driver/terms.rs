//! What an attempt of a call is held to, and what its random numbers and its clock start from. Decided by `call` before it starts.

use agent_core::limits::Limits;
use agent_core::pending::Origin;
use agent_core::units::{Fuel, UnixMillis};
use anyhow::Context;

use super::continuing::Along;
use crate::clock;

/// What a call is held to, and what it starts from.
pub struct Terms {
    /// Its ceilings.
    pub limits: Limits,
    /// Seeds its random numbers.
    pub seed: [u8; 32],
    /// What its clock says at the start.
    pub clock_start: UnixMillis,
}

impl Terms {
    /// Of an attempt that begins at the call's start, in a run that has so much fuel left.
    ///
    /// # Errors
    /// Where there are no random numbers, or what is recorded of them cannot be read.
    pub fn fresh((granted, fuel_left): (&Limits, Fuel), origin: Option<&Origin>) -> anyhow::Result<Self> {
        let limits = Limits { fuel: granted.fuel.min(fuel_left), ..granted.clone() };
        let (seed, clock_start) = begin_with(origin)?;
        Ok(Self { limits, seed, clock_start })
    }

    /// Of an attempt that does again what another did, and continues it: to do the same, it needs the same. Of fuel that is what the
    /// other took of its own; beyond that, it gets no more than the run has left.
    ///
    /// # Errors
    /// Where what is recorded cannot be read.
    pub fn along(along: &Along, (granted, fuel_left): (&Limits, Fuel)) -> anyhow::Result<Self> {
        let started = &along.started;
        let fuel = started.fuel.min(along.taken.max(fuel_left));
        let limits = Limits { fuel, ..granted.clone() };
        Ok(Self { limits, seed: read_seed(&started.seed)?, clock_start: started.clock_start })
    }
}

/// What random numbers and clock begin with: anew, unless the call is to come to the same point as before.
fn begin_with(origin: Option<&Origin>) -> anyhow::Result<([u8; 32], UnixMillis)> {
    let Some(origin) = origin else { return Ok((clock::random::<32>()?, clock::now())) };
    Ok((read_seed(&origin.seed)?, origin.clock_start))
}

fn read_seed(recorded: &str) -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    hex::decode_to_slice(recorded, &mut seed).context("the recorded seed of a call is none")?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use agent_core::digest::Digest;
    use agent_core::event::ToolStarted;
    use agent_core::name::CallNumber;
    use agent_sandbox::replay::{Replay, ReplayEnd};
    use agent_sandbox::transcript::Transcript;

    use super::*;

    fn along(fuel: u64, taken: u64) -> Along {
        let started = ToolStarted {
            call: CallNumber(1),
            attempt: 1,
            component: Digest::of(b""),
            fuel: Fuel(fuel),
            authority: Digest::of(b""),
            seed: "07".repeat(32),
            clock_start: UnixMillis(5),
            engine: String::new(),
            continues: None,
            boot: None,
        };
        let replay = Replay { transcript: Transcript::default(), answers: BTreeMap::new(), end: ReplayEnd::GoLive };
        Along { started, taken: Fuel(taken), replay }
    }

    #[test]
    fn an_attempt_that_continues_gets_what_it_needs_and_else_what_is_left() -> anyhow::Result<()> {
        for ((fuel, taken), left, gets) in [
            ((100, 10), 1_000, 100),
            ((100, 10), 50, 50),
            // What it did before, it can do again.
            ((100, 10), 3, 10),
            ((100, 100), 0, 100),
        ] {
            let terms = Terms::along(&along(fuel, taken), (&Limits::STANDARD, Fuel(left)))?;
            assert_eq!(terms.limits, Limits { fuel: Fuel(gets), ..Limits::STANDARD }, "{fuel} {taken} {left}");
            assert_eq!((terms.seed, terms.clock_start), ([7; 32], UnixMillis(5)));
        }
        Ok(())
    }
}
