//! A command-line program that knows nothing of agent-host, for the tests of commands as tools.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints")]

use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match rest.first().map(String::as_str) {
        Some("args") => println!("{program} {rest:?}"),
        Some("upper") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            print!("{}", text.to_uppercase());
        }
        Some("cat") => print!("{}", std::fs::read_to_string(rest.get(1).map_or("", String::as_str))?),
        Some("flood") => io::stdout().write_all(&[b'x'; 600_000])?,
        Some("bytes") => io::stdout().write_all(&[0xff, 0, 0xfe])?,
        Some("warn") => eprintln!("careful"),
        Some("fail") => {
            println!("half");
            eprintln!("no such thing");
            return Ok(ExitCode::from(3));
        }
        Some("exit") => std::process::exit(0),
        _ => return Err(io::Error::other("an unknown word")),
    }
    Ok(ExitCode::SUCCESS)
}
