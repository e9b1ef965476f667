//! What a person allows once, at the terminal: one effect that nothing grants happens, of the attempt that asked. The same again is
//! asked about again, also after a kill; what an attempt only does again along its record is not. A server outside the host counts.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_checker::check;
use agent_checker::evidence::Evidence;
use agent_tests::payments::bodies;
use agent_tests::server::{Manner, Server};
use agent_tests::terminal::Terminal;
use agent_tests::{Said, World, guest};
use serde_json::{Value, json};

const QUESTION: &str = "[o] allow this once  [r] allow for this run  [s] allow and save to your policy  [d] deny";
const COUNTS_NO_MORE: &str = "it was allowed once, to an attempt of the call that is over";
/// What the program ends with when it waits for a word about a doubt.
const IN_DOUBT: Option<i32> = Some(22);

/// A run of one call that looks, pays and looks again, of which nothing is granted.
fn checking(world: &World, url: &str) -> Vec<String> {
    let call = format!("{{ price = \"{url}/price\", url = \"{url}/pay\" }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.check_and_pay\", as = \"came\", arguments = {call} }}]\n\
         [[reply]]\ntext = \"came: {{{{ came/before }}}}; {{{{ came/paid }}}}; {{{{ came/after }}}}\"\n"
    );
    world.write("replies.toml", script);
    // It works on files, and nobody is to be asked for a directory here.
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let polite = guest("polite");
    let words = ["run", "--tools", &polite, "--allow-read", &data, "--record", "full", "--model"];
    words.into_iter().chain(["scripted:replies.toml", "pay"]).map(str::to_owned).collect()
}

/// Runs at a terminal, where the person gives these answers, until the end or until the host is killed at that point.
fn answering(world: &World, words: &[String], answers: &[&str], killed_at: Option<&str>) -> (String, Option<i32>) {
    let mut command = world.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    command.envs(killed_at.map(|point| ("AGENT_HOST_FAILPOINT", point)));
    let mut terminal = Terminal::run(command);
    for (answer, asked) in answers.iter().zip(1..) {
        terminal.expect_times(QUESTION, asked);
        terminal.say(&format!("{answer}\n"));
    }
    let (said, code) = terminal.end();
    assert_eq!(said.matches(QUESTION).count(), answers.len(), "{said}");
    (said, code)
}

fn resume() -> [String; 1] {
    ["resume".to_owned()]
}

/// Attempt and number of each effect that was permitted.
fn permitted(world: &World) -> Vec<(u64, u64)> {
    let number = |body: &Value, name: &str| body[name].as_u64().expect("a number");
    bodies(world, "EffectPermitted").iter().map(|body| (number(body, "attempt"), number(body, "number"))).collect()
}

/// What the record says of each effect of the only call: its number, whether it was allowed once, whether it was only told again.
fn effects(world: &World) -> Vec<(u64, bool, bool)> {
    let finished = bodies(world, "ToolFinished");
    let effects = finished.last().and_then(|body| body["effects"].as_array().cloned()).unwrap_or_default();
    let once = json!({"allow": {"rule": "the operator, this once"}});
    let shown = |effect: &Value| {
        (effect["number"].as_u64().expect("a number"), effect["decision"] == once, effect["replayed"] == true)
    };
    effects.iter().map(shown).collect()
}

/// The record breaks no promise, no grant came of it, and nothing was saved.
fn is_sound(world: &World) {
    let found = check(&world.work().join(".agent-host/journal.db"), &Evidence::default());
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
    assert_eq!(bodies(world, "GrantWidened"), Vec::<Value>::new());
    // A terminal has one, in which an answer could be saved.
    assert_eq!(std::fs::read_to_string(world.home().join("policy.toml")).unwrap_or_default(), "");
}

#[test]
fn once_is_one_request_and_the_same_again_is_asked_about_again() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("ten")));
    let (said, code) = answering(&world, &checking(&world, &server.url()), &["o", "o", "d"], None);
    assert_eq!((code, server.hits()), (Some(0), 2), "{said}");
    assert!(said.contains("sends a body of 2 B") && said.contains("came: ten; ten; "), "{said}");
    assert_eq!(permitted(&world), [(1, 1), (1, 2)]);
    assert_eq!(effects(&world), [(1, true, false), (2, true, false), (3, false, false)]);
    is_sound(&world);
    let show = world.run(&["show", "--effects"]).ok();
    assert!(show.contains("allowed this once by a person: POST http://127.0.0.1"), "{show}");
    assert_eq!(show.matches("allowed by the operator, this once").count(), 2, "{show}");
    let replayed: Said = world.run(&["journal", "replay"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("same"), "{replayed:?}");
    assert_eq!(server.hits(), 2, "a replay touches nothing");
}

/// Whether it came to anything then, nobody knows. Nor is the person's word lost without being mentioned.
#[test]
fn killed_before_anything_came_of_it_it_is_asked_about_again() {
    let killed = || {
        let (world, server) = (World::new(), Server::start(Manner::Answer("ten")));
        let words = checking(&world, &server.url());
        let (said, _) = answering(&world, &words, &["o"], Some("effect-permitted#1"));
        assert_eq!((server.hits(), permitted(&world)), (0, vec![(1, 1)]), "{said}");
        (world, server)
    };
    let (world, server) = killed();
    let (said, code) = answering(&world, &resume(), &["o", "o", "o"], None);
    assert_eq!((code, server.hits()), (Some(0), 3), "{said}");
    assert_eq!(said.matches(&format!("{COUNTS_NO_MORE}, and may have been done there")).count(), 1, "{said}");
    assert_eq!(permitted(&world), [(1, 1), (2, 1), (2, 2), (2, 3)]);
    is_sound(&world);

    // Nobody is there.
    let (world, server) = killed();
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 0), "{resumed:?}");
    assert!(resumed.err.contains(COUNTS_NO_MORE), "{resumed:?}");
    is_sound(&world);
}

#[test]
fn killed_after_it_was_used_it_is_told_again_and_not_used_again() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("ten")));
    let words = checking(&world, &server.url());
    let _ = answering(&world, &words, &["o", "o"], Some("send-done#1"));
    assert_eq!(server.hits(), 2);
    let (said, code) = answering(&world, &resume(), &["o"], None);
    assert_eq!((code, server.hits()), (Some(0), 3), "{said}");
    assert!(said.contains("came: ten; ten; ten"), "{said}");
    assert_eq!(permitted(&world), [(1, 1), (1, 2), (2, 3)]);
    assert_eq!(effects(&world), [(1, true, true), (2, true, true), (3, true, false)]);
    is_sound(&world);
}

/// What was allowed once and recorded in a later part of the call than its last write is lost with its host.
#[test]
fn a_use_that_the_record_does_not_tell_is_not_made_again() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("ten")));
    let words = checking(&world, &server.url());
    let _ = answering(&world, &words, &["o", "o", "o"], Some("guest-ended#1"));
    assert_eq!(server.hits(), 3);
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 3), "{resumed:?}");
    assert!(resumed.out.starts_with("came: ten; ten; ") && !resumed.out.contains("ten; ten; ten"), "{resumed:?}");
    assert!(resumed.err.contains(COUNTS_NO_MORE), "it may have been done: {resumed:?}");
    assert_eq!(permitted(&world), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(effects(&world), [(1, true, true), (2, true, true), (3, false, false)]);
    is_sound(&world);
}

/// It is the write that was allowed, and a person says that it is to be made again.
#[test]
fn a_write_in_doubt_that_is_made_again_needs_no_other_permit() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("ten")));
    let words = checking(&world, &server.url());
    let _ = answering(&world, &words, &["o", "o"], Some("send-intended#1"));
    assert_eq!(server.hits(), 1, "it looked, and did not pay");
    let doubted = world.run(&["resume"]);
    assert_eq!(doubted.code, IN_DOUBT, "{doubted:?}");
    let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    let _ = world.run(&["journal", "resolve", &run, "1", "--retry"]).ok();
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 2), "{resumed:?}");
    assert!(resumed.out.starts_with("came: ten; ten; "), "{resumed:?}");
    assert_eq!(permitted(&world), [(1, 1), (1, 2)]);
    assert_eq!(effects(&world), [(1, true, true), (2, true, false), (3, false, false)]);
    is_sound(&world);
}
