//! `cargo xtask hostile`: attacks the built program with every case of `tests/hostile`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::check::host;
use crate::collector;
use crate::harness::{self, Programs};
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask hostile [CASE…] [--long]

Builds agent-host and the guests, installs a collector of traces, then attacks the built program with each case of
`tests/hostile`: what must come of it, its bounds on memory and time, a benign call afterwards, nothing changed outside the
grants. Cases are named by their folder, or by a beginning and `*`: `cargo xtask hostile C5 'F*'`. Without any, all run, as they
do in `test`. The format of a case is described in `tests/hostile/README.md`.

  --long   races for a minute and not for ten seconds";

/// Tells tests that race against the host to race for longer.
const LONG: &str = "AGENT_HOST_TEST_LONG";

/// Tells the test of long runs how many events one has: here the whole million, and fewer in `test`.
const EVENTS: (&str, &str) = ("AGENT_HOST_TEST_EVENTS", "1000000");

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    let (flags, cases): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| word.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| **flag != "--long") {
        bail!("unknown argument `{unknown}`\n  hint: `--help` after the verb lists its arguments");
    }
    tools::build(places, &WasmTarget::set_up(places)?)?;
    let programs = Programs::build(places)?;
    let mut suite = suite(places, &programs);
    suite.args(cases).env(EVENTS.0, EVENTS.1).env(collector::VARIABLE, collector::installed(places)?);
    if !flags.is_empty() {
        suite.env(LONG, "yes");
    }
    // It builds all tests, to run those among its cases.
    run_shown(&mut suite).and(harness::leave_plain(places))
}

/// The command that runs the suite.
pub(crate) fn suite(places: &Places, programs: &Programs) -> Command {
    let mut cargo = host(places);
    programs.tell(places, &mut cargo);
    cargo.args(["run", "--quiet", "--locked", "--bin", "hostile", "--"]);
    cargo
}
