//! `cargo xtask test`: everything CI runs, in an order that fails early.

use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use anyhow::Result;

use crate::at_once;
use crate::check::{self, Depth, host};
use crate::crash;
use crate::fuzz;
use crate::harness::{self, Programs, TEST_FEATURES};
use crate::hostile;
use crate::languages;
use crate::places::Places;
use crate::process::{answers, run_shown};
use crate::report::Report;
use crate::surroundings::Surroundings;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask test [--quick]

Runs everything CI runs: what `check` does, `setup`, `tools`, the native tests of the guests, and all tests of the host workspace
against the built program, the built tools, a real model server, a real collector, compilers of other languages, and the official
clients and conformance suite of the Model Context Protocol, and the hostile suite; then it gives each fuzz target ten seconds,
and runs the short form of the crash harness. Our crates are linted and documented while they are compiled, which reads each
dependency once and not twice. Half as many tests again as there are processors run at a time. Stops at the first step that
fails. cargo-nextest is used where it is installed. The summary comes last, closed by one line: N passed, N failed.

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
    check::at_first(places, report)?;
    let target = report.step("wasm target", || WasmTarget::set_up(places))?;
    let places = &places.checked_at_once()?;
    guests_and_checks(places, &target, depth, report)?;
    report.tests("native tests of the guests", &mut tests(tools::cargo_in_tools(places)))?;
    let (programs, around) = programs_and_surroundings(places, depth, report)?;
    report.step("tools and test guests, put in place", || tools::put_in_place(places))?;
    report.step("tools in other languages", || languages::build_tools(places, || programs.plain(places)))?;
    let tested = tests_of_programs(places, &programs, &around, report);
    tested.and(harness::leave_plain(places))?;
    if depth == Depth::Full {
        fuzz::step(places, report)?;
    }
    report.tests(
        "examples in the host's documentation",
        host(places).args(["test", "--workspace", "--locked", "--doc", "--features", TEST_FEATURES]),
    )?;
    let mut guest_examples = tools::cargo_in_tools(places);
    report.tests(
        "examples in the guests' documentation",
        guest_examples.args(["test", "--workspace", "--locked", "--doc"]),
    )?;
    report.tests("simulated loss of power", crash::simulation(places).args(["--features", TEST_FEATURES]))?;
    // Last: it takes the longest.
    report.tests("crash harness", crash::suite(places, &programs).arg("--short"))
}

/// Both at a time: the one waits for the compiler, the other for the network.
fn guests_and_checks(places: &Places, target: &WasmTarget, depth: Depth, report: &mut Report) -> Result<()> {
    thread::scope(|scope| {
        let beside = scope.spawn(|| {
            let mut report = Report::new();
            let outcome = check::by_programs_of_others(places, depth, &mut report);
            (report, outcome)
        });
        let compiled = report.step("tools and test guests, their lints and docs", || tools::compile(places, target));
        let (steps, checked) = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
        report.add(steps);
        checked.and(compiled)
    })
}

/// The same of the host.
fn programs_and_surroundings(places: &Places, depth: Depth, report: &mut Report) -> Result<(Programs, Surroundings)> {
    thread::scope(|scope| {
        let around = scope.spawn(|| Surroundings::bring(places, depth));
        report.step("agent-host and its tests, their lints and docs", || {
            let mut build = host(places);
            at_once::tests_are_built_too(&mut build);
            build.args(["build", "--workspace", "--all-targets", "--locked", "--features", TEST_FEATURES]);
            run_shown(&mut build)
        })?;
        let programs = report.step("agent-host as users have it", || Programs::beside_workspace(places))?;
        let around = report.step("what the tests need around it, begun with the build", || {
            around.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        Ok((programs, around))
    })
}

fn tests_of_programs(places: &Places, programs: &Programs, around: &Surroundings, report: &mut Report) -> Result<()> {
    let mut of_host = tests(host(places));
    of_host.args(["--features", TEST_FEATURES]);
    programs.tell(places, &mut of_host);
    around.tell(&mut of_host);
    report.tests("tests of the host", &mut of_host)?;
    // Its cases that are Rust tests were run by the step before.
    report.tests("hostile suite", hostile::suite(places, programs).arg("--coded-ran-before"))
}

/// All tests of a workspace but those in its documentation, which nextest does not run.
fn tests(mut cargo: Command) -> Command {
    let at_once = tests_at_once().to_string();
    if has_nextest() {
        cargo.args(["nextest", "run"]).env("NEXTEST_TEST_THREADS", at_once);
    } else {
        // As nextest does: not the benchmark, which these features would have run as if it were a test.
        cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"]);
        cargo.env("RUST_TEST_THREADS", at_once);
    }
    cargo.args(["--workspace", "--locked"]);
    cargo
}

/// Half as many again as there are processors: much of what tests do is to wait, for a deadline or for somebody who does not answer.
fn tests_at_once() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors + processors.div_ceil(2)
}

fn has_nextest() -> bool {
    answers(Command::new("cargo-nextest").arg("nextest"))
}
