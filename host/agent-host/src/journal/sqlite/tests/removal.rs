//! Removing runs and sweeping: what nobody refers to goes, and nothing else; what is given back is given back.

use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::event::EffectIntended;
use agent_core::run_events::RunStarted;
use agent_core::session::{Earlier, EarlierRun};

use super::*;
use crate::journal::at_work::AtWork;
use crate::journal::removal::{Rewrite, SWEEP_TIME, SweepMode, Swept};

fn sweep(journal: &SqliteJournal, mode: SweepMode) -> Option<Swept> {
    journal.sweep(mode, SWEEP_TIME, &mut |_| {}).unwrap()
}

/// An event that names a blob as what an undo restores.
fn names(digest: Digest) -> agent_core::event::Event {
    let before = agent_core::effect::Before::Content { digest, mode: 0o644 };
    let entry = serde_json::json!({ "mount": "/data", "root": 1, "path": "a", "before": before });
    let intended = serde_json::json!({
        "call": 1, "attempt": 1, "number": 1, "class": "owned_write", "undo": [entry],
        "request": { "file": { "operation": "write", "path": "/data/a", "to": null } },
        "idempotency_key": null, "transcript": null,
    });
    serde_json::from_value::<EffectIntended>(intended).unwrap().into()
}

#[test]
fn only_what_no_event_names_is_removed_and_the_space_is_given_back() {
    let home = Home::new();
    let (named, orphan) = {
        let journal = home.open();
        let named = journal.put_blob(b"what an undo restores").unwrap();
        let orphan = journal.put_blob(&[7; 4 << 20]).unwrap();
        record_run(&journal, &run_id(1));
        let (_, log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
        log.append(at(5), names(named), Durable::Now).unwrap();
        (named, orphan)
    };
    let journal = home.open();
    let counted = sweep(&journal, SweepMode::DryRun).unwrap();
    assert_eq!((counted.unnamed, counted.unnamed_bytes, counted.given_back), (1, 4 << 20, 0));
    assert!(journal.blob(&orphan).unwrap().is_some(), "a dry run removes nothing");

    let size = || std::fs::metadata(home.file()).unwrap().len();
    let before = size();
    let swept = sweep(&journal, SweepMode::Remove).unwrap();
    assert_eq!((swept.unnamed, swept.complete), (1, true));
    assert!(swept.given_back >= 4 << 20, "{swept:?}");
    assert!(size() + (4 << 20) <= before, "the file is smaller");
    assert!(journal.blob(&named).unwrap().is_some());
    assert_eq!(journal.blob(&orphan).unwrap(), None);
    // The bodies that are kept as blobs are still there.
    assert_eq!(journal.events(&run_id(1)).unwrap().len(), 5);
    assert_eq!(sweep(&journal, SweepMode::Remove).unwrap().unnamed, 0);
}

#[test]
fn nothing_is_swept_while_a_host_keeps_what_no_event_names_yet() {
    let home = Home::new();
    let host = home.open();
    let kept = host.put_blob(b"for an event that is to come").unwrap();
    assert_eq!(sweep(&home.open(), SweepMode::Remove), None);
    let log = begin_run(&host, &run_id(1));
    log.append(at(2), names(kept), Durable::Now).unwrap();
    drop((log, host));
    assert_eq!(sweep(&home.open(), SweepMode::Remove).unwrap().unnamed, 0);
    assert!(home.open().blob(&kept).unwrap().is_some());
    // Whoever only reads does not stand in the way.
    let reader = home.open();
    reader.events(&run_id(1)).unwrap();
    assert!(sweep(&home.open(), SweepMode::Remove).is_some());
}

#[test]
fn a_sweep_without_time_leaves_the_rest_for_the_next_one() {
    let home = Home::new();
    {
        let journal = home.open();
        for number in 0..600_u32 {
            journal.put_blob(&number.to_le_bytes()).unwrap();
        }
    }
    let journal = home.open();
    let steps = (0..3).map(|_| journal.sweep(SweepMode::Remove, Duration::ZERO, &mut |_| {}).unwrap().unwrap());
    let steps: Vec<_> = steps.map(|swept| (swept.unnamed, swept.complete)).collect();
    assert_eq!(steps, [(256, false), (256, false), (88, false)]);
    let rest = sweep(&journal, SweepMode::Remove).unwrap();
    assert_eq!((rest.unnamed, rest.complete), (0, true));
}

#[test]
fn a_removed_run_leaves_its_tombstone_and_nothing_of_what_it_said() {
    let home = Home::new();
    let head = {
        let journal = home.open();
        record_run(&journal, &run_id(1));
        record_run(&journal, &run_id(2));
        journal.verify(&run_id(1)).unwrap().head.unwrap()
    };
    let journal = home.open();
    let tombstone = journal.remove_run(&run_id(1), at(9)).unwrap();
    assert_eq!((&tombstone.run, tombstone.seq, tombstone.head), (&run_id(1), 4, head));
    assert!(matches!(journal.events(&run_id(1)), Err(JournalError::NoSuchRun { .. })));
    assert_eq!(journal.events(&run_id(2)).unwrap().len(), 4, "what both runs said is still there");
    sweep(&journal, SweepMode::Remove).unwrap();
    assert_eq!(journal.events(&run_id(2)).unwrap().len(), 4);

    let found = journal.tombstones().unwrap();
    assert_eq!(found.iter().map(|found| (&found.tombstone, found.is_ours)).collect::<Vec<_>>(), [(&tombstone, true)]);
    home.tamper("UPDATE tombstones SET seq = 3");
    assert!(!journal.tombstones().unwrap()[0].is_ours, "whoever changes one is noticed");

    journal.remove_run(&run_id(2), at(10)).unwrap();
    sweep(&journal, SweepMode::Remove).unwrap();
    drop(journal);
    for file in std::fs::read_dir(home.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let said = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert!(!said(b"four four four") && !said(b"Say only the number"));
    }
}

/// SQLite does not call it an error when somebody reads meanwhile.
#[test]
fn what_still_stands_in_the_file_is_not_said_to_be_gone() {
    let home = Home::new();
    {
        let journal = home.open();
        record_run(&journal, &run_id(1));
    }
    let reader = Connection::open(home.file()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    let journal = home.open();
    journal.remove_run(&run_id(1), at(9)).unwrap();
    assert_eq!(journal.rewrite().unwrap(), Rewrite::BeingRead);
    let is_there = || {
        let (bytes, words) = (std::fs::read(home.file()).unwrap(), b"four four four");
        bytes.windows(words.len()).any(|window| window == words)
    };
    assert!(is_there());
    drop(reader);
    assert!(sweep(&journal, SweepMode::Remove).unwrap().complete);
    assert_eq!(journal.rewrite().unwrap(), Rewrite::Done);
    assert!(!is_there());
}

/// Until the log is brought in, the zeros stand beside the file.
#[test]
fn while_a_host_is_at_work_what_stood_in_a_row_is_gone_from_the_file_too() {
    let home = Home::new();
    {
        let journal = home.open();
        record_run(&journal, &run_id(1));
    }
    let host = home.open();
    let _log = begin_run(&host, &run_id(2));
    let is_there = || {
        let (bytes, words) = (std::fs::read(home.file()).unwrap(), run_id(1).to_string());
        bytes.windows(words.len()).filter(|window| *window == words.as_bytes()).count()
    };
    assert!(is_there() > 1);
    let journal = home.open();
    journal.remove_run(&run_id(1), at(9)).unwrap();
    assert_eq!(journal.rewrite().unwrap(), Rewrite::AtWork);
    assert_eq!(is_there(), 1, "its tombstone");
}

#[test]
fn a_run_that_a_living_process_drives_is_not_removed() {
    let home = Home::new();
    let host = home.open();
    let _log = begin_run(&host, &run_id(1));
    assert!(matches!(home.open().remove_run(&run_id(1), at(2)), Err(JournalError::RunLocked { .. })));
    assert!(matches!(home.open().remove_run(&run_id(2), at(2)), Err(JournalError::NoSuchRun { .. })));
}

#[test]
fn who_carries_what_a_run_said_is_known() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    let carried = EarlierRun { run: run_id(1), conversation: Digest::of(b"said"), bytes: 4 };
    let earlier = Earlier { runs: vec![carried], left_out: 0 };
    let body = crate::journal::tests::started();
    drop(journal.start_run(run_id(2), at(1), RunStarted { earlier, ..body.clone() }).unwrap());
    // It only speaks of it.
    let input = format!("what became of {}?", run_id(1));
    drop(journal.start_run(run_id(3), at(1), RunStarted { input, ..body }).unwrap());
    assert_eq!(journal.descendants(&run_id(1)).unwrap(), [run_id(2)]);
}

#[test]
fn writers_wait_for_a_sweep() {
    let home = Home::new();
    drop(home.open());
    let alone = crate::journal::at_work::Alone::begin(&home.folder()).unwrap().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| AtWork::begin(&home.folder()).map(drop));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!writer.is_finished());
        drop(alone);
        writer.join().unwrap().unwrap();
    });
}
