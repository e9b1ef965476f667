//! Checkpoints: what is read where there is one, that one which is not of the very events counts for nothing, and that nothing else
//! depends on them.

use agent_core::client_events::{Client, ToolProposed};
use agent_core::event::ToolFinished;
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Metering, RefusedCall, Said, ToolOutcome};
use agent_core::run_events::{Durability, RunEnded, RunStarted};
use agent_core::state::State;
use agent_core::state::folding::Folding;
use agent_core::stop::StopReason;

use super::*;
use crate::driver::recorder::Recorder;
use crate::journal::chain::{Damage, DamageKind};
use crate::journal::tests::started;

/// Calls of clients, each with its end: with the first event a few more events than the first checkpoint needs.
const CALLS: u32 = 1_010;
/// The events of such a run.
const EVENTS: u64 = 1 + 2 * CALLS as u64;
/// The number of the last event that is in its checkpoint.
const KEPT: u64 = 2_001;

/// A run of clients whose calls are all refused.
fn begin(journal: &SqliteJournal, run: &RunId) -> Recorder {
    let body = RunStarted { models: Vec::new(), durability: Durability::Relaxed, ..started() };
    let (log, first) = journal.start_run(run.clone(), at(1), body).unwrap();
    Recorder::new(log, State::begin(&first).unwrap())
}

fn call(recorder: &Recorder, call: u32) {
    let client = Client { name: "test".into(), version: "1".into(), protocol: None };
    let (tool, arguments) = ("nobody".into(), "{}".into());
    recorder.record(ToolProposed { tool, arguments, client, request: None }, Durable::Later).unwrap();
    let outcome = ToolOutcome::Refused { reason: RefusedCall::UnknownTool, message: "nobody".into() };
    let (call, metering, said) = (CallNumber(call), Metering::nothing(), Said::default());
    let finished = ToolFinished { call, outcome, metering, effects: Vec::new(), said, hidden: 0, transcript: None };
    recorder.record(finished, Durable::Later).unwrap();
}

/// A run with a checkpoint and some events after it, which nobody holds.
fn record(home: &Home, run: &RunId) {
    let journal = home.open();
    let recorder = begin(&journal, run);
    (1..=CALLS).for_each(|number| call(&recorder, number));
}

/// Takes the run up: its state, and how many events were read for it.
fn take_up(home: &Home, run: &RunId) -> Result<(Option<State>, u64), JournalError> {
    let (mut folding, mut read) = (Folding::default(), 0);
    home.open().take_up(run, TakeOver::IfDead, &mut folding, &mut || read += 1)?;
    Ok((folding.end().unwrap(), read))
}

fn folded(home: &Home, run: &RunId) -> Option<State> {
    State::fold(&home.open().events(run).unwrap()).unwrap()
}

fn kept(home: &Home, run: &RunId) -> Option<i64> {
    let sql = "SELECT max(seq) FROM checkpoints WHERE run = ?1";
    Connection::open(home.file()).unwrap().query_row(sql, [run.as_str()], |row| row.get(0)).unwrap()
}

#[test]
fn a_long_run_is_taken_up_from_its_checkpoint_on() {
    let home = Home::new();
    record(&home, &run_id(1));
    assert_eq!(kept(&home, &run_id(1)), Some(KEPT.cast_signed()));
    let (state, read) = take_up(&home, &run_id(1)).unwrap();
    assert_eq!(read, EVENTS - KEPT);
    assert_eq!(state, folded(&home, &run_id(1)));
    // Nothing else depends on it.
    home.tamper("DELETE FROM checkpoints");
    let (again, read) = take_up(&home, &run_id(1)).unwrap();
    assert_eq!((again, read), (state, EVENTS));
}

#[test]
fn a_checkpoint_that_is_not_of_the_very_events_is_passed_over() {
    let edits = [
        "state = replace(state, '\"tool_calls\":1000', '\"tool_calls\":9999')",
        "state = replace(state, '\"budget\"', '\"bodget\"')",
        "state = ''",
        "mac = zeroblob(32)",
        "head = zeroblob(32)",
        "head = (SELECT hash FROM events WHERE seq = 1999), seq = 1999",
        "seq = seq - 2",
        "seq = 1000000",
        "fold = 'newer'",
        "(state, mac, seq, head) = (SELECT state, mac, seq, head FROM checkpoints WHERE run <> (SELECT min(run) FROM runs))",
    ];
    let home = Home::new();
    record(&home, &run_id(1));
    record(&home, &run_id(2));
    let sound = std::fs::read(home.file()).unwrap();
    let expected = folded(&home, &run_id(1));
    for edit in edits {
        home.tamper(&format!("UPDATE checkpoints SET {edit} WHERE run = (SELECT min(run) FROM runs)"));
        assert_ne!(std::fs::read(home.file()).unwrap(), sound, "{edit}");
        let (state, read) = take_up(&home, &run_id(1)).unwrap();
        assert_eq!((&state, read), (&expected, EVENTS), "{edit}");
        std::fs::write(home.file(), &sound).unwrap();
    }
    assert_eq!(take_up(&home, &run_id(1)).unwrap().1, EVENTS - KEPT);
}

#[test]
fn a_checkpoint_of_another_host_is_passed_over() {
    let home = Home::new();
    record(&home, &run_id(1));
    let state = home.0.path().join("state");
    std::fs::rename(&state, home.0.path().join("former")).unwrap();
    let refused = take_up(&home, &run_id(1)).unwrap_err();
    assert!(matches!(refused, JournalError::NotOurs { seq: 1, .. }), "{refused}");
}

#[test]
fn damage_is_found_by_who_reads_it() {
    let damaged = |seq: u64| {
        let home = Home::new();
        record(&home, &run_id(1));
        home.tamper(&format!("UPDATE events SET at = at + 1 WHERE seq = {seq}"));
        let found = home.open().verify(&run_id(1)).unwrap().damage;
        assert_eq!(found, Some(Damage { seq, kind: DamageKind::Changed }));
        match take_up(&home, &run_id(1)) {
            Ok((_, read)) => Ok(read),
            Err(JournalError::RunDamaged { damage, .. }) => Err(damage.seq),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(damaged(KEPT + 2), Err(KEPT + 2));
    assert_eq!(damaged(KEPT), Err(KEPT), "the event that the checkpoint ends with");
    // The state is what this host had folded before it was done.
    assert_eq!(damaged(KEPT - 1), Ok(EVENTS - KEPT));
}

#[test]
fn who_lost_the_run_keeps_no_checkpoint_of_it() {
    let home = Home::new();
    record(&home, &run_id(1));
    home.tamper("DELETE FROM checkpoints");
    let (journal, mut folding) = (home.open(), Folding::default());
    let former = journal.take_up(&run_id(1), TakeOver::IfDead, &mut folding, &mut || {}).unwrap();
    let state = folding.end().unwrap().unwrap();
    let other = home.open();
    let (_, latter) = other.resume_run(&run_id(1), TakeOver::Always).unwrap();
    former.keep_checkpoint(&state);
    assert_eq!(kept(&home, &run_id(1)), None);
    latter.keep_checkpoint(&state);
    assert_eq!(kept(&home, &run_id(1)), Some(EVENTS.cast_signed()));
}

#[test]
fn what_is_removed_is_removed_with_its_checkpoint() {
    let home = Home::new();
    record(&home, &run_id(1));
    home.open().remove_run(&run_id(1), at(1)).unwrap();
    assert_eq!(kept(&home, &run_id(1)), None);
}

#[test]
fn a_run_that_has_its_answer_has_none() {
    let stopped_by = |stop: StopReason| {
        let home = Home::new();
        record(&home, &run_id(1));
        let (journal, mut folding) = (home.open(), Folding::default());
        let log = journal.take_up(&run_id(1), TakeOver::IfDead, &mut folding, &mut || {}).unwrap();
        let recorder = Recorder::new(log, folding.end().unwrap().unwrap());
        recorder.record_last(RunEnded { stop, answer: None, detail: None }).unwrap();
        kept(&home, &run_id(1))
    };
    assert_eq!(stopped_by(StopReason::Cancelled), Some(KEPT.cast_signed()), "it can go on");
    assert_eq!(stopped_by(StopReason::Completed), None);
}

#[test]
fn a_run_that_goes_on_has_its_next_checkpoint_in_time() {
    let home = Home::new();
    record(&home, &run_id(1));
    let journal = home.open();
    let mut folding = Folding::default();
    let log = journal.take_up(&run_id(1), TakeOver::IfDead, &mut folding, &mut || {}).unwrap();
    let recorder = Recorder::new(log, folding.end().unwrap().unwrap());
    let syncs = recorder.syncs();
    for number in CALLS + 1..=2 * CALLS {
        call(&recorder, number);
        let expected = if number < 2_000 { KEPT } else { 2 * KEPT - 1 };
        assert_eq!(kept(&home, &run_id(1)), Some(expected.cast_signed()), "after {number} calls");
    }
    assert_eq!(recorder.syncs(), syncs, "none waits for the disk");
}

/// What a program wrote that knew no checkpoints.
#[test]
fn a_journal_of_format_1_is_brought_to_this_one() {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    home.tamper("DROP TABLE checkpoints; DROP INDEX terms; PRAGMA user_version = 1");
    record(&home, &run_id(2));
    assert_eq!(take_up(&home, &run_id(2)).unwrap().1, EVENTS - KEPT);
    assert!(home.open().verify(&run_id(1)).unwrap().is_intact());
    let format: i64 =
        Connection::open(home.file()).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, 2);
}
