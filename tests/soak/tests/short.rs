//! A quarter of a minute of the soak, so that it cannot rot. What noise can break is asserted loosely.

use std::path::PathBuf;
use std::time::Duration;

use agent_soak::{Plan, run};

/// An ordinary call takes a millisecond; a host that attacks can stop takes seconds.
const POLITE_P99_MAX: Duration = Duration::from_secs(1);

/// The pool may fill; a leak of one instance in each of thousands of attacks would be gigabytes.
const GROWTH_MIB_MAX: f64 = 200.0;

#[test]
fn attacks_leave_nothing_behind() {
    let guests = std::env::var_os("AGENT_HOST_TEST_GUESTS").map(PathBuf::from);
    let guests = guests.unwrap_or_else(|| panic!("AGENT_HOST_TEST_GUESTS is not set: run `cargo xtask test`"));
    let findings = run(Plan::lasting(Duration::from_secs(15)), &guests);
    findings.print();
    assert_eq!(findings.surprises(), Vec::<String>::new());
    assert!(findings.is_settled(), "{:?}, then {:?}", findings.before, findings.after);
    assert!(findings.mixed.percentile(0.99) < POLITE_P99_MAX);
    assert!(findings.after.resident_mib - findings.before.resident_mib < GROWTH_MIB_MAX);
}
