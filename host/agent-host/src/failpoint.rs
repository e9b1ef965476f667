//! Points: named places around each write, sync, gate step and guest, at which recovery can be tried. The driver and the
//! journal say [`hit`] there. In a build for use only one thing can happen at a point: the child of `agent-host crashtest` ends
//! itself where its parent said (`crash_order`). A build with the feature `failpoints` can do more, by the environment:
//!
//! - `AGENT_HOST_FAILPOINT=NAME#N` kills this process when NAME is hit for the N-th time; `NAME#N=ACT` does ACT instead: `kill`,
//!   `error` (only where the point can fail), `abort`, `delay`, `hang`. Several are separated by commas.
//! - `AGENT_HOST_FAILPOINT_LOG=FILE` lists every hit: its name, how often it was hit by then, and `!` where it can fail.
//! - `AGENT_HOST_CHECKPOINT_EVERY=N` has a checkpoint of a run due after each so many events, and a run that is taken up from one folded
//!   from its beginning, too: it has to come to the same state.
//! - `AGENT_HOST_CLOCK_SET_BY=N` has the wall clock stand so many milliseconds later, or earlier where N is negative.

use std::io;

use crate::crash_order;

/// Reads what is asked for, while files can still be opened: before the walls stand.
pub fn begin() {
    crash_order::begin();
    #[cfg(feature = "failpoints")]
    armed::begin();
}

/// A point at which nothing can fail.
pub fn hit(name: &'static str) {
    crash_order::pass(name);
    #[cfg(feature = "failpoints")]
    armed::hit(name, armed::Failing::Never);
}

/// A point at which a test build can let the step fail.
///
/// # Errors
/// Where the test asked for it.
pub fn hit_or_fail(name: &'static str) -> io::Result<()> {
    crash_order::pass(name);
    #[cfg(feature = "failpoints")]
    if armed::hit(name, armed::Failing::Possible) == armed::Verdict::Fail {
        return Err(io::Error::other("a test lets this step fail"));
    }
    Ok(())
}

/// After how many events a test has the next checkpoint of a run due.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn checkpoint_every() -> Option<u64> {
    static EVERY: std::sync::LazyLock<Option<u64>> = std::sync::LazyLock::new(|| {
        std::env::var("AGENT_HOST_CHECKPOINT_EVERY").ok().and_then(|number| number.parse().ok())
    });
    *EVERY
}

/// A build for use goes by the length of the run.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn checkpoint_every() -> Option<u64> {
    None
}

/// By how many milliseconds a test has the wall clock set.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn clock_set_by() -> i64 {
    static SET_BY: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        std::env::var("AGENT_HOST_CLOCK_SET_BY").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
    });
    *SET_BY
}

/// By none, in a build for use.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn clock_set_by() -> i64 {
    0
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    /// How long `delay` takes: longer than any step.
    const DELAY: Duration = Duration::from_millis(20);

    /// How long `hang` takes: its test ends the process before.
    const HANG: Duration = Duration::from_secs(600);

    /// Whether a step can fail.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) enum Failing {
        Never,
        Possible,
    }

    /// What becomes of the step.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) enum Verdict {
        GoOn,
        Fail,
    }

    struct Points {
        /// By `NAME#N`.
        acts: HashMap<String, String>,
        log: Option<File>,
        hits: HashMap<&'static str, u64>,
    }

    static POINTS: LazyLock<Mutex<Points>> = LazyLock::new(|| {
        let asked = std::env::var("AGENT_HOST_FAILPOINT").unwrap_or_default();
        let act = |one: &str| {
            let (point, act) = one.split_once('=').unwrap_or((one, "kill"));
            (point.to_owned(), act.to_owned())
        };
        let acts = asked.split(',').filter(|one| !one.is_empty()).map(act).collect();
        let log = std::env::var_os("AGENT_HOST_FAILPOINT_LOG");
        let log = log.and_then(|file| File::options().append(true).create(true).open(file).ok());
        Mutex::new(Points { acts, log, hits: HashMap::new() })
    });

    pub(super) fn begin() {
        LazyLock::force(&POINTS);
    }

    pub(super) fn hit(name: &'static str, failing: Failing) -> Verdict {
        let act = {
            let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
            let count = points.hits.entry(name).or_insert(0);
            *count += 1;
            let count = *count;
            let mark = if failing == Failing::Possible { " !" } else { "" };
            if let Some(log) = &mut points.log {
                let _ = writeln!(log, "{name} {count}{mark}");
            }
            points.acts.get(&format!("{name}#{count}")).cloned()
        };
        match act.as_deref() {
            None => Verdict::GoOn,
            Some("error") if failing == Failing::Possible => Verdict::Fail,
            Some(act) => {
                take(act);
                Verdict::GoOn
            }
        }
    }

    fn take(act: &str) {
        match act {
            // SIGKILL, so that no destructor, flush or handler runs: exactly what a power switch leaves of a process.
            "kill" => crate::crash_order::end_this_process(),
            "abort" => std::process::abort(),
            "delay" => std::thread::sleep(DELAY),
            "hang" => std::thread::sleep(HANG),
            act => panic!("a failpoint cannot `{act}` here"),
        }
    }
}
