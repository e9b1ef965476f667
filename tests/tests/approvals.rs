//! Persons who are not there: a run that needs one is suspended with no process, is answered from another terminal, and goes on
//! as if the person had sat beside it. What happened is counted by files and by a server outside the host.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use agent_tests::server::{Manner, Server};
use agent_tests::sums::computing;
use agent_tests::terminal::Terminal;
use agent_tests::{Said, World, guest};

const ASK_CALC: &str = "[[approval]]\ntool = \"calc\"\n";
const ASK_POSTS: &str = "[[approval]]\ntool = \"*\"\neffect = \"http\"\nmethods = [\"POST\"]\n";
/// What the program ends with when it waits for a person.
const WAITS: Option<i32> = Some(20);

/// A run that writes a file, posts, and writes another, under a rule that asks before it posts.
fn posting(world: &World, url: &str) -> Vec<String> {
    world.write("policy.toml", ASK_POSTS);
    let arguments = format!("{{ first = \"a.txt\", url = \"{url}/pay\", second = \"b.txt\", content = \"ten\" }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.write_post_write\", as = \"sent\", arguments = {arguments} \
         }}]\n[[reply]]\ntext = \"{{{{ sent }}}}\"\n"
    );
    world.write("replies.toml", script);
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let polite = guest("polite");
    let given = ["run", "--tools", &polite, "--policy", "policy.toml", "--allow-write", &data, "--allow-net", url];
    given.into_iter().chain(["--model", "scripted:replies.toml", "pay"]).map(str::to_owned).collect()
}

fn run(world: &World, words: &[String]) -> Said {
    world.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn at_terminal(world: &World, words: &[String], wait_ms: &str) -> Terminal {
    let mut command: Command = world.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("AGENT_HOST_ANSWER_WAIT_MS", wait_ms);
    Terminal::run(command)
}

fn run_id(world: &World) -> String {
    world.events(&[])[0]["run"].as_str().expect("a run").to_owned()
}

fn count(world: &World, kind: &str) -> usize {
    world.events(&[]).iter().filter(|event| event["kind"] == kind).count()
}

#[test]
fn a_call_that_needs_a_person_suspends_the_run_and_an_approval_lets_it_go_on() {
    let world = World::new();
    let said = run(&world, &computing(&world, ASK_CALC));
    let run = run_id(&world);
    assert_eq!((said.code, said.out.as_str()), (WAITS, ""), "{said:?}");
    for command in ["approve", "deny"].map(|verb| format!("agent-host {verb} {}", &run[..12])) {
        assert!(said.err.contains(&command), "{said:?}");
    }
    let ls = world.run(&["ls"]).ok();
    assert!(ls.contains("suspended-approval") && ls.contains("waiting for you"), "{ls}");
    assert!(ls.contains(&format!("agent-host approve {} 1", &run[..12])), "{ls}");
    let show = world.run(&["show"]).ok();
    assert!(show.contains("waits    call 1  calc.evaluate  may it be called?"), "{show}");
    let listed = world.run(&["approve"]).ok();
    assert!(listed.contains("calc.evaluate") && listed.contains(&format!("agent-host deny {run} 1")), "{listed}");

    let unseen = world.run(&["approve", &run, "1"]);
    assert!(unseen.code == Some(1) && unseen.err.contains("--yes"), "{unseen:?}");
    assert!(
        unseen.err.contains("\"expression\": \"40 + 2\"") && unseen.err.contains("rule: policy.toml"),
        "{unseen:?}"
    );
    assert_eq!(world.run(&["resume"]).code, WAITS, "nothing is approved yet");

    let _ = world.run(&["approve", &run, "1", "--yes"]).ok();
    assert_eq!(count(&world, "ToolStarted"), 0, "an answer starts nothing");
    assert!(world.run(&["show"]).ok().contains("suspended-approval, answered: go on with"));
    let twice = world.run(&["approve", &run, "1", "--yes"]);
    assert!(twice.code == Some(1) && twice.err.contains("waits for no approval"), "{twice:?}");
    assert_eq!(world.run(&["resume"]).ok(), "it is 42\n");
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}

#[test]
fn a_denial_is_told_to_the_model_with_its_reason() {
    let world = World::new();
    assert_eq!(run(&world, &computing(&world, ASK_CALC)).code, WAITS);
    let run = run_id(&world);
    let said = world.run(&["deny", &run, "1", "--reason", "not on a Friday", "--resume"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let events = world.events(&[]);
    let finished = events.iter().find(|event| event["kind"] == "ToolFinished").expect("it is settled");
    let outcome = &finished["body"]["outcome"]["refused"];
    assert_eq!(outcome["reason"], "approval_denied", "{outcome}");
    assert_eq!(outcome["message"], "the operator was asked and said no: not on a Friday");
    assert!(world.run(&["show"]).ok().contains("denied by a person, by a command: the call: not on a Friday"));
}

#[test]
fn an_effect_that_needs_a_person_is_undone_and_done_once_after_the_approval() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    let said = run(&world, &posting(&world, &server.url()));
    assert_eq!((said.code, server.hits()), (WAITS, 0), "{said:?}");
    assert_eq!(world.read("data/a.txt"), None, "what came before it is undone");
    assert_eq!((count(&world, "CallUndone"), count(&world, "ToolSuspended")), (1, 1));

    let run = run_id(&world);
    let unseen = world.run(&["approve", &run, "1"]);
    for shown in ["POST http://127.0.0.1", "/pay", "sends a body of 3 B", "rule: policy.toml", "in call 1 with"] {
        assert!(unseen.err.contains(shown), "{shown}: {unseen:?}");
    }
    let said = world.run(&["approve", &run, "1", "--yes", "--resume"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "posted with status 200\n"), "{said:?}");
    assert_eq!((server.hits(), world.read("data/a.txt").as_deref()), (1, Some("ten")));
    assert_eq!(world.read("data/b.txt").as_deref(), Some("ten"));
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}

#[test]
fn a_denied_effect_does_not_happen_and_the_call_ends() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    assert_eq!(run(&world, &posting(&world, &server.url())).code, WAITS);
    let said = world.run(&["deny", &run_id(&world), "1", "--reason", "too much", "--resume"]);
    assert_eq!(server.hits(), 0, "{said:?}");
    let events = world.events(&[]);
    let finished = events.iter().find(|event| event["kind"] == "ToolFinished").expect("it ended");
    let told = finished["body"]["outcome"].to_string();
    assert!(told.contains("the operator was asked and said no: too much"), "{told}");
}

#[test]
fn who_is_away_from_the_terminal_is_waited_for_briefly() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    let mut terminal = at_terminal(&world, &posting(&world, &server.url()), "700");
    terminal.expect("may `polite.write_post_write` do this: POST");
    let (said, code) = terminal.end();
    assert_eq!((code, server.hits()), (WAITS, 0), "{said}");
    assert!(said.contains("nobody answered: call 1 waits for `agent-host approve`"), "{said}");
    // Back at the terminal, the resume itself asks.
    let mut terminal = at_terminal(&world, &["resume".to_owned()], "60000");
    terminal.expect("may `polite.write_post_write` do this: POST");
    terminal.say("y\n");
    let (said, code) = terminal.end();
    assert_eq!((code, server.hits()), (Some(0), 1), "{said}");
}

#[test]
fn what_is_asked_at_a_terminal_is_answered_there() {
    let world = World::new();
    let mut terminal = at_terminal(&world, &computing(&world, ASK_CALC), "60000");
    terminal.expect("may `calc.evaluate` be called?");
    let elsewhere = world.run(&["approve", &run_id(&world), "1", "--yes"]);
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert!(elsewhere.err.contains("which asks at its own terminal"), "{elsewhere:?}");
    terminal.say("y\n");
    let (said, code) = terminal.end();
    assert!(code == Some(0) && said.contains("it is 42"), "{said}");
}

/// An agent whose calls in doubt are treated so, and whose one call posts to `url`.
fn doubting(world: &World, policy: &str, url: &str) -> Said {
    let call = format!("{{ method = \"POST\", url = \"{url}/pay\", body = \"10\" }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.http\", as = \"sent\", arguments = {call} }}]\n[[reply]]\ntext = \
         \"told: {{{{ sent }}}}\"\n"
    );
    world.write("replies.toml", script);
    let polite = guest("polite");
    let agent = format!(
        "[agent]\nname = \"payer\"\ninstructions = \"Pay.\"\nmodel = \"scripted:replies.toml\"\ntools = [\"{polite}\"]\n\
         [run]\ndoubt = \"{policy}\"\n[[grant]]\ntool = \"polite\"\nhttp = [{{ url = \"{url}\", methods = [\"GET\", \
         \"POST\"] }}]\nlimits = {{ deadline = \"1s\" }}\n"
    );
    world.write("agent.toml", agent);
    let _ = world.run(&["trust", "--yes", "agent.toml"]).ok();
    world.run(&["run", "--agent", "agent.toml", "pay"])
}

fn posts(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.starts_with("POST ")).count()
}

#[test]
fn a_run_with_an_answer_to_doubt_goes_on_without_a_person() {
    let cases = [
        ("tell-model", "ignored", Some(0), "may or may not have done this: POST"),
        ("fail", "ignored", Some(1), ""),
        ("reconcile", "happened yesterday", Some(0), "told: happened yesterday"),
        ("reconcile", "never", Some(0), "its effect did not happen"),
        ("reconcile", "who knows", Some(22), ""),
        ("ask", "ignored", Some(22), ""),
    ];
    for (policy, answer, code, told) in cases {
        let (world, server) = (World::new(), Server::start(Manner::SilentToPosts(answer)));
        let said = doubting(&world, policy, &server.url());
        assert_eq!(said.code, code, "{policy}: {said:?}");
        assert!(said.out.contains(told), "{policy}: {said:?}");
        assert_eq!(posts(&server), 1, "{policy}: nothing is sent again, also not by who finds out");
        assert_eq!(count(&world, "ToolInDoubt"), 1, "{policy}");
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{policy}");
    }
}

#[test]
fn doubt_is_shown_before_a_person_says_what_happened() {
    let (world, server) = (World::new(), Server::start(Manner::SilentToPosts("")));
    assert_eq!(doubting(&world, "ask", &server.url()).code, Some(22));
    let run = run_id(&world);
    let unsaid = world.run(&["journal", "resolve", &run, "1"]);
    assert!(unsaid.code == Some(1) && unsaid.err.contains("may or may not have done this: POST"), "{unsaid:?}");
    assert!(unsaid.err.contains("--did-not"), "{unsaid:?}");
    let said = world.run(&["journal", "resolve", &run, "1", "--did-not", "--resume"]);
    assert_eq!((said.code, posts(&server)), (Some(0), 1), "{said:?}");
    assert!(said.out.contains("its effect did not happen"), "{said:?}");
}
