//! `cargo xtask bench`: measures, in release builds. Numbers are for the machine they were taken on.

use std::process::Command;

use anyhow::Result;

use crate::check::host;
use crate::expect_only;
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask bench

Measures what the sandbox adds to a bare call of wasmtime, what each of its layers costs, many callers at once, the memory of
live calls and the loading of a large component; and the built program: what a turn, a start, an idle run and a call over MCP cost,
beside floors that are measured in the same run. All in release builds, which take some minutes the first time. Ratios count;
a target that is missed is printed and fails nothing. Close other programs first.";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    tools::build(places, &WasmTarget::set_up(places)?)?;
    // By a pattern: without it the unit tests would be run as benchmarks too.
    run_shown(told(places).args([
        "bench",
        "--locked",
        "--package",
        "agent-sandbox",
        "--bench",
        "*",
        "--features",
        "switchable-layers",
    ]))?;
    run_shown(host(places).args(["build", "--locked", "--release", "--package", "agent-host"]))?;
    // Runs write beside the build: where temporary files live in memory, a sync would cost nothing.
    let folder = places.target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let mut program = told(places);
    program.env("AGENT_HOST_TEST_BIN", places.target.join("release/agent-host")).env("TMPDIR", folder);
    run_shown(program.args(["run", "--locked", "--release", "--package", "agent-tests", "--bin", "bench"]))
}

/// Cargo, told where tools and guests are.
fn told(places: &Places) -> Command {
    let mut cargo = host(places);
    cargo.env("AGENT_HOST_TEST_TOOLS", &places.tools).env("AGENT_HOST_TEST_GUESTS", &places.guests);
    cargo
}
