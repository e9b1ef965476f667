//! For the tests of a tool, which run natively: what it says beside its result.
//!
//! ```
//! use agent_host_tool::testing::{Said, listen};
//! use agent_host_tool::{Level, log, progress, tool};
//!
//! /// Works.
//! #[tool]
//! fn work() -> &'static str {
//!     progress("half of it", Some(0.5));
//!     log(Level::Info, "worked");
//!     "done"
//! }
//!
//! let (result, said) = listen(work);
//! assert_eq!(result, "done");
//! assert_eq!(said[0], Said::Progress("half of it".to_owned(), Some(0.5)));
//! assert_eq!(said[1], Said::Log(Level::Info, "worked".to_owned()));
//! ```

use std::cell::RefCell;

use crate::host::Level;

/// Something that a tool said beside its result.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// By [`progress`](crate::progress): the text, and the fraction where one was known.
    Progress(String, Option<f64>),
    /// By [`log`](crate::log).
    Log(Level, String),
}

thread_local! {
    /// What was said since somebody on this thread listens.
    static HEARD: RefCell<Option<Vec<Said>>> = const { RefCell::new(None) };
}

/// Does `work` and gives what it said on this thread. Without a listener it goes to standard error.
pub fn listen<T>(work: impl FnOnce() -> T) -> (T, Vec<Said>) {
    let outer = HEARD.replace(Some(Vec::new()));
    let result = work();
    (result, HEARD.replace(outer).unwrap_or_default())
}

/// Passes on what a tool says.
pub(crate) fn heard(said: Said, line: impl FnOnce() -> String) {
    let unheard = HEARD.with_borrow_mut(|heard| match heard {
        Some(heard) => {
            heard.push(said);
            false
        }
        None => true,
    });
    if unheard {
        use std::io::Write as _;
        // A closed standard error is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{}", line());
    }
}
