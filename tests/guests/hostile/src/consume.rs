//! Takes what there is: compute, memory, stack, time, handles, disk.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use agent_host_tool::{Json, args, json, path, serde_json::Value, tool};

use crate::escape::seen;

/// One path.
#[args]
pub(crate) struct Place {
    path: String,
}

/// Loops forever.
#[tool]
pub(crate) fn spin() -> String {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Allocates and touches memory forever.
#[tool]
pub(crate) fn allocate() -> String {
    const BLOCK_BYTES: usize = 1 << 20;
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; BLOCK_BYTES]));
    }
}

/// Recurses forever.
#[tool]
pub(crate) fn recurse() -> Json<u64> {
    Json(deeper(0))
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    deeper(depth + 1) + frame[3]
}

/// Sleeps for an hour.
#[tool]
pub(crate) fn sleep_hour() -> Json<Value> {
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(3600));
    Json(json!({"elapsed_ms": begun.elapsed().as_millis() as u64}))
}

/// Asks the time forever.
#[tool]
pub(crate) fn clock_forever() -> String {
    loop {
        black_box(Instant::now());
    }
}

/// Draws random bytes forever, 64 KiB at a time.
#[tool]
pub(crate) fn random_forever() -> String {
    loop {
        black_box(random_bytes(64 * 1024));
    }
}

#[cfg(target_family = "wasm")]
fn random_bytes(count: u64) -> Vec<u8> {
    wasip2::random::random::get_random_bytes(count)
}

#[cfg(not(target_family = "wasm"))]
fn random_bytes(_count: u64) -> Vec<u8> {
    Vec::new()
}

/// Opens one file again and again and keeps it open; reports how many times it went well.
#[tool]
pub(crate) fn open_many(place: Place) -> Json<Value> {
    const OPENED_MAX: usize = 1_000_000;
    let mut opened = Vec::new();
    while opened.len() < OPENED_MAX {
        match File::open(path::resolve(&place.path)) {
            Ok(file) => opened.push(file),
            Err(error) => return Json(json!({"opened": opened.len(), "error": seen(&error)})),
        }
    }
    Json(json!({"opened": opened.len()}))
}

/// Writes to a file forever; reports at which byte it was stopped.
#[tool]
pub(crate) fn write_forever(place: Place) -> Json<Value> {
    let block = vec![b'x'; 64 * 1024];
    let mut written = 0_u64;
    let mut file = match File::create(path::resolve(&place.path)) {
        Ok(file) => file,
        Err(error) => return Json(json!({"written": 0, "error": seen(&error)})),
    };
    loop {
        match file.write(&block) {
            Ok(count) => written += count as u64,
            Err(error) => return Json(json!({"written": written, "error": seen(&error)})),
        }
    }
}

/// Creates empty files in a folder forever; reports how many it made.
#[tool]
pub(crate) fn create_forever(place: Place) -> Json<Value> {
    let folder = path::resolve(&place.path);
    for created in 0_u64.. {
        if let Err(error) = fs::write(folder.join(format!("{created}")), "") {
            return Json(json!({"created": created, "error": seen(&error)}));
        }
    }
    Json(json!({}))
}
