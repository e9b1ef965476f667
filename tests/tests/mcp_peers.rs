//! The conformance suite of the Model Context Protocol and its official Python and TypeScript clients, against the built program
//! and through the sandbox. `cargo xtask mcp` and `cargo xtask test` bring them along.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured and left out"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use agent_tests::mcp::Listening;
use agent_tests::{World, given, guest, repository};
use serde::Deserialize;
use serde_json::{Value, json};

/// What does not apply, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    revisions: Vec<String>,
    excluded: BTreeMap<String, String>,
    checks: BTreeMap<String, String>,
}

/// The checks that failed, in what the suite says of a scenario: `TIME [NAME  ] FAILURE what it is about`, in colours.
fn failed_checks(said: &str) -> BTreeSet<String> {
    let of_line = |line: &str| {
        let (before, _) = line.split_once("FAILURE")?;
        let (_, named) = before.split_once(" [")?;
        Some(named.split([' ', ']']).next()?.to_owned())
    };
    said.lines().filter_map(of_line).collect()
}

fn suite() -> Command {
    let mut command = Command::new(given("AGENT_HOST_TEST_NODE"));
    let packages = given("AGENT_HOST_TEST_NODE_PACKAGES");
    command.arg(packages.join("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    command
}

/// The server scenarios of the suite, each with its revisions.
fn scenarios() -> BTreeMap<String, BTreeSet<String>> {
    let listed = suite().arg("list").output().expect("the suite starts");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let of_servers = text.lines().skip_while(|line| !line.starts_with("Server scenarios")).skip(1);
    let of_servers = of_servers.take_while(|line| line.trim_start().starts_with('-'));
    let read = |line: &str| {
        let (name, revisions) = line.trim_start_matches([' ', '-']).split_once(" [")?;
        let revisions = revisions.trim_end_matches(']').split(',').map(|one| one.trim().to_owned()).collect();
        Some((name.to_owned(), revisions))
    };
    of_servers.filter_map(read).collect()
}

#[test]
fn the_conformance_suite_passes() {
    let file = repository().join("tests/mcp/conformance.toml");
    let form: Form = toml::from_str(&std::fs::read_to_string(file).expect("the exclusions")).expect("a form");
    let all = scenarios();
    assert!(all.len() > 30, "the suite lists few scenarios: {all:?}");
    let unknown: Vec<_> = form.excluded.keys().filter(|name| !all.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "the suite has no such scenarios: {unknown:?}");

    let world = World::new();
    let conformance = guest("conformance");
    let server = Listening::start(&world, &["--tools", &conformance, "--short-names", "--no-token"]);
    let url = format!("http://localhost:{}/mcp", server.address.port());
    let (mut passed, mut failed, mut excused_checks) = (0, Vec::new(), BTreeSet::new());
    for revision in &form.revisions {
        for (name, _) in all.iter().filter(|(_, revisions)| revisions.contains(revision)) {
            if let Some(reason) = form.excluded.get(name) {
                println!("{revision} {name}: left out: {reason}");
                continue;
            }
            let mut scenario = suite();
            scenario.args(["server", "--url", &url, "--scenario", name, "--spec-version", revision]);
            let ended = scenario.output().expect("the suite starts");
            let text = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
            let checks = failed_checks(&text);
            let excused = !checks.is_empty() && checks.iter().all(|check| form.checks.contains_key(check));
            excused_checks.extend(checks.into_iter().filter(|check| form.checks.contains_key(check)));
            if ended.status.success() || excused {
                println!("{revision} {name}: passed");
                passed += 1;
            } else {
                failed.push(format!("{revision} {name}:\n{text}"));
            }
        }
    }
    println!("{passed} scenarios passed, {} were left out with a reason", form.excluded.len());
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
    let idle: Vec<_> = form.checks.keys().filter(|check| !excused_checks.contains(*check)).collect();
    assert!(idle.is_empty(), "these checks do not fail: {idle:?}");
    assert!(passed >= 20, "only {passed} scenarios applied");
}

/// What a client script saw.
fn seen(mut client: Command) -> Value {
    let ended = client.output().expect("the client starts");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{out}{err}");
    serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{out}{err}"))
}

fn check(seen: &Value) {
    let tools = seen["tools"].as_array().expect("tools");
    assert!(tools.contains(&json!("test_simple_text")) && tools.contains(&json!("json_schema_2020_12_tool")), "{seen}");
    assert_eq!(seen["text"], "This is a simple text response for testing.");
    assert_eq!(seen["failed"], true);
    let progress: Vec<f64> =
        seen["progress"].as_array().into_iter().flatten().filter_map(|told| told[0].as_f64()).collect();
    assert_eq!(progress, [0.0, 0.5, 1.0], "{seen}");
    assert_eq!(seen["together"], json!(vec!["waited"; 8]), "{seen}");
}

/// The client in `script`, at the end of these words.
fn client(world: &World, program: PathBuf, script: PathBuf, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg(script).args(words).current_dir(world.work()).env("AGENT_HOST_HOME", world.home());
    command
}

fn script(name: &str) -> PathBuf {
    repository().join("tests/mcp").join(name)
}

fn python(world: &World, words: &[&str]) -> Value {
    seen(client(world, given("AGENT_HOST_TEST_MCP_PYTHON"), script("client.py"), words))
}

fn typescript(world: &World, words: &[&str]) -> Value {
    // Node.js looks for packages beside the script.
    let copy = given("AGENT_HOST_TEST_NODE_PACKAGES").join("client.mjs");
    std::fs::copy(script("client.mjs"), &copy).expect("a copy");
    seen(client(world, given("AGENT_HOST_TEST_NODE"), copy, words))
}

#[test]
fn the_official_clients_list_and_call_on_standard_input() {
    let world = World::new();
    let program = given("AGENT_HOST_TEST_BIN").display().to_string();
    let home = world.home().display().to_string();
    let conformance = guest("conformance");
    // The Python client hands on nothing of its environment.
    let through =
        ["env", &format!("AGENT_HOST_HOME={home}"), &program, "mcp", "--tools", &conformance, "--short-names"];
    for mode in ["legacy", "auto"] {
        check(&python(&world, &[&[mode, "stdio"], &through[..]].concat()));
    }
    check(&typescript(&world, &[&["stdio"], &through[..]].concat()));
}

#[test]
fn the_official_clients_list_and_call_over_http() {
    let world = World::untouched();
    let conformance = guest("conformance");
    let server = Listening::start(&world, &["--tools", &conformance, "--short-names"]);
    let (url, token) = (format!("http://{}/mcp", server.address), Listening::token(&world));
    for mode in ["legacy", "auto"] {
        check(&python(&world, &[mode, "http", &url, &token]));
    }
    check(&typescript(&world, &["http", &url, &token]));
}
