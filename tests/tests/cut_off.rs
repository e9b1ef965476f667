//! The end of a journal that a power loss tore: its last write is dropped, and that is told. Case S2 of the hostile family.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::World;
use agent_tests::payments::killed_at;

/// Bytes that the disk did not keep: fewer than those of the last write.
const LOST: u64 = 100;

/// A run whose host was killed once it had recorded that it asks its model.
fn killed(world: &World) -> String {
    let script = "version = 1\n[[reply]]\ntext = \"done\"\n";
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    killed_at(world, &["run", "--model", &model, "go"], "model-requested#1");
    model
}

/// Takes away the end of the journal's log.
fn tear(world: &World) {
    let log = world.work().join(".agent-host/journal.db-wal");
    let log = std::fs::File::options().write(true).open(log).expect("a killed host leaves its log");
    let length = log.metadata().expect("a file").len();
    log.set_len(length - LOST).expect("a shorter file");
}

fn kinds(world: &World) -> Vec<String> {
    world.events(&[]).iter().map(|event| event["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn a_write_that_was_cut_off_is_dropped_told_and_recorded() {
    let world = World::new();
    let _ = killed(&world);
    assert_eq!(kinds(&world), ["RunStarted", "ModelRequested"]);
    tear(&world);
    // Whoever looks takes nothing away of what there is to be told.
    assert_eq!(kinds(&world), ["RunStarted"]);
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), "done\n"), "{resumed:?}");
    let told = "the journal ended in a write that was not finished, which was dropped (";
    assert!(resumed.err.contains(told), "{}", resumed.err);
    let events = world.events(&[]);
    assert_eq!(events[1]["kind"], "RunResumed");
    assert!(events[1]["body"]["repaired"].as_u64().is_some_and(|bytes| bytes > LOST), "{}", events[1]);
    let shown = world.run(&["show"]).ok();
    assert!(shown.contains(&format!("resumed; {told}")), "{shown}");
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}

#[test]
fn a_new_run_tells_of_what_was_cut_off_and_nobody_does_later() {
    let world = World::new();
    let model = killed(&world);
    tear(&world);
    let words = ["run", "--model", &model, "go"];
    let first = world.run(&words);
    assert!(first.code == Some(0) && first.err.contains("was not finished"), "{first:?}");
    let second = world.run(&words);
    assert!(second.code == Some(0) && !second.err.contains("was not finished"), "{second:?}");
}

#[test]
fn a_host_that_was_killed_between_two_writes_left_nothing_to_drop() {
    let world = World::new();
    let _ = killed(&world);
    let resumed = world.run(&["resume"]);
    assert!(resumed.code == Some(0) && !resumed.err.contains("was not finished"), "{resumed:?}");
    assert!(world.events(&[]).iter().all(|event| event["body"].get("repaired").is_none()));
}
