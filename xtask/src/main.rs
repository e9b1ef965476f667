//! Everything a developer types, as `cargo xtask VERB`. This file reads the verb and hands over to its file; it knows
//! nothing of how a verb works. CI calls `cargo xtask test` and nothing else.

mod at_once;
mod bench;
mod check;
mod collector;
mod crash;
mod demo;
mod dev_tool;
mod echoes;
mod features;
mod fuzz;
mod harness;
mod hostile;
mod languages;
mod mcp;
mod model_server;
mod places;
mod process;
mod report;
mod setup;
mod soak;
mod surroundings;
mod talk;
mod tally;
mod test;
mod tools;
mod wasm_target;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::places::Places;
use crate::talk::{complain, print};

const HELP: &str = "\
cargo xtask VERB [--help]

  setup      make `cargo build --target wasm32-wasip2` work
  tools      build the bundled tools and the test guests
  demo       run an agent on a real task, from a fresh checkout, without a key
  check      format, lints, docs, licences, spelling: the quick part of `test`
  test       everything CI runs
  fuzz       feed made-up input to everything that reads what a stranger wrote
  hostile    attack the built program with every case of the hostile suite
  crash      kill, stop and starve the built program, and judge what it recovers
  mcp        try the Model Context Protocol with its own conformance suite and official clients
  soak       let hostile guests attack for minutes, and see what is left behind
  languages  bring compilers for JavaScript, TypeScript, Python, Go and C along, and try them
  bench      measure the sandbox and the program

A fresh machine needs Rust and a C compiler, and for `test` also a C++ compiler, Python 3 with venv, and strace (Debian: `apt-get
install gcc g++ python3-venv strace`). Each verb brings along what else it needs, below the user's cache folder.";

/// A verb: its name, its help, and what it does with the arguments that follow.
struct Verb {
    name: &'static str,
    help: &'static str,
    run: fn(&Places, &[String]) -> Result<()>,
}

const VERBS: [Verb; 12] = [
    Verb { name: "setup", help: setup::HELP, run: setup::run },
    Verb { name: "tools", help: tools::HELP, run: tools::run },
    Verb { name: "demo", help: demo::HELP, run: demo::run },
    Verb { name: "check", help: check::HELP, run: check::run },
    Verb { name: "test", help: test::HELP, run: test::run },
    Verb { name: "fuzz", help: fuzz::HELP, run: fuzz::run },
    Verb { name: "hostile", help: hostile::HELP, run: hostile::run },
    Verb { name: "crash", help: crash::HELP, run: crash::run },
    Verb { name: "mcp", help: mcp::HELP, run: mcp::run },
    Verb { name: "soak", help: soak::HELP, run: soak::run },
    Verb { name: "languages", help: languages::HELP, run: languages::run },
    Verb { name: "bench", help: bench::HELP, run: bench::run },
];

fn main() -> ExitCode {
    if let Some(ended) = at_once::as_rustc().or_else(fuzz::instrument::as_rustc) {
        return ended;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let asks_help = |argument: &String| matches!(argument.as_str(), "--help" | "-h" | "help");
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| !asks_help(name)) else {
        print(HELP);
        return Ok(());
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        bail!("unknown verb `{name}`\n  hint: `cargo xtask help` lists the verbs");
    };
    if rest.iter().any(asks_help) {
        print(verb.help);
        return Ok(());
    }
    (verb.run)(&Places::find()?, rest)
}

/// Refuses arguments that a verb does not have: a mistyped flag must not be ignored.
fn expect_only(allowed: &[&str], arguments: &[String]) -> Result<()> {
    match arguments.iter().find(|argument| !allowed.contains(&argument.as_str())) {
        Some(unknown) => bail!("unknown argument `{unknown}`\n  hint: `--help` after the verb lists its arguments"),
        None => Ok(()),
    }
}
