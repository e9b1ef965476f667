//! Runs on a simulated disk, cut short again and again: by lost power, killed processes, a full disk, a failing one, and a second
//! host that takes over. After each crash the journal is held against what was promised and what happened, and in the end the
//! run must have come to where it comes undisturbed.
//!
//! Everything follows from the seed. `AGENT_HOST_SIMULATION_SEED=N` plays one, `AGENT_HOST_SIMULATION_SEEDS=N` that many.

mod checks;
mod end;
mod host;
mod ledger;
mod play;
mod world;

use crate::journal::simulated::dice::Dice;
use crate::journal::simulated::disk::{Disk, Faults, Honesty};
use crate::journal::simulated::{Broken, Machine};
use host::{Mutation, Weather};
use ledger::Ledger;
use play::{Ending, Play};
use world::World;

/// Seeds that an ordinary test run plays. `cargo xtask crash` plays forty times as many, and all those of a release on request.
const SEEDS: u64 = 500;
/// Seeds within which each mutation must be caught.
const MUTATED_SEEDS: u64 = 2_000;

#[test]
fn nothing_is_lost_or_repeated_whenever_the_power_goes() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("AGENT_HOST_SIMULATION_SEED") {
        return play(seed, Mutation::None).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    let seeds = number("AGENT_HOST_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || first_failure(first, seeds, threads, Mutation::None)))
            .collect();
        let failed: Vec<_> = all.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
        assert!(
            failed.is_empty(),
            "{failed:#?}\nplay one again with AGENT_HOST_SIMULATION_SEED=N cargo nextest run --workspace --lib --bins whenever_the_power_goes"
        );
    });
}

fn first_failure(first: u64, seeds: u64, step: u64, mutation: Mutation) -> Option<String> {
    let mut all = (first..seeds).step_by(usize::try_from(step).unwrap());
    all.find_map(|seed| {
        tell_of(seed, seeds);
        play(seed, mutation).err().map(|what| format!("seed {seed}: {what}"))
    })
}

/// What takes half an hour says how far it is.
#[expect(clippy::print_stderr, reason = "for a developer at a terminal")]
fn tell_of(seed: u64, seeds: u64) {
    const TOLD_OF: u64 = 50_000;
    if seeds > TOLD_OF && seed.is_multiple_of(TOLD_OF) {
        eprintln!("simulation: {seed} of {seeds} seeds");
    }
}

/// The harness is believed because it finds what it is there to find.
fn is_caught(mutation: Mutation, by: &[&str]) {
    let mut found = Vec::new();
    for seed in 0..MUTATED_SEEDS {
        if let Err(what) = play(seed, mutation) {
            if by.iter().any(|invariant| what.starts_with(invariant)) {
                return;
            }
            found.push(format!("seed {seed}: {what}"));
        }
    }
    panic!("{mutation:?} was not caught by {by:?} in {MUTATED_SEEDS} seeds, only: {found:#?}");
}

#[test]
fn a_skipped_sync_before_a_write_is_caught() {
    is_caught(Mutation::SkipIntentSync, &["I5"]);
}

#[test]
fn a_skipped_sync_before_a_model_request_is_caught() {
    is_caught(Mutation::SkipModelSync, &["I3"]);
}

#[test]
fn acting_before_recording_is_caught() {
    is_caught(Mutation::ActFirst, &["I4", "I5"]);
}

#[test]
fn running_a_doubtful_call_again_is_caught() {
    is_caught(Mutation::RunAgain, &["I4"]);
}

#[test]
fn a_skipped_undo_is_caught() {
    is_caught(Mutation::SkipUndo, &["files"]);
}

#[test]
fn an_ignored_epoch_is_caught() {
    is_caught(Mutation::IgnoreEpoch, &["I8"]);
}

#[test]
fn a_sync_that_is_tried_again_after_it_failed_is_caught() {
    is_caught(Mutation::RetrySync, &["I1", "the journal"]);
}

/// Plays one seed.
fn play(seed: u64, mutation: Mutation) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let world = World::new(&mut dice);
    let undisturbed = undisturbed(&world, dice.split())?;
    let faults = faults(&mut dice);
    let broken = match mutation {
        Mutation::IgnoreEpoch => Broken::Fence,
        Mutation::RetrySync => Broken::FailedSync,
        _ => Broken::Nothing,
    };
    let machine = Machine::new(Disk::new(dice.split(), faults), broken);
    let (ledger, weather, honesty) = (Ledger::default(), Weather::Rough, faults.honesty);
    let mut play = Play { machine, world, ledger, dice, mutation, weather, honesty, crashed: None, steps: 0 };
    let Some(ending) = play.play_out()? else { return Ok(()) };
    play.check_end(&ending, &undisturbed)
}

/// How the run ends when nothing goes wrong.
fn undisturbed(world: &World, dice: Dice) -> Result<Ending, String> {
    let machine = Machine::new(Disk::new(Dice::new(0), Faults::NONE), Broken::Nothing);
    let (world, ledger) = (world.afresh(), Ledger::default());
    let (mutation, weather, honesty) = (Mutation::None, Weather::Calm, Honesty::Honest);
    let mut play = Play { machine, world, ledger, dice, mutation, weather, honesty, crashed: None, steps: 0 };
    play.last_part()
}

/// What the disk does wrong. Most do nothing but lose power.
fn faults(dice: &mut Dice) -> Faults {
    let none = Faults::NONE;
    match dice.below(12) {
        0 => Faults { short: 2, ..none },
        1 => Faults { bytes_max: 8_000 + dice.below(20_000), short: 4, ..none },
        2 => Faults { writes_left: Some(u32::try_from(dice.below(60)).unwrap_or(0)), ..none },
        3 => Faults { syncs_left: Some(u32::try_from(dice.below(20)).unwrap_or(0)), ..none },
        4 => Faults { honesty: Honesty::Lies, ..none },
        _ => none,
    }
}
