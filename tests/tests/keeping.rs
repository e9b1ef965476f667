//! What tools keep from call to call: with the call's record or not at all, whatever ends the call or the host.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use agent_tests::{World, tool};
use serde_json::{Value, json};

/// SIGKILL's number: how the failpoint ends the host.
const KILLED: i32 = 9;

/// One call of a tool of `notes`, outside any run.
fn call(world: &World, operation: &str, arguments: &Value, more: &[&str]) -> Value {
    let (notes, arguments) = (tool("notes"), arguments.to_string());
    let operation = format!("notes.{operation}");
    let words = [&["tool", "call", "--json", "--tools", &notes], more, &[&operation, &arguments]].concat();
    let said = world.run(&words);
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// What a call returned.
fn returned(world: &World, operation: &str, arguments: &Value) -> Value {
    let called = call(world, operation, arguments, &["--allow-kv", "notes"]);
    called["outcome"]["returned"]["content"][0]["json"].clone()
}

fn note(world: &World) -> Value {
    returned(world, "recall", &json!({"name": "list"}))["text"].clone()
}

/// A run that adds a line to a note and says how many notes there are.
fn adding(world: &World) -> Vec<String> {
    let script = r#"
version = 1
[[reply]]
calls = [{ tool = "notes.remember", as = "kept", arguments = { name = "list", text = "one more", append = true } }]
[[reply]]
text = "{{ kept/notes }}"
"#;
    let (model, notes) = (format!("scripted:{}", world.write("replies.toml", script).display()), tool("notes"));
    let words = ["run", "--tools", &notes, "--allow-kv", "notes", "--model", &model, "go"];
    words.map(str::to_owned).to_vec()
}

fn run(world: &World, arguments: &[String]) -> String {
    world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok()
}

fn killed_at(world: &World, arguments: &[String], failpoint: &str) {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let child = world.start(&arguments, &[("AGENT_HOST_FAILPOINT", failpoint)]);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.signal(), Some(KILLED), "{failpoint}: {:?}", world.said(&output));
}

#[test]
fn notes_outlive_calls_and_runs() {
    let world = World::new();
    let kept = returned(&world, "remember", &json!({"name": "list", "text": "milk", "tags": ["Shop"]}));
    assert_eq!(kept, json!({"name": "list", "created": true, "notes": 1}));
    assert_eq!(run(&world, &adding(&world)).trim(), "1");
    assert_eq!(note(&world), "milk\none more");
    let found = returned(&world, "search", &json!({"query": "MILK", "tag": "shop"}));
    assert_eq!((&found["found"][0]["name"], &found["more"]), (&json!("list"), &json!(0)));
    assert_eq!(returned(&world, "list", &json!({}))["notes"][0]["begins"], "milk");
    assert_eq!(returned(&world, "forget", &json!({"name": "list"}))["notes"], 0);
    assert_eq!(note(&world), Value::Null);
    let mode = |name: &str| world.work().join(name).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(".agent-host"), mode(".agent-host/journal.db")), (0o700, 0o600));
    assert_eq!(World::new().read(".agent-host/journal.db"), None);
}

#[test]
fn without_a_grant_nothing_is_kept_and_the_refusal_says_what_would_allow_it() {
    let world = World::new();
    let refused = call(&world, "remember", &json!({"name": "list", "text": "milk"}), &[]);
    let told = refused["outcome"]["failed"]["message"].as_str().expect("an error of the tool");
    assert!(told.contains("--allow-kv notes"), "{told}");
    let effect = &refused["effects"][0];
    let deny = &effect["decision"]["deny"];
    assert_eq!(
        (&deny["refusal"], &effect["class"], &effect["egress"]),
        (&json!("kv_denied"), &json!("read"), &json!(false))
    );
    assert!(deny["hint"].as_str().expect("a hint").contains("or run with `--allow-kv notes`"), "{deny}");
    assert!(!world.work().join(".agent-host").exists(), "nothing was begun");
}

#[test]
fn a_read_grant_reads_and_does_not_change() {
    let world = World::new();
    returned(&world, "remember", &json!({"name": "list", "text": "milk"}));
    let policy = "grant = [{ tool = \"notes\", kv = \"read\" }]";
    let policy = world.write("policy.toml", policy).display().to_string();
    let reading = call(&world, "recall", &json!({"name": "list"}), &["--policy", &policy]);
    assert_eq!(reading["outcome"]["returned"]["content"][0]["json"]["text"], "milk");
    let writing = call(&world, "forget", &json!({"name": "list"}), &["--policy", &policy]);
    let refused =
        writing["effects"].as_array().expect("effects").last().expect("an effect")["decision"]["deny"].clone();
    assert_eq!(refused["refusal"], "kv_denied");
    assert!(refused["rule"].as_str().expect("a rule").contains("policy.toml:1 allows only to read store `default`"));
    assert_eq!(note(&world), "milk");
}

#[test]
fn killed_before_its_record_a_call_has_kept_nothing_and_after_it_everything_once() {
    for (instant, before_resume) in
        [("tool-started#1", None), ("tool-returned#1", None), ("tool-finished#1", Some("one more"))]
    {
        let world = World::new();
        killed_at(&world, &adding(&world), instant);
        assert_eq!(note(&world), before_resume.map_or(Value::Null, Value::from), "{instant}");
        let resumed = world.run(&["resume"]);
        assert_eq!(resumed.out.trim(), "1", "{instant}: {}", resumed.err);
        assert_eq!(note(&world), "one more", "{instant}: kept once");
    }
}

#[test]
fn calls_of_one_turn_see_each_other_in_their_order() {
    let world = World::new();
    let line = |text: &str| {
        format!("{{ tool = \"notes.remember\", arguments = {{ name = \"list\", text = \"{text}\", append = true }} }}")
    };
    let calls: Vec<String> = ["a", "b", "c", "d"].map(line).to_vec();
    let script = format!("version = 1\n[[reply]]\ncalls = [{}]\n[[reply]]\ntext = \"done\"\n", calls.join(", "));
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let said = world.run(&["run", "--tools", &tool("notes"), "--allow-kv", "notes", "--model", &model, "go"]);
    assert_eq!(said.out.trim(), "done", "{}", said.err);
    assert_eq!(note(&world), "a\nb\nc\nd");
}

#[test]
fn a_store_that_is_full_says_so() {
    let world = World::new();
    let policy = "grant = [{ tool = \"notes\", kv = \"write\", limits = { kv_bytes = \"200B\" } }]";
    let policy = world.write("policy.toml", policy).display().to_string();
    let full = call(&world, "remember", &json!({"name": "list", "text": "x".repeat(300)}), &["--policy", &policy]);
    let told = full["outcome"]["failed"]["message"].as_str().expect("an error of the tool");
    assert!(told.contains("kv_quota: store `default` would hold"), "{told}");
    let effects = full["effects"].as_array().expect("effects");
    assert_eq!(effects.last().expect("an effect")["decision"]["deny"]["refusal"], "kv_quota");
    assert_eq!(note(&world), Value::Null);
}
