//! What a live call keeps in memory: many guests that wait at the same time.

use std::sync::Arc;
use std::time::Duration;

use crate::figure::{Figure, Unit};
use crate::guests::Guest;
use crate::sandboxed::Sandboxed;

const REPETITIONS: usize = 3;

/// As many as there are slots.
const CALLS: u32 = 32;

/// Until every guest waits, and until everything is gone after they were cancelled.
const REST: Duration = Duration::from_millis(800);

/// Measures and prints.
pub(crate) async fn measure(guest: &Guest) {
    println!("memory: {CALLS} calls at once of {}", guest.name);
    let mut each = Vec::new();
    let mut share = Vec::new();
    for _ in 0..REPETITIONS {
        let (resident, linear) = live(guest).await;
        each.push(resident);
        share.push(resident / linear);
    }
    Figure::new(each).print("one live call, resident", Unit::Kibibytes);
    Figure::new(share).print("  of it / its linear memory, most of which it never touches", Unit::Times);
    println!();
}

/// What one call adds, and its linear memory, in KiB. The slots are new, so nothing was resident in them.
async fn live(guest: &Guest) -> (f64, f64) {
    let side = Arc::new(Sandboxed::new(guest));
    let before = resident_kib();
    let running: Vec<_> = (0..CALLS)
        .map(|_| {
            let side = Arc::clone(&side);
            tokio::spawn(async move { side.report().await })
        })
        .collect();
    tokio::time::sleep(REST).await;
    let added = (resident_kib() - before) / f64::from(CALLS);
    side.cancel();
    let mut linear = 0.0;
    for call in running {
        linear = call.await.unwrap().metering.memory_peak.0 as f64 / 1024.0;
    }
    tokio::time::sleep(REST).await;
    (added, linear)
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
