//! What it takes to go on with a long run: its journal is verified and folded before anything else happens.

use std::process::Command;
use std::time::Instant;

use crate::figure::{Figure, Target, Unit};
use crate::idle::Idle;
use crate::script::{self, Work};
use crate::suspended;

const REPETITIONS: usize = 5;
/// A run of one call.
const SHORT: usize = 1;
/// A turn has four events: request, reply, the start of its call and the end.
const LONG: usize = 2_500;

/// Measures and prints.
pub fn measure() {
    println!("resume: of a killed run, from the start of the process to its end; one turn is left");
    let (short, long): (Vec<f64>, Vec<f64>) = (0..REPETITIONS).map(|_| (resumed_ms(SHORT), resumed_ms(LONG))).unzip();
    let (short, long) = (Figure::new(short), Figure::new(long));
    short.print(&format!("a run of {} events", SHORT * 4), Unit::Milliseconds);
    long.print_against(Target::AtMost(50.0), &format!("a run of {} events", LONG * 4), Unit::Milliseconds);
    let added = long.with(&short, |long, short| long - short);
    added.print("  of it what the events add", Unit::Milliseconds);
    println!();
    suspended::measure();
}

/// The run is killed while it waits for its last reply; for the resume that reply comes at once.
fn resumed_ms(turns: usize) -> f64 {
    let world = Idle::after(turns).kill();
    script::write(&world, Work::Compute, turns, None);
    spent_ms(world.command(&["resume", "--quiet"]))
}

fn spent_ms(mut command: Command) -> f64 {
    let started = Instant::now();
    let output = command.output().expect("the program starts");
    let spent = started.elapsed().as_secs_f64() * 1e3;
    assert_eq!(output.stdout, b"done\n", "{}", String::from_utf8_lossy(&output.stderr));
    spent
}
