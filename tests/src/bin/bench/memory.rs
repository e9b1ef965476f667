//! What a run keeps in memory: at its peak with one call, idle after it, and after many.

use crate::figure::{Figure, Target, Unit};
use crate::idle::Idle;

const REPETITIONS: usize = 5;
const MANY: usize = 400;

/// Measures and prints.
pub fn measure() {
    println!("memory: resident, while the model is awaited after the last call");
    let one: Vec<Resident> = (0..REPETITIONS).map(|_| resident(&Idle::after(1))).collect();
    let (early, many): (Vec<Resident>, Vec<Resident>) =
        (0..REPETITIONS).map(|_| (resident(&Idle::early(1, MANY)), resident(&Idle::after(MANY)))).unzip();
    let figure = |of: fn(&Resident) -> f64, all: &[Resident]| Figure::new(all.iter().map(of).collect());
    let (idle, later) = (figure(|found| found.now, &one), figure(|found| found.now, &many));
    // The script of a long run is in memory too, which no real model's is.
    let begun = figure(|found| found.now, &early);
    figure(|found| found.peak, &one).print("peak of a run with one call", Unit::Mebibytes);
    idle.print_against(Target::AtMost(20.0), "idle after one call", Unit::Mebibytes);
    figure(|found| found.own, &one).print("  of it the program's own, not mapped from files", Unit::Mebibytes);
    later.print(&format!("idle after {MANY} calls"), Unit::Mebibytes);
    begun.print(&format!("idle after one call, with a script of {MANY}"), Unit::Mebibytes);
    let added = later.with(&begun, |later, begun| later - begun);
    added.print_against(Target::AtMost(2.0), &format!("what {} calls added", MANY - 1), Unit::Mebibytes);
}

/// In mebibytes.
struct Resident {
    peak: f64,
    now: f64,
    own: f64,
}

fn resident(idle: &Idle) -> Resident {
    Resident { peak: idle.memory("VmHWM"), now: idle.memory("VmRSS"), own: idle.memory("RssAnon") }
}
