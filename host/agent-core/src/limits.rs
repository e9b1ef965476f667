//! The ceilings of one tool call. Every field here is enforced by the sandbox; a limit that is not in this struct cannot be
//! written in a manifest, so that no limit is ever only decoration.

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
    /// Bytes of one HTTP response body, after decoding.
    pub http_response_bytes: Bytes,
    /// Bytes of one HTTP request body.
    pub http_request_bytes: Bytes,
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
        random_bytes: Bytes(64 << 10),
        fs_write_bytes: Bytes(64 << 20),
        fs_read_bytes: Bytes(256 << 20),
        fs_files: 1_000,
        http_requests: 64,
        http_response_bytes: Bytes(8 << 20),
        http_request_bytes: Bytes(1 << 20),
    };

    /// The longest deadline that an operator may grant: a call is not a daemon.
    pub const DEADLINE_MAX: Millis = Millis(300_000);

    /// The most memory that an operator may grant: what one 32-bit memory can address.
    pub const MEMORY_MAX: Bytes = Bytes(4 << 30);
}
