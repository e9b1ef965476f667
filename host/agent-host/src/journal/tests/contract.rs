//! The contract of every journal: one suite, run over each of them. What only a file can show is tested beside the file.

mod stores;

use agent_core::digest::Digest;
use agent_core::event::ModelFailed;
use agent_core::metadata::Metadata;
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::run_events::{HeadSigned, RunAdopted, RunResumed};
use agent_core::session::SessionPlace;
use agent_core::state::State;
use proptest::prelude::*;
use stores::*;

use super::media::{File, Medium, Memory, Simulated, Tampering};
use super::*;
use crate::journal::chain::{Damage, DamageKind};
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::runs::{Began, RunStatus, RunSummary, StatusName, Wanted};
use crate::journal::verify::{Marks, Signature};

macro_rules! contract {
    ($($promise:ident),* $(,)?) => {
        contract! { @over file File: $($promise),* }
        contract! { @over memory Memory: $($promise),* }
        contract! { @over simulated_disk Simulated: $($promise),* }
    };
    (@over $name:ident $medium:ident: $($promise:ident),*) => {
        mod $name {
            $(
                #[test]
                fn $promise() {
                    super::$promise(&mut <super::$medium as super::Medium>::new());
                }
            )*
        }
    };
}

contract! {
    what_was_appended_is_read_back,
    who_follows_a_run_reads_only_what_is_new,
    an_untouched_run_verifies_as_ours,
    the_order_is_that_of_the_appends_whatever_the_clock_says,
    a_run_starts_once,
    runs_are_listed_newest_first,
    turns_are_listed_as_the_budget_counts_them,
    a_prefix_names_one_run_or_says_which,
    only_a_strict_run_syncs_and_only_when_asked,
    what_was_to_be_there_now_survives_a_crash,
    a_run_goes_on_after_a_crash,
    a_held_run_is_locked_and_a_dropped_one_free,
    who_lost_the_lease_cannot_write,
    a_lease_of_an_earlier_boot_is_taken_over,
    a_strangers_run_is_shown_and_not_resumed,
    one_event_without_a_mark_is_enough_to_refuse,
    a_changed_event_is_named,
    an_event_that_cannot_follow_is_named,
    equal_blobs_are_kept_once,
    changes_come_with_their_event,
    an_event_that_is_not_recorded_changes_nothing,
    an_entry_of_a_stranger_is_no_entry_of_ours,
    one_call_holds_the_stores_of_a_component,
    any_run_reads_back_verifies_and_resumes,
    a_place_in_a_session_is_taken_once,
    runs_are_found_by_what_is_known_of_them,
    what_is_about_the_record_does_not_change_how_a_run_stands,
    a_run_can_begin_with_the_events_of_another,
}

fn what_was_appended_is_read_back(medium: &mut impl Medium) {
    let written = record_run(&*medium.open(), &run_id(1));
    assert_eq!(medium.open().events(&run_id(1)).unwrap(), written);
    let numbers: Vec<_> = written.iter().map(|event| (event.seq, event.epoch)).collect();
    assert_eq!(numbers, [(1, 1), (2, 1), (3, 1), (4, 1)]);
    let none = medium.open().events(&run_id(2));
    assert!(matches!(none, Err(JournalError::NoSuchRun { .. })));
}

fn who_follows_a_run_reads_only_what_is_new(medium: &mut impl Medium) {
    let written = record_run(&*medium.open(), &run_id(1));
    let journal = medium.open();
    let after = |seq, count_max| journal.events_after(&run_id(1), seq, count_max).unwrap();
    let events = |seq, count_max| after(seq, count_max).into_iter().map(|(event, _)| event).collect::<Vec<_>>();
    assert_eq!(events(0, 99), written);
    assert_eq!((events(1, 2), events(3, 2), events(4, 2)), (written[1..3].to_vec(), written[3..].to_vec(), vec![]));
    let (_, hash) = after(3, 1).remove(0);
    assert_eq!(journal.verify(&run_id(1)).unwrap().head, Some(hash), "the last one's hash is the head");
    assert_eq!(journal.events_after(&run_id(2), 0, 9).unwrap(), []);
}

fn an_untouched_run_verifies_as_ours(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    let verified = journal.verify(&run_id(1)).unwrap();
    assert_eq!((verified.intact, verified.marks, verified.damage), (4, Marks::Ours, None));
}

fn the_order_is_that_of_the_appends_whatever_the_clock_says(medium: &mut impl Medium) {
    let journal = medium.open();
    let log = begin_run(&*journal, &run_id(1));
    let day = 24 * 60 * 60 * 1_000;
    for (attempt, clock) in [(1, at(1).0 + day), (2, at(1).0 - day), (3, 0), (4, u64::MAX >> 1)] {
        log.append(UnixMillis(clock), requested(attempt), Durable::Later).unwrap();
    }
    drop(log);
    let attempts: Vec<_> = journal.events(&run_id(1)).unwrap().into_iter().skip(1).map(|event| event.event).collect();
    assert_eq!(attempts, [1, 2, 3, 4].map(requested));
    assert!(medium.open().resume_run(&run_id(1), TakeOver::IfDead).is_ok());
}

fn a_run_starts_once(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    let again = journal.start_run(run_id(1), at(1), started());
    assert!(matches!(again, Err(JournalError::RunExists(run)) if run == run_id(1)));
    assert_eq!(journal.events(&run_id(1)).unwrap().len(), 4);
}

fn runs_are_listed_newest_first(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    drop(begin_run(&*journal, &run_id(3)));
    // The clock was set back before this one: it is the newest all the same.
    let _held = begin_run(&*journal, &run_id(2));

    let began = Began {
        at: at(1),
        agent: "tester".parse().unwrap(),
        input: "What is 2 + 2?".to_owned(),
        session: None,
        meta: Default::default(),
    };
    let summary =
        |number, status, turns| RunSummary { run: run_id(number), began: Some(began.clone()), status, turns, calls: 0 };
    let running = RunStatus::Running { pid: std::process::id() };
    let expected = [
        summary(2, running, 0),
        summary(3, RunStatus::Interrupted, 0),
        summary(1, RunStatus::Stopped(StopReason::Completed), 1),
    ];
    assert_eq!(journal.runs(&Wanted::default(), 10).unwrap(), expected);
    assert_eq!(journal.runs(&Wanted::default(), 2).unwrap(), expected[..2]);
    assert_eq!(journal.summary(&run_id(3)).unwrap(), expected[1]);
}

/// A request that a crash left open is a turn; one that failed is none, and neither is a resume without an open one.
fn turns_are_listed_as_the_budget_counts_them(medium: &mut impl Medium) {
    let resumed = || -> Event {
        RunResumed { budget: Budget::STANDARD, hardening: Hardening::none("a test"), boot: None, repaired: None }.into()
    };
    let failure = ModelFailure { kind: ModelFailureKind::Timeout, message: "late".to_owned(), retry_after: None };
    let failed: Event = ModelFailed { turn: 1, failure }.into();
    let journal = medium.open();
    let log = begin_run(&*journal, &run_id(1));
    let listed = || journal.summary(&run_id(1)).unwrap().turns;
    let events = [
        (requested(1), 0),
        (resumed(), 1),
        (resumed(), 1),
        (requested(1), 1),
        (failed, 1),
        (resumed(), 1),
        (requested(1), 1),
        (resumed(), 2),
        (requested(1), 2),
        (replied("4"), 3),
        (ended(), 3),
    ];
    for (seq, (event, turns)) in (2..).zip(events) {
        log.append(at(seq), event, Durable::Later).unwrap();
        assert_eq!(listed(), turns, "event {seq}");
    }
    let state = State::fold(&journal.events(&run_id(1)).unwrap()).unwrap().unwrap();
    assert_eq!(u64::from(state.spent.turns), listed());
}

fn a_prefix_names_one_run_or_says_which(medium: &mut impl Medium) {
    let journal = medium.open();
    assert!(matches!(journal.find_run(None), Err(JournalError::NoRuns { .. })));
    for number in [1, 2, 40_000] {
        drop(begin_run(&*journal, &run_id(number)));
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

fn only_a_strict_run_syncs_and_only_when_asked(medium: &mut impl Medium) {
    let journal = medium.open();
    let log = begin_run(&*journal, &run_id(1));
    log.append(at(2), requested(1), Durable::Later).unwrap();
    assert_eq!(log.syncs(), 0);
    log.append(at(3), requested(2), Durable::Now).unwrap();
    assert_eq!(log.syncs(), 1);

    let relaxed = RunStarted { durability: Durability::Relaxed, ..started() };
    let (log, _) = journal.start_run(run_id(2), at(1), relaxed).unwrap();
    log.append(at(2), requested(1), Durable::Now).unwrap();
    assert_eq!(log.syncs(), 0);
}

fn what_was_to_be_there_now_survives_a_crash(medium: &mut impl Medium) {
    let journal = medium.open();
    let blob = journal.put_blob(b"what an undo restores").unwrap();
    let kept = changes("notes", &[("a", Some("1"))]);
    let log = begin_run(&*journal, &run_id(1));
    log.append_with(at(2), requested(1), Durable::Later, Some(&kept)).unwrap();
    log.append(at(3), requested(2), Durable::Now).unwrap();
    log.append(at(4), requested(3), Durable::Later).unwrap();
    std::mem::forget(log);
    medium.crash();

    let journal = medium.open();
    let events = journal.events(&run_id(1)).unwrap();
    assert!((3..=4).contains(&events.len()), "{events:?}");
    assert_eq!(events[1..3].iter().map(|event| event.event.clone()).collect::<Vec<_>>(), [1, 2].map(requested));
    assert_eq!(journal.blob(&blob).unwrap().as_deref(), Some(&b"what an undo restores"[..]));
    assert_eq!(value(&*journal, "notes", "a"), Ok(Some("1".to_owned())));
    assert_eq!(journal.verify(&run_id(1)).unwrap().damage, None);
}

fn a_run_goes_on_after_a_crash(medium: &mut impl Medium) {
    let log = begin_run(&*medium.open(), &run_id(1));
    log.append(at(2), requested(1), Durable::Now).unwrap();
    std::mem::forget(log);
    for crashes in 1..=5 {
        medium.crash();
        let (events, log) = medium.open().resume_run(&run_id(1), TakeOver::IfDead).unwrap();
        assert_eq!(events.len() as u64, 1 + crashes);
        let next = log.append(at(3), requested(2), Durable::Now).unwrap();
        assert_eq!((next.seq, next.epoch), (2 + crashes, 1 + crashes));
        std::mem::forget(log);
    }
}

fn a_held_run_is_locked_and_a_dropped_one_free(medium: &mut impl Medium) {
    let log = begin_run(&*medium.open(), &run_id(1));
    let refused = medium.open().resume_run(&run_id(1), TakeOver::IfDead);
    assert!(matches!(refused, Err(JournalError::RunLocked { holder, .. }) if holder.pid == std::process::id()));
    drop(log);
    let (events, log) = medium.open().resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    let next = log.append(at(2), requested(1), Durable::Now).unwrap();
    assert_eq!((events.len(), next.seq, next.epoch), (1, 2, 2));
}

fn who_lost_the_lease_cannot_write(medium: &mut impl Medium) {
    let (paused, taker) = (medium.open(), medium.open());
    let lost = begin_run(&*paused, &run_id(1));
    let (_, log) = taker.resume_run(&run_id(1), TakeOver::Always).unwrap();
    let refused = lost.append(at(2), requested(1), Durable::Now);
    assert!(matches!(refused, Err(JournalError::LeaseLost { .. })));
    log.append(at(3), requested(1), Durable::Now).unwrap();
    // Dropping the one that lost must not free what the other holds.
    drop(lost);
    assert!(matches!(paused.resume_run(&run_id(1), TakeOver::IfDead), Err(JournalError::RunLocked { .. })));
    assert_eq!(taker.events(&run_id(1)).unwrap().iter().map(|event| event.epoch).collect::<Vec<_>>(), [1, 2]);
}

fn a_lease_of_an_earlier_boot_is_taken_over(medium: &mut impl Medium) {
    let log = begin_run(&*medium.open(), &run_id(1));
    log.append(at(2), requested(1), Durable::Now).unwrap();
    medium.crash();
    let (_, taken) = medium.open().resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    assert_eq!(taken.append(at(3), requested(1), Durable::Later).unwrap().epoch, 2);
    // Whether its process is gone or only its lease: what is left of the former holder writes nothing.
    assert!(log.append(at(4), requested(1), Durable::Later).is_err());
    assert_eq!(medium.open().events(&run_id(1)).unwrap().len(), 3);
}

fn a_strangers_run_is_shown_and_not_resumed(medium: &mut impl Medium) {
    let written = record_run(&*medium.open(), &run_id(1));
    let journal = medium.open_as_stranger();
    assert_eq!(journal.events(&run_id(1)).unwrap(), written);
    let verified = journal.verify(&run_id(1)).unwrap();
    assert_eq!((verified.intact, verified.marks, verified.damage), (4, Marks::NotOursFrom(1), None));
    let refused = journal.resume_run(&run_id(1), TakeOver::Always);
    assert!(matches!(refused, Err(JournalError::NotOurs { seq: 1, .. })));
}

fn one_event_without_a_mark_is_enough_to_refuse(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    medium.tamper(Tampering::Unmark(3));
    assert!(matches!(journal.resume_run(&run_id(1), TakeOver::IfDead), Err(JournalError::NotOurs { seq: 3, .. })));
    assert_eq!(journal.verify(&run_id(1)).unwrap().marks, Marks::NotOursFrom(3));
}

fn a_changed_event_is_named(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    medium.tamper(Tampering::Rewrite(2));
    let damage = Damage { seq: 2, kind: DamageKind::Changed };
    assert_eq!(journal.verify(&run_id(1)).unwrap().damage, Some(damage.clone()));
    let refused = journal.resume_run(&run_id(1), TakeOver::IfDead);
    assert!(matches!(refused, Err(JournalError::RunDamaged { damage: found, .. }) if found == damage));
}

fn an_event_that_cannot_follow_is_named(medium: &mut impl Medium) {
    let journal = medium.open();
    let log = begin_run(&*journal, &run_id(1));
    log.append(at(2), ended(), Durable::Later).unwrap();
    log.append(at(3), requested(1), Durable::Later).unwrap();
    let damage = journal.verify(&run_id(1)).unwrap().damage.unwrap();
    assert_eq!(
        damage.to_string(),
        "event 3: it is intact but cannot follow: event 3 `ModelRequested` does not follow: the run has stopped"
    );
}

fn equal_blobs_are_kept_once(medium: &mut impl Medium) {
    let journal = medium.open();
    let first = journal.put_blob(b"some bytes").unwrap();
    assert_eq!(medium.open().put_blob(b"some bytes").unwrap(), first);
    assert_eq!(journal.blob(&first).unwrap().as_deref(), Some(&b"some bytes"[..]));
    assert_eq!(journal.blob(&Digest::of(b"others")).unwrap(), None);
}

/// Any text in any order of durability, across the bound between bodies beside their event and bodies in blobs.
fn any_run_reads_back_verifies_and_resumes<M: Medium>(_: &mut M) {
    let replies = prop::collection::vec((".{0,300}", any::<bool>()), 0..12);
    proptest!(ProptestConfig::with_cases(32), |(replies in replies)| {
        let mut medium = M::new();
        let journal = medium.open();
        let (log, first) = journal.start_run(run_id(1), at(1), started()).unwrap();
        let mut written = vec![first];
        for (index, (text, now)) in replies.iter().enumerate() {
            let durable = if *now { Durable::Now } else { Durable::Later };
            let failure = ModelFailure { kind: ModelFailureKind::Timeout, message: text.clone(), retry_after: None };
            let event = ModelFailed { turn: 1, failure };
            written.push(log.append(at(index as u64 + 2), event.into(), durable).unwrap());
        }
        drop(log);
        prop_assert_eq!(journal.verify(&run_id(1)).unwrap().damage, None);
        let (read, _log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
        prop_assert_eq!(read, written);
    });
}

/// A run in a session, with its answer.
fn record_in_session(journal: &dyn Journal, number: u64, session: &str, place: u32, meta: &[&str]) {
    let session = Some(SessionPlace { name: session.parse().unwrap(), place });
    let meta = Metadata::of(meta.iter().map(|entry| entry.parse().unwrap())).unwrap();
    let (log, _) = journal.start_run(run_id(number), at(1), RunStarted { session, meta, ..started() }).unwrap();
    log.append(at(2), ended(), Durable::Now).unwrap();
}

fn a_place_in_a_session_is_taken_once(medium: &mut impl Medium) {
    let (one, other) = (medium.open(), medium.open());
    let end = |session: &str| other.session_end(&session.parse().unwrap()).unwrap();
    assert_eq!(end("talk"), None);
    record_in_session(&*one, 1, "talk", 1, &[]);
    record_in_session(&*other, 2, "talk", 2, &[]);
    record_in_session(&*other, 3, "another", 1, &[]);
    assert_eq!((end("talk"), end("another")), (Some((2, run_id(2))), Some((1, run_id(3)))));

    let session = Some(SessionPlace { name: "talk".parse().unwrap(), place: 2 });
    let second = one.start_run(run_id(4), at(1), RunStarted { session, ..started() });
    assert!(matches!(second, Err(JournalError::SessionTaken { place: 2, .. })));
    assert!(matches!(one.events(&run_id(4)), Err(JournalError::NoSuchRun { .. })), "nothing of it is there");
}

fn runs_are_found_by_what_is_known_of_them(medium: &mut impl Medium) {
    let journal = medium.open();
    record_in_session(&*journal, 1, "talk", 1, &["team=red", "kind=a"]);
    record_in_session(&*journal, 2, "talk", 2, &["team=red", "kind=b"]);
    record_in_session(&*journal, 3, "other", 1, &["team=blue"]);
    drop(begin_run(&*journal, &run_id(4)));
    let found = |wanted: &Wanted, max| -> Vec<RunId> {
        journal.runs(wanted, max).unwrap().into_iter().map(|summary| summary.run).collect()
    };
    let session = Some("talk".parse().unwrap());
    let meta = |entries: &[&str]| entries.iter().map(|entry| entry.parse().unwrap()).collect::<Vec<_>>();
    let status = |name: &str| Some(name.parse().unwrap());
    let cases = [
        (Wanted { session: session.clone(), ..Wanted::default() }, vec![2, 1]),
        (Wanted { meta: meta(&["team=red"]), ..Wanted::default() }, vec![2, 1]),
        (Wanted { meta: meta(&["team=red", "kind=a"]), ..Wanted::default() }, vec![1]),
        (Wanted { meta: meta(&["team=green"]), ..Wanted::default() }, vec![]),
        (Wanted { status: status("interrupted"), ..Wanted::default() }, vec![4]),
        (Wanted { session, meta: meta(&["kind=b"]), status: status("completed") }, vec![2]),
    ];
    for (wanted, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(run_id).collect();
        assert_eq!(found(&wanted, 10), expected, "{wanted:?}");
        assert_eq!(found(&wanted, 1), expected[..expected.len().min(1)], "{wanted:?}");
    }
    assert!("asleep".parse::<StatusName>().is_err());
}

fn what_is_about_the_record_does_not_change_how_a_run_stands(medium: &mut impl Medium) {
    let journal = medium.open();
    record_run(&*journal, &run_id(1));
    let (_, log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    let end = log.end();
    assert_eq!(end.0, 4);
    // Not zero bytes: with that key, which is no honest one, every fourth message has a signature of zero bytes.
    let signed = HeadSigned { key: "00".repeat(32), signature: "01".repeat(64) };
    log.append(at(5), signed.into(), Durable::Now).unwrap();
    log.append(at(6), RunAdopted { file: Digest::of(b"file"), authorities: Vec::new() }.into(), Durable::Now).unwrap();
    assert_eq!(journal.summary(&run_id(1)).unwrap().status, RunStatus::Stopped(StopReason::Completed));
    let verified = journal.verify(&run_id(1)).unwrap();
    assert_eq!((verified.damage, verified.signature), (None, Signature::False { seq: 5 }));
}

fn a_run_can_begin_with_the_events_of_another(medium: &mut impl Medium) {
    let journal = medium.open();
    let events = record_run(&*journal, &run_id(1));
    let shared: Vec<_> = events[..2].iter().map(|recorded| (recorded.at, recorded.event.clone())).collect();
    let more = (events[2].at, events[2].event.clone());
    let begin = |run, upto| {
        let mut as_it_is = |recorded: Recorded| Some((recorded.at, recorded.event));
        journal.begin_from(&run, (&run_id(1), upto), &mut as_it_is, &mut std::iter::once(more.clone()))
    };
    begin(run_id(2), 2).unwrap();
    let shared = [shared, vec![more.clone()]].concat();
    assert!(matches!(begin(run_id(2), 2), Err(JournalError::RunExists(_))));
    let nothing = |source| journal.begin_from(&run_id(3), (&source, 2), &mut |_| None, &mut std::iter::empty());
    assert!(matches!(nothing(run_id(1)), Err(JournalError::RunEmpty { .. })));
    assert!(nothing(run_id(9)).is_err(), "there is no such run");

    assert_eq!(journal.verify(&run_id(2)).unwrap().marks, Marks::Ours);
    let hashes = |run| journal.stored(&run).unwrap().iter().map(|stored| stored.hash).collect::<Vec<_>>();
    assert_eq!((hashes(run_id(1)).len(), hashes(run_id(2)).len()), (4, 3));
    assert!(hashes(run_id(2)).iter().all(|hash| !hashes(run_id(1)).contains(hash)), "each has its own chain");
    let (read, log) = journal.resume_run(&run_id(2), TakeOver::IfDead).unwrap();
    assert_eq!(read.iter().map(|one| (one.at, one.event.clone())).collect::<Vec<_>>(), shared);
    log.append(at(9), ended(), Durable::Now).unwrap();
    assert!(journal.verify(&run_id(2)).unwrap().is_intact());
}
