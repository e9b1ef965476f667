//! A clock that is set between two hosts of a run: it makes no approval good for longer, and uses up nobody's time.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::payments::killed_at;
use agent_tests::sums::computing;
use agent_tests::{Said, World};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// What the program ends with when it waits for a person.
const WAITS: Option<i32> = Some(20);

/// Runs the program on a machine whose clock stands so much later, or earlier.
fn set_by(world: &World, milliseconds: i64, words: &[&str]) -> Said {
    let mut command = world.command(words);
    command.env("AGENT_HOST_CLOCK_SET_BY", milliseconds.to_string());
    world.said(&command.output().expect("the program starts"))
}

#[test]
fn an_approval_counts_for_ten_minutes_whichever_way_the_clock_is_set() {
    for (later, code) in [(11 * MINUTE, WAITS), (-MINUTE, WAITS), (9 * MINUTE, Some(0))] {
        let world = World::new();
        let words = computing(&world, "[[approval]]\ntool = \"calc\"\n");
        assert_eq!(world.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).code, WAITS);
        let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
        let _ = world.run(&["approve", &run, "1", "--yes"]).ok();
        let resumed = set_by(&world, later, &["resume"]);
        assert_eq!(resumed.code, code, "{later}: {resumed:?}");
        let started = world.events(&[]).iter().filter(|event| event["kind"] == "ToolStarted").count();
        assert_eq!(started, usize::from(code == Some(0)), "{later}");
        if code == WAITS {
            // Asked anew, and a new yes counts.
            let _ = set_by(&world, later, &["approve", &run, "1", "--yes"]).ok();
            assert_eq!(set_by(&world, later, &["resume"]).ok(), "it is 42\n", "{later}");
        }
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{later}");
    }
}

#[test]
fn a_clock_that_is_set_uses_up_no_time_and_gives_none_back() {
    for later in [10 * DAY, -10 * DAY] {
        let world = World::new();
        let words = computing(&world, "");
        killed_at(&world, &words.iter().map(String::as_str).collect::<Vec<_>>(), "tool-started#1");
        let resumed = set_by(&world, later, &["resume", "--json"]);
        assert_eq!(resumed.code, Some(0), "{later}: {resumed:?}");
        let said: serde_json::Value = serde_json::from_str(&resumed.out).expect("JSON");
        let time = said["spent"]["time"].as_u64().expect("milliseconds");
        assert!(time < MINUTE.unsigned_abs(), "{later}: {said}");
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{later}");
    }
}
