//! What each layer of a call costs: calls with all of them, and turn about calls without one.

use std::sync::Arc;

use agent_sandbox::layer::{self, Layer};

use crate::figure::{Figure, Unit};
use crate::sandboxed::Sandboxed;
use crate::{REPETITIONS, one};

/// Measures and prints. `make` makes the sandbox anew, since a compiled guest keeps its metering.
pub(crate) async fn measure(name: &str, make: impl Fn() -> Sandboxed) {
    println!("layers: {name}");
    let whole = Arc::new(make());
    layer::switch_off(&[Layer::Fuel]);
    let unmetered = Arc::new(make());
    let mut rounds = Vec::new();
    // The first is for warming up.
    for _ in 0..=REPETITIONS {
        rounds.push(round(&whole, &unmetered).await);
    }
    layer::switch_off(&[]);
    print(&rounds[1..]);
}

/// One repetition, in microseconds of processor time.
struct Round {
    whole: f64,
    without: [f64; Layer::ALL.len()],
    bare: f64,
}

async fn round(whole: &Arc<Sandboxed>, unmetered: &Arc<Sandboxed>) -> Round {
    let without = |off: &'static [Layer]| async move {
        layer::switch_off(off);
        let side = if off.contains(&Layer::Fuel) { unmetered } else { whole };
        one(side).await.cpu
    };
    let mut costs = [0.0; Layer::ALL.len()];
    for (cost, layer) in costs.iter_mut().zip(&Layer::ALL) {
        *cost = without(std::slice::from_ref(layer)).await;
    }
    /// All but the caller's thread, without which a call costs more.
    const INNER: &[Layer] = Layer::ALL.split_last().unwrap().1;
    Round { whole: without(&[]).await, without: costs, bare: without(INNER).await }
}

fn print(rounds: &[Round]) {
    let whole = Figure::new(rounds.iter().map(|round| round.whole).collect());
    whole.print("with all layers, processor time", Unit::Microseconds);
    for (index, layer) in Layer::ALL.iter().enumerate() {
        let without = Figure::new(rounds.iter().map(|round| round.without[index]).collect());
        without.over(&whole).print(&format!("  without {} / with all", name(*layer)), Unit::Times);
    }
    let bare = Figure::new(rounds.iter().map(|round| round.bare).collect());
    bare.over(&whole).print("  with none but the caller's thread / with all", Unit::Times);
    println!();
}

fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Fuel => "fuel",
        Layer::Deadline => "the deadline",
        Layer::Limiter => "the limiter",
        Layer::Charge => "the count of host calls",
        Layer::Transcript => "the transcript",
        Layer::Gate => "the gate",
        Layer::Effects => "the record of effects",
        Layer::Console => "the console",
        Layer::CallersThread => "the caller's thread",
    }
}
