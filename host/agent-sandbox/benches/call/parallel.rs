//! Many callers at once: whether the calls of a second that one caller makes grow with the processors, and are still there
//! when there are far more callers than processors.

use std::sync::Arc;
use std::time::Instant;

use crate::bare::Bare;
use crate::figure::{Figure, Unit};
use crate::guests::Guest;
use crate::sandboxed::Sandboxed;
use crate::{CALLS, REPETITIONS, Side, calls};

/// As many as a turn may propose at once, and less.
const CALLERS: [u32; 3] = [1, 8, 32];

/// Measures and prints.
pub(crate) async fn measure(guest: &Guest) {
    println!("callers at once: {}", guest.name);
    let (bare, ours) = (Arc::new(Bare::new(guest)), Arc::new(Sandboxed::new(guest)));
    let mut rounds = Vec::new();
    // The first is for warming up.
    for _ in 0..=REPETITIONS {
        let mut round = [[0.0; 2]; CALLERS.len()];
        for (rates, callers) in round.iter_mut().zip(CALLERS) {
            *rates = [rate(&bare, callers).await, rate(&ours, callers).await];
        }
        rounds.push(round);
    }
    print(&rounds[1..]);
}

/// Calls in a second.
async fn rate<S: Side>(side: &Arc<S>, callers: u32) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(calls(Arc::clone(side), CALLS / callers))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    f64::from(CALLS / callers * callers) / started.elapsed().as_secs_f64()
}

fn print(rounds: &[[[f64; 2]; CALLERS.len()]]) {
    let figure = |callers: usize, side: usize| Figure::new(rounds.iter().map(|round| round[callers][side]).collect());
    for (index, callers) in CALLERS.iter().enumerate() {
        let (bare, ours) = (figure(index, 0), figure(index, 1));
        if index > 0 {
            bare.over(&figure(0, 0)).print(&format!("bare: {callers} callers / one, calls in a second"), Unit::Times);
            ours.over(&figure(0, 1))
                .print(&format!("sandbox: {callers} callers / one, calls in a second"), Unit::Times);
        }
        ours.over(&bare).print(&format!("sandbox / bare with {callers}, calls in a second"), Unit::Times);
    }
    println!();
}
