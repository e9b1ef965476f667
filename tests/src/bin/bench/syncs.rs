//! How often a turn waits for the disk: by the journal's own count, and by the system's, which nothing can talk to.

use std::process::Command;

use agent_tests::World;
use agent_tests::server::{Manner, Server};

use crate::script::{self, Work};

/// Runs whose difference is taken, so that start and end of a run are not counted.
const SHORT: usize = 20;
const LONG: usize = 120;

/// Measures and prints. Counts, not times: once is enough.
pub fn measure() {
    let server = Server::start(Manner::Answer("done"));
    println!("syncs: in a turn with one call; the system's count has those of the files that it writes, too");
    for (call, work) in [
        ("a call that computes", Work::Compute),
        ("a POST", Work::Post(server.address())),
        ("a call that makes 5 files", Work::Write),
    ] {
        for durability in ["relaxed", "strict"] {
            let own = difference(|turns| counted_by_journal(work, turns, durability));
            let system = difference(|turns| counted_by_system(work, turns, durability));
            let word =
                |count: Option<f64>| count.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.2}"));
            println!("  {call:<25} {durability:<8} by the journal {:>11}, by strace {:>11}", word(own), word(system));
        }
    }
    println!();
}

fn difference(count: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    Some((count(LONG)? - count(SHORT)?) / (LONG - SHORT) as f64)
}

/// From the line that a run leaves in the log at its end.
fn counted_by_journal(work: Work, turns: usize, durability: &str) -> Option<f64> {
    let world = World::new();
    script::write(&world, work, turns, None);
    let mut command = script::command(&world, work, durability);
    let output = command.env("AGENT_HOST_LOG", "info").output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, after) = said.rsplit_once("syncs=")?;
    after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// `None` where there is no `strace`, or it may not look.
fn counted_by_system(work: Work, turns: usize, durability: &str) -> Option<f64> {
    let world = World::new();
    script::write(&world, work, turns, None);
    let table = world.work().join("strace.txt");
    let run = script::command(&world, work, durability);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o"]).arg(&table);
    strace.arg("--").arg(run.get_program()).args(run.get_args()).current_dir(world.work()).env_clear();
    strace.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = strace.output().ok()?;
    let counted = std::fs::read_to_string(&table).ok()?;
    ended.status.success().then(|| total(&counted))
}

/// The calls in all rows of such a table; the last row repeats their sum.
fn total(table: &str) -> f64 {
    let rows = table
        .lines()
        .filter(|row| ["fsync", "fdatasync", "sync_file_range", "msync"].iter().any(|name| row.ends_with(name)));
    rows.filter_map(|row| row.split_whitespace().nth(3)?.parse::<f64>().ok()).sum()
}
