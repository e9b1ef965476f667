//! What a running tool can say beside its result. Outside a host (in native tests) it goes to standard error.

/// How much a log record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the tool's author.
    Debug,
    /// What happened.
    Info,
    /// What a person may want to change.
    Warn,
    /// What went wrong.
    Error,
}

/// Writes one record to the call's log. The host keeps a bounded number of them; the model does not see them.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::log(level, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln_quietly(&format!("[{level:?}] {message}"));
}

/// Tells the person who waits how far the call is: a short text, and a fraction between 0 and 1 where one is known.
pub fn progress(message: &str, fraction: Option<f64>) {
    #[cfg(target_family = "wasm")]
    crate::bindings::progress(message, fraction);
    #[cfg(not(target_family = "wasm"))]
    match fraction {
        Some(fraction) => eprintln_quietly(&format!("[{:3.0} %] {message}", fraction * 100.0)),
        None => eprintln_quietly(&format!("[ … ] {message}")),
    }
}

/// A closed standard error is no reason to stop.
#[cfg(not(target_family = "wasm"))]
fn eprintln_quietly(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
