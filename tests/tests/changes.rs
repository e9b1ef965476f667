//! `agent-host changes`: what a run did to files is shown, and undone where it is still as the run left it. And the undo that a
//! resume does: what people did meanwhile stays.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt;

use agent_tests::terminal::Terminal;
use agent_tests::{World, guest, tool, wait_until};

const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "files.write", arguments = { path = "report.txt", content = "one\ntwo\nthree\n" } }]
[[reply]]
[[reply.calls]]
tool = "polite.write_twice"
arguments = { first = "old.txt", second = "b.txt", content = "new", pause_ms = 5 }
[[reply]]
calls = [{ tool = "files.write", arguments = { path = "report.txt", content = "one\n2\nthree\n" } }]
[[reply]]
text = "done"
"#;

fn arguments(world: &World, script: &str) -> Vec<String> {
    let script = world.write("replies.toml", script).display().to_string();
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let (files, polite, model) = (tool("files"), guest("polite"), format!("scripted:{script}"));
    let words = ["run", "--tools", &files, "--tools", &polite, "--allow-write", &data, "--model", &model, "go"];
    words.map(str::to_owned).to_vec()
}

/// A finished run, and its identifier.
fn ran(world: &World) -> String {
    let arguments = arguments(world, SCRIPT);
    let said = world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(said.out, "done\n", "{said:?}");
    run_id(world)
}

fn run_id(world: &World) -> String {
    world.events(&[])[0]["run"].as_str().expect("a run").to_owned()
}

#[test]
fn the_changes_of_a_run_are_shown_and_undone() {
    let world = World::new();
    let run = ran(&world);
    let shown = world.run(&["changes", &run]).ok();
    let expected = "call 1 files.write\n  created   /data/report.txt  14 B\ncall 2 polite.write_twice\n  changed   /data/old.txt  3 B\n  created   /data/b.txt  3 \
                    B\ncall 3 files.write\n  changed   /data/report.txt  14 B → 12 B\n";
    assert_eq!(shown, expected);
    let diff = world.run(&["changes", &run, "--call", "3", "--diff"]).ok();
    assert!(diff.contains("    -two\n    +2\n"), "{diff}");
    let first = world.run(&["changes", &run, "--call", "1", "--diff"]).ok();
    assert!(first.contains("    +two\n"), "what a later call found is what this one left: {first}");
    let json = world.run(&["changes", &run, "--json"]).ok();
    let calls: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(calls[2]["changes"][0]["before_bytes"], 14);

    // Off a terminal nobody is asked, and nothing is done.
    let unasked = world.run(&["changes", &run, "--undo"]);
    assert_eq!((unasked.code, world.read("data/b.txt").as_deref()), (Some(1), Some("new")), "{unasked:?}");
    assert!(unasked.err.contains("--yes"), "{unasked:?}");

    let before_the_last = world.run(&["changes", &run, "--undo", "--yes", "--call", "3"]);
    assert_eq!(before_the_last.code, Some(0), "{before_the_last:?}");
    assert_eq!(world.read("data/report.txt").as_deref(), Some("one\ntwo\nthree\n"));
    assert_eq!(world.read("data/old.txt").as_deref(), Some("new"));
    let all = world.run(&["changes", &run, "--undo", "--yes"]).ok();
    assert!(all.contains("3 paths are as before"), "{all}");
    assert_eq!(world.read("data/old.txt").as_deref(), Some("old"));
    assert_eq!((world.read("data/report.txt"), world.read("data/b.txt")), (None, None));
    assert!(world.run(&["changes", &run, "--undo", "--yes"]).ok().contains("nothing to undo"));
    assert!(world.run(&["changes", &run]).ok().contains("call 1 files.write (undone)"));
    assert!(world.run(&["ls"]).ok().contains("completed"));
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
    assert!(world.run(&["show"]).ok().contains("a person had the file changes undone of call 2, 1"));
}

#[test]
fn what_somebody_changed_since_is_named_and_left_alone() {
    let world = World::new();
    let run = ran(&world);
    std::thread::sleep(std::time::Duration::from_millis(20));
    world.write("data/old.txt", "edited");
    let said = world.run(&["changes", &run, "--undo", "--yes"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("left alone: /data/old.txt (call 2)\n  the call left a file of 3 B"), "{said:?}");
    assert!(said.out.contains("there is now a file of 6 B"), "{said:?}");
    assert_eq!(world.read("data/old.txt").as_deref(), Some("edited"));
    assert_eq!((world.read("data/report.txt"), world.read("data/b.txt")), (None, None), "the rest is undone");
    // Only what was left is tried again, and then all is as before.
    std::fs::remove_file(world.work().join("data/old.txt")).expect("it is there");
    let again = world.run(&["changes", &run, "--undo", "--yes", "--json"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    world.write("data/old.txt", "old");
    assert_eq!(world.run(&["changes", &run, "--undo", "--yes"]).code, Some(0));
}

/// Kills the host when the second write of `write_twice` is announced: the first has happened.
fn killed(world: &World) {
    let arguments = arguments(world, SCRIPT);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let child = world.start(&arguments, &[("AGENT_HOST_FAILPOINT", "change-intended#3")]);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.signal(), Some(9), "{:?}", world.said(&output));
    assert_eq!(world.read("data/old.txt").as_deref(), Some("new"));
}

#[test]
fn an_edit_between_a_kill_and_its_resume_survives_and_is_told() {
    let world = World::new();
    killed(&world);
    std::thread::sleep(std::time::Duration::from_millis(20));
    world.write("data/old.txt", "edited by a person");
    let resumed = world.run(&["resume"]);
    assert_eq!(resumed.code, Some(22), "{resumed:?}");
    assert_eq!(world.read("data/old.txt").as_deref(), Some("edited by a person"));
    let events = world.events(&[]);
    let doubt = events.iter().find(|event| event["kind"] == "ToolInDoubt").expect("doubt");
    let reason = doubt["body"]["reason"].as_str().expect("text");
    assert!(reason.contains("the call left a file of 3 B") && reason.contains("now a file of 18 B"), "{reason}");
}

#[test]
fn an_undo_that_is_killed_is_resumed() {
    for point in ["undo-marked#1", "undo-marked#2", "undo-marked#3", "call-undone#1"] {
        let world = World::new();
        killed(&world);
        let child = world.start(&["resume"], &[("AGENT_HOST_FAILPOINT", point)]);
        let output = child.wait_with_output().expect("it ends");
        if output.status.signal().is_none() {
            assert!(point.starts_with("undo-marked"), "{point} is not reached: {:?}", world.said(&output));
            continue;
        }
        let resumed = world.run(&["resume"]);
        assert_eq!(resumed.out, "done\n", "{point}: {}", resumed.err);
        assert_eq!(world.read("data/old.txt").as_deref(), Some("new"), "{point}");
    }
}

#[test]
fn at_a_terminal_a_person_is_asked_first() {
    let world = World::new();
    let run = ran(&world);
    let words = ["changes", &run, "--undo"].map(str::to_owned);
    let mut asked = Terminal::start(&world, &words);
    asked.expect("undo this, the last call first?");
    asked.say("n\n");
    let (said, code) = asked.end();
    assert!(code == Some(1) && said.contains("nothing was changed"), "{said}");
    assert_eq!(world.read("data/old.txt").as_deref(), Some("new"));
    let mut asked = Terminal::start(&world, &words);
    asked.expect("undo this, the last call first?");
    asked.say("y\n");
    let (said, code) = asked.end();
    assert!(code == Some(0) && said.contains("3 paths are as before"), "{said}");
    assert_eq!(world.read("data/old.txt").as_deref(), Some("old"));
}

/// Who stops a run finds the files as they were, without having to resume it; and what is edited then is no doubt.
#[test]
fn a_run_that_a_person_stops_leaves_the_files_as_they_were() {
    let world = World::new();
    let arguments = arguments(&world, &SCRIPT.replace("pause_ms = 5", "pause_ms = 30000"));
    let mut host = world.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    wait_until("the first write", || world.read("data/old.txt").as_deref() == Some("new"));
    let pid = i32::try_from(host.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
    let _ = host.wait();
    assert_eq!(world.read("data/old.txt").as_deref(), Some("old"));
    let kinds = world.events(&[]).into_iter().filter(|event| event["kind"] == "CallUndone").count();
    assert_eq!(kinds, 1);
}

/// One directory is granted to one tool, and one inside of it to another: each knows the same file by a path of its own.
#[test]
fn calls_that_know_a_file_by_different_mounts_are_undone_together() {
    const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "files.write", arguments = { path = "inner/x", content = "one" } }]
[[reply]]
calls = [{ tool = "polite.write_twice", arguments = { first = "x", second = "y", content = "two", pause_ms = 0 } }]
[[reply]]
calls = [{ tool = "files.write", arguments = { path = "inner/x", content = "three" } }]
[[reply]]
text = "done"
"#;
    let world = World::new();
    let inner = world.write("data/inner/x", "before").parent().expect("a folder").display().to_string();
    let outer = world.work().join("data").display().to_string();
    let grant = |tool: &str, host: &str| {
        format!("[[grant]]\ntool = \"{tool}\"\nfs = [{{ host = \"{host}\", mount = \"/data\", access = \"write\" }}]\n")
    };
    world.write("policy.toml", grant("files", &outer) + &grant("polite", &inner));
    let model = format!("scripted:{}", world.write("replies.toml", SCRIPT).display());
    let (files, polite) = (tool("files"), guest("polite"));
    let words = ["run", "--tools", &files, "--tools", &polite, "--policy", "policy.toml", "--model", &model, "go"];
    assert_eq!(world.run(&words).out, "done\n");
    assert_eq!(world.read("data/inner/x").as_deref(), Some("three"));
    let said = world.run(&["changes", &run_id(&world), "--undo", "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((world.read("data/inner/x").as_deref(), world.read("data/inner/y")), (Some("before"), None));
}
