//! What a call over MCP costs of tools that bring an interpreter along: those that `tool new` begins in JavaScript and Python, which
//! give a text back, and the bundled `javascript` and `python`, each told to do next to nothing. What is measured is a fresh interpreter
//! for each call. Beside the server that does nothing, as in `mcp`.
//! And how long such a server takes to its first answer: the first time, when the component is compiled, and afterwards.

use std::path::Path;
use std::time::Instant;

use agent_tests::{World, given, tool};

use crate::figure::{Figure, Target, Unit};
use crate::mcp::{IN_FLIGHT, SERVE, Server, Speed, bare_server};

const REPETITIONS: usize = 5;
/// Calls one after the other: some milliseconds each.
const CALLS: usize = 400;
/// Starts before which nothing was compiled: each takes as long as the compiler does.
const COLD_STARTS: usize = 2;

/// Measures and prints.
pub fn measure() {
    println!("mcp: tools with an interpreter of their own, a fresh one for each call");
    let (code, echoes) = (r#"{"code":"40 + 2"}"#, given("AGENT_HOST_TEST_ECHOES"));
    for name in ["echo-js", "echo-python"] {
        one(name, &echoes.join(name), ("echo", r#"{"text":"hello"}"#));
    }
    for name in ["javascript", "python"] {
        one(name, Path::new(&tool(&format!("other-languages/{name}"))), ("run", code));
    }
    println!();
}

fn one(name: &str, folder: &Path, call: (&str, &str)) {
    let component = folder.join(format!("{name}.wasm"));
    let file = component.metadata().unwrap_or_else(|error| {
        panic!("`{}` is not built, which `cargo xtask bench` does: {error}", component.display())
    });
    println!("  {name}: a component of {:.1} MB", file.len() as f64 / 1e6);
    let started = |world: &World| {
        let begun = Instant::now();
        let mut server = Server::start(world.command(&SERVE).arg(folder), call);
        server.call(0);
        (server, begun.elapsed().as_secs_f64() * 1e3)
    };
    let cold = (0..COLD_STARTS).map(|_| started(&World::untouched()).1).collect();
    Figure::new(cold).print("start to the first answer, compiled meanwhile", Unit::Milliseconds);
    let world = World::untouched();
    drop(started(&world));
    let rounds: Vec<(f64, Speed, Speed)> = (0..REPETITIONS)
        .map(|_| {
            let (mut server, start) = started(&world);
            (start, server.speed(CALLS), bare_server().speed(CALLS))
        })
        .collect();
    let figure = |of: fn(&(f64, Speed, Speed)) -> f64| Figure::new(rounds.iter().map(of).collect());
    figure(|(start, _, _)| *start).print_against(
        Target::AtMost(15.0),
        "start to the first answer, code cached",
        Unit::Milliseconds,
    );
    let middle = figure(|(_, ours, _)| ours.middle);
    middle.print("p50", Unit::Microseconds);
    figure(|(_, ours, _)| ours.slow).print("p99", Unit::Microseconds);
    middle.over(&figure(|(_, _, bare)| bare.middle)).print("agent-host / no sandbox, no interpreter", Unit::Times);
    figure(|(_, ours, _)| ours.rate).print(&format!("calls in a second, {IN_FLIGHT} in flight"), Unit::Count);
}
