//! Which start of the machine this is. Marks of files carry it: what was written before a power loss may be on the disk in an
//! earlier state than the journal's last word.

use std::sync::LazyLock;

use agent_core::digest::Digest;

/// Where Linux says it: another random identifier after each start.
const BOOT_FILE: &str = "/proc/sys/kernel/random/boot_id";

static NUMBER: LazyLock<u32> = LazyLock::new(|| {
    // Empty where the system does not say.
    of_identifier(&std::fs::read(BOOT_FILE).unwrap_or_default())
});

/// When the machine was started, by its clock as it is now, in nanoseconds since 1970.
pub fn since_ns() -> i64 {
    let ns = |clock| {
        let time = rustix::time::clock_gettime(clock);
        time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
    };
    ns(rustix::time::ClockId::Realtime).saturating_sub(ns(UP))
}

/// The time since the start, also while the machine slept.
#[cfg(target_os = "linux")]
const UP: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UP: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// The same as [`number`], where the system says it.
pub fn known() -> Option<u32> {
    (*NUMBER != of_identifier(&[])).then_some(*NUMBER)
}

/// A number that another start of the machine does not have, but for one chance in four thousand million. Where the system does
/// not say, it is always the same. First called before the file wall stands.
pub fn number() -> u32 {
    *NUMBER
}

fn of_identifier(identifier: &[u8]) -> u32 {
    let digest = Digest::of(identifier);
    let bytes = digest.as_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
