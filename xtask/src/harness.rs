//! What the tests and benchmarks of the built program are told: where it is, and where tools and guests are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::at_once;
use crate::check::host;
use crate::places::Places;
use crate::process::{run, run_shown};

/// Has cargo optimise what is ours as well. A release build would compile every dependency anew.
pub(crate) const OPTIMISED: [&str; 6] = [
    "--config",
    "profile.dev.package.agent-core.opt-level=2",
    "--config",
    "profile.dev.package.agent-sandbox.opt-level=2",
    "--config",
    "profile.dev.package.agent-host.opt-level=2",
];

/// What test builds have beyond the program that people use, and what the benchmark of the sandbox and its example ask for.
pub(crate) const TEST_FEATURES: &str = "agent-host/failpoints,agent-sandbox/switchable-layers";

/// What a program that kills itself has beyond the other.
const FAILPOINTS: [&str; 2] = ["--features", "agent-host/failpoints"];

/// The two programs under test.
pub(crate) struct Programs {
    /// As users have it.
    plain: PathBuf,
    /// With named places at which it kills itself.
    failpoints: PathBuf,
}

impl Programs {
    /// Builds both. They share every dependency; only agent-host and its sandbox are compiled twice.
    pub(crate) fn build(places: &Places) -> Result<Self> {
        Self::build_with(places, &[])
    }

    /// Builds both for figures that take hours.
    pub(crate) fn build_optimised(places: &Places) -> Result<Self> {
        Self::build_with(places, &OPTIMISED)
    }

    /// Takes the one that a build of the workspace with [`TEST_FEATURES`] left, and builds the other.
    pub(crate) fn beside_workspace(places: &Places) -> Result<Self> {
        let failpoints = copied_away(places, "failpoints")?;
        let mut build = host(places);
        at_once::checked_with_other_features(&mut build);
        Ok(Self { plain: build_one(places, build, "plain", &[])?, failpoints })
    }

    fn build_with(places: &Places, options: &[&str]) -> Result<Self> {
        // The plain one last: it is what stays in the target folder.
        let failpoints = build_one(places, host(places), "failpoints", &[&FAILPOINTS, options].concat())?;
        Ok(Self { plain: build_one(places, host(places), "plain", options)?, failpoints })
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
        command.env("AGENT_HOST_TEST_FEATURES", TEST_FEATURES);
    }
}

/// Puts the program that people use back into the target folder, where a build of the tests left theirs.
pub(crate) fn leave_plain(places: &Places) -> Result<()> {
    run(host(places).args(["build", "--quiet", "--locked", "--package", "agent-host"]))
}

/// Builds one and copies it away, since the next build puts another in its place.
fn build_one(places: &Places, mut build: Command, name: &str, options: &[&str]) -> Result<PathBuf> {
    run_shown(build.args(["build", "--locked", "--package", "agent-host"]).args(options))?;
    copied_away(places, name)
}

fn copied_away(places: &Places, name: &str) -> Result<PathBuf> {
    let folder = places.target.join("test-programs").join(name);
    fs::create_dir_all(&folder)?;
    let (from, to) = (places.target.join("debug/agent-host"), folder.join("agent-host"));
    let partial = folder.join("agent-host.partial");
    fs::copy(&from, &partial).with_context(|| format!("the build left no `{}`", from.display()))?;
    // Renamed into place: one that still runs cannot be written over.
    fs::rename(&partial, &to)?;
    Ok(to)
}
