//! Long runs: what it takes to take one up is its state, and not its events.

use agent_core::event::{Event, ModelFailed};
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::run_events::{Durability, RunStarted};
use agent_core::state::folding::Folding;

use super::Home;
use crate::journal::Journal as _;
use crate::journal::chain::{Damage, DamageKind};
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::tests::{at, requested, run_id, started};

/// Pairs of a request and a failure. A run of a million events is read in the same way.
const PAIRS: u64 = 4_000;
/// What one failure says: together far more than the bound below.
const WORDS_BYTES: usize = 16 << 10;
/// The most that taking up such a run may add to the memory of this process: SQLite's cache and one event.
const BYTES_MAX: u64 = 16 << 20;

/// The most memory that this process had since the last reset, of what `work` needed.
fn needed_by<T>(work: impl FnOnce() -> T) -> (T, u64) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let result = work();
    (result, peak().saturating_sub(before))
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

fn failed(number: u64, bytes: usize) -> Event {
    let words = format!("{number:>width$}", width = bytes);
    ModelFailed { turn: 1, failure: ModelFailure::new(ModelFailureKind::Network, &words) }.into()
}

/// Records a run of so many pairs, each with so many bytes.
fn record(home: &Home, pairs: u64, bytes: usize) {
    let body = RunStarted { durability: Durability::Relaxed, ..started() };
    let journal = home.open();
    let (log, _) = journal.start_run(run_id(1), at(1), body).unwrap();
    for pair in 0..pairs {
        log.append(at(2 * pair), requested(1), Durable::Later).unwrap();
        log.append(at(2 * pair + 1), failed(pair, bytes), Durable::Later).unwrap();
    }
}

#[test]
fn a_long_run_is_taken_up_without_holding_its_events() {
    let home = Home::new();
    record(&home, PAIRS, WORDS_BYTES);

    let journal = home.open();
    let mut folding = Folding::default();
    let (log, folded) =
        needed_by(|| journal.resume_into(&run_id(1), TakeOver::IfDead, &mut |recorded| folding.see(&recorded)));
    drop(log.unwrap());
    assert_eq!(folding.end().unwrap().map(|state| state.seq), Some(1 + 2 * PAIRS));
    assert!(folded < BYTES_MAX, "{folded} bytes");

    // The measure is one: held all at once, the same events take what they take.
    let (events, held) = needed_by(|| journal.events(&run_id(1)).unwrap());
    assert_eq!(events.len() as u64, 1 + 2 * PAIRS);
    assert!(held > 2 * BYTES_MAX, "{held} bytes");
}

/// What is told is the first event that is not as it should be, wherever it is, and nothing after it is handed on.
#[test]
fn the_first_damage_of_a_long_run_is_what_is_told() {
    let home = Home::new();
    record(&home, 1_000, 8);
    for seq in [1_900, 600, 2] {
        home.tamper(&format!("UPDATE events SET at = at + 1 WHERE seq = {seq}"));
        let mut read = 0;
        let told = home.open().read_into(&run_id(1), &mut |_| read += 1).unwrap_err();
        let JournalError::RunDamaged { damage, .. } = told else { panic!("{told}") };
        assert_eq!(damage, Damage { seq, kind: DamageKind::Changed });
        assert_eq!(read + 1, seq, "everything before it was handed on, and nothing after");
    }
}
