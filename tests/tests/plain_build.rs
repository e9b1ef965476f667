//! What only a test build has must not be in the program that people use.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::given;

#[test]
fn a_build_for_use_cannot_switch_a_defence_off_kill_itself_or_ask_another_resolver() {
    // As text, however little of it is: the search for text is one that the standard library brings compiled.
    let words = |name| {
        let program = std::fs::read(given(name)).expect("a build");
        String::from_utf8_lossy(&program).into_owned()
    };
    let (program, test_build) = (words("AGENT_HOST_TEST_RELEASELIKE_BIN"), words("AGENT_HOST_TEST_BIN"));
    for switch in [
        "AGENT_HOST_CHECKPOINT_EVERY",
        "AGENT_HOST_DEFENCE_OFF",
        "AGENT_HOST_DEFECT",
        "AGENT_HOST_FAILPOINT",
        "AGENT_HOST_TEST_RESOLVER",
        "AGENT_HOST_TEST_STAND_INS",
    ] {
        assert!(!program.contains(switch), "{switch}");
        assert!(test_build.contains(switch), "the search itself works");
    }
}
