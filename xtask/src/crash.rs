//! `cargo xtask crash`: disturbs the built program in every way that its promises about crashes cover. `cargo xtask test` runs
//! the short form.

use std::process::Command;

use anyhow::{Result, bail};

use crate::check::host;
use crate::harness::{OPTIMISED, Programs};
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask crash [--short | --release-figures] [--seed N] [--workload W1…W5] [METHOD…]

Builds agent-host and the guests, then kills, stops, starves and fails the built program while it works, and has an independent
checker judge what it recovers: docs/crash-tests.md says what is done. The methods are failpoints, kills, two-hosts, disk,
defects, which plants defects to see that they are caught, and simulation, which plays runs on a simulated disk that loses power;
without one named, all run. The seed is printed, and repeats the choices; the simulation's are always the same.

  --short            what `test` runs, and what is run without a flag: 300 kills, 100 takeovers, each point with 3 workloads,
                     20,000 simulated runs
  --release-figures  10,000 kills, 2,000 takeovers, each hit of each point with 5 workloads, 1,000,000 simulated runs: hours
  --workload W4      tries the points with this work alone, so that the hours can be spent in parts; may be given again";

/// The method that is a test of agent-host, since it simulates what is below the journal.
const SIMULATION: &str = "simulation";

/// How many seeds the simulation plays.
const SEEDS: &str = "AGENT_HOST_SIMULATION_SEEDS";
const SEEDS_SHORT: u32 = 20_000;
const SEEDS_RELEASE: u32 = 1_000_000;

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    let asks_for = |word: &str| arguments.iter().any(|argument| argument == word);
    if asks_for("--short") && asks_for("--release-figures") {
        bail!("`--short` and `--release-figures` exclude each other");
    }
    let of_suite: Vec<_> = arguments.iter().filter(|word| *word != SIMULATION).collect();
    if !asks_for(SIMULATION) || names_method(&of_suite) {
        tools::build(places, &WasmTarget::set_up(places)?)?;
        let is_release = asks_for("--release-figures");
        let programs = if is_release { Programs::build_optimised(places)? } else { Programs::build(places)? };
        run_shown(suite(places, &programs).args(&of_suite))?;
    }
    if asks_for(SIMULATION) || !names_method(&of_suite) {
        let mut simulation = if asks_for("--release-figures") { every_seed(places) } else { simulation(places) };
        run_shown(&mut simulation)?;
    }
    Ok(())
}

/// Whether a method is named, beside flags and the number of a seed.
fn names_method(words: &[&String]) -> bool {
    words.iter().any(|word| !word.starts_with('-') && word.parse::<u64>().is_err())
}

/// The command that runs the suite.
pub(crate) fn suite(places: &Places, programs: &Programs) -> Command {
    let mut cargo = host(places);
    programs.tell(places, &mut cargo);
    cargo.args(["run", "--quiet", "--locked", "--bin", "agent-crash", "--"]);
    cargo
}

/// The command that plays as many simulated runs as `test` does. Cargo's own runner plays them: nextest calls every test that a
/// name leaves out skipped, which CI does not allow.
pub(crate) fn simulation(places: &Places) -> Command {
    let mut cargo = host(places);
    cargo.args(["test", "--workspace", "--locked", "--lib", "--bins", "whenever_the_power_goes"]);
    cargo.env(SEEDS, SEEDS_SHORT.to_string());
    cargo
}

/// The same for a release: optimised, since it takes long.
fn every_seed(places: &Places) -> Command {
    let mut cargo = simulation(places);
    cargo.args(OPTIMISED).args(["--", "--nocapture"]).env(SEEDS, SEEDS_RELEASE.to_string());
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_no_method() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let names = |text: &str| names_method(&words(text).iter().collect::<Vec<_>>());
        assert!(names("--short kills"));
        assert!(!names("--release-figures --seed 17"));
    }
}
