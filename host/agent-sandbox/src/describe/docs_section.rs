//! The custom section `agent-host:docs`: a tool's documentation inside its component, since toolchains drop the comments of
//! WIT files. `agent-host tool build` appends it, `describe` reads it.
//!
//! It is a custom section at the outermost level of the component, and holds one JSON object:
//!
//! ```json
//! { "version": 1, "functions": { "evaluate": "Evaluates …", "local:calc/tools@0.1.0#round": "Rounds …" } }
//! ```
//!
//! A key is the name of an exported function, with its exported interface and `#` in front if it has one. Of several such
//! sections the last one counts, so that a tool can be built again without being taken apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use crate::describe::Unusable;

/// The section's name.
const NAME: &str = "agent-host:docs";

/// The version that we write, and the newest that we read.
const VERSION: u32 = 1;

/// Largest section: a description of 2 KiB for each of a hundred functions.
const BYTES_MAX: usize = 256 << 10;

/// Documentation of a component's functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    /// By `function` or `interface#function`.
    pub functions: BTreeMap<String, String>,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDocs {
    version: u32,
    functions: BTreeMap<String, String>,
}

/// The documentation in `component`, empty where it has none.
pub(crate) fn read(component: &[u8]) -> Result<Docs, Unusable> {
    let unusable = |problem: String| Unusable(format!("section `{NAME}`: {problem}"));
    let Some(section) = last_section(component) else { return Ok(Docs::default()) };
    if section.len() > BYTES_MAX {
        return Err(unusable(format!("larger than {BYTES_MAX} bytes")));
    }
    let stored: StoredDocs = serde_json::from_slice(section).map_err(|error| unusable(error.to_string()))?;
    if stored.version > VERSION {
        return Err(unusable(format!("version {} is newer than this host, which reads {VERSION}", stored.version)));
    }
    Ok(Docs { functions: stored.functions })
}

/// `component` with `docs` at its end.
#[must_use]
pub fn append(component: &[u8], docs: &Docs) -> Vec<u8> {
    let stored = StoredDocs { version: VERSION, functions: docs.functions.clone() };
    let json = match serde_json::to_vec(&stored) {
        Ok(json) => json,
        Err(error) => unreachable!("a map of strings always has a JSON text: {error}"),
    };
    let mut content = Vec::with_capacity(NAME.len() + json.len() + 2);
    write_length(&mut content, NAME.len());
    content.extend_from_slice(NAME.as_bytes());
    content.extend_from_slice(&json);
    let mut out = component.to_vec();
    out.push(CUSTOM_SECTION_ID);
    write_length(&mut out, content.len());
    out.extend_from_slice(&content);
    out
}

const CUSTOM_SECTION_ID: u8 = 0;

/// Unsigned LEB128.
fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn last_section(component: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    let mut found = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == NAME => found = Some(section.data()),
            // Every other payload is somebody else's.
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn docs(text: &str) -> Docs {
        Docs { functions: [("add".to_owned(), text.to_owned())].into() }
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
