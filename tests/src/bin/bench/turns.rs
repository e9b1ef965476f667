//! What a turn costs beyond the model: the scripted model replies at once, so what is left is the host's own.

use agent_tests::World;

use crate::append::{self, Sync};
use crate::figure::{Figure, Target, Unit};
use crate::idle::Idle;
use crate::script::{self, Work};

const REPETITIONS: usize = 7;
/// A run whose start-up is that of the long one.
const SHORT: usize = 100;
const LONG: usize = 400;

/// Measures and prints.
pub fn measure() {
    println!(
        "turns: runs of {SHORT} and {LONG} turns with one call each; their difference, for a turn, has no start-up in it"
    );
    let rounds: Vec<Round> = (0..REPETITIONS).map(|_| round()).collect();
    print(&rounds);
    println!();
}

/// One repetition, in microseconds.
struct Round {
    append: f64,
    unsynced: f64,
    relaxed: f64,
    processor: f64,
    strict: f64,
}

fn round() -> Round {
    let world = World::new();
    Round {
        append: append::measure(&world.work(), Sync::Full),
        unsynced: append::measure(&world.work(), Sync::Normal),
        relaxed: turn("relaxed"),
        processor: difference(|turns| Idle::after(turns).processor_time()),
        strict: turn("strict"),
    }
}

fn turn(durability: &str) -> f64 {
    difference(|turns| script::play(Work::Compute, turns, durability).1.seconds * 1e6)
}

fn difference(spent: impl Fn(usize) -> f64) -> f64 {
    (spent(LONG) - spent(SHORT)) / (LONG - SHORT) as f64
}

fn print(rounds: &[Round]) {
    let figure = |of: fn(&Round) -> f64| Figure::new(rounds.iter().map(of).collect());
    let (append, unsynced) = (figure(|round| round.append), figure(|round| round.unsynced));
    let (relaxed, strict) = (figure(|round| round.relaxed), figure(|round| round.strict));
    unsynced.print("SQLite alone, 512 bytes: not synced", Unit::Microseconds);
    append.print("SQLite alone, 512 bytes: synced", Unit::Microseconds);
    relaxed.print_against(Target::AtMost(100.0), "a turn, relaxed: survives a killed process", Unit::Microseconds);
    // Other programs on the machine disturb this less. A line for each call is shown here, too.
    figure(|round| round.processor).print("a turn, relaxed: processor time of all threads", Unit::Microseconds);
    strict.print("a turn, strict: survives a power loss", Unit::Microseconds);
    relaxed.map(|turn| 1e6 / turn).print("turns in a second, relaxed", Unit::Count);
    strict.map(|turn| 1e6 / turn).print("turns in a second, strict", Unit::Count);
    strict.over(&append).print("a strict turn / a synced append", Unit::Times);
    let added = strict.with(&relaxed, |strict, relaxed| strict - relaxed);
    added.over(&append).print_against(Target::AtMost(1.1), "what strict adds / a synced append", Unit::Times);
}
