//! Runs a soak for a number of minutes, and fails where something was left behind, memory kept growing, or a call ended as it
//! should not.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_soak::{Plan, run};

/// Where `cargo xtask` says that the guests are.
const GUESTS: &str = "AGENT_HOST_TEST_GUESTS";

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).and_then(|word| word.parse::<f64>().ok());
    let (Some(minutes), Some(guests)) = (minutes, std::env::var_os(GUESTS).map(PathBuf::from)) else {
        return ExitCode::FAILURE;
    };
    let findings = run(Plan::lasting(Duration::from_secs_f64(minutes * 60.0)), &guests);
    findings.print();
    let held = findings.is_settled() && findings.is_steady() && findings.surprises().is_empty();
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
