//! The half of `cargo xtask bench` that measures the built program as a user starts it. Prints and asserts nothing: a figure
//! is of the machine it was taken on, a ratio of two figures of one run is of the program. `host/agent-sandbox/benches` is
//! the other half.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for developers at a terminal")]

mod append;
#[path = "../../../../host/agent-sandbox/benches/call/figure.rs"]
mod figure;
mod growth;
mod idle;
mod interpreters;
mod mcp;
mod memory;
mod resume;
mod script;
mod start;
mod suspended;
mod syncs;
mod turns;

/// Everything that is measured, by the names under which `cargo xtask bench` takes some of it.
const PARTS: [(&str, fn()); 8] = [
    ("turns", turns::measure),
    ("growth", growth::measure),
    ("syncs", syncs::measure),
    ("resume", resume::measure),
    ("start", start::measure),
    ("mcp", mcp::measure),
    ("interpreters", interpreters::measure),
    ("memory", memory::measure),
];

fn main() {
    if std::env::args().nth(1).as_deref() == Some(mcp::BARE) {
        return mcp::bare();
    }
    println!(
        "Medians, and in brackets the lowest and the highest of the repetitions. Ratios are taken in each repetition.\n"
    );
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    for (_, measure) in PARTS.iter().filter(|(name, _)| is_wanted(name)) {
        measure();
    }
}
