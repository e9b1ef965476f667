//! Loading a component of 12 MB, the size of a JavaScript engine: compiled, and from the cache. And a small one beside it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use agent_sandbox::Sandbox;
use agent_sandbox::cache::CacheOptions;
use agent_sandbox::component::CodeOrigin;
use agent_sandbox::sandbox::SandboxOptions;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::guests;

const REPETITIONS: usize = 9;

/// Functions of [`WORDS`] additions each, six bytes an addition: 8 MB of code.
const FUNCTIONS: u32 = 4_000;
const WORDS: u32 = 340;

/// The rest is data.
const DATA_BYTES: usize = 4 << 20;

/// Measures and prints.
pub(crate) fn measure() {
    let large = large();
    println!(
        "load: a component of {:.1} MB, and one of {} bytes",
        large.len() as f64 / 1e6,
        guests::echo().bytes.len()
    );
    let small = of(&guests::echo().bytes);
    let large = of(&large);
    small.cold.print("small, compiled", Unit::Milliseconds);
    small.warm.print("small, cached", Unit::Milliseconds);
    large.cold.print("large, compiled", Unit::Milliseconds);
    large.warm.print("large, cached", Unit::Milliseconds);
    large.warm.over(&large.mapped).print("large, cached / wasmtime maps the same code, unchecked", Unit::Times);
    large.warm.over(&large.cold).print("large, cached / compiled", Unit::Times);
    let least = Figure::new(vec![small.warm.median(); REPETITIONS]);
    large.warm.over(&least).print("large, cached / small, cached", Unit::Times);
    large.warm.print_against(Target::AtMost(15.0), "large, cached", Unit::Milliseconds);
    println!();
}

/// How long it takes to load a component whose code is in the cache, in milliseconds.
pub(crate) fn warm(bytes: &[u8]) -> Figure {
    of(bytes).warm
}

/// In milliseconds.
struct Loads {
    /// Once, for all repetitions.
    cold: Figure,
    warm: Figure,
    mapped: Figure,
}

fn of(bytes: &[u8]) -> Loads {
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        let cache = CacheOptions { directory: folder.path().join("compiled"), key: [7; 32] };
        SandboxOptions { cache: Some(cache), calls_max: 4, ..SandboxOptions::default() }
    };
    let cold = load(&Sandbox::new(options()).unwrap(), bytes, false);
    // Each by a sandbox of its own, as after a new start.
    let warm = (0..REPETITIONS).map(|_| load(&Sandbox::new(options()).unwrap(), bytes, true)).collect();
    let code = folder.path().join("code");
    let engine = bare::engine();
    std::fs::write(&code, Component::from_binary(&engine, bytes).unwrap().serialize().unwrap()).unwrap();
    let mapped = (0..REPETITIONS).map(|_| map(&bare::engine(), &code)).collect();
    Loads { cold: Figure::new(vec![cold; REPETITIONS]), warm: Figure::new(warm), mapped: Figure::new(mapped) }
}

fn load(sandbox: &Sandbox, bytes: &[u8], cached: bool) -> f64 {
    let started = Instant::now();
    let component = sandbox.load(&"guest".parse().unwrap(), bytes).unwrap();
    let spent = started.elapsed().as_secs_f64() * 1e3;
    assert_eq!(component.code == CodeOrigin::Cached, cached, "{:?}", component.code);
    spent
}

/// The floor: nothing is hashed or authenticated.
#[allow(unsafe_code, reason = "maps code that this program has just compiled and written")]
fn map(engine: &Engine, code: &Path) -> f64 {
    let started = Instant::now();
    // SAFETY: the file holds what `serialize` returned above, in a folder that only this process knows.
    let component = unsafe { Component::deserialize_file(engine, code) };
    component.unwrap();
    started.elapsed().as_secs_f64() * 1e3
}

/// The guest `echo`, with much around it that is never called.
fn large() -> Vec<u8> {
    let mut functions = String::new();
    for function in 0..FUNCTIONS {
        functions.push_str("(func (param i32) (result i32) local.get 0");
        for word in 0..WORDS {
            // No two functions are alike.
            let _ = write!(functions, " i32.const {} i32.add", 100_000_000 + function * WORDS + word);
        }
        functions.push_str(")\n");
    }
    let data: String = (0..DATA_BYTES).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    let pages = DATA_BYTES / (64 << 10) + 2;
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") {pages})
                (data (i32.const 65536) "{data}")
                {functions}
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "echo") (param i32 i32) (result i32)
                    (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "echo") (param "text" string) (result string)
                (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    );
    wat::parse_str(text).unwrap()
}
