//! What a running tool can say beside its result. Outside a host (in native tests) it goes to standard error.

#[cfg(not(target_family = "wasm"))]
use crate::testing::Said;

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
    crate::testing::heard(Said::Log(level, message.to_owned()), || format!("[{level:?}] {message}"));
}

/// Tells the person who waits how far the call is: a short text, and a fraction between 0 and 1 where one is known.
pub fn progress(message: &str, fraction: Option<f64>) {
    #[cfg(target_family = "wasm")]
    crate::bindings::progress(message, fraction);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::heard(Said::Progress(message.to_owned(), fraction), || match fraction {
        Some(fraction) => format!("[{:3.0} %] {message}", fraction * 100.0),
        None => format!("[ … ] {message}"),
    });
}
