//! What this process holds at a moment.

/// Memory, descriptors and threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Resident memory that is no file's.
    pub resident_mib: f64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Sample {
    /// Now.
    pub(crate) fn now() -> Self {
        Self {
            resident_mib: resident_mib(),
            // The listing itself holds one.
            descriptors: entries("/proc/self/fd") - 1,
            threads: entries("/proc/self/task"),
        }
    }

    /// Whether everything is back that can be given back. Memory need not be: the pool keeps pages for the next call.
    pub(crate) fn holds_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors && self.threads <= before.threads
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a known field");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).expect("a folder of the kernel's").count()
}
