//! `agent-host crashtest` on an agent of one's own: what it prints, that it says what it does to the world first, and that the
//! user's files stay as they are. With the plain build: it is for users. The test build can have a defect planted: such a host must
//! not pass.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Output;

use agent_tests::server::{Manner, Server};
use agent_tests::{World, given, guest, repository};

const REPLIES: &str = r#"
version = 1
[[reply]]
[[reply.calls]]
tool = "polite.write_twice"
arguments = { first = "a.txt", second = "b.txt", content = "new", pause_ms = 1 }
[[reply]]
calls = [{ tool = "polite.http", arguments = { method = "POST", url = "URL/pay", body = "10" } }]
[[reply]]
text = "done: {{ call[0] }}"
"#;

const AGENT: &str = r#"
[agent]
name = "payer"
instructions = "Pay once."
model = "scripted:replies.toml"
tools = ["polite.wasm"]
[budget]
turns = 3
[[grant]]
tool = "polite"
fs = [{ host = "./data", mount = "/data", access = "write" }]
http = [{ url = "URL", methods = ["POST"] }]
"#;

fn laid_out(url: &str) -> World {
    let world = World::untouched();
    world.write("agent/replies.toml", REPLIES.replace("URL", url));
    world.write("agent/agent.toml", AGENT.replace("URL", url));
    world.write("agent/polite.wasm", std::fs::read(guest("polite")).expect("a guest"));
    world.write("agent/data/a.txt", "old");
    world
}

/// The build that users have.
fn plain(world: &World, words: &[&str]) -> Output {
    run(world, "AGENT_HOST_TEST_RELEASELIKE_BIN", words, None)
}

fn run(world: &World, program: &str, words: &[&str], defect: Option<&str>) -> Output {
    let mut command = std::process::Command::new(given(program));
    command.args(words).current_dir(world.work()).env_clear().env("AGENT_HOST_HOME", world.home()).env("NO_COLOR", "1");
    command.env("HOME", world.work()).stdin(std::process::Stdio::null());
    command.envs(defect.map(|defect| ("AGENT_HOST_DEFECT", defect)));
    command.output().expect("the program starts")
}

#[test]
fn an_agent_is_killed_everywhere_and_its_files_stay() {
    let server = Server::start(Manner::Answer("paid"));
    let world = laid_out(&server.url());

    let untrusted = plain(&world, &["crashtest", "agent/agent.toml", "--yes"]);
    assert!(world.said(&untrusted).err.contains("is not trusted"), "{untrusted:?}");
    assert!(plain(&world, &["trust", "--yes", "agent/agent.toml"]).status.success());
    let unasked = world.said(&plain(&world, &["crashtest", "agent/agent.toml"]));
    assert!(unasked.err.contains("are really made") && unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(server.hits(), 0, "nothing was done before the person said so");

    let said = world.said(&plain(&world, &["crashtest", "agent/agent.toml", "--yes", "--points", "60"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    for row in ["owned write", "undone and run again", "opaque write", "in doubt", ": nothing acknowledged was lost"] {
        assert!(said.out.contains(row), "{row}: {said:?}");
    }
    assert!(server.hits() > 2, "requests are really made");
    assert_eq!(world.read("agent/data/a.txt").as_deref(), Some("old"), "the user's files are not touched");
    assert_eq!(world.read("agent/data/b.txt"), None);
    assert!(!world.work().join("agent/.agent-host").exists(), "no run is left beside the user's agent");
}

const PAYS: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "polite.http", arguments = { method = "POST", url = "URL/pay", body = "10" } }]
[[reply]]
text = "done: {{ call[0] }}"
"#;

#[test]
fn a_keyed_write_is_sent_again_under_its_key_and_never_in_doubt() {
    let server = Server::start(Manner::Answer("paid"));
    let world = laid_out(&server.url());
    world.write("agent/replies.toml", PAYS.replace("URL", &server.url()));
    let keyed = AGENT.replace("methods = [\"POST\"]", "methods = [\"POST\"], idempotency_header = \"Idempotency-Key\"");
    world.write("agent/agent.toml", keyed.replace("URL", &server.url()));
    assert!(plain(&world, &["trust", "--yes", "agent/agent.toml"]).status.success());
    let said = world.said(&plain(&world, &["crashtest", "agent/agent.toml", "--yes", "--points", "40"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    for row in
        ["keyed write    the answer had come", "resent with the same key", "keyed write    the answer was recorded"]
    {
        assert!(said.out.contains(row), "{row}: {said:?}");
    }
    assert!(!said.out.contains("in doubt"), "{said:?}");
    assert!(server.hits() > server.acted(), "the same keys came again: {} and {}", server.hits(), server.acted());
}

/// A judge that never saw a broken host proves nothing.
#[test]
fn a_host_that_repeats_what_may_have_happened_or_forgets_what_it_used_does_not_pass() {
    for (defect, found) in [
        (None, None),
        (Some("repeat-doubt"), Some("the journal is damaged at ")),
        (Some("refund"), Some("has used less turns than the one that was killed")),
        (Some("resend-doubt"), Some("may have been sent, and was announced again without anybody's word")),
    ] {
        let server = Server::start(Manner::Answer("paid"));
        let world = laid_out(&server.url());
        world.write("agent/replies.toml", PAYS.replace("URL", &server.url()));
        assert!(plain(&world, &["trust", "--yes", "agent/agent.toml"]).status.success());
        let words = ["crashtest", "agent/agent.toml", "--yes", "--points", "20"];
        let said = world.said(&run(&world, "AGENT_HOST_TEST_BIN", &words, defect));
        assert_eq!(said.code, Some(i32::from(defect.is_some())), "{defect:?}: {said:?}");
        let judged = found.unwrap_or("nothing was repeated silently");
        assert!(
            said.out.contains(judged) && said.out.contains("BROKEN at ") == defect.is_some(),
            "{defect:?}: {said:?}"
        );
    }
}

#[test]
fn the_example_holds_without_a_network() {
    let world = World::untouched();
    let agent = repository().join("examples/weather/agent.toml").display().to_string();
    assert!(plain(&world, &["trust", "--yes", &agent]).status.success());
    let said = world.said(&plain(&world, &["crashtest", &agent, "--yes", "--points", "12"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains(": nothing acknowledged was lost"), "{said:?}");
}
