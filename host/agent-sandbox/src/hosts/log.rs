//! `agent-host:tool/host`: what a tool says while it works. Bounded; what does not fit is counted.

use std::time::{Duration, Instant};

use crate::bindings::agent_host::tool::host;
use crate::call::{LogLevel, LogRecord};
use crate::gate::Progress;
use crate::state::CallState;

/// Longest message kept; the rest of a longer one is cut off.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Most bytes of log kept of one call.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Shortest time between two words of progress that are passed on: nobody reads faster.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The log of one call, the kept part.
pub(crate) struct GuestLog {
    records: Vec<LogRecord>,
    records_max: u64,
    bytes: usize,
    dropped: u64,
    last_progress: Option<Instant>,
}

impl GuestLog {
    /// An empty log.
    pub(crate) fn new(records_max: u64) -> Self {
        Self { records: Vec::new(), records_max, bytes: 0, dropped: 0, last_progress: None }
    }

    /// The records, and how many were dropped.
    pub(crate) fn finish(self) -> (Vec<LogRecord>, u64) {
        (self.records, self.dropped)
    }

    fn add(&mut self, level: LogLevel, message: String) {
        let message = shortened(message);
        if self.records.len() as u64 >= self.records_max || self.bytes + message.len() > LOG_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        self.records.push(LogRecord { level, message });
    }

    fn may_show_progress(&mut self, now: Instant) -> bool {
        let due = self.last_progress.is_none_or(|last| now.duration_since(last) >= PROGRESS_INTERVAL);
        if due {
            self.last_progress = Some(now);
        }
        due
    }
}

impl host::Host for CallState {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        self.pay()?;
        self.pay_extra(message.len() as u64 / crate::charge::BYTES_PER_UNIT)?;
        let level = match level {
            host::Level::Debug => LogLevel::Debug,
            host::Level::Info => LogLevel::Info,
            host::Level::Warn => LogLevel::Warn,
            host::Level::Error => LogLevel::Error,
        };
        self.log.add(level, message);
        Ok(())
    }

    fn progress(&mut self, message: String, fraction: Option<f64>) -> wasmtime::Result<()> {
        self.pay()?;
        if self.log.may_show_progress(Instant::now()) {
            let fraction = fraction.filter(|fraction| (0.0..=1.0).contains(fraction));
            let mut message = shortened(message);
            self.secrets.scrub_text(&mut message);
            self.effects.progress(Progress { message, fraction });
        }
        Ok(())
    }
}

fn shortened(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    // A guest that passes 4 MiB must not keep them allocated.
    message.shrink_to_fit();
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_counts_what_it_drops() {
        let mut log = GuestLog::new(2);
        for message in ["a".to_owned(), "ä".repeat(4_000), "c".to_owned()] {
            log.add(LogLevel::Info, message);
        }
        let (records, dropped) = log.finish();
        assert_eq!((records.len(), records[1].message.len(), dropped), (2, MESSAGE_BYTES_MAX, 1));
    }

    #[test]
    fn progress_is_passed_on_at_a_human_pace() {
        let mut log = GuestLog::new(0);
        let start = Instant::now();
        assert!(log.may_show_progress(start));
        assert!(!log.may_show_progress(start + PROGRESS_INTERVAL / 2));
        assert!(log.may_show_progress(start + PROGRESS_INTERVAL));
    }
}
