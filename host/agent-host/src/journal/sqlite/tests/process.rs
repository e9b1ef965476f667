//! A killed process loses nothing that it was told is recorded, and what it held is free.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::*;

const HOME: &str = "AGENT_HOST_TEST_JOURNAL_HOME";

/// Not a test of its own: what the killed process runs.
#[test]
fn writes_until_it_is_killed() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let key = HostKey::load_or_create(&home.join("state")).unwrap();
    let journal = SqliteJournal::create_or_open(&home.join(".agent-host"), &key).unwrap();
    let log = begin_run(&journal, &run_id(1));
    for attempt in 1_u32.. {
        let durable = if attempt % 8 == 0 { Durable::Now } else { Durable::Later };
        let recorded = log.append(at(u64::from(attempt)), requested(attempt), durable).unwrap();
        writeln!(std::io::stderr(), "recorded {}", recorded.seq).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_and_is_succeeded() {
    let home = Home::new();
    let mut child = spawn(&home);
    let acknowledged = acknowledged_up_to(&mut child, 300);
    let locked = home.open().resume_run(&run_id(1), TakeOver::IfDead);
    assert!(matches!(locked, Err(JournalError::RunLocked { holder, .. }) if holder.pid == child.id()));

    child.kill().unwrap();
    let journal = home.open();
    wait_until_gone(&child);
    // Not waited for yet, so it is still a zombie: gone all the same.
    let (events, log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    assert!(events.len() as u64 >= acknowledged, "{} of {acknowledged}", events.len());
    assert_eq!(log.append(at(1), requested(1), Durable::Now).unwrap().epoch, 2);
    assert!(journal.verify(&run_id(1)).unwrap().is_intact());
    child.wait().unwrap();
}

fn spawn(home: &Home) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::sqlite::tests::process::writes_until_it_is_killed", "--nocapture"])
        .env(HOME, home.0.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn acknowledged_up_to(child: &mut Child, seq: u64) -> u64 {
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    lines
        .filter_map(|line| line.unwrap().strip_prefix("recorded ").and_then(|number| number.parse().ok()))
        .find(|number| *number >= seq)
        .expect("the child writes until it is killed")
}

/// A kill is asynchronous, and this test is about the time after it.
fn wait_until_gone(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
}
