//! The half of `cargo xtask bench` that measures the built program as a user starts it. Prints and asserts nothing: a figure
//! is of the machine it was taken on, a ratio of two figures of one run is of the program. `host/agent-sandbox/benches` is
//! the other half.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for developers at a terminal")]

mod append;
#[path = "../../../../host/agent-sandbox/benches/call/figure.rs"]
mod figure;
mod growth;
mod idle;
mod mcp;
mod memory;
mod resume;
mod script;
mod start;
mod syncs;
mod turns;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(mcp::BARE) {
        return mcp::bare();
    }
    println!(
        "Medians, and in brackets the lowest and the highest of the repetitions. Ratios are taken in each repetition.\n"
    );
    turns::measure();
    growth::measure();
    syncs::measure();
    resume::measure();
    start::measure();
    mcp::measure();
    memory::measure();
}
