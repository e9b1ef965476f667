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
    /// The decision about each HTTP request.
    Http,
}

/// Whether the test asked for this defence to be missing: `AGENT_HOST_DEFENCE_OFF=fuel`.
#[cfg(feature = "switchable-defences")]
pub(crate) fn is_off(defence: Defence) -> bool {
    let name = match defence {
        Defence::Fuel => "fuel",
        Defence::Memory => "memory",
        Defence::Deadline => "deadline",
        Defence::Fs => "fs",
        Defence::Http => "http",
    };
    std::env::var("AGENT_HOST_DEFENCE_OFF").is_ok_and(|off| off == name)
}

/// Never, in a build for use.
#[cfg(not(feature = "switchable-defences"))]
pub(crate) const fn is_off(_defence: Defence) -> bool {
    false
}
