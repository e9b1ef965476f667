//! Says too much: output, log records, results.

use std::io::{self, Write as _};

use agent_host_tool::{Level, Part, args, log, progress, tool};

/// How many bytes.
#[args]
pub(crate) struct Size {
    bytes: usize,
}

/// How deep, or how many.
#[args]
pub(crate) struct Count {
    count: usize,
}

/// Prints to standard output forever, whatever becomes of it.
#[tool]
pub(crate) fn print_forever() -> String {
    loop {
        let _ = io::stdout().write_all(&[b'x'; 4096]);
    }
}

/// Writes log records forever.
#[tool]
pub(crate) fn log_forever() -> String {
    loop {
        log(Level::Error, "again");
    }
}

/// Tells progress forever.
#[tool]
pub(crate) fn progress_forever() -> String {
    loop {
        progress("again", Some(f64::NAN));
    }
}

/// Writes one large log record.
#[tool]
pub(crate) fn big_log(size: Size) {
    log(Level::Info, &"x".repeat(size.bytes));
}

/// Gives back a large text.
#[tool]
pub(crate) fn big_result(size: Size) -> String {
    "x".repeat(size.bytes)
}

/// Gives back many parts.
#[tool]
pub(crate) fn many_parts(count: Count) -> Vec<Part> {
    vec![Part::Text(String::new()); count.count]
}

/// Gives back JSON that is nested deeply.
#[tool]
pub(crate) fn deep_json(count: Count) -> Part {
    Part::Json(format!("{}{}", "[".repeat(count.count), "]".repeat(count.count)))
}

/// Gives back a JSON part that is not JSON.
#[tool]
pub(crate) fn bad_json() -> Part {
    Part::Json("{\"unfinished\": ".to_owned())
}
