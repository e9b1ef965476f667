//! What the sandbox adds to a bare call of wasmtime: the same engine settings and a fresh instance for each call on both sides.
//! `cargo bench -p agent-sandbox`, or as the first half of `cargo xtask bench`. Prints and asserts nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a program for people at a terminal")]

mod bare;
mod figure;
mod guests;
mod layers;
mod load;
mod memory;
mod parallel;
mod sandboxed;
mod schemas;
mod side;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use crate::bare::Bare;
use crate::figure::{Figure, Target, Unit};
use crate::guests::Guest;
use crate::sandboxed::Sandboxed;
use crate::side::Side;

const REPETITIONS: usize = 9;

/// Calls in one measurement.
const CALLS: u32 = 4_000;

fn main() {
    // Test runners start every target, and want a list or nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "Medians, and in brackets the lowest and the highest of {REPETITIONS} repetitions of {CALLS} calls. Ratios are"
    );
    println!("taken in each repetition.\n");
    for guest in guests::all() {
        runtime.block_on(measure(guest));
    }
    runtime.block_on(all_else());
    load::measure();
    schemas::measure();
}

async fn all_else() {
    if let Some(calc) = guests::calc() {
        layers::measure(calc.name, || Sandboxed::new(&calc)).await;
        parallel::measure(&calc).await;
    }
    if let Some(files) = guests::files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), "a line\n").unwrap();
        layers::measure(files.name, || Sandboxed::with_folder(&files, folder.path())).await;
    }
    if let Some(waiting) = guests::waiting() {
        memory::measure(&waiting).await;
    }
}

async fn measure(guest: Guest) {
    println!("one call: {}", guest.name);
    let (bare, ours) = (Arc::new(Bare::new(&guest)), Arc::new(Sandboxed::new(&guest)));
    let mut rounds = Vec::new();
    // The first is for warming up.
    for _ in 0..=REPETITIONS {
        rounds.push(Round {
            bare: one(&bare).await,
            hopping: hopping(&bare).await,
            ours: one(&ours).await,
            bare_two: two(&bare).await,
            ours_two: two(&ours).await,
        });
    }
    print(&rounds[1..]);
}

/// One repetition.
struct Round {
    bare: Cost,
    hopping: Cost,
    ours: Cost,
    bare_two: Cost,
    ours_two: Cost,
}

/// Microseconds for one call.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

async fn one<S: Side>(side: &Arc<S>) -> Cost {
    let started = Started::now();
    calls(Arc::clone(side), CALLS).await;
    started.cost()
}

/// Each call in a task of its own: what it costs that a guest is not run by its caller's thread.
async fn hopping<S: Side>(side: &Arc<S>) -> Cost {
    let started = Started::now();
    for _ in 0..CALLS {
        tokio::spawn(calls(Arc::clone(side), 1)).await.unwrap();
    }
    started.cost()
}

/// Each caller on a thread of its own: two tasks that never wait may share one.
async fn two<S: Side>(side: &Arc<S>) -> Cost {
    let started = Started::now();
    let half = || {
        let (side, runtime) = (Arc::clone(side), Handle::current());
        tokio::task::spawn_blocking(move || runtime.block_on(calls(side, CALLS / 2)))
    };
    let (first, second) = tokio::join!(half(), half());
    first.and(second).unwrap();
    started.cost()
}

async fn calls<S: Side>(side: Arc<S>, count: u32) {
    for _ in 0..count {
        side.call().await;
    }
}

struct Started {
    wall: Instant,
    cpu: Duration,
}

impl Started {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }

    fn cost(&self) -> Cost {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
        Cost { wall: each(self.wall.elapsed()), cpu: each(cpu_time() - self.cpu) }
    }
}

/// Processor time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}

fn print(rounds: &[Round]) {
    let figure = |of: fn(&Round) -> f64| Figure::new(rounds.iter().map(of).collect());
    let (bare, ours) = (figure(|round| round.bare.cpu), figure(|round| round.ours.cpu));
    let hopping = figure(|round| round.hopping.cpu);
    bare.print("bare wasmtime, processor time", Unit::Microseconds);
    hopping.print("bare wasmtime, each call in a task of its own", Unit::Microseconds);
    ours.print("sandbox, processor time", Unit::Microseconds);
    figure(|round| round.bare.wall).print("bare wasmtime, elapsed", Unit::Microseconds);
    figure(|round| round.ours.wall).print("sandbox, elapsed", Unit::Microseconds);
    ours.over(&bare).print_against(Target::AtMost(1.3), "sandbox / bare, processor time", Unit::Times);
    ours.over(&hopping).print("sandbox / bare in tasks, processor time", Unit::Times);
    let speed_up = |one: fn(&Round) -> Cost, two: fn(&Round) -> Cost| {
        Figure::new(rounds.iter().map(|round| one(round).wall / two(round).wall).collect())
    };
    speed_up(|round| round.bare, |round| round.bare_two)
        .print("bare: two callers / one, calls in a second", Unit::Times);
    let ours = speed_up(|round| round.ours, |round| round.ours_two);
    ours.print_against(Target::AtLeast(1.4), "sandbox: two callers / one, calls in a second", Unit::Times);
    println!();
}
