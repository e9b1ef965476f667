//! `cargo xtask check`: what can be said about the code without running it. The cheapest and likeliest to fail goes first.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::places::Places;
use crate::process::{cargo, run_shown, run_within};
use crate::report::{Attempt, Report};
use crate::tools::cargo_in_tools;
use crate::wasm_target::WasmTarget;
use crate::{at_once, dev_tool, expect_only, features};

pub(crate) const HELP: &str = "\
cargo xtask check [--quick]

Checks format, spelling, lints, documentation, licences and where dependencies come from, in the host workspace and in the
guest workspace, and that the host's tests ask no more of dependencies than the program. Warnings are errors. Its programs are
installed below the user's cache folder at their first use.

  --quick   leave licences and dependencies out";

/// How much is checked and tested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What a change is likely to break.
    Quick,
    /// What CI runs.
    Full,
}

impl Depth {
    /// Reads the arguments of a verb that has `--quick` and no other.
    pub(crate) fn from_arguments(arguments: &[String]) -> Result<Self> {
        expect_only(&["--quick"], arguments)?;
        Ok(if arguments.is_empty() { Self::Full } else { Self::Quick })
    }
}

/// The database of advisories is a git repository that not every network reaches.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(60);

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    let depth = Depth::from_arguments(arguments)?;
    let mut report = Report::new();
    let outcome = at_first(places, &mut report)
        .and_then(|()| by_programs_of_others(places, depth, &mut report))
        .and_then(|()| without_compiling(places, &mut report));
    report.print_steps();
    outcome
}

/// What needs neither a compiler nor a program of others.
pub(crate) fn at_first(places: &Places, report: &mut Report) -> Result<()> {
    report.step("format", || format(places))?;
    report.step("features of dependencies", || features::agree(places))
}

/// What programs check that have to be brought along first. They are awaited much more than they work, so `test` compiles meanwhile.
pub(crate) fn by_programs_of_others(places: &Places, depth: Depth, report: &mut Report) -> Result<()> {
    report.step("spelling", || run_shown(Command::new(dev_tool::typos(places)?).current_dir(&places.repo)))?;
    if depth == Depth::Full {
        report.step("licences and sources of dependencies", || licences(places))?;
        report.attempt("advisories about dependencies", || advisories(places))?;
    }
    Ok(())
}

/// What a compiler says without compiling. `test` asks it while it compiles: [`at_once`].
fn without_compiling(places: &Places, report: &mut Report) -> Result<()> {
    report.step("lints of the host", || lints(host(places).args(["clippy", "--workspace"])))?;
    report.step("lints of the host, all features", || {
        lints(host(places).args(["clippy", "--workspace", "--all-features"]))
    })?;
    report
        .step("lints of the guests' native code", || lints(cargo_in_tools(places).args(["clippy", "--workspace"])))?;
    report.step("documentation", || documentation(host(places)))?;
    report.step("documentation of the guests", || documentation(cargo_in_tools(places)))?;
    let target = report.step("wasm target", || WasmTarget::set_up(places))?;
    report.step("lints of the components", || component_lints(places, &target))
}

/// A cargo that works in the host workspace.
pub(crate) fn host(places: &Places) -> Command {
    let mut command = cargo();
    command.current_dir(&places.repo);
    at_once::lint_and_document(places, &mut command);
    command
}

fn format(places: &Places) -> Result<()> {
    run_shown(host(places).args(["fmt", "--all", "--check"]))?;
    run_shown(cargo_in_tools(places).args(["fmt", "--all", "--check"]))
}

fn lints(clippy: &mut Command) -> Result<()> {
    run_shown(clippy.args(["--locked", "--all-targets", "--", "--deny", "warnings"]))
}

fn component_lints(places: &Places, target: &WasmTarget) -> Result<()> {
    let mut clippy = cargo_in_tools(places);
    target.prepare(&mut clippy);
    clippy.args(["clippy", "--workspace", "--locked", "--release", "--target", "wasm32-wasip2"]);
    run_shown(clippy.args(["--", "--deny", "warnings"]))
}

/// Of one workspace.
pub(crate) fn documentation(mut cargo: Command) -> Result<()> {
    cargo.env("RUSTDOCFLAGS", "--deny warnings");
    run_shown(cargo.args(["doc", "--workspace", "--no-deps", "--locked"]))
}

fn licences(places: &Places) -> Result<()> {
    deny(places, &[], &["bans", "licenses", "sources"])
}

fn advisories(places: &Places) -> Result<Attempt> {
    let mut fetch = Command::new(dev_tool::cargo_deny(places)?);
    fetch
        .args(["--log-level", "off", "fetch", "db"])
        .current_dir(&places.repo)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if run_within(ADVISORIES_LIMIT, &mut fetch).is_err() {
        return Ok(Attempt::Impossible("their database cannot be fetched".into()));
    }
    deny(places, &["--offline"], &["advisories"])?;
    Ok(Attempt::Done)
}

/// Runs checks of cargo-deny on both workspaces.
fn deny(places: &Places, options: &[&str], checks: &[&str]) -> Result<()> {
    for workspace in [&places.repo, &places.tools] {
        let mut deny = Command::new(dev_tool::cargo_deny(places)?);
        deny.current_dir(&places.repo).arg("--manifest-path").arg(workspace.join("Cargo.toml"));
        deny.args(["--config", "deny.toml", "--workspace", "--locked"]).args(options);
        deny.args(["check", "--hide-inclusion-graph"]);
        run_shown(deny.args(checks))?;
    }
    Ok(())
}
