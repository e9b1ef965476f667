//! What was appended is what is read: order, numbers, bodies, blobs, listing.

use proptest::prelude::*;

use super::*;
use crate::journal::runs::{Began, RunStatus, RunSummary};
use crate::journal::verify::Marks;

#[test]
fn what_was_appended_is_read_back() {
    let home = Home::new();
    let written = record_run(&home.open(), &run_id(1));
    let journal = Journal::open_existing(&home.folder(), &home.key()).unwrap();
    assert_eq!(journal.events(&run_id(1)).unwrap(), written);
    assert_eq!(
        written.iter().map(|event| (event.seq, event.epoch)).collect::<Vec<_>>(),
        [(1, 1), (2, 1), (3, 1), (4, 1)]
    );
}

#[test]
fn an_untouched_run_verifies_as_ours() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    let verified = journal.verify(&run_id(1)).unwrap();
    assert_eq!((verified.intact, verified.marks, verified.damage), (4, Marks::Ours, None));
}

#[test]
fn only_a_strict_run_syncs_and_only_when_asked() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    log.append(at(2), requested(1), Durable::Later).unwrap();
    assert_eq!(log.syncs(), 0);
    log.append(at(3), requested(2), Durable::Now).unwrap();
    assert_eq!(log.syncs(), 1);

    let relaxed = RunStarted { durability: Durability::Relaxed, ..started() };
    let (log, _) = journal.start_run(run_id(2), at(1), relaxed).unwrap();
    log.append(at(2), requested(1), Durable::Now).unwrap();
    assert_eq!(log.syncs(), 0);
}

#[test]
fn a_run_starts_once() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    let again = journal.start_run(run_id(1), at(1), started());
    assert!(matches!(again, Err(JournalError::RunExists(run)) if run == run_id(1)));
    assert_eq!(journal.events(&run_id(1)).unwrap().len(), 4);
}

#[test]
fn equal_blobs_are_kept_once_and_checked() {
    let home = Home::new();
    let journal = home.open();
    let first = journal.put_blob(b"some bytes").unwrap();
    assert_eq!(journal.put_blob(b"some bytes").unwrap(), first);
    assert_eq!(journal.blob(&first).unwrap().as_deref(), Some(&b"some bytes"[..]));
    assert_eq!(journal.blob(&agent_core::digest::Digest::of(b"others")).unwrap(), None);

    home.tamper("UPDATE blobs SET bytes = x'00'");
    assert!(matches!(journal.blob(&first), Err(JournalError::StoreCorrupt { .. })));
}

#[test]
fn runs_are_listed_newest_first() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    drop(begin_run(&journal, &run_id(3)));
    // The clock was set back before this one: it is the newest all the same.
    let _held = begin_run(&journal, &run_id(2));

    let began = Began { at: at(1), agent: "tester".parse().unwrap(), input: "What is 2 + 2?".to_owned() };
    let summary =
        |number, status, turns| RunSummary { run: run_id(number), began: Some(began.clone()), status, turns, calls: 0 };
    let running = RunStatus::Running { pid: std::process::id() };
    let expected = [
        summary(2, running, 0),
        summary(3, RunStatus::Interrupted, 0),
        summary(1, RunStatus::Stopped(StopReason::Completed), 1),
    ];
    assert_eq!(journal.runs(10).unwrap(), expected);
    assert_eq!(journal.runs(2).unwrap(), expected[..2]);
}

#[test]
fn a_prefix_names_one_run_or_says_which() {
    let home = Home::new();
    let journal = home.open();
    assert!(matches!(journal.find_run(None), Err(JournalError::NoRuns { .. })));
    for number in [1, 2, 40_000] {
        drop(begin_run(&journal, &run_id(number)));
    }
    let find = |prefix: Option<&str>| {
        journal.find_run(prefix).map_err(|error| error.to_string().lines().next().unwrap().to_owned())
    };
    assert_eq!(find(None), Ok(run_id(40_000)));
    assert_eq!(find(Some(run_id(1).as_str())), Ok(run_id(1)));
    assert_eq!(find(Some(&run_id(2).as_str().to_uppercase()[..10])), Ok(run_id(2)));
    assert_eq!(find(Some("%")), Err("no run begins with `%`".to_owned()));
    let both =
        format!("more than one run begins with `01hf7y`: `{}`, `{}`, `{}`", run_id(40_000), run_id(2), run_id(1));
    assert_eq!(find(Some("01hf7y")), Err(both));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any text in any order of durability, across the bound between bodies beside their event and bodies in blobs.
    #[test]
    fn any_run_reads_back_verifies_and_resumes(replies in prop::collection::vec((".{0,300}", any::<bool>()), 0..12)) {
        let home = Home::new();
        let journal = home.open();
        let (log, first) = journal.start_run(run_id(1), at(1), started()).unwrap();
        let mut written = vec![first];
        for (index, (text, now)) in replies.iter().enumerate() {
            let durable = if *now { Durable::Now } else { Durable::Later };
            let failure = agent_core::model::ModelFailure {
                kind: agent_core::model::ModelFailureKind::Timeout,
                message: text.clone(),
                retry_after: None,
            };
            let event = agent_core::event::ModelFailed { turn: 1, failure };
            written.push(log.append(at(index as u64 + 2), event.into(), durable).unwrap());
        }
        drop(log);
        prop_assert!(journal.verify(&run_id(1)).unwrap().is_intact());
        let (read, _log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
        prop_assert_eq!(read, written);
    }
}
