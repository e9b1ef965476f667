//! What `--log` says, for developers.

use agent_tests::{World, tool};

const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "files.list", arguments = { path = "." } }]
[[reply]]
text = "done"
"#;

/// A call that was granted a folder runs on the guests' threads: what is logged there is told apart all the same.
#[test]
fn every_line_of_a_call_names_its_run_and_its_call() {
    let world = World::new();
    world.write("docs/a.txt", "one");
    world.write("replies.toml", SCRIPT);
    let files = tool("files");
    let log = ["--log", "agent_host=info,agent_sandbox=debug"];
    let run = ["run", "--tools", &files, "--allow-read", "docs", "--model", "scripted:replies.toml", "go"];
    let said = world.run(&[&log[..], &run].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    let of_call =
        |line: &&str| line.contains(" run{run=") && line.contains("}:call{call=1 tool=files.list attempt=1}: ");
    let told: Vec<_> = said.err.lines().filter(of_call).collect();
    for event in ["the guest ended", "call ended"] {
        assert_eq!(told.iter().filter(|line| line.contains(event)).count(), 1, "{event}: {}", said.err);
    }
}
