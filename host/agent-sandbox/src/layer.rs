//! Switching single layers of a call off, in a build made for that: what a layer costs is what a call costs less without it.
//! Only the benchmark builds so; a build without the feature `switchable-layers` has no such switch. `defence` is its sibling
//! for tests.

/// A part of what a call has around a bare call of wasmtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Counting guest instructions. Compiled into the code, so a sandbox keeps what it was made with.
    Fuel,
    /// The deadline and the cancellation.
    Deadline,
    /// Asking before memories and tables grow.
    Limiter,
    /// Counting host calls by their work.
    Charge,
    /// The record of every answer.
    Transcript,
    /// Asking the gate.
    Gate,
    /// The record of effects.
    Effects,
    /// Keeping what is printed.
    Console,
    /// Beginning on the caller's thread: without it, each call changes threads.
    CallersThread,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Self; 9] = [
        Self::Fuel,
        Self::Deadline,
        Self::Limiter,
        Self::Charge,
        Self::Transcript,
        Self::Gate,
        Self::Effects,
        Self::Console,
        Self::CallersThread,
    ];
}

#[cfg(feature = "switchable-layers")]
static OFF: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Switches these off and all others on, for calls that begin from now on.
#[cfg(feature = "switchable-layers")]
pub fn switch_off(layers: &[Layer]) {
    let bits = layers.iter().fold(0, |bits, layer| bits | 1 << *layer as u32);
    OFF.store(bits, std::sync::atomic::Ordering::Relaxed);
}

/// Whether the benchmark wants to know what a call costs without it.
#[cfg(feature = "switchable-layers")]
pub(crate) fn is_off(layer: Layer) -> bool {
    OFF.load(std::sync::atomic::Ordering::Relaxed) & 1 << layer as u32 != 0
}

/// Never, in a build for use.
#[cfg(not(feature = "switchable-layers"))]
pub(crate) const fn is_off(_layer: Layer) -> bool {
    false
}
