//! What runs cost that wait for a person: ten thousand of them in one journal, while another run is listed beside them and taken up.
//! None has a process, so what is looked at is the process that is there.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent_tests::World;
use agent_tests::process::look;

use crate::figure::{Figure, Target, Unit};
use crate::idle::Idle;
use crate::script::{self, Work};

const REPETITIONS: usize = 5;
const RUNS: u32 = 10_000;
/// What of the file SQLite keeps in memory at most.
const CACHE_MIB: f64 = 2.0;
/// How often the memory of a process is looked at.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// The events of a killed run under other names, each with an end that waits for a person. Their hashes are those of that run: neither a
/// listing nor another run's resume reads them for more than how they stand.
const COPIES: &str = "
    CREATE TEMP TABLE copies AS WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?1)
        SELECT printf('01hf7yat01%016d', i) AS name FROM numbers";
const COPIED: &str = "
    INSERT INTO runs (run, seq, head, epoch) SELECT name, seq + 1, head, epoch FROM copies, (SELECT * FROM runs);
    INSERT INTO events SELECT name, seq, epoch, at, kind, version, body, blob, prev_hash, hash, mac
        FROM copies, (SELECT * FROM events);
    INSERT INTO events SELECT name, e.seq + 1, e.epoch, e.at, 'RunEnded', 1,
            '{\"stop\":\"suspended-approval\",\"answer\":null,\"detail\":null}', NULL, e.hash, e.hash, NULL
        FROM copies, (SELECT e.* FROM events e JOIN runs r ON r.run = e.run AND r.seq = e.seq WHERE r.number = 1) e;";

/// What a verb took.
struct Took {
    ms: f64,
    peak_mib: f64,
}

/// Measures and prints.
pub fn measure() {
    println!("suspended: one journal with {RUNS} runs that wait for a person");
    let mut took: [Vec<Took>; 4] = Default::default();
    for _ in 0..REPETITIONS {
        for (crowd, into) in [0, RUNS].into_iter().zip([0, 2]) {
            let world = Idle::after(1).kill();
            script::write(&world, Work::Compute, 1, None);
            let run = crowded(&world, crowd);
            took[into].push(watched(world.command(&["ls"])));
            took[into + 1].push(watched(world.command(&["resume", "--quiet", &run])));
        }
    }
    let figures = |of: fn(&Took) -> f64| took.each_ref().map(|took| Figure::new(took.iter().map(of).collect()));
    let [ls, resume, ls_beside, resume_beside] = figures(|took| took.ms);
    for (name, alone, beside) in [("ls", &ls, &ls_beside), ("resume", &resume, &resume_beside)] {
        alone.print(&format!("`{name}`, with one run"), Unit::Milliseconds);
        beside.print(&format!("`{name}`, beside them"), Unit::Milliseconds);
    }
    let [ls, resume, ls_beside, resume_beside] = figures(|took| took.peak_mib);
    for (name, alone, beside) in [("ls", &ls, &ls_beside), ("resume", &resume, &resume_beside)] {
        alone.print(&format!("peak memory of `{name}`, with one run"), Unit::Mebibytes);
        let added = beside.with(alone, |beside, alone| beside - alone);
        added.print_against(Target::AtMost(CACHE_MIB), "  what they add", Unit::Mebibytes);
    }
    println!();
}

/// Puts so many suspended runs beside the one that there is, and names that.
fn crowded(world: &World, count: u32) -> String {
    let mut journal = rusqlite::Connection::open(world.work().join(".agent-host/journal.db")).expect("the journal");
    let run = journal.query_row("SELECT run FROM runs", [], |row| row.get(0)).expect("a run");
    if count > 0 {
        let transaction = journal.transaction().expect("nobody else writes");
        transaction.execute(COPIES, [count]).expect("names");
        transaction.execute_batch(COPIED).expect("runs");
        transaction.commit().expect("they are kept");
    }
    run
}

/// Runs a command to its end, and looks at its memory all the time.
fn watched(mut command: Command) -> Took {
    let (started, mut peak_kib) = (Instant::now(), 0);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = loop {
        peak_kib = look(child.id()).map_or(peak_kib, |look| look.peak_kib.max(peak_kib));
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    assert!(status.success(), "{status}");
    Took {
        ms: started.elapsed().as_secs_f64() * 1e3,
        peak_mib: f64::from(u32::try_from(peak_kib).unwrap_or(0)) / 1024.0,
    }
}
