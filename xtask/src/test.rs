//! `cargo xtask test`: everything CI runs, in an order that fails early.

use std::process::Command;

use anyhow::Result;

use crate::check::{self, Depth, host};
use crate::collector;
use crate::crash;
use crate::fuzz;
use crate::harness::Programs;
use crate::hostile;
use crate::languages;
use crate::mcp;
use crate::model_server::{self, ModelServer};
use crate::places::Places;
use crate::process::answers;
use crate::report::Report;
use crate::tools;

pub(crate) const HELP: &str = "\
cargo xtask test [--quick]

Runs everything CI runs: `check`, `setup`, `tools`, the native tests of the guests, and all tests of the host workspace
against the built program, the built tools, a real model server, a real collector, compilers of other languages, and the official
clients and conformance suite of the Model Context Protocol, and the hostile suite; then it gives each fuzz target ten seconds,
and runs the short form of the crash harness. Stops at the first step that fails. cargo-nextest is used where it is installed. The
summary comes last, closed by one line: N passed, N failed.

  --quick   leave out the model server, the fuzz targets, licences and dependencies";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    let depth = Depth::from_arguments(arguments)?;
    let mut report = Report::new();
    let outcome = steps(places, depth, &mut report);
    if let Err(error) = &outcome {
        crate::talk::complain(error);
    }
    report.print_steps();
    report.print_tally();
    // The error was shown above the summary, whose last line stays the last.
    if outcome.is_err() { std::process::exit(1) } else { Ok(()) }
}

fn steps(places: &Places, depth: Depth, report: &mut Report) -> Result<()> {
    if depth == Depth::Full {
        fuzz::check_compiler()?;
    }
    let target = check::steps(places, depth, report)?;
    report.step("tools and test guests", || tools::build(places, &target))?;
    report.tests("native tests of the guests", &mut tests(tools::cargo_in_tools(places), places))?;
    let programs = report.step("agent-host", || Programs::build(places))?;
    let server = match depth {
        Depth::Full => Some(report.step("model server", || ModelServer::start(places))?),
        Depth::Quick => None,
    };
    let collector = report.step("collector", || collector::installed(places))?;
    report.step("compilers of other languages", || languages::installed(places))?;
    report.step("tools in other languages", || languages::build_tools(places, || programs.plain(places)))?;
    let peers = report.step("clients of the protocol", || mcp::Peers::installed(places))?;
    let mut host_tests = tests(host(places), places);
    peers.tell(&mut host_tests);
    programs.tell(places, &mut host_tests);
    host_tests.env(collector::VARIABLE, collector);
    match &server {
        Some(server) => drop(host_tests.env(model_server::VARIABLE, &server.url)),
        None => drop(host_tests.args(["--", "--skip", model_server::TESTS])),
    }
    report.tests("tests of the host", &mut host_tests)?;
    // Its cases that are Rust tests were run by the step before.
    report.tests("hostile suite", hostile::suite(places, &programs).arg("--coded-ran-before"))?;
    if depth == Depth::Full {
        fuzz::step(places, report)?;
    }
    report.tests(
        "examples in the host's documentation",
        host(places).args(["test", "--workspace", "--locked", "--doc"]),
    )?;
    let mut guest_examples = tools::cargo_in_tools(places);
    report.tests(
        "examples in the guests' documentation",
        guest_examples.args(["test", "--workspace", "--locked", "--doc"]),
    )?;
    report.tests("simulated loss of power", &mut crash::simulation(places))?;
    // Last: it takes the longest.
    report.tests("crash harness", crash::suite(places, &programs).arg("--short"))
}

/// All tests of a workspace but those in its documentation, which nextest does not run.
fn tests(mut cargo: Command, places: &Places) -> Command {
    if has_nextest() {
        cargo.args(["nextest", "run", "--config-file"]).arg(places.repo.join(".config/nextest.toml"));
    } else {
        cargo.args(["test", "--no-fail-fast", "--all-targets"]);
    }
    cargo.args(["--workspace", "--locked"]);
    cargo
}

fn has_nextest() -> bool {
    answers(Command::new("cargo-nextest").arg("nextest"))
}
