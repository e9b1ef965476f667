//! The ceilings of one tool call. Every field here is enforced by the sandbox; a limit that is not in this struct cannot be
//! written in a manifest, so that no limit is ever only decoration.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Fuel, Millis};

/// What one call may use at most. A manifest lowers these; only the operator raises them, and that is a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Guest instructions, including those of instantiation.
    pub fuel: Fuel,
    /// Wall-clock time of the whole call, without the time for which a person is waited for.
    pub deadline: Millis,
    /// Linear memory, summed over all memories of all instances.
    pub memory: Bytes,
    /// Table elements, summed over all tables.
    pub table_elements: u64,
    /// Host calls, weighted by the work that they cause.
    pub host_calls: u64,
    /// Bytes that one host call may copy out of the guest.
    pub copy_bytes: Bytes,
    /// Resource handles held at once.
    pub handles: u64,
    /// Bytes of the result.
    pub result_bytes: Bytes,
    /// Bytes of standard output and standard error that are kept; the rest is counted and dropped.
    pub output_bytes: Bytes,
    /// Log records that are kept; the rest is counted and dropped.
    pub log_records: u64,
    /// Bytes of log that are kept of all records.
    pub log_bytes: Bytes,
    /// Bytes of one log record that are kept; the rest of it is cut off.
    pub log_record_bytes: Bytes,
    /// Random bytes.
    pub random_bytes: Bytes,
    /// Bytes written to files.
    pub fs_write_bytes: Bytes,
    /// Bytes read from files.
    pub fs_read_bytes: Bytes,
    /// Files and directories created.
    pub fs_files: u64,
    /// HTTP requests.
    pub http_requests: u64,
    /// HTTP requests under way at once; further ones wait for their turn.
    pub http_concurrent: u64,
    /// Different names of hosts that are looked up: each lookup can carry a few bytes out in the name itself.
    pub http_hosts: u64,
    /// Bytes of one HTTP response body, after decoding.
    pub http_response_bytes: Bytes,
    /// Bytes of one HTTP request body.
    pub http_request_bytes: Bytes,
    /// How many times larger a compressed response body may become.
    pub http_ratio: u64,
    /// Fields of the header of one HTTP request or response.
    pub http_header_fields: u64,
    /// Bytes of these fields, names and values.
    pub http_header_bytes: Bytes,
    /// Time for a connection: name, socket and TLS.
    pub http_connect: Millis,
    /// Time from then until the response begins.
    pub http_first_byte: Millis,
    /// Time between two pieces of a response.
    pub http_idle: Millis,
    /// Time for one request and its whole response.
    pub http_total: Millis,
    /// Bytes of all keys and values of one key-value store.
    pub kv_bytes: Bytes,
    /// Entries of one key-value store.
    pub kv_entries: u64,
    /// Bytes of one key.
    pub kv_key_bytes: Bytes,
    /// Bytes of one value.
    pub kv_value_bytes: Bytes,
}

impl Limits {
    /// What a call gets when neither manifest nor operator says otherwise.
    pub const STANDARD: Self = Self {
        // Roughly 20 s of compute.
        fuel: Fuel(200_000_000_000),
        deadline: Millis(30_000),
        // A JavaScript or Python component needs tens of MiB.
        memory: Bytes(128 << 20),
        table_elements: 20_000,
        host_calls: 100_000,
        copy_bytes: Bytes(4 << 20),
        handles: 1_000,
        // More than this drowns the model and fills the journal.
        result_bytes: Bytes(1 << 20),
        output_bytes: Bytes(256 << 10),
        log_records: 1_000,
        log_bytes: Bytes(1 << 20),
        log_record_bytes: Bytes(4 << 10),
        random_bytes: Bytes(64 << 10),
        fs_write_bytes: Bytes(64 << 20),
        fs_read_bytes: Bytes(256 << 20),
        fs_files: 1_000,
        http_requests: 64,
        http_concurrent: 8,
        // Links of a page lead to a few hosts; a wildcard grant turns each further name into a message.
        http_hosts: 16,
        http_response_bytes: Bytes(8 << 20),
        http_request_bytes: Bytes(1 << 20),
        // Text compresses to a tenth; what becomes a hundred times larger was made to.
        http_ratio: 100,
        http_header_fields: 100,
        http_header_bytes: Bytes(64 << 10),
        http_connect: Millis(5_000),
        http_first_byte: Millis(10_000),
        http_idle: Millis(5_000),
        http_total: Millis(30_000),
        // Notes and counters, not a database: what a call writes is held in memory until it ends.
        kv_bytes: Bytes(4 << 20),
        kv_entries: 10_000,
        kv_key_bytes: Bytes(512),
        kv_value_bytes: Bytes(256 << 10),
    };

    /// The longest deadline that an operator may grant: a call is not a daemon.
    pub const DEADLINE_MAX: Millis = Millis(300_000);

    /// The most memory that an operator may grant: what one 32-bit memory can address.
    pub const MEMORY_MAX: Bytes = Bytes(4 << 30);

    /// The largest store that an operator may grant: what one call writes is held in memory until the call ends.
    pub const KV_BYTES_MAX: Bytes = Bytes(256 << 20);
}

// One row per field of `Limits`, so that a new limit cannot be forgotten in one of these places.
macro_rules! limits {
    ($($name:ident = $field:ident $(.$inner:tt)?, $unit:ident, $least:ident;)*) => {
        /// The name of one limit: the fields of [`Limits`], as files state them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "the fields of `Limits` say it")]
        pub enum Limit {
            $($name,)*
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name as files state it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($field),)*
                }
            }

            /// In what it is counted.
            #[must_use]
            pub fn unit(self) -> LimitUnit {
                match self {
                    $(Self::$name => LimitUnit::$unit,)*
                }
            }

            /// The lowest value that makes sense.
            #[must_use]
            pub fn least(self) -> Least {
                match self {
                    $(Self::$name => Least::$least,)*
                }
            }
        }

        impl Limits {
            /// The value of one limit, in its unit.
            #[must_use]
            pub fn get(&self, limit: Limit) -> u64 {
                match limit {
                    $(Limit::$name => self.$field$(.$inner)?,)*
                }
            }

            /// The same limits with one of them changed.
            #[must_use]
            pub fn with(mut self, limit: Limit, value: u64) -> Self {
                match limit {
                    $(Limit::$name => self.$field$(.$inner)? = value,)*
                }
                self
            }
        }
    };
}

limits! {
    Fuel = fuel.0, Count, Positive;
    Deadline = deadline.0, Millis, Positive;
    Memory = memory.0, Bytes, Positive;
    TableElements = table_elements, Count, Positive;
    HostCalls = host_calls, Count, Positive;
    CopyBytes = copy_bytes.0, Bytes, Positive;
    Handles = handles, Count, Positive;
    ResultBytes = result_bytes.0, Bytes, Positive;
    OutputBytes = output_bytes.0, Bytes, OrZero;
    LogRecords = log_records, Count, OrZero;
    LogBytes = log_bytes.0, Bytes, OrZero;
    LogRecordBytes = log_record_bytes.0, Bytes, OrZero;
    RandomBytes = random_bytes.0, Bytes, OrZero;
    FsWriteBytes = fs_write_bytes.0, Bytes, OrZero;
    FsReadBytes = fs_read_bytes.0, Bytes, OrZero;
    FsFiles = fs_files, Count, OrZero;
    HttpRequests = http_requests, Count, OrZero;
    HttpConcurrent = http_concurrent, Count, Positive;
    HttpHosts = http_hosts, Count, OrZero;
    HttpResponseBytes = http_response_bytes.0, Bytes, OrZero;
    HttpRequestBytes = http_request_bytes.0, Bytes, OrZero;
    HttpRatio = http_ratio, Count, Positive;
    HttpHeaderFields = http_header_fields, Count, Positive;
    HttpHeaderBytes = http_header_bytes.0, Bytes, Positive;
    HttpConnect = http_connect.0, Millis, Positive;
    HttpFirstByte = http_first_byte.0, Millis, Positive;
    HttpIdle = http_idle.0, Millis, Positive;
    HttpTotal = http_total.0, Millis, Positive;
    KvBytes = kv_bytes.0, Bytes, OrZero;
    KvEntries = kv_entries, Count, OrZero;
    KvKeyBytes = kv_key_bytes.0, Bytes, OrZero;
    KvValueBytes = kv_value_bytes.0, Bytes, OrZero;
}

/// In what a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// Instructions, calls, records.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Millis,
}

/// The lowest value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Least {
    /// Without some of it there is no call.
    Positive,
    /// A call can do without: no files, no requests, no log.
    OrZero,
}

/// Some limits, each with the value that a file or flag states for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LimitsChange(pub BTreeMap<Limit, u64>);

/// The limits that cannot be raised at will: the sandbox's pool of memories and tables is laid out for these, each request under
/// way holds a socket and memory of the host, header maps have an end, no request outlives the longest call, and what a call
/// returns and says is one entry of the journal, in which a byte may be written as six. A call whose end cannot be recorded
/// would be made again and again. (Held against the journal's bound in `agent-host/src/journal/log.rs`.)
const HIGHEST: [(Limit, u64); 16] = [
    (Limit::ResultBytes, 24 << 20),
    (Limit::OutputBytes, 4 << 20),
    (Limit::LogBytes, 4 << 20),
    (Limit::LogRecords, 100_000),
    (Limit::HttpResponseBytes, 128 << 20),
    (Limit::Deadline, Limits::DEADLINE_MAX.0),
    (Limit::Memory, Limits::MEMORY_MAX.0),
    (Limit::TableElements, Limits::STANDARD.table_elements),
    (Limit::HttpConcurrent, 64),
    (Limit::HttpHeaderFields, 1_000),
    (Limit::HttpHeaderBytes, 1 << 20),
    (Limit::HttpConnect, Limits::DEADLINE_MAX.0),
    (Limit::HttpFirstByte, Limits::DEADLINE_MAX.0),
    (Limit::HttpIdle, Limits::DEADLINE_MAX.0),
    (Limit::HttpTotal, Limits::DEADLINE_MAX.0),
    (Limit::KvBytes, Limits::KV_BYTES_MAX.0),
];

impl Limit {
    /// The highest value that an operator may grant; `None` where any number can be enforced.
    #[must_use]
    pub fn highest(self) -> Option<u64> {
        HIGHEST.iter().find(|(limit, _)| *limit == self).map(|(_, highest)| *highest)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl LimitUnit {
    /// A value as files write it: `500ms`, `64MiB`, `200_000`. Reads back as the same value.
    #[must_use]
    pub fn written(self, value: u64) -> String {
        let steps: &[(u64, &str)] = match self {
            Self::Count => &[(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"), (1, "")],
            Self::Bytes => &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")],
            Self::Millis => &[(1_000, "s"), (1, "ms")],
        };
        let exact = steps.iter().find(|(step, _)| value >= *step && value.is_multiple_of(*step)).or(steps.last());
        exact.map_or_else(|| value.to_string(), |(step, unit)| format!("{}{unit}", value / step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_the_name_of_its_field() -> Result<(), serde_json::Error> {
        let stored = serde_json::to_value(&Limits::STANDARD)?;
        for limit in Limit::ALL {
            assert_eq!(stored[limit.name()], Limits::STANDARD.get(*limit), "{limit}");
            assert_eq!(serde_json::to_value(limit)?, limit.name());
            assert_eq!(Limits::STANDARD.with(*limit, 7).get(*limit), 7, "{limit}");
        }
        assert_eq!(stored.as_object().map(serde_json::Map::len), Some(Limit::ALL.len()));
        Ok(())
    }

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        let cases = [
            (LimitUnit::Count, 200_000_000_000, "200G"),
            (LimitUnit::Count, 1_234, "1234"),
            (LimitUnit::Bytes, 64 << 20, "64MiB"),
            (LimitUnit::Bytes, 1_500, "1500B"),
            (LimitUnit::Millis, 90_000, "90s"),
            (LimitUnit::Millis, 0, "0ms"),
        ];
        for (unit, value, text) in cases {
            assert_eq!(unit.written(value), text);
        }
    }
}
