//! A disk that is full or fails, by the system's own answers: to one thread they are replaced with errors, and a small file system
//! of its own is filled. What these tests cannot bring about is a power cut: that is the simulated disk's part.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::thread;

use agent_core::run_events::{Durability, RunStarted};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::*;
use crate::journal::log::RunLog;
use crate::journal::tests::started;

/// Runs `act` in a thread to which these system calls fail with `error`.
fn failing<T: Send>(calls: &[i64], error: i32, act: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let (allow, fail) = (SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()));
    let filter = SeccompFilter::new(rules, allow, fail, std::env::consts::ARCH.try_into().unwrap()).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

const SYNCS: [i64; 2] = [libc::SYS_fsync, libc::SYS_fdatasync];
const WRITES: [i64; 1] = [libc::SYS_pwrite64];

fn begin_with(journal: &dyn Journal, number: u64, durability: Durability) -> Box<dyn RunLog> {
    journal.start_run(run_id(number), at(1), RunStarted { durability, ..started() }).unwrap().0
}

#[test]
fn a_failed_sync_is_the_last_thing_that_a_process_records() {
    for durability in [Durability::Strict, Durability::Group] {
        let home = Home::new();
        let journal = home.open();
        let log = begin_with(&journal, 1, durability);
        log.append(at(2), requested(1), Durable::Now).unwrap();
        let failed = failing(&SYNCS, libc::EIO, || log.append(at(3), requested(2), Durable::Now)).unwrap_err();
        assert!(matches!(failed, JournalError::Failing { what: "a sync", .. }), "{failed}");
        // The disk is well again, and may say so: what it forgot meanwhile is not known.
        for durable in [Durable::Later, Durable::Now] {
            let after = log.append(at(4), requested(3), durable).unwrap_err();
            assert!(matches!(after, JournalError::Poisoned { .. }), "{after}");
        }
        assert!(matches!(journal.put_blob(b"x"), Err(JournalError::Poisoned { .. })));
        drop(log);

        let (events, log) = home.open().resume_run(&run_id(1), TakeOver::Always).unwrap();
        assert!((2..=3).contains(&events.len()), "what was acknowledged is there: {}", events.len());
        log.append(at(5), requested(3), Durable::Now).unwrap();
    }
}

/// What a process could not sync is read by the next one, and taken for written by the system. Whatever that one appended behind
/// it would be lost with it: SQLite reads a log up to the first piece that does not fit.
#[test]
fn a_new_run_does_not_stand_behind_what_another_process_failed_to_sync() {
    let home = Home::new();
    let failed = home.open();
    let log = begin_with(&failed, 1, Durability::Strict);
    log.append(at(2), replied(&"four ".repeat(200)), Durable::Later).unwrap();
    failing(&SYNCS, libc::EIO, || log.append(at(3), requested(2), Durable::Now)).unwrap_err();
    // It is stopped where it is, so that nobody brings its log into the file.
    let is_in_file = || {
        let (bytes, words) = (std::fs::read(home.file()).unwrap(), b"four four four");
        bytes.windows(words.len()).any(|window| window == words)
    };
    assert!(!is_in_file());
    let next = home.open();
    let began = begin_with(&next, 2, Durability::Strict);
    assert!(is_in_file(), "it was written once more, and synced");
    let events = next.events(&run_id(1)).unwrap().len();
    assert!((2..=3).contains(&events), "what was acknowledged is there: {events}");
    drop((began, log));
}

#[test]
fn a_failed_write_is_the_last_thing_that_a_process_records() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    let failed = failing(&WRITES, libc::EIO, || log.append(at(2), requested(1), Durable::Now)).unwrap_err();
    assert!(matches!(failed, JournalError::Failing { what: "a write", .. }), "{failed}");
    assert!(matches!(log.append(at(2), requested(1), Durable::Now), Err(JournalError::Poisoned { .. })));
    drop(log);
    assert_eq!(home.open().resume_run(&run_id(1), TakeOver::Always).unwrap().0.len(), 1);
}

#[test]
fn a_full_disk_refuses_and_forgets_nothing() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    assert!(!journal.ran_out_of_room());
    for attempt in 1..20 {
        let refused = failing(&WRITES, libc::ENOSPC, || {
            assert!(matches!(journal.put_blob(b"what an undo needs"), Err(JournalError::StoreFull { .. })));
            log.append(at(2), requested(attempt), Durable::Now)
        });
        assert!(matches!(refused, Err(JournalError::StoreFull { .. })), "{refused:?}");
        let next = log.append(at(2), requested(attempt), Durable::Now).unwrap();
        assert_eq!(next.seq, u64::from(attempt) + 1, "the refused event left no gap");
    }
    assert!(journal.ran_out_of_room());
    assert_eq!(journal.verify(&run_id(1)).unwrap().damage, None);
}

const FULL: &str = "AGENT_HOST_TEST_FULL_DISK";

/// How a process gets file systems of its own: as root, and as somebody whom the system lets be root among those.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// The first of the ways on which something can be mounted here.
fn way() -> Option<&'static [&'static str]> {
    let works = |way: &&&[&str]| {
        let tried = Command::new("unshare").args(**way).args(["--", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    WAYS.iter().find(works).copied()
}

/// On a file system of one mebibyte, which only this test sees.
#[test]
fn a_full_disk_still_takes_the_last_event_and_goes_on_when_there_is_room() {
    let mine = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let test = "journal::sqlite::tests::disk::fills_its_disk";
    let script = r#"mount -t tmpfs -o size=1m none "$1" && exec "$2" --exact "$3" --nocapture"#;
    let Some(way) = way() else {
        // Where tests are run for everybody, none of them is passed over.
        assert!(
            std::env::var_os("CI").is_none(),
            "nothing can be mounted here, neither by root nor in a user namespace"
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: nothing can be mounted here\n");
        return;
    };
    let child = Command::new("unshare")
        .args(way)
        .args(["--", "sh", "-c", script, "sh"])
        .args([mine.path(), this.as_path(), Path::new(test)])
        .env(FULL, mine.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("the disk was filled"), "{said}");
}

/// Not a test of its own: what runs on the small disk.
#[test]
fn fills_its_disk() {
    let Some(place) = std::env::var_os(FULL).map(PathBuf::from) else { return };
    let key = HostKey::load_or_create(&place.join("state")).unwrap();
    let runs = place.join(".agent-host");
    let journal = SqliteJournal::create_or_open(&runs, &key).unwrap();
    let log = begin_run(&journal, &run_id(1));
    let mut recorded = 1;
    for attempt in 1..10_000 {
        match log.append(at(2), requested(attempt), Durable::Now) {
            Ok(_) => recorded += 1,
            Err(error) => {
                assert!(matches!(error, JournalError::StoreFull { .. }), "{error}");
                break;
            }
        }
        if attempt == 20 {
            fill(&place);
        }
    }
    assert!(recorded < 9_000, "the disk was never full");
    assert!(matches!(log.append(at(3), requested(1), Durable::Now), Err(JournalError::StoreFull { .. })));
    assert!(runs.join("journal.reserve").exists());
    log.append_last(at(4), ended()).unwrap();
    drop(log);
    drop(journal);

    let journal = SqliteJournal::open_existing(&runs, &key).unwrap();
    let events = journal.events(&run_id(1)).unwrap();
    assert_eq!((events.len(), events.last().map(|last| last.event.clone())), (recorded + 1, Some(ended())));
    std::fs::remove_file(place.join("filler")).unwrap();
    let (_, log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    log.append(at(5), requested(1), Durable::Now).unwrap();
    assert!(runs.join("journal.reserve").exists(), "room is kept again");
    use std::io::Write as _;
    writeln!(std::io::stdout(), "the disk was filled").unwrap();
}

/// Takes what room there is.
fn fill(place: &Path) {
    use std::io::Write as _;
    let mut filler = std::fs::File::create(place.join("filler")).unwrap();
    while filler.write_all(&[7; 4_096]).is_ok() {}
}

#[test]
fn the_runs_of_one_process_share_their_syncs() {
    const RUNS: u64 = 4;
    const EACH: u32 = 20;
    let home = Home::new();
    let journal = home.open();
    let logs: Vec<_> = (1..=RUNS).map(|number| begin_with(&journal, number, Durability::Group)).collect();
    let synced: u64 = thread::scope(|scope| {
        let run = |log: Box<dyn RunLog>| {
            for attempt in 1..=EACH {
                log.append(at(2), requested(attempt), Durable::Now).unwrap();
            }
            log.syncs()
        };
        let runs: Vec<_> = logs.into_iter().map(|log| scope.spawn(move || run(log))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert!(synced >= u64::from(EACH), "each append waited for a sync: {synced}");
    assert!(synced < RUNS * u64::from(EACH), "they were shared: {synced}");
    for number in 1..=RUNS {
        assert_eq!(home.open().events(&run_id(number)).unwrap().len(), EACH as usize + 1);
    }
}
