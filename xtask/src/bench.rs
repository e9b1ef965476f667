//! `cargo xtask bench`: measures, in release builds. Numbers are for the machine they were taken on.

use anyhow::Result;

use crate::check::host;
use crate::expect_only;
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask bench

Builds the tools and measures what the sandbox adds to a bare call, in a release build. Close other programs first.";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    tools::build(places, &WasmTarget::set_up(places)?)?;
    // By a pattern: without it the unit tests would be run as benchmarks too.
    run_shown(host(places).args(["bench", "--locked", "--package", "agent-sandbox", "--bench", "*"]))
}
