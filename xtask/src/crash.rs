//! `cargo xtask crash`: disturbs the built program in every way that its promises about crashes cover. `cargo xtask test` runs
//! the short form.

use std::process::Command;

use anyhow::{Result, bail};

use crate::check::host;
use crate::harness::Programs;
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask crash [--short | --release-figures] [--seed N] [METHOD…]

Builds agent-host and the guests, then kills, stops, starves and fails the built program while it works, and has an independent
checker judge what it recovers: docs/crash-tests.md says what is done. The methods are failpoints, kills, two-hosts, disk, and
defects, which plants defects to see that they are caught; without one named, all run. The seed is printed, and repeats the choices.

  --short            what `test` runs, and what is run without a flag: 300 kills, 100 takeovers, each point with 3 workloads
  --release-figures  10,000 kills, 2,000 takeovers, each hit of each point with 5 workloads: hours";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|word| word == "--short") && arguments.iter().any(|word| word == "--release-figures") {
        bail!("`--short` and `--release-figures` exclude each other");
    }
    tools::build(places, &WasmTarget::set_up(places)?)?;
    let programs = Programs::build(places)?;
    run_shown(suite(places, &programs).args(arguments))
}

/// The command that runs the suite.
pub(crate) fn suite(places: &Places, programs: &Programs) -> Command {
    let mut cargo = host(places);
    programs.tell(places, &mut cargo);
    cargo.args(["run", "--quiet", "--locked", "--package", "agent-crash", "--"]);
    cargo
}
