//! Switching single defences off, in a build made for that: a test that never saw its defence missing proves nothing. A build
//! without the feature `switchable-defences` has no such switch.

/// A defence that can be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// The bound on guest instructions.
    Fuel,
    /// The bound on linear memory.
    Memory,
    /// The bound on time.
    Deadline,
    /// The wall around a mount.
    Fs,
    /// The decision about each HTTP request, and about the addresses that a name leads to.
    NetDenied,
    /// The bounds on the number and size of HTTP messages.
    NetLimit,
    /// The check of certificates.
    NetTls,
    /// The bounds on the time of HTTP requests, but for the call's own deadline.
    NetTimeout,
    /// That a guest sees no variable but those that were granted.
    Env,
    /// That secrets are taken out of what comes back, and that a guest does not set a header which carries one.
    Secrets,
}

/// Whether the test asked for this defence to be missing: `AGENT_HOST_DEFENCE_OFF=fuel`.
#[cfg(feature = "switchable-defences")]
pub(crate) fn is_off(defence: Defence) -> bool {
    let name = match defence {
        Defence::Fuel => "fuel",
        Defence::Memory => "memory",
        Defence::Deadline => "deadline",
        Defence::Fs => "fs",
        Defence::NetDenied => "net_denied",
        Defence::NetLimit => "net_limit",
        Defence::NetTls => "net_tls",
        Defence::NetTimeout => "net_timeout",
        Defence::Env => "env_denied",
        Defence::Secrets => "secret_blocked",
    };
    std::env::var("AGENT_HOST_DEFENCE_OFF").is_ok_and(|off| off == name)
}

/// Never, in a build for use.
#[cfg(not(feature = "switchable-defences"))]
pub(crate) const fn is_off(_defence: Defence) -> bool {
    false
}
