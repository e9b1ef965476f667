//! What becomes of a run that grows: whether its turns get slower, and whether it stores more than it holds.

use std::collections::HashMap;

use agent_tests::World;
use serde_json::Value;

use crate::figure::{Figure, Target, Unit};
use crate::script::{self, FILE_BYTES, Played, Work};

const REPETITIONS: usize = 5;
const FEW: usize = 20;
const MANY: usize = 400;
/// Beside 2,000 and 10,000 it is seen whether a turn costs more the later it is.
const LENGTHS: [usize; 2] = [2_000, 10_000];
/// Turns over which a turn's time is taken: the journal's clock ticks in milliseconds.
const WINDOW: usize = 50;
/// The first turns fill caches.
const WARM_UP: usize = 5;

/// Measures and prints.
pub fn measure() {
    println!("growth: runs of {FEW} and {MANY} turns, relaxed");
    print("short results", &repeated(Work::Compute));
    let read = repeated(Work::Read);
    print("results of 4 KiB", &read);
    let content = (MANY * FILE_BYTES) as f64;
    let stored = Figure::new(read.iter().map(|grown| grown.many_bytes as f64 / content).collect());
    stored.print_against(Target::AtMost(1.5), "  bytes stored / bytes of results", Unit::Times);
    for turns in LENGTHS {
        print_long(turns);
    }
    println!();
}

/// One run of many turns with short results, once: it takes long enough to be steady.
fn print_long(turns: usize) {
    let (world, _) = script::play(Work::Compute, turns, "relaxed");
    let started = turn_starts(&world);
    let (early, late) = (window(&started, WARM_UP), window(&started, turns - WINDOW));
    println!("  a run of {turns} turns");
    Figure::new(vec![late]).print("  a turn at its end", Unit::Microseconds);
    Figure::new(vec![late / early]).print_against(Target::AtMost(2.0), "  late / early", Unit::Times);
}

/// One repetition. Times of a turn in microseconds.
struct Grown {
    early: f64,
    late: f64,
    few_bytes: u64,
    many_bytes: u64,
}

fn repeated(work: Work) -> Vec<Grown> {
    (0..REPETITIONS).map(|_| grown(work)).collect()
}

fn grown(work: Work) -> Grown {
    let (_, few) = script::play(work, FEW, "relaxed");
    let (world, many) = script::play(work, MANY, "relaxed");
    let started = turn_starts(&world);
    // A run is stored with its component, which is the same for any length: without it the comparison is stricter.
    let bytes = |played: &Played| played.journal_bytes - script::component_bytes(work.component());
    Grown {
        early: window(&started, WARM_UP),
        late: window(&started, MANY - WINDOW),
        few_bytes: bytes(&few),
        many_bytes: bytes(&many),
    }
}

/// What one of the [`WINDOW`] turns after `first` took, in microseconds.
fn window(started: &HashMap<usize, f64>, first: usize) -> f64 {
    (started[&(first + WINDOW)] - started[&first]) * 1e3 / WINDOW as f64
}

/// When each turn's request was recorded, in milliseconds of its day.
fn turn_starts(world: &World) -> HashMap<usize, f64> {
    let events = world.events(&[]);
    let requests = events.iter().filter(|event| event["kind"] == "ModelRequested");
    requests.map(|event| (number(&event["body"]["turn"]), time_of_day_ms(&event["at"]))).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
}

/// Of `2026-01-31T12:59:59.999Z`. A run over midnight would be measured wrongly, and seen to be.
fn time_of_day_ms(at: &Value) -> f64 {
    let text = at.as_str().and_then(|at| at.get(11..23)).expect("a time");
    let parts: Vec<f64> = text.split(':').map(|part| part.parse().expect("a number")).collect();
    ((parts[0] * 60.0 + parts[1]) * 60.0 + parts[2]) * 1e3
}

fn print(name: &str, grown: &[Grown]) {
    let figure = |of: fn(&Grown) -> f64| Figure::new(grown.iter().map(of).collect());
    let (early, late) = (figure(|grown| grown.early), figure(|grown| grown.late));
    let few = figure(|grown| grown.few_bytes as f64 / 1024.0);
    let many = figure(|grown| grown.many_bytes as f64 / 1024.0);
    println!("  {name}");
    early.print(&format!("  a turn, turns {WARM_UP} to {}", WARM_UP + WINDOW), Unit::Microseconds);
    late.print(&format!("  a turn, turns {} to {MANY}", MANY - WINDOW), Unit::Microseconds);
    late.over(&early).print_against(Target::AtMost(2.0), "  late / early", Unit::Times);
    few.print(&format!("  journal without the component, {FEW} turns"), Unit::Kibibytes);
    many.print(&format!("  journal without the component, {MANY} turns"), Unit::Kibibytes);
    many.over(&few).print_against(Target::AtMost(21.0), "  many / few", Unit::Times);
}
