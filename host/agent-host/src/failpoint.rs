//! Failpoints: named places at which a test build kills itself, so that recovery is tried at exactly that instant. A build
//! without the feature `failpoints` has none: [`hit`] is empty there.

/// Kills this process if the test asked for it here: `AGENT_HOST_FAILPOINT=NAME#N` is the N-th time NAME is hit.
#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static HITS: LazyLock<Mutex<HashMap<&str, u32>>> = LazyLock::new(Mutex::default);
    let Ok(wanted) = std::env::var("AGENT_HOST_FAILPOINT") else { return };
    let count = {
        let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = hits.entry(name).or_insert(0);
        *count += 1;
        *count
    };
    if wanted == format!("{name}#{count}") {
        // SIGKILL, so that no destructor, flush or handler runs: exactly what a power switch leaves of a process.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, in a build for use.
#[cfg(not(feature = "failpoints"))]
pub fn hit(_name: &'static str) {}
