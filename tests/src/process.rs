//! A running program as the kernel sees it: its memory, its processor time, its threads and descriptors. Read from `/proc`.

use std::fs;

/// A look at a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Resident memory.
    pub rss_kib: u64,
    /// The most resident memory since [`forget_peak`], or since its start.
    pub peak_kib: u64,
    /// Processor time, its own and the kernel's for it, and that of children it waited for.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What the kernel counts processor time in: `USER_HZ`, 100 on every Linux.
const MS_PER_TICK: u64 = 10;

/// Looks at a process; `None` where it is gone.
#[must_use]
pub fn look(pid: u32) -> Option<Look> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    Some(Look {
        rss_kib: kib("VmRSS:"),
        peak_kib: kib("VmHWM:"),
        cpu_ms: cpu_ms(pid)?,
        threads: fs::read_dir(format!("/proc/{pid}/task")).ok()?.count(),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
    })
}

/// Processor time of a process, also of one that has ended and was not waited for; `None` where it is gone.
#[must_use]
pub fn cpu_ms(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; what follows are numbers, and the time is the 12th to 15th of them.
    let (_, numbers) = stat.rsplit_once(')')?;
    let times = numbers.split_whitespace().skip(11).take(4);
    Some(times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * MS_PER_TICK)
}

/// Lets the peak of resident memory begin anew.
pub fn forget_peak(pid: u32) {
    // Where the kernel does not allow it, the peak is that of the whole process: a stricter bound.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let mine = look(std::process::id()).unwrap_or_default();
        assert!(
            mine.rss_kib > 0 && mine.peak_kib >= mine.rss_kib && mine.threads > 0 && mine.descriptors > 0,
            "{mine:?}"
        );
        assert_eq!(look(u32::MAX), None);
    }
}
