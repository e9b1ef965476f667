//! What the tests and benchmarks of the built program are told: where it is, and where tools and guests are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::at_once;
use crate::check::host;
use crate::places::Places;
use crate::process::run_shown;

/// Has cargo optimise what is ours as well. A release build would compile every dependency anew.
pub(crate) const OPTIMISED: [&str; 6] = [
    "--config",
    "profile.dev.package.agent-core.opt-level=2",
    "--config",
    "profile.dev.package.agent-sandbox.opt-level=2",
    "--config",
    "profile.dev.package.agent-host.opt-level=2",
];

/// What nothing else of `cargo xtask test` compiles, and it lints what it compiles: the benchmark of the sandbox, and its example.
const BENCHMARK: [&str; 9] = [
    "--package",
    "agent-sandbox",
    "--features",
    "agent-sandbox/switchable-layers",
    "--bins",
    "--bench",
    "call",
    "--example",
    "bare-mcp-server",
];

/// The two programs under test.
pub(crate) struct Programs {
    /// As users have it.
    plain: PathBuf,
    /// With named places at which it kills itself.
    failpoints: PathBuf,
}

impl Programs {
    /// Builds both. They share every dependency; only agent-host itself is compiled twice.
    pub(crate) fn build(places: &Places) -> Result<Self> {
        Self::build_with(places, &[])
    }

    /// Builds both for figures that take hours.
    pub(crate) fn build_optimised(places: &Places) -> Result<Self> {
        Self::build_with(places, &OPTIMISED)
    }

    fn build_with(places: &Places, options: &[&str]) -> Result<Self> {
        // The plain one last: it is what stays in the target folder.
        let beside: &[&str] = if places.at_once.is_some() { &BENCHMARK } else { &[] };
        let failpoints = ["--features", "agent-host/failpoints"];
        let failpoints = build_one(places, "failpoints", &[&failpoints, beside, options].concat())?;
        let plain = build_one(places, "plain", options)?;
        Ok(Self { plain, failpoints })
    }

    /// The program as users have it, with a state folder of its own.
    pub(crate) fn plain(&self, places: &Places) -> Command {
        let mut command = Command::new(&self.plain);
        command.env("AGENT_HOST_HOME", places.target.join("test-programs/home")).current_dir(&places.repo);
        command
    }

    /// Tells a test command where everything is.
    pub(crate) fn tell(&self, places: &Places, command: &mut Command) {
        command.env("AGENT_HOST_TEST_BIN", &self.failpoints);
        command.env("AGENT_HOST_TEST_RELEASELIKE_BIN", &self.plain);
        command.env("AGENT_HOST_TEST_TOOLS", &places.tools);
        command.env("AGENT_HOST_TEST_GUESTS", &places.guests);
    }
}

/// Builds one and copies it away, since the next build puts another in its place.
fn build_one(places: &Places, name: &str, options: &[&str]) -> Result<PathBuf> {
    let mut build = host(places);
    // What stands in the documentation is the same with other features.
    at_once::lint(places, &mut build);
    run_shown(build.args(["build", "--locked", "--package", "agent-host"]).args(options))?;
    let folder = places.target.join("test-programs").join(name);
    fs::create_dir_all(&folder)?;
    let (from, to) = (places.target.join("debug/agent-host"), folder.join("agent-host"));
    let partial = folder.join("agent-host.partial");
    fs::copy(&from, &partial).with_context(|| format!("the build left no `{}`", from.display()))?;
    // Renamed into place: one that still runs cannot be written over.
    fs::rename(&partial, &to)?;
    Ok(to)
}
