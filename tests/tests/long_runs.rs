//! A run of a million events in a file of about 1 GiB: every verb reads it in memory that does not grow with it, and it is taken up in a time
//! that grows with it and not faster. Recorded by the program itself, event by event as in a drive; twenty thousand events where nobody asks
//! for the whole (`AGENT_HOST_TEST_EVENTS`).

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use agent_tests::process::look;
use agent_tests::{World, tool};

/// Events, where the environment says nothing.
const EVENTS: u64 = 20_000;

/// What each call was told, in bytes. With the events themselves that makes more than 1 KiB for each event.
const TOLD_BYTES: u64 = 24 << 10;

/// The least that the journal of such a run takes for each event.
const FILE_BYTES_PER_EVENT: u64 = (1 << 30) / 1_000_000;

/// Most time that a resume takes, whatever the run: the start of a program that was not optimised, on a busy machine.
const RESUME_MAX: Duration = Duration::from_secs(10);

/// Most time for each thousand events: some seventy times what it takes where nothing else runs. Whoever read what is before each event
/// once more would need as much for a handful of them, in a run of a million.
const RESUME_MAX_PER_1000: Duration = Duration::from_secs(1);

/// Most resident memory of a verb that only looks: the program, SQLite's cache and a page of events.
const LOOKING_KIB_MAX: u64 = 160 << 10;

/// For each thousand events of a run that goes on: what was said in it is asked of the model again, so it is in memory.
const CONVERSATION_KIB_PER_1000: u64 = 256;

/// How often the memory of a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What came of a verb.
struct Came {
    code: Option<i32>,
    out: String,
    peak_kib: u64,
    took: Duration,
}

fn events() -> u64 {
    let asked = std::env::var("AGENT_HOST_TEST_EVENTS").ok();
    asked.map_or(EVENTS, |asked| asked.parse().expect("a number of events"))
}

/// Runs a verb and looks at its memory all the time.
fn watched(world: &World, words: &[&str]) -> Came {
    let file = world.work().join("said.txt");
    let mut command = world.command(words);
    command.stdout(File::create(&file).expect("a file")).stderr(Stdio::null());
    let (started, mut peak_kib) = (Instant::now(), 0);
    let mut child = command.spawn().expect("the program starts");
    let status = loop {
        peak_kib = look(child.id()).map_or(peak_kib, |look| look.peak_kib.max(peak_kib));
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    let took = started.elapsed();
    let out = std::fs::read_to_string(&file).expect("what it said");
    Came { code: status.code(), out, peak_kib, took }
}

/// A run of one call that writes a file, recorded in full, whose beginning the long one has.
fn short(world: &World) -> String {
    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"files.write\", arguments = { path = \"a.txt\", content = \"one\" } \
                  }]\n[[reply]]\ntext = \"done\"\n";
    world.write("replies.toml", script);
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let words = ["run", "--tools", &tool("files"), "--allow-write", &data, "--record", "full"];
    let _ = world.run(&[&words[..], &["--model", "scripted:replies.toml", "write"]].concat()).ok();
    world.events(&[])[0]["run"].as_str().expect("a run").to_owned()
}

#[test]
fn a_run_of_a_million_events_is_read_in_bounded_memory() {
    let world = World::new();
    let (count, told) = (events().to_string(), TOLD_BYTES.to_string());
    let made = watched(&world, &["long-run", &short(&world), &count, "--told", &told]);
    assert!(made.code == Some(0) && made.peak_kib < LOOKING_KIB_MAX, "{} KiB in {:?}", made.peak_kib, made.took);
    let (run, count) = made.out.trim().split_once(' ').expect("a name and a number");
    let last: u64 = count.parse().expect("a number");
    assert!(last + 30 > events());
    let bytes = world.work().join(".agent-host/journal.db").metadata().expect("a journal").len();
    assert!(bytes >= events() * FILE_BYTES_PER_EVENT, "{bytes} bytes");
    let settled = (last - 2).to_string();
    let file = world.work().join("exported").display().to_string();
    let looking: [(&[&str], i32, &str); 8] = [
        (&["ls"], 0, "interrupted"),
        (&["show", run], 0, "that was long"),
        (&["show", run, "--json"], 0, "that was long"),
        (&["changes", run], 0, "created"),
        (&["journal", "verify", run], 0, "unchanged and in their order"),
        (&["journal", "export", run, &file], 0, ""),
        (&["journal", "fork", run, "--at", &settled], 0, "shares events 1 to"),
        (&["journal", "replay", run], 1, "not possible"),
    ];
    for (words, code, said) in looking {
        let came = watched(&world, words);
        assert!(came.code == Some(code) && came.out.contains(said), "{words:?}: {:?} {:.300}", came.code, came.out);
        assert!(came.peak_kib < LOOKING_KIB_MAX, "{words:?}: {} KiB", came.peak_kib);
    }
    let resumed = watched(&world, &["resume", run]);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), "that was long\n"));
    let thousands = events() / 1000;
    let most = LOOKING_KIB_MAX + thousands * CONVERSATION_KIB_PER_1000;
    assert!(resumed.peak_kib < most, "resume: {} KiB", resumed.peak_kib);
    let says = format!("resume of {last} events, {} MiB, made in {:?}: {:?}\n", bytes >> 20, made.took, resumed.took);
    let _ = std::io::stderr().write_all(says.as_bytes());
    let longest = RESUME_MAX + RESUME_MAX_PER_1000 * u32::try_from(thousands).expect("a number");
    assert!(resumed.took < longest, "{says}");
}
