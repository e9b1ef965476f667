//! `[exports]` of a manifest in the built program: a tool calls the function that its own manifest means, whoever else has the
//! same bytes, and in a run that goes on without any manifest.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::mcp::{Session, text};
use agent_tests::{World, guest};
use serde_json::json;

/// A tool of the plain component, of which one function is offered, as `run`.
fn renamed(world: &World, name: &str, function: &str) {
    let manifest = format!(
        "[tool]\nname = \"{name}\"\nversion = \"1\"\ndescription = \"Runs.\"\n[exports]\nonly = [\"{function}\"]\n\
         [[exports.tool]]\nfunction = \"{function}\"\nname = \"run\"\n"
    );
    world.write(&format!("tools/{name}/tool.toml"), manifest);
    std::fs::copy(guest("plain"), world.work().join(format!("tools/{name}/{name}.wasm"))).expect("a component");
}

fn two_of_the_same_bytes(world: &World) {
    renamed(world, "alpha", "add");
    renamed(world, "beta", "greet");
}

#[test]
fn the_same_bytes_under_two_names_are_each_what_their_manifest_says() {
    let world = World::new();
    two_of_the_same_bytes(&world);
    let mut session = Session::start(&world, &["--tools", "tools"]);
    let sum = session.call("alpha__run", &json!({ "a": 40, "b": 2 }));
    assert_eq!(text(&sum), "42", "{sum}");
    let greeting = session.call("beta__run", &json!({ "name": "Ada" }));
    assert_eq!(text(&greeting), "hello, Ada", "{greeting}");
    let hidden = session.call("alpha__add", &json!({ "a": 40, "b": 2 }));
    assert_eq!(hidden["code"], -32602, "{hidden}");
}

const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [
  { tool = "alpha.run", as = "sum", arguments = { a = 40, b = 2 } },
  { tool = "beta.run", as = "greeting", arguments = { name = "Ada" } },
]
[[reply]]
text = "{{ sum }}, {{ greeting }}"
"#;

/// The manifests are not in the journal, and are gone by then.
#[test]
fn a_run_that_goes_on_calls_the_functions_that_it_was_locked_to() {
    let world = World::new();
    two_of_the_same_bytes(&world);
    let model = format!("scripted:{}", world.write("replies.toml", SCRIPT).display());
    let run = ["run", "--tools", "tools", "--model", &model, "go"];
    let killed = world.start(&run, &[("AGENT_HOST_FAILPOINT", "tool-started#1")]).wait_with_output();
    assert_eq!(killed.expect("it ends").status.code(), None, "it is killed");
    std::fs::remove_dir_all(world.work().join("tools")).expect("the tools go");
    let resumed = world.run(&["resume"]);
    assert_eq!(resumed.out.trim(), "42, hello, Ada", "{}", resumed.err);
    let replayed = world.run(&["journal", "replay"]);
    assert!(!replayed.err.contains("not loaded"), "{replayed:?}");
}
