//! What only a test build has must not be in the program that people use.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::given;

#[test]
fn a_build_for_use_cannot_switch_a_defence_off_kill_itself_or_ask_another_resolver() {
    let program = std::fs::read(given("AGENT_HOST_TEST_RELEASELIKE_BIN")).expect("the plain build");
    let test_build = std::fs::read(given("AGENT_HOST_TEST_BIN")).expect("the test build");
    let contains = |program: &[u8], text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    for switch in [
        "AGENT_HOST_DEFENCE_OFF",
        "AGENT_HOST_DEFECT",
        "AGENT_HOST_FAILPOINT",
        "AGENT_HOST_TEST_RESOLVER",
        "AGENT_HOST_TEST_STAND_INS",
    ] {
        assert!(!contains(&program, switch), "{switch}");
        assert!(contains(&test_build, switch), "the search itself works");
    }
}
