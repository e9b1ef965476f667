//! Signals: the first one ends a run in a state that it goes on from, within ten seconds, whatever is under way; a second one
//! ends it at once. Case S14 of the hostile family.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_tests::server::{Manner, Server};
use agent_tests::terminal::Terminal;
use agent_tests::traced::Traced;
use agent_tests::{Said, World, guest, tool, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
/// What a stopped run ends with.
const CANCELLED: Option<i32> = Some(130);
/// How long whoever stops a run waits at most.
const STOP_TIME: Duration = Duration::from_secs(10);

fn script(world: &World, replies: &str) -> String {
    format!("scripted:{}", world.write("replies.toml", format!("version = 1\n{replies}")).display())
}

/// A run whose one call is this, and an answer after it.
fn calling(world: &World, tool: &str, arguments: &str) -> Vec<String> {
    let call = format!("[[reply]]\ncalls = [{{ tool = \"{tool}\", as = \"it\", arguments = {arguments} }}]\n");
    let model = script(world, &format!("{call}[[reply]]\ntext = \"done\"\n"));
    let polite = guest("polite");
    ["run", "--tools", &polite, "--model", &model, "go"].map(str::to_owned).to_vec()
}

fn start(world: &World, words: &[String]) -> Child {
    world.start(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

fn send(signal: Signal, process: u32) {
    kill(Pid::from_raw(i32::try_from(process).expect("a number")), signal).expect("it lives");
}

fn kinds(world: &World) -> Vec<String> {
    let output = world.command(&["show", "--json"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kind = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON lines");
        event["kind"].as_str().expect("a kind").to_owned()
    };
    text.lines().map(kind).collect()
}

fn until_recorded(world: &World, kind: &str, times: usize) {
    wait_until(kind, || kinds(world).iter().filter(|one| *one == kind).count() >= times);
}

/// Sends the signal and waits for the end; what was said, and how long it took.
fn stop(world: &World, child: Child, signal: Signal) -> (Said, Duration) {
    let since = Instant::now();
    send(signal, child.id());
    let said = world.said(&child.wait_with_output().expect("it ends"));
    (said, since.elapsed())
}

/// The run was stopped in order: in time, recorded, and intact.
fn assert_stopped(world: &World, (said, took): &(Said, Duration), what: &str) {
    assert_eq!(said.code, CANCELLED, "{what}: {said:?}");
    assert!(*took < STOP_TIME, "{what}: {took:?}");
    let events = world.events(&[]);
    let last = events.last().expect("events");
    assert_eq!((&last["kind"], &last["body"]["stop"]), (&"RunEnded".into(), &"cancelled".into()), "{what}");
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{what}");
}

#[test]
fn a_model_call_is_left_and_made_again() {
    for signal in SIGNALS {
        let world = World::new();
        let model = script(&world, "[[reply]]\ntext = \"late\"\ndelay = \"3s\"\n");
        let child = start(&world, &["run", "--model", &model, "go"].map(str::to_owned));
        until_recorded(&world, "ModelRequested", 1);
        assert_stopped(&world, &stop(&world, child, signal), signal.as_str());
        assert_eq!(world.run(&["resume"]).ok(), "late\n");
    }
}

#[test]
fn a_tool_that_sleeps_is_ended_and_called_again() {
    let world = World::new();
    let child = start(&world, &calling(&world, "polite.sleep", "{ ms = 2000 }"));
    until_recorded(&world, "ToolStarted", 1);
    assert_stopped(&world, &stop(&world, child, Signal::SIGTERM), "sleep");
    assert_eq!(kinds(&world).iter().filter(|kind| *kind == "ToolSuspended").count(), 1);
    assert_eq!(world.run(&["resume"]).ok(), "done\n");
}

#[test]
fn a_call_between_two_writes_is_undone_at_once() {
    for signal in SIGNALS {
        let world = World::new();
        world.write("data/a.txt", "old");
        let arguments = "{ first = \"a.txt\", second = \"b.txt\", content = \"new\", pause_ms = 2500 }";
        let words = calling(&world, "polite.write_twice", arguments);
        let words = [words, ["--allow-write", "data"].map(str::to_owned).to_vec()].concat();
        let child = start(&world, &words);
        wait_until("the first write", || world.read("data/a.txt").as_deref() == Some("new"));
        assert_stopped(&world, &stop(&world, child, signal), signal.as_str());
        assert_eq!(world.read("data/a.txt").as_deref(), Some("old"), "{signal}: before the run goes on");
        assert_eq!(world.run(&["resume"]).ok(), "done\n");
        assert_eq!(world.read("data/a.txt").as_deref(), Some("new"));
        assert_eq!(world.read("data/b.txt").as_deref(), Some("new"));
    }
}

/// A run that posts once.
fn posting(world: &World, server: &Server) -> Vec<String> {
    let url = server.url();
    let arguments = format!("{{ method = \"POST\", url = \"{url}/pay\", body = \"10\" }}");
    [calling(world, "polite.http", &arguments), vec!["--allow-net".to_owned(), url]].concat()
}

#[test]
fn a_payment_under_way_is_in_doubt_and_said_so() {
    let (world, server) = (World::new(), Server::start(Manner::Silent));
    let child = start(&world, &posting(&world, &server));
    wait_until("the payment arrives", || server.hits() == 1);
    let stopped = stop(&world, child, Signal::SIGTERM);
    assert_stopped(&world, &stopped, "payment");
    assert!(stopped.0.err.contains("call 1 `polite.http` is in doubt"), "{stopped:?}");
    assert_eq!(kinds(&world).iter().filter(|kind| *kind == "ToolInDoubt").count(), 1);
    assert_eq!((world.run(&["resume"]).code, server.hits()), (Some(22), 1), "and never sent again");
}

/// Both are waited for, one after the other.
#[test]
fn a_call_that_never_comes_back_and_a_silent_collector_keep_nobody_beyond_ten_seconds() {
    let (world, collector) = (World::new(), Server::start(Manner::Silent));
    let words = calling(&world, "polite.compute", "{ steps = 10 }");
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut command = Traced::to(&world, &collector.url()).command(&words);
    command.env("AGENT_HOST_FAILPOINT", "guest-ended#1=hang").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    until_recorded(&world, "ToolStarted", 1);
    // Its guest ends within that.
    std::thread::sleep(Duration::from_millis(500));
    assert_stopped(&world, &stop(&world, child, Signal::SIGTERM), "both");
    assert_eq!(world.run(&["resume"]).ok(), "done\n");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (world, server) = (World::new(), Server::start(Manner::Silent));
    let child = start(&world, &posting(&world, &server));
    wait_until("the payment arrives", || server.hits() == 1);
    let process = child.id();
    send(Signal::SIGTERM, process);
    std::thread::sleep(Duration::from_millis(600));
    let (said, took) = stop(&world, child, Signal::SIGTERM);
    assert_eq!(said.code, CANCELLED, "{said:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(
        (world.run(&["resume"]).code, server.hits()),
        (Some(22), 1),
        "what was under way is in doubt all the same"
    );
}

#[test]
fn a_person_who_is_asked_need_not_answer_first() {
    for signal in SIGNALS {
        let world = World::new();
        let model = script(
            &world,
            "[[reply]]\ncalls = [{ tool = \"calc.evaluate\", as = \"sum\", arguments = { expression = \"1 + 1\" } }]\n\
             [[reply]]\ntext = \"it is {{ sum }}\"\n",
        );
        world.write("policy.toml", "[[approval]]\ntool = \"calc\"\n");
        let calc = tool("calc");
        let words = ["run", "--tools", &calc, "--policy", "policy.toml", "--model", &model, "go"];
        let mut terminal = Terminal::start(&world, &words.map(str::to_owned));
        terminal.expect("may `calc.evaluate` be called?");
        let since = Instant::now();
        // Where there is a file wall, this is the keeper's process: it passes the signal on to the run.
        send(signal, terminal.id());
        let (said, code) = terminal.end();
        assert_eq!(code, CANCELLED, "{signal}: {said}");
        assert!(since.elapsed() < STOP_TIME, "{signal}");
        assert_eq!(kinds(&world).last().map(String::as_str), Some("RunEnded"), "{signal}");
        let said = world.run(&["resume"]);
        assert_eq!(said.code, Some(20), "{signal}: nobody has answered: {said:?}");
    }
}

/// At a terminal a keeper's process stands outside of the walls. Whoever kills it leaves a run that nobody sees any more.
#[test]
fn a_run_whose_keeper_is_killed_is_stopped_in_order() {
    let world = World::new();
    world.write("data/a.txt", "old");
    let arguments = "{ first = \"a.txt\", second = \"b.txt\", content = \"new\", pause_ms = 60000 }";
    let words = calling(&world, "polite.write_twice", arguments);
    let words = [words, ["--allow-write", "data"].map(str::to_owned).to_vec()].concat();
    let terminal = Terminal::start(&world, &words);
    wait_until("the first write", || world.read("data/a.txt").as_deref() == Some("new"));
    let since = Instant::now();
    send(Signal::SIGKILL, terminal.id());
    let _ = terminal.end();
    until_recorded(&world, "RunEnded", 1);
    assert!(since.elapsed() < STOP_TIME, "{:?}", since.elapsed());
    assert_eq!(world.events(&[]).last().expect("events")["body"]["stop"], "cancelled");
    assert_eq!(world.read("data/a.txt").as_deref(), Some("old"), "what was under way is undone");
}

/// It may die before the run has asked the system to be told.
#[test]
fn a_run_whose_keeper_is_gone_does_not_begin() {
    let world = World::new();
    let model = script(&world, "[[reply]]\ntext = \"done\"\n");
    let mut command = world.command(&["run", "--model", &model, "go"]);
    command.env("AGENT_HOST_KEEPER", "/dev/null").env("AGENT_HOST_KEEPER_PROCESS", "1");
    let said = world.said(&command.output().expect("the program starts"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("the process that watches over this run is gone"), "{said:?}");
}

#[test]
fn a_reader_that_goes_away_ends_no_run() {
    let world = World::new();
    let words = calling(&world, "polite.sleep", "{ ms = 300 }");
    let mut command: Command = world.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let mut child =
        command.args(["--log", "debug"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("it ends");
    let events = world.events(&[]);
    assert_eq!(events.last().expect("events")["body"]["stop"], "completed", "{status:?}");
    assert_eq!(status.code(), Some(1), "that the answer could not be written is no success");
}
