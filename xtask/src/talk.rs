//! The only place that prints: results to stdout, everything else to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

/// Says what is being done.
pub(crate) fn say(text: &str) {
    eprintln!("[xtask] {text}");
}

/// Prints a result.
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// Passes on a line of a program that we run, unchanged.
pub(crate) fn relay(line: &str) {
    eprintln!("{line}");
}

/// Prints an error and its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}
