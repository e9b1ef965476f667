//! What a run keeps in memory: at its peak with one call, idle after it, and after many.

use crate::figure::{Figure, Target, Unit};
use crate::idle::Idle;

const REPETITIONS: usize = 5;
const MANY: usize = 400;

/// Measures and prints.
pub fn measure() {
    println!("memory: resident, while the model is awaited after the last call");
    let (one, many): (Vec<Resident>, Vec<Resident>) = (0..REPETITIONS).map(|_| (after(1), after(MANY))).unzip();
    let figure = |of: fn(&Resident) -> f64, all: &[Resident]| Figure::new(all.iter().map(of).collect());
    let (idle, later) = (figure(|found| found.now, &one), figure(|found| found.now, &many));
    figure(|found| found.peak, &one).print("peak of a run with one call", Unit::Mebibytes);
    idle.print_against(Target::AtMost(20.0), "idle after one call", Unit::Mebibytes);
    figure(|found| found.own, &one).print("  of it the program's own, not mapped from files", Unit::Mebibytes);
    later.print(&format!("idle after {MANY} calls"), Unit::Mebibytes);
    let added = later.with(&idle, |later, idle| later - idle);
    added.print_against(Target::AtMost(2.0), &format!("what {} calls added", MANY - 1), Unit::Mebibytes);
}

/// In mebibytes.
struct Resident {
    peak: f64,
    now: f64,
    own: f64,
}

fn after(calls: usize) -> Resident {
    let idle = Idle::after(calls);
    Resident { peak: idle.memory("VmHWM"), now: idle.memory("VmRSS"), own: idle.memory("RssAnon") }
}
