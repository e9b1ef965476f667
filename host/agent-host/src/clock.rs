//! The time and the dice: the only place where the program asks for either. Everything that matters is then recorded.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use anyhow::Context;

/// The time now.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
