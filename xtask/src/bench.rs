//! `cargo xtask bench`: measures, in release builds. Numbers are for the machine they were taken on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::check::host;
use crate::expect_only;
use crate::places::Places;
use crate::process::run_shown;
use crate::wasm_target::WasmTarget;
use crate::{echoes, languages, mcp, tools};

/// The half that measures the sandbox alone, by the name under which it is asked for.
const SANDBOX: &str = "sandbox";
/// The part that needs other servers of the protocol.
const MCP: &str = "mcp";
/// The part that needs tools in other languages.
const INTERPRETERS: &str = "interpreters";
/// What can be measured.
const PARTS: [&str; 9] = [SANDBOX, "turns", "growth", "syncs", "resume", "start", MCP, INTERPRETERS, "memory"];

/// The sandbox with layers that can be left out. Built with the whole workspace: alone it asks less of its dependencies, which would be
/// compiled once more.
const LAYERS: &str = "agent-sandbox/switchable-layers";

/// A server that calls its component in a fresh sandbox and does nothing else: an example of the sandbox, which alone knows wasmtime.
const BARE_SERVER: &str = "bare-mcp-server";
/// Where the benchmark is told that it is.
const BARE_SERVER_AT: &str = "AGENT_HOST_TEST_BARE_SERVER";

pub(crate) const HELP: &str = "\
cargo xtask bench [PART …]

Measures what the sandbox adds to a bare call of wasmtime, what each of its layers costs, many callers at once, the memory of
live calls, the loading of a large component and the schemas of 200 exports; and the built program: what a turn, a start, an idle run
and a call over MCP cost, of a tool in Rust and of those with an interpreter, beside floors that are measured in the same run, the
official SDK on Node.js among them. All in release builds, which take some minutes the first time. Ratios count; a target that is missed is printed and fails nothing. Close other
programs first.

  PART   only this: sandbox, turns, growth, syncs, resume, start, mcp, interpreters, memory";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&PARTS, arguments)?;
    let is_wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|wanted| wanted == part);
    tools::build(places, &WasmTarget::set_up(places)?)?;
    if is_wanted(SANDBOX) {
        sandbox(places)?;
    }
    let parts: Vec<_> = arguments.iter().filter(|wanted| *wanted != SANDBOX).collect();
    if !arguments.is_empty() && parts.is_empty() {
        return Ok(());
    }
    run_shown(host(places).args(["build", "--locked", "--release", "--package", "agent-host"]))?;
    let program = places.target.join("release/agent-host");
    // Runs write beside the build: where temporary files live in memory, a sync would cost nothing.
    let folder = places.target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let mut bench = told(places);
    bench.env("AGENT_HOST_TEST_BIN", &program).env("TMPDIR", &folder);
    if is_wanted(MCP) {
        mcp::Peers::installed(places)?.tell(&mut bench);
        bench.env(BARE_SERVER_AT, bare_server(places)?);
    }
    if is_wanted(INTERPRETERS) {
        languages::installed(places)?;
        let author = || {
            let mut command = Command::new(&program);
            command.env("AGENT_HOST_HOME", folder.join("home")).current_dir(&places.repo);
            command
        };
        languages::build_tools(places, author)?;
        echoes::build(places, &folder.join("echoes"), author)?.tell(&mut bench);
    }
    bench.args(["run", "--locked", "--release", "--bin", "bench", "--"]);
    run_shown(bench.args(parts))
}

fn sandbox(places: &Places) -> Result<()> {
    // By a pattern: without it the unit tests would be run as benchmarks too.
    run_shown(told(places).args(["bench", "--locked", "--workspace", "--bench", "*", "--features", LAYERS]))
}

/// Builds the server.
fn bare_server(places: &Places) -> Result<PathBuf> {
    let mut build = host(places);
    build.args(["build", "--locked", "--release", "--workspace", "--example", BARE_SERVER]);
    run_shown(build.args(["--features", LAYERS]))?;
    Ok(places.target.join("release/examples").join(BARE_SERVER))
}

/// Cargo, told where tools and guests are.
fn told(places: &Places) -> Command {
    let mut cargo = host(places);
    cargo.env("AGENT_HOST_TEST_TOOLS", &places.tools).env("AGENT_HOST_TEST_GUESTS", &places.guests);
    cargo
}
