//! A journal that somebody spoiled, took away or holds: the program names what is wrong, and says what is safe.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Read as _;
use std::path::PathBuf;

use agent_tests::{Said, World, wait_until};

/// Where SQLite keeps the number of a file's layout: four bytes, the highest first.
const LAYOUT_AT: usize = 60;

fn journal(world: &World) -> PathBuf {
    world.work().join(".agent-host/journal.db")
}

/// A run whose model answers after so long.
fn words(world: &World, delay: &str) -> [String; 4] {
    let script = format!("version = 1\n[[reply]]\ntext = \"all is well\"\ndelay = \"{delay}\"\n");
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    ["run", "--model", &model, "go"].map(str::to_owned)
}

fn run(world: &World) {
    let _ = world.run(&words(world, "0s").each_ref().map(String::as_str)).ok();
}

/// Changes the bytes of the journal that a finished run left.
fn spoil(world: &World, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(journal(world)).expect("the journal");
    change(&mut bytes);
    std::fs::write(journal(world), bytes).expect("it is written");
}

fn place_of(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).position(|window| window == word).expect("the word is there")
}

#[track_caller]
fn is_named(said: &Said, name: &str, safe: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("error[{name}]")), "{said:?}");
    assert!(said.err.contains("hint: ") && said.err.contains(safe), "{said:?}");
}

#[test]
fn a_flipped_byte_is_named_and_what_comes_before_it_is_said_to_be_intact() {
    let world = World::new();
    run(&world);
    spoil(&world, |bytes| {
        let place = place_of(bytes, b"all is well");
        bytes[place] ^= 1;
    });
    is_named(&world.run(&["resume"]), "store_corrupt", "the events before it are intact");
}

#[test]
fn a_file_that_was_cut_short_is_named() {
    let world = World::new();
    run(&world);
    spoil(&world, |bytes| bytes.truncate(bytes.len() / 2));
    is_named(&world.run(&["resume"]), "store_corrupt", "copy the whole folder before anything else");
}

#[test]
fn a_newer_layout_is_refused_and_nothing_is_changed() {
    let world = World::new();
    run(&world);
    spoil(&world, |bytes| bytes[LAYOUT_AT..LAYOUT_AT + 4].copy_from_slice(&99_u32.to_be_bytes()));
    let before = std::fs::read(journal(&world)).expect("the journal");
    is_named(&world.run(&["ls"]), "store_newer", "nothing was changed; use the newer agent-host");
    assert!(std::fs::read(journal(&world)).expect("the journal") == before);
}

#[test]
fn a_run_that_somebody_drives_is_named_with_who_does() {
    let world = World::new();
    let mut first = world.start(&words(&world, "20s").each_ref().map(String::as_str), &[]);
    wait_until("the run is driven", || world.run(&["ls"]).out.contains("running"));
    let second = world.run(&["resume"]);
    first.kill().expect("it was alive");
    let _ = first.wait();
    is_named(&second, "run_locked", "the run goes on there, and nothing was changed");
}

#[test]
fn a_journal_that_is_taken_away_ends_its_run_and_nothing_recorded_is_lost() {
    let world = World::new();
    let mut host = world.start(&words(&world, "3s").each_ref().map(String::as_str), &[]);
    wait_until("the run is driven", || world.run(&["ls"]).out.contains("running"));
    let (folder, away) = (world.work().join(".agent-host"), world.work().join("away"));
    std::fs::rename(&folder, &away).expect("it is moved");
    let code = host.wait().expect("it ends").code();
    let mut said = String::new();
    let _ = host.stderr.take().expect("its messages").read_to_string(&mut said);
    assert!(code == Some(1) && said.contains("error[store_gone]"), "{code:?}: {said}");
    assert!(said.contains("what was recorded before is in it, and nothing was written since"), "{said}");
    std::fs::rename(&away, &folder).expect("it is put back");
    assert_eq!(world.run(&["resume"]).ok(), "all is well\n");
}
