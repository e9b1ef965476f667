//! The calls: operations of the test guests, with limits that end an attack in a few milliseconds, and how each may end.

use agent_core::limits::Limits;
use agent_core::units::{Bytes, Fuel, Millis};

/// One kind of call.
pub(crate) struct Work {
    pub(crate) guest: Guest,
    pub(crate) operation: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) folder: Folder,
    /// The stable names of outcomes; `returned` where the tool answers.
    ends: &'static [&'static str],
}

/// Whose operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    Hostile,
    Polite,
}

/// Whether the call holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folder {
    No,
    ToWrite,
}

const fn hostile(operation: &'static str, arguments: &'static str, ends: &'static [&'static str]) -> Work {
    Work { guest: Guest::Hostile, operation, arguments, folder: Folder::No, ends }
}

const fn in_a_folder(operation: &'static str, arguments: &'static str, ends: &'static [&'static str]) -> Work {
    Work { guest: Guest::Hostile, operation, arguments, folder: Folder::ToWrite, ends }
}

/// Stands in arguments for the server that guests may ask.
pub(crate) const SERVER: &str = "${server}";

/// The attacks.
pub(crate) const HOSTILE: [Work; 23] = [
    hostile("spin", "{}", &["fuel_exhausted"]),
    hostile("allocate", "{}", &["memory_limit"]),
    hostile("recurse", "{}", &["guest_trap", "stack_overflow"]),
    hostile("sleep_hour", "{}", &["deadline_exceeded"]),
    hostile("clock_forever", "{}", &["hostcall_limit"]),
    hostile("random_forever", "{}", &["hostcall_limit"]),
    hostile("print_forever", "{}", &["hostcall_limit", "fuel_exhausted"]),
    hostile("log_forever", "{}", &["hostcall_limit", "fuel_exhausted"]),
    hostile("read_path", r#"{"path":"/etc/passwd"}"#, &["returned"]),
    hostile("tcp_connect", r#"{"address":"127.0.0.1:1"}"#, &["returned"]),
    hostile("exit", r#"{"code":137}"#, &["guest_trap"]),
    hostile("big_result", r#"{"bytes":2000000}"#, &["result_invalid", "copy_limit"]),
    hostile("deep_json", r#"{"count":100000}"#, &["result_invalid"]),
    hostile("bad_json", "{}", &["result_invalid"]),
    hostile("hold_responses", r#"{"url":"${server}/","count":8}"#, &["returned"]),
    hostile("hoard_bodies", r#"{"count":90}"#, &["returned", "handle_limit", "hostcall_limit", "copy_limit"]),
    hostile(
        "hoard_fields",
        r#"{"count":90,"bytes":60000}"#,
        &["returned", "handle_limit", "hostcall_limit", "copy_limit"],
    ),
    hostile("keep_forever", "{}", &["returned", "hostcall_limit"]),
    hostile("keep_and_multiply", "{}", &["returned", "hostcall_limit", "memory_limit", "guest_trap"]),
    hostile("keep_then_trap", r#"{"key":"k","value":"never kept"}"#, &["guest_trap"]),
    in_a_folder("open_many", r#"{"path":"a.txt"}"#, &["returned", "handle_limit", "hostcall_limit"]),
    in_a_folder("write_forever", r#"{"path":"b.txt"}"#, &["returned"]),
    // All calls share a folder: in the end every name is there, and it is the host calls that run out and not the files.
    in_a_folder("create_forever", r#"{"path":"."}"#, &["returned", "hostcall_limit"]),
];

/// What is timed: a call that computes a little, and one that sees the world's edge and prints.
pub(crate) const POLITE: [Work; 2] = [
    Work {
        guest: Guest::Polite,
        operation: "compute",
        arguments: r#"{"steps":1000}"#,
        folder: Folder::No,
        ends: &["returned"],
    },
    Work {
        guest: Guest::Polite,
        operation: "print",
        arguments: r#"{"stdout_bytes":100,"stderr_bytes":10}"#,
        folder: Folder::No,
        ends: &["returned"],
    },
];

impl Work {
    /// Whether it may end so. On a busy machine each attack may meet its deadline first.
    pub(crate) fn may_end(&self, outcome: &str) -> bool {
        let in_time = self.ends.contains(&outcome);
        in_time || (self.guest == Guest::Hostile && outcome == "deadline_exceeded")
    }

    /// Small for attacks; the polite ones have the usual.
    pub(crate) fn limits(&self) -> Limits {
        match self.guest {
            Guest::Polite => Limits::STANDARD,
            Guest::Hostile => Limits {
                fuel: Fuel(50_000_000),
                deadline: Millis(200),
                memory: Bytes(8 << 20),
                host_calls: 5_000,
                fs_write_bytes: Bytes(1 << 20),
                fs_files: 20,
                handles: 100,
                ..Limits::STANDARD
            },
        }
    }
}

/// Chooses without a pattern, and the same way each time.
pub(crate) struct Dice(u64);

impl Dice {
    /// One for each caller.
    pub(crate) fn new(caller: u64) -> Self {
        Self(caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of them.
    pub(crate) fn choose<'w>(&mut self, from: &'w [Work]) -> &'w Work {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        &from[(self.0 % from.len() as u64) as usize]
    }
}
