//! What people do with what was recorded: conversations over several runs, finding runs, forks, moved runs, exports, removal.
//! Each by the built program, as one types it.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;

use agent_tests::{Said, World, tool};
use serde_json::{Value, json};

/// A run that is asked three things, one after the other, in one conversation.
const TALK: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "calc.evaluate", as = "first", arguments = { expression = "6*7" } }]
[[reply]]
text = "it is {{ first }}"
[[reply]]
text = "you asked twice; it was {{ first }}"
[[reply]]
text = "three times now"
"#;

fn model(world: &World, name: &str, script: &str) -> String {
    format!("scripted:{}", world.write(name, script).display())
}

/// Asks in a session.
fn ask(world: &World, more: &[&str], input: &str) -> Said {
    let (calc, model) = (tool("calc"), model(world, "talk.toml", TALK));
    world.run(&[&["run", "--tools", &calc, "--model", &model], more, &[input]].concat())
}

fn ls(world: &World, more: &[&str]) -> Vec<Value> {
    serde_json::from_str(&world.run(&[&["ls", "--json"], more].concat()).ok()).expect("an array")
}

/// The name of the newest run.
fn newest(world: &World) -> String {
    ls(world, &["--limit", "1"])[0]["run"].as_str().expect("a run").to_owned()
}

fn journal(world: &World, verb: &str, more: &[&str]) -> Said {
    world.run(&[&["journal", verb], more].concat())
}

#[test]
fn a_session_is_one_conversation_of_many_runs() {
    let world = World::new();
    assert_eq!(ask(&world, &["--session", "talk"], "what is 6*7?").ok().trim(), "it is 42");
    assert_eq!(ask(&world, &["--session", "talk"], "again?").ok().trim(), "you asked twice; it was 42");
    assert_eq!(ask(&world, &["--session", "other"], "what is 6*7?").ok().trim(), "it is 42", "another conversation");
    assert_eq!(ask(&world, &["--session", "talk"], "and now?").ok().trim(), "three times now");

    let talk = ls(&world, &["--session", "talk"]);
    assert_eq!(talk.iter().map(|run| run["place"].clone()).collect::<Vec<_>>(), [3, 2, 1].map(Value::from));
    let third = world.events(&[talk[0]["run"].as_str().expect("a run")]);
    let earlier = third[0]["body"]["earlier"]["runs"].as_array().expect("earlier runs");
    assert_eq!(
        earlier.iter().map(|run| run["run"].clone()).collect::<Vec<_>>(),
        [&talk[2], &talk[1]].map(|run| run["run"].clone())
    );
    let shown = world.run(&["show", talk[0]["run"].as_str().expect("a run")]).ok();
    assert!(shown.contains("session  talk, run 3, after "), "{shown}");
}

#[test]
fn a_session_waits_for_the_answer_of_its_last_run() {
    let world = World::new();
    let cut = ask(&world, &["--session", "talk", "--max-turns", "1"], "what is 6*7?");
    assert_eq!(cut.code, Some(11), "{cut:?}");
    let refused = ask(&world, &["--session", "talk"], "again?");
    let run = newest(&world);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("it is max-turns") && refused.err.contains(&format!("agent-host resume {run}")),
        "{refused:?}"
    );
    assert_eq!(world.run(&["resume", &run, "--max-turns", "5"]).ok().trim(), "it is 42");
    assert_eq!(ask(&world, &["--session", "talk"], "again?").ok().trim(), "you asked twice; it was 42");
    // Killed in the second run: the conversation is carried into the resume.
    let resumed = journal(&world, "fork", &[&newest(&world), "--at", "2", "--json"]).ok();
    let fork: Value = serde_json::from_str(&resumed).expect("an object");
    let fork = fork["run"].as_str().expect("a run");
    assert_eq!(world.run(&["resume", fork]).ok().trim(), "you asked twice; it was 42");
}

#[test]
fn what_is_not_carried_is_said() {
    let world = World::new();
    for input in ["what is 6*7?", "again?"] {
        let _ = ask(&world, &["--session", "talk"], input).ok();
    }
    let script = "version = 1\n[[reply]]\ntext = \"fresh\"\n";
    let model = model(&world, "fresh.toml", script);
    let said = world.run(&["run", "--model", &model, "--session", "talk", "--carry", "0", "hello"]);
    assert_eq!(said.out.trim(), "fresh", "{said:?}");
    assert!(said.err.contains("the first 2 are left out"), "{said:?}");
    let events = world.events(&[]);
    assert_eq!(events[0]["body"]["earlier"], json!({ "runs": [], "left_out": 2 }));
}

#[test]
fn of_two_hosts_on_one_session_one_wins() {
    let world = World::new();
    let script = "version = 1\n[[reply]]\ndelay = \"300ms\"\ntext = \"slow\"\n";
    let model = model(&world, "slow.toml", script);
    let both = [0, 1].map(|_| world.start(&["run", "--model", &model, "--session", "talk", "hello"], &[]));
    let said = both.map(|child| world.said(&child.wait_with_output().expect("it ends")));
    let won = said.iter().filter(|said| said.code == Some(0)).count();
    assert_eq!(won, 1, "{said:?}");
    let lost = said.iter().find(|said| said.code != Some(0)).expect("the other one");
    assert!(lost.err.contains("session `talk`"), "{lost:?}");
    assert_eq!(ls(&world, &["--session", "talk"]).len(), 1);
}

#[test]
fn runs_are_found_by_what_was_noted_about_them() {
    let world = World::new();
    for (team, max) in [("red", "9"), ("blue", "9"), ("red", "1")] {
        let _ = ask(&world, &["--meta", &format!("team={team}"), "--meta", "kind=test", "--max-turns", max], "what?");
    }
    let found = |more: &[&str]| ls(&world, more).len();
    assert_eq!((found(&[]), found(&["--meta", "team=red"]), found(&["--meta", "team=green"])), (3, 2, 0));
    assert_eq!(found(&["--meta", "team=red", "--status", "completed"]), 1);
    assert_eq!(found(&["--status", "max-turns", "--meta", "kind=test"]), 1);
    assert_eq!(ls(&world, &["--limit", "1"])[0]["meta"], json!({ "kind": "test", "team": "red" }));
    let table = world.run(&["ls", "--limit", "2"]).ok();
    assert!(table.contains("older ones are not listed"), "{table}");
    for (bad, why) in [("team", "key=value"), ("team=a\u{202e}b", "hidden"), ("Team=x", "is not a name")] {
        let said = ask(&world, &["--meta", bad], "what?");
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(why), "{said:?}");
    }
}

#[test]
fn a_fork_shares_the_beginning_and_goes_its_own_way() {
    let world = World::new();
    let _ = ask(&world, &[], "what is 6*7?").ok();
    let run = newest(&world);
    let missing = journal(&world, "fork", &[&run]);
    assert!(missing.err.contains("can be forked at 1, 2, 3, 5, 6"), "{missing:?}");
    let running = journal(&world, "fork", &[&run, "--at", "4"]);
    assert!(running.err.contains("call 1 has begun"), "{running:?}");
    let beyond = journal(&world, "fork", &[&run, "--at", "99"]);
    assert!(beyond.err.contains("has no event 99: its last is 8"), "{beyond:?}");
    let said = journal(&world, "fork", &[&run, "--at", "5"]).ok();
    let fork = said.lines().next().expect("its name").to_owned();
    assert_eq!(world.run(&["resume", &fork]).ok().trim(), "it is 42");
    assert!(journal(&world, "verify", &[&fork]).ok().contains("this host, by its mark"));
    let events = world.events(&[&fork]);
    assert_eq!(events[0]["body"]["forked_from"]["run"], run);
    assert_eq!(events[5]["kind"], "RunResumed");
    assert!(world.run(&["show", &fork]).ok().contains(&format!("fork     of {run} at event 5")));
}

#[test]
fn a_run_is_moved_to_another_prompt_on_purpose() {
    let world = World::new();
    let replies = world.write("agent/replies.toml", TALK);
    let agent = |instructions: &str| {
        let text = format!(
            "[agent]\nname = \"asker\"\ninstructions = \"{instructions}\"\nmodel = \"scripted:replies.toml\"\ntools = [\"{}\"]\n",
            tool("calc")
        );
        world.write("agent/agent.toml", text).display().to_string()
    };
    assert!(replies.exists());
    let file = agent("Be brief.");
    let _ = world.run(&["trust", "--yes", &file]).ok();
    let cut = world.run(&["run", "--agent", &file, "--max-turns", "1", "what is 6*7?"]);
    assert_eq!(cut.code, Some(11), "{cut:?}");
    let same = journal(&world, "rebase", &["--agent", &file]).ok();
    assert!(same.contains("nothing was changed"), "{same}");
    let _ = agent("Be long.");
    let _ = world.run(&["trust", "--yes", &file]).ok();
    let asked = journal(&world, "rebase", &["--agent", &file]);
    assert_eq!(asked.code, Some(1));
    assert!(
        asked.err.contains("- instructions: Be brief.") && asked.err.contains("+ instructions: Be long."),
        "{asked:?}"
    );
    let _ = journal(&world, "rebase", &["--agent", &file, "--yes"]).ok();
    assert_eq!(world.run(&["resume", "--agent", &file, "--max-turns", "5"]).ok().trim(), "it is 42");
    let events = world.events(&["--agent", &file]);
    let rebased = events.iter().find(|event| event["kind"] == "RunRebased").expect("it is recorded");
    assert_eq!(rebased["body"]["instructions"], "Be long.");
    let complete = journal(&world, "rebase", &["--agent", &file, "--yes"]);
    assert!(complete.err.contains("is complete"), "{complete:?}");
}

#[test]
fn a_moved_run_goes_on_with_its_new_tools_and_takes_them_along() {
    let world = World::new();
    let cut = ask(&world, &["--max-turns", "1"], "what is 6*7?");
    assert_eq!(cut.code, Some(11), "{cut:?}");
    let run = newest(&world);
    let (calc, table) = (tool("calc"), tool("table"));
    let moved = journal(&world, "rebase", &[&run, "--tools", &calc, "--tools", &table, "--yes"]);
    assert!(moved.err.contains("+ tool table.") && !moved.err.contains("calc"), "only what differs: {moved:?}");
    assert_eq!(world.run(&["resume", &run, "--max-turns", "5"]).ok().trim(), "it is 42");
    let events = world.events(&[&run]);
    let rebased = events.iter().find(|event| event["kind"] == "RunRebased").expect("it is recorded");
    let tools = rebased["body"]["tools"].as_array().expect("tools");
    assert!(tools.iter().any(|tool| tool["descriptor"]["name"] == "table.query"), "{tools:?}");
    let _ = journal(&world, "export", &[&run, "run.jsonl"]).ok();
    let file = world.read("run.jsonl").expect("the file");
    for tool in tools {
        let component = tool["component"].as_str().expect("a digest");
        assert!(file.contains(&format!("{{\"blob\":\"{component}\"")), "{component} comes along");
    }
    let proved: Value =
        serde_json::from_str(&journal(&world, "verify", &["--file", "run.jsonl", "--json"]).ok()).expect("an object");
    assert_eq!((&proved["intact"], &proved["ours"]), (&json!(events.len()), &json!(events.len())));
}

#[test]
fn an_import_that_is_cut_off_leaves_nothing_that_counts() {
    let world = World::new();
    let _ = ask(&world, &[], "what is 6*7?").ok();
    let run = newest(&world);
    let _ = journal(&world, "export", &[&run, "run.jsonl"]);
    let file = world.read("run.jsonl").expect("the file");
    let other = World::new();
    for (name, text) in [
        ("cut.jsonl", file[..file.len() / 2].to_owned()),
        ("more.jsonl", format!("{file}{{}}\n")),
        ("changed.jsonl", file.replacen("what is 6*7?", "what is 6*8?", 1)),
        ("huge.jsonl", file.replacen("\"blobs\":", "\"blobs\":99999999", 1)),
    ] {
        other.write(name, text);
        let said = journal(&other, "import", &[name]);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert!(said.err.contains("hint:") || said.err.contains("more than"), "{name}: {said:?}");
    }
    assert_eq!(ls(&other, &[]).len(), 0);
}

#[test]
fn an_exported_run_is_shown_elsewhere_and_goes_on_only_when_it_is_trusted() {
    let world = World::untouched();
    let cut = ask(&world, &["--max-turns", "1"], "what is 6*7?");
    assert_eq!(cut.code, Some(11), "{cut:?}");
    let run = newest(&world);
    let _ = journal(&world, "export", &[&run, "run.jsonl"]);
    let mode = world.work().join("run.jsonl").metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = journal(&world, "export", &[&run, "run.jsonl"]);
    assert!(again.err.contains("cannot make `run.jsonl`"), "{again:?}");

    let other = World::untouched();
    other.write("run.jsonl", world.read("run.jsonl").expect("the file"));
    let verified = journal(&other, "verify", &["--file", "run.jsonl"]).ok();
    assert!(verified.contains("intact  6 events") && verified.contains("not proved from event 1 on"), "{verified}");
    let imported = journal(&other, "import", &["run.jsonl"]).ok();
    assert!(imported.contains("does not count"), "{imported}");
    assert!(other.run(&["show", &run]).ok().contains("what is 6*7?"));
    for refused in [&["resume", &run][..], &["journal", "fork", &run, "--at", "2"]] {
        let said = other.run(refused);
        assert!(said.err.contains("was not recorded by this host"), "{said:?}");
    }
    let nobody = journal(&other, "import", &["--trust", "run.jsonl"]);
    assert!(nobody.err.contains("nobody is there to be asked"), "{nobody:?}");
    let _ = journal(&other, "import", &["--trust", "--yes", "run.jsonl"]).ok();
    assert_eq!(other.run(&["resume", &run, "--max-turns", "5"]).ok().trim(), "it is 42");
    assert!(other.run(&["show", &run]).ok().contains("the operator vouched"));
    let twice = journal(&other, "import", &["run.jsonl"]);
    assert!(twice.err.contains("exists already"), "{twice:?}");
}

#[test]
fn a_removed_run_is_gone_and_its_tombstone_tells() {
    let world = World::new();
    let _ = ask(&world, &["--session", "talk"], "a very private question").ok();
    let first = newest(&world);
    let _ = ask(&world, &["--session", "talk"], "again?").ok();
    let second = newest(&world);
    let asked = journal(&world, "rm", &[&first]);
    assert!(asked.err.contains("nobody is there to be asked"), "{asked:?}");
    let removed = journal(&world, "rm", &["--yes", &first]).ok();
    assert!(removed.contains(&format!("also kept in run {second}")), "{removed}");
    assert!(world.run(&["show", &first]).err.contains("no run begins with"));
    assert!(journal(&world, "verify", &[&first]).ok().contains("removed "));
    assert!(!world.run(&["ls"]).ok().contains(&first[..12]));
    assert!(world.run(&["ls", "--all"]).ok().contains(&format!("{first}  removed")));
    let _ = journal(&world, "rm", &["--yes", &second]).ok();
    let swept: Value = serde_json::from_str(&journal(&world, "gc", &["--json"]).ok()).expect("an object");
    assert_eq!((&swept["complete"], &swept["removed"]), (&json!(true), &json!(0)), "`rm` has swept already");
    for file in std::fs::read_dir(world.work().join(".agent-host")).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("a file");
        let private = b"a very private question";
        assert!(!bytes.windows(private.len()).any(|window| window == private));
    }
}

#[test]
fn the_end_of_a_run_is_signed_where_the_settings_name_a_key() {
    /// The first test key of RFC 8032.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let world = World::untouched();
    std::fs::create_dir(world.home()).expect("a folder");
    let key = world.home().join("key.pem");
    std::fs::write(&key, KEY).expect("a file");
    std::fs::write(world.home().join("settings.toml"), "signing_key = \"key.pem\"\n").expect("a file");
    let open = ask(&world, &[], "what is 6*7?");
    assert!(open.err.contains("chmod 600"), "{open:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    assert_eq!(ask(&world, &[], "what is 6*7?").ok().trim(), "it is 42");
    let verified = journal(&world, "verify", &[]).ok();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert!(verified.contains(&format!("signed  up to event 8, by key {public}")), "{verified}");
    assert_eq!(ls(&world, &[])[0]["status"], "completed");
}

/// A run whose end somebody spoiled is not exported as if it were whole; what is intact of it is, with a word about the rest, and
/// goes on elsewhere from there.
#[test]
fn what_is_intact_of_a_damaged_run_is_saved() {
    let world = World::untouched();
    let _ = ask(&world, &[], "what is 6*7?").ok();
    let run = newest(&world);
    let file = rusqlite::Connection::open(world.work().join(".agent-host/journal.db")).expect("the journal");
    assert_eq!(file.execute("UPDATE events SET at = at + 1 WHERE seq = 7", []).expect("an event"), 1);
    drop(file);
    let damaged = journal(&world, "export", &[&run, "whole.jsonl"]);
    assert!(damaged.code == Some(1) && damaged.err.contains("is damaged at event 7"), "{damaged:?}");
    let proved = journal(&world, "verify", &[&run]);
    assert!(proved.code == Some(1) && proved.err.contains("FILE --salvage` saves what is intact"), "{proved:?}");
    let saved = journal(&world, "export", &[&run, "run.jsonl", "--salvage"]);
    assert!(saved.err.contains("exported run") && saved.err.contains(": 6 events"), "{saved:?}");
    let left_out = "left out: all from event 7 on, since event 7: its content was changed";
    assert!(saved.code == Some(0) && saved.err.contains(left_out), "{saved:?}");

    let other = World::untouched();
    other.write("run.jsonl", world.read("run.jsonl").expect("the file"));
    assert!(journal(&other, "verify", &["--file", "run.jsonl"]).ok().contains("intact  6 events"));
    let _ = journal(&other, "import", &["run.jsonl", "--trust", "--yes"]).ok();
    assert_eq!(other.run(&["resume", &run]).ok().trim(), "it is 42");
}
