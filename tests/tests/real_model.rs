//! A real model server with real weights, asked in the JSON tool mode through at least one real tool call to an end. The model
//! is far too small to be right: protocol, journal and metering are asserted, never wisdom.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use agent_tests::{World, tool};

#[test]
fn a_small_real_model_makes_a_real_call() {
    let Ok(url) = std::env::var("AGENT_HOST_TEST_MODEL_URL") else {
        panic!("AGENT_HOST_TEST_MODEL_URL is not set: run the tests by `cargo xtask test`")
    };
    let world = World::new();
    let calc = tool("calc");
    let said = world.run(&[
        "run",
        "--tools",
        &calc,
        "--model",
        "openai:smollm2",
        "--base-url",
        &url,
        "--tool-mode",
        "json-call-first",
        "--max-turns",
        "4",
        "What is 17 * 23?",
    ]);
    let events = world.events(&[]);
    let of_kind = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();

    // Any recorded stop is an end; an error of ours is not.
    let ended = of_kind("RunEnded");
    assert_eq!(ended.len(), 1, "{said:?}");
    let stop = ended[0]["body"]["stop"].as_str().expect("a stop reason");
    assert_ne!(stop, "error", "{said:?}");

    let replied = of_kind("ModelReplied");
    let usage = &replied[0]["body"]["reply"]["usage"];
    assert!(usage["input"].as_u64() > Some(50) && usage["output"].as_u64() > Some(0), "{usage}");
    assert_eq!(replied[0]["body"]["reply"]["calls"][0]["tool"], "calc__evaluate");

    let called = of_kind("ToolFinished");
    assert!(!called.is_empty(), "{said:?}");
    let fuel = called[0]["body"]["metering"]["fuel"]["exact"].as_u64();
    assert!(fuel > Some(1_000), "the call was made and metered: {}", called[0]);
    assert_eq!(of_kind("ToolStarted").len(), called.len());
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}
