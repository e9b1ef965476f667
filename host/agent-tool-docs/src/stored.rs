//! The custom section `agent-host:docs`: a tool's documentation inside its component, since toolchains drop the comments of
//! WIT files. `wit` makes it, and `agent-sandbox` reads it.
//!
//! It is a custom section at the outermost level of the component, and holds one JSON object:
//!
//! ```json
//! {
//!   "version": 1,
//!   "functions": { "evaluate": "Evaluates …", "local:calc/tools@0.1.0#round": "Rounds …" },
//!   "parts": { "evaluate": { "options.digits": "How many digits.", "options.mode.exact": "No rounding." } }
//! }
//! ```
//!
//! A key is the name of an exported function, with its exported interface and `#` in front if it has one. A part is a place in
//! its parameters: a parameter's name, then for each step inwards `.field`, `.case`, `[]` for the elements of a list, `[0]` for
//! a place of a tuple and `{}` for the values of a map; an option adds nothing. A place in what it returns begins with `->`, which no
//! parameter is called: of a `result` that is what it returns where all is well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::section;

/// The section's name.
const NAME: &str = "agent-host:docs";

/// The version that we write, and the newest that we read.
const VERSION: u32 = 1;

/// Where a place in what a function returns begins.
pub const RETURNED: &str = "->";

/// Largest section: a description of 2 KiB for each of a hundred functions.
pub const BYTES_MAX: usize = 256 << 10;

/// Documentation of a component's functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    /// By `function` or `interface#function`.
    pub functions: BTreeMap<String, String>,
    /// Of places in a function's parameters and in what it returns, by the same names and then by place.
    pub parts: BTreeMap<String, BTreeMap<String, String>>,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDocs {
    version: u32,
    functions: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, BTreeMap<String, String>>,
}

/// A section that this version cannot read, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("section `{NAME}`: {0}")]
pub struct Unreadable(pub String);

/// The documentation in `component`, empty where it has none.
///
/// # Errors
/// Where the section is not what this version writes.
pub fn read(component: &[u8]) -> Result<Docs, Unreadable> {
    let Some(section) = section::last(component, NAME) else { return Ok(Docs::default()) };
    if section.len() > BYTES_MAX {
        return Err(Unreadable(format!("larger than {BYTES_MAX} bytes")));
    }
    let stored: StoredDocs = serde_json::from_slice(section).map_err(|error| Unreadable(error.to_string()))?;
    if stored.version > VERSION {
        return Err(Unreadable(format!("version {} is newer than this host, which reads {VERSION}", stored.version)));
    }
    Ok(Docs { functions: stored.functions, parts: stored.parts })
}

/// `component` with `docs` at its end, instead of any that it had.
#[must_use]
pub fn append(component: &[u8], docs: &Docs) -> Vec<u8> {
    section::replace(component, NAME, &encoded(docs))
}

/// How many bytes `docs` take in a component.
#[must_use]
pub fn encoded_len(docs: &Docs) -> usize {
    encoded(docs).len()
}

fn encoded(docs: &Docs) -> Vec<u8> {
    let stored = StoredDocs { version: VERSION, functions: docs.functions.clone(), parts: docs.parts.clone() };
    match serde_json::to_vec(&stored) {
        Ok(json) => json,
        Err(error) => unreachable!("a map of strings always has a JSON text: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn docs(text: &str) -> Docs {
        let parts = [("a.b[]".to_owned(), "A number.".to_owned())].into();
        Docs { functions: [("add".to_owned(), text.to_owned())].into(), parts: [("add".to_owned(), parts)].into() }
    }

    #[test]
    fn what_was_appended_last_is_read() {
        assert_eq!(read(EMPTY_COMPONENT), Ok(Docs::default()));
        let once = append(EMPTY_COMPONENT, &docs("Adds."));
        let twice = append(&once, &docs(&"Adds two numbers. ".repeat(20)));
        assert_eq!(read(&once), Ok(docs("Adds.")));
        assert_eq!(read(&twice), Ok(docs(&"Adds two numbers. ".repeat(20))));
    }

    #[test]
    fn a_section_that_is_not_ours_is_an_error() {
        let mut newer = append(EMPTY_COMPONENT, &docs("Adds."));
        let place = newer.windows(10).position(|bytes| bytes == b"\"version\":").map_or(0, |start| start + 10);
        newer[place] = b'2';
        let problem = read(&newer).map_err(|error| error.to_string());
        assert_eq!(problem, Err("section `agent-host:docs`: version 2 is newer than this host, which reads 1".into()));
    }
}
