//! From the start of a process to the first result of a tool: what a person waits for, and what a script pays each time.

use std::process::Command;
use std::time::Instant;

use agent_tests::{World, tool};

use crate::figure::{Figure, Target, Unit};
use crate::script::{self, Work};

const REPETITIONS: usize = 15;
/// Each takes a compile.
const EMPTY_CACHE_REPETITIONS: usize = 5;

/// Measures and prints.
pub fn measure() {
    let world = World::untouched();
    world.write("files/a.txt", "a\n");
    script::write(&world, Work::Compute, 1, None);
    let evaluate = || call(&world, "calc", &["calc.evaluate", r#"{"expression":"6 * 7"}"#]);
    let list = || call(&world, "files", &["files.list", "{}", "--allow-read", "files"]);
    println!("start: from the start of the process to its end");
    let empty: Vec<f64> = (0..EMPTY_CACHE_REPETITIONS).map(|_| after_forgetting(&world, evaluate())).collect();
    let mut times: [Vec<f64>; 4] = Default::default();
    // The code of the second component is compiled here.
    spent_ms(list());
    for _ in 0..REPETITIONS {
        let run = script::command(&world, Work::Compute, "strict");
        for (times, command) in times.iter_mut().zip([world.command(&["--version"]), evaluate(), list(), run]) {
            times.push(spent_ms(command));
        }
    }
    print(&Figure::new(empty), &times.map(Figure::new));
}

fn print(empty: &Figure, [version, small, large, run]: &[Figure; 4]) {
    let kib = |component| script::component_bytes(component) / 1024;
    version.print("`agent-host --version`", Unit::Milliseconds);
    let name = format!("a call of `calc` ({} KiB), compiled code cached", kib("calc"));
    small.print_against(Target::AtMost(15.0), &name, Unit::Milliseconds);
    let name = format!("a call of `files` ({} KiB), compiled code cached", kib("files"));
    large.print_against(Target::AtMost(15.0), &name, Unit::Milliseconds);
    empty.print("a call of `calc`, nothing cached: it is compiled", Unit::Milliseconds);
    // Its first request to a model is the lesser part of it.
    run.print_against(Target::AtMost(20.0), "a whole run with one call of `calc`, strict", Unit::Milliseconds);
    small.over(version).print("a call of `calc`, cached / `--version`", Unit::Times);
    large.over(small).print("a call of `files` / a call of `calc`, cached", Unit::Times);
    println!();
}

fn call(world: &World, component: &str, arguments: &[&str]) -> Command {
    let mut command = world.command(&["tool", "call"]);
    command.args(arguments).args(["--quiet", "--tools", &tool(component)]);
    command
}

/// As on a machine where the component was never used; the host's key stays.
fn after_forgetting(world: &World, command: Command) -> f64 {
    let _ = std::fs::remove_dir_all(world.home().join("compiled"));
    spent_ms(command)
}

fn spent_ms(mut command: Command) -> f64 {
    let started = Instant::now();
    let output = command.output().expect("the program starts");
    let spent = started.elapsed().as_secs_f64() * 1e3;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    spent
}
