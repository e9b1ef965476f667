//! `cargo xtask bench`: measures, in release builds. Numbers are for the machine they were taken on.

use anyhow::{Result, ensure};

use crate::check::host;
use crate::expect_only;
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask bench

Builds everything for release, then measures the sandbox (`cargo bench --package agent-sandbox`) and the built program
(the `bench` program of `tests/`). Close other programs first.";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    let sandbox = places.repo.join("host/agent-sandbox/benches").is_dir();
    let program =
        ["tests/src/bin/bench.rs", "tests/src/bin/bench/main.rs"].iter().any(|file| places.repo.join(file).is_file());
    ensure!(sandbox || program, "this checkout has no benchmarks");
    tools::build(places, &WasmTarget::set_up(places)?)?;
    if sandbox {
        let mut bench = host(places);
        bench.env("AGENT_HOST_TEST_TOOLS", &places.tools).env("AGENT_HOST_TEST_GUESTS", &places.guests);
        run_shown(bench.args(["bench", "--locked", "--package", "agent-sandbox"]))?;
    }
    if program {
        run_shown(host(places).args(["build", "--locked", "--release", "--package", "agent-host"]))?;
        let mut bench = host(places);
        bench.env("AGENT_HOST_TEST_BIN", places.target.join("release/agent-host"));
        bench.env("AGENT_HOST_TEST_TOOLS", &places.tools).env("AGENT_HOST_TEST_GUESTS", &places.guests);
        run_shown(bench.args(["run", "--locked", "--release", "--package", "agent-tests", "--bin", "bench"]))?;
    }
    Ok(())
}
