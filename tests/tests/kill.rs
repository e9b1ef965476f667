//! Killed at named instants, then resumed: the same answer as without the kill, nothing done twice, and the half-done undone.
//! What happened is counted by files and by a server outside the host.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, tool, wait_until};

/// SIGKILL's number: how the failpoint ends the host.
const KILLED: i32 = 9;

/// A run of three calls, two of which write, and an answer that quotes what they gave.
const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "files.write", as = "first", arguments = { path = "first.txt", content = "one" } }]
[[reply]]
[[reply.calls]]
tool = "polite.write_twice"
arguments = { first = "a.txt", second = "b.txt", content = "new", pause_ms = 5 }
[[reply]]
calls = [{ tool = "files.read", as = "read", arguments = { path = "a.txt", numbered = false } }]
[[reply]]
text = "wrote {{ first/path }}; a.txt holds: {{ read }}"
"#;

fn arguments(world: &World) -> Vec<String> {
    let script = world.write("replies.toml", SCRIPT).display().to_string();
    let data = world.write("data/a.txt", "old").parent().expect("a folder").display().to_string();
    let (files, polite, model) = (tool("files"), guest("polite"), format!("scripted:{script}"));
    let words = ["run", "--tools", &files, "--tools", &polite, "--allow-write", &data, "--model", &model, "go"];
    words.map(str::to_owned).to_vec()
}

/// Starts the program with a failpoint armed and waits for its end.
fn with_failpoint(world: &World, arguments: &[String], failpoint: &str) -> Output {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    world.start(&arguments, &[("AGENT_HOST_FAILPOINT", failpoint)]).wait_with_output().expect("it ends")
}

/// The program must be killed there: a failpoint that is not reached tests nothing.
fn killed_at(world: &World, arguments: &[String], failpoint: &str) {
    let output = with_failpoint(world, arguments, failpoint);
    assert_eq!(output.status.signal(), Some(KILLED), "{failpoint}: {:?}", world.said(&output));
}

fn run(world: &World, arguments: &[String]) -> String {
    world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok()
}

fn uninterrupted() -> String {
    let world = World::new();
    run(&world, &arguments(&world))
}

fn count(events: &[serde_json::Value], kind: &str) -> usize {
    events.iter().filter(|event| event["kind"] == kind).count()
}

#[test]
fn killed_between_two_writes_the_first_is_undone_and_the_call_runs_again() {
    let world = World::new();
    // The first change is that of `files.write`, the next two are those of `write_twice`: the host dies between them.
    killed_at(&world, &arguments(&world), "change-intended#3");
    assert_eq!(world.read("data/a.txt").as_deref(), Some("new"), "the first write had happened");
    assert_ne!(world.read("data/b.txt").as_deref(), Some("new"), "the second had not");
    let before = world.events(&[]);
    assert_eq!(count(&before, "ToolFinished"), 1);

    // A resume that is killed when the call starts again has restored what was there.
    killed_at(&world, &["resume".to_owned()], "tool-started#1");
    assert_eq!(world.read("data/a.txt").as_deref(), Some("old"), "the half-done write is undone");
    assert_eq!(world.read("data/b.txt"), None);

    let resumed = world.run(&["resume"]);
    assert_eq!(resumed.out, uninterrupted(), "{}", resumed.err);
    assert_eq!(world.read("data/a.txt").as_deref(), Some("new"));
    assert_eq!(world.read("data/b.txt").as_deref(), Some("new"));
    let after = world.events(&[]);
    assert_eq!(after[..before.len()], before[..], "the journal only grew");
    assert_eq!(count(&after, "ToolFinished"), 3, "no finished call ran again");
    assert_eq!(count(&after, "CallUndone"), 1);
}

#[test]
fn killed_at_each_instant_the_answer_is_the_same() {
    let answer = uninterrupted();
    let instants = [
        "model-requested#1",
        "model-replied#1",
        "tool-started#1",
        "change-intended#1",
        "tool-returned#1",
        "tool-finished#1",
        "model-requested#2",
        "tool-started#2",
        "change-intended#2",
        "tool-returned#2",
        "tool-finished#3",
        "model-replied#4",
    ];
    for instant in instants {
        let world = World::new();
        killed_at(&world, &arguments(&world), instant);
        let resumed = world.run(&["resume"]);
        assert_eq!(resumed.out, answer, "{instant}: {}", resumed.err);
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{instant}");
    }
}

/// A run that posts once to `url`.
fn posting(world: &World, url: &str) -> Vec<String> {
    let call = format!("{{ method = \"POST\", url = \"{url}/pay\", body = \"10\" }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.http\", as = \"sent\", arguments = {call} }}]\n[[reply]]\ntext = \
         \"done: {{{{ sent/body }}}}\"\n"
    );
    let script = world.write("replies.toml", script).display().to_string();
    let (polite, model) = (guest("polite"), format!("scripted:{script}"));
    ["run", "--tools", &polite, "--allow-net", url, "--model", &model, "pay"].map(str::to_owned).to_vec()
}

#[test]
fn a_payment_that_may_have_been_sent_is_never_sent_again() {
    for instant in ["send-intended#1", "send-answered#1"] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
        killed_at(&world, &posting(&world, &server.url()), instant);
        let hits = server.hits();
        assert_eq!(hits, usize::from(instant != "send-intended#1"), "{instant}");
        let resumed = world.run(&["resume"]);
        assert_eq!(resumed.code, Some(22), "{instant}: {resumed:?}");
        assert!(resumed.err.contains("suspended-doubt"), "{instant}: {}", resumed.err);
        assert_eq!(server.hits(), hits, "{instant}: the host sent nothing on resume");

        let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
        let happened = world.write("happened.json", "{\"body\":\"paid\"}").display().to_string();
        let _ = world.run(&["journal", "resolve", &run, "1", "--happened", &happened]).ok();
        assert_eq!(world.run(&["resume"]).ok(), "done: paid\n", "{instant}");
        assert_eq!(server.hits(), hits, "{instant}: nor after the person's word");
    }
}

#[test]
fn a_payment_whose_answer_does_not_come_is_in_doubt_without_any_crash() {
    let (world, server) = (World::new(), Server::start(Manner::Silent));
    let policy = "[[grant]]\ntool = \"polite\"\nlimits = { deadline = \"1s\" }\n";
    world.write("policy.toml", policy);
    let mut arguments = posting(&world, &server.url());
    arguments.extend(["--policy".to_owned(), "policy.toml".to_owned()]);
    let said = world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((said.code, server.hits()), (Some(22), 1), "{said:?}");
    assert_eq!(count(&world.events(&[]), "ToolInDoubt"), 1);
}

#[test]
fn a_payment_without_interruption_is_sent_once() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    assert_eq!((run(&world, &posting(&world, &server.url())).as_str(), server.hits()), ("done: paid\n", 1));
}

#[test]
fn a_second_host_cannot_drive_the_same_run() {
    let world = World::new();
    let script = "version = 1\n[[reply]]\ntext = \"late\"\ndelay = \"20s\"\n";
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let mut first = world.start(&["run", "--model", &model, "wait"], &[]);
    wait_until("the run is driven", || world.run(&["ls"]).out.contains("running"));
    let second = world.run(&["resume"]);
    first.kill().expect("it was alive");
    let _ = first.wait();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("is held by process"), "{second:?}");
    let _ = world.run(&["ls"]).ok();
}
