//! `agent-host:tool/host`: what a tool says while it works. Bounded; what does not fit is counted.

use std::time::{Duration, Instant};

use agent_core::limits::Limits;
use agent_core::outcome::{LogLevel, LogRecord};
use agent_core::units::Bytes;

use crate::bindings::agent_host::tool::host;
use crate::defence::{self, Defence};
use crate::gate::Progress;
use crate::state::CallState;

/// Longest word of progress that is passed on: one line for a person.
const PROGRESS_BYTES_MAX: usize = 4 << 10;

/// Shortest time between two words of progress that are passed on: nobody reads faster.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The log of one call so far.
pub(crate) struct GuestLog {
    kept: KeptLog,
    bytes: u64,
    room: Room,
    last_progress: Option<Instant>,
}

/// The kept part of a log, and what was dropped of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptLog {
    pub(crate) records: Vec<LogRecord>,
    /// Records that were dropped.
    pub(crate) dropped: u64,
    /// Bytes of these, and what was cut off longer ones.
    pub(crate) bytes_dropped: Bytes,
}

/// The limits.
struct Room {
    records: u64,
    bytes: u64,
    record_bytes: usize,
}

impl GuestLog {
    /// An empty log.
    pub(crate) fn new(limits: &Limits) -> Self {
        let record_bytes = usize::try_from(limits.log_record_bytes.0).unwrap_or(usize::MAX);
        let room = Room { records: limits.log_records, bytes: limits.log_bytes.0, record_bytes };
        Self { kept: KeptLog::default(), bytes: 0, room, last_progress: None }
    }

    /// What was kept, and what was not.
    pub(crate) fn finish(self) -> KeptLog {
        self.kept
    }

    /// Adds a record that was cut already, and was so long before. Whether there was room for it.
    fn add(&mut self, level: LogLevel, message: String, whole: u64) -> bool {
        let bytes = message.len() as u64;
        let is_full = self.kept.records.len() as u64 >= self.room.records || self.bytes + bytes > self.room.bytes;
        if is_full && !defence::is_off(Defence::PrintedBytes) {
            self.kept.dropped += 1;
            self.drop_bytes(whole);
            return false;
        }
        self.bytes += bytes;
        self.drop_bytes(whole.saturating_sub(bytes));
        self.kept.records.push(LogRecord { level, message });
        true
    }

    fn drop_bytes(&mut self, bytes: u64) {
        self.kept.bytes_dropped = self.kept.bytes_dropped.saturating_add(Bytes(bytes));
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
        let whole = message.len() as u64;
        let message = self.secrets.cut(message, self.log.room.record_bytes);
        if self.log.add(level, message, whole) {
            // With the one before: of a secret that is split over both, what was shown already is no more than a piece.
            let before = self.log.kept.records.len().saturating_sub(2);
            let mut shown = self.log.kept.records[before..].to_vec();
            self.secrets.scrub_log(&mut shown);
            shown.last().into_iter().for_each(|record| self.effects.logged(record));
        }
        Ok(())
    }

    fn progress(&mut self, message: String, fraction: Option<f64>) -> wasmtime::Result<()> {
        self.pay()?;
        if self.log.may_show_progress(Instant::now()) {
            let fraction = fraction.filter(|fraction| (0.0..=1.0).contains(fraction));
            let mut message = self.secrets.cut(message, PROGRESS_BYTES_MAX);
            self.secrets.scrub_text(&mut message);
            self.effects.progress(Progress { message, fraction });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::CallSecrets;

    fn add(log: &mut GuestLog, message: String) {
        let (whole, cut) = (message.len() as u64, CallSecrets::default().cut(message, log.room.record_bytes));
        log.add(LogLevel::Info, cut, whole);
    }

    #[test]
    fn the_log_is_bounded_and_counts_what_it_drops() {
        let mut log = GuestLog::new(&Limits { log_records: 2, ..Limits::STANDARD });
        for message in ["a".to_owned(), "ä".repeat(4_000), "c".to_owned()] {
            add(&mut log, message);
        }
        let kept = log.finish();
        assert_eq!((kept.records.len(), kept.records[1].message.len()), (2, 4 << 10));
        assert_eq!((kept.dropped, kept.bytes_dropped), (1, Bytes(8_000 - 4_096 + 1)));

        let mut log = GuestLog::new(&Limits { log_bytes: Bytes(5), log_record_bytes: Bytes(3), ..Limits::STANDARD });
        for message in ["four", "abc", "de", "f"] {
            add(&mut log, message.to_owned());
        }
        let kept = log.finish();
        assert_eq!((kept.records.len(), kept.dropped, kept.bytes_dropped), (2, 2, Bytes(1 + 3 + 1)));
    }

    #[test]
    fn progress_is_passed_on_at_a_human_pace() {
        let mut log = GuestLog::new(&Limits::STANDARD);
        let start = Instant::now();
        assert!(log.may_show_progress(start));
        assert!(!log.may_show_progress(start + PROGRESS_INTERVAL / 2));
        assert!(log.may_show_progress(start + PROGRESS_INTERVAL));
    }
}
