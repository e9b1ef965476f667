//! What a component offers, found by reflection when it is loaded: its operations with their schemas, and what of it cannot
//! be a tool. A component that exports our own world is asked (`world`); of any other, each exported function is a tool
//! (`exports`). `component` calls this once for each load.

use agent_core::name::Name;

use crate::plain_text;

pub(crate) mod docs_section;
pub(crate) mod exports;
pub mod manifest_section;
pub(crate) mod naming;
mod package_docs;
pub(crate) mod schema;
pub(crate) mod selection;
pub(crate) mod world;

/// Largest schema of one tool: a model reads all of it with every request.
pub(crate) const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// How a component presents its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Each exported function is a tool, its schema derived from its WIT type.
    Exports,
    /// It exports `agent-host:tool/tools` and lists its tools itself.
    World,
}

/// An export that is no tool, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The export's name, with its interface: `local:calc/tools@0.1.0#open`.
    pub export: String,
    /// Why it cannot be called.
    pub reason: String,
}

/// One operation before it has its component's name.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    /// The export's full name; that of the operation itself where the component lists its tools.
    pub(crate) export: String,
    pub(crate) operation: Name,
    pub(crate) description: String,
    pub(crate) input_schema: serde_json::Value,
    /// Of the JSON value that it returns, where it returns one.
    pub(crate) output_schema: Option<serde_json::Value>,
}

/// Why a component's own words about itself cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) String);

/// Refuses words about a tool that a model would read and the person who approves would not.
fn refuse_hidden(what: &str, text: &str) -> Result<(), Unusable> {
    match plain_text::hidden(text) {
        None => Ok(()),
        Some(c) => Err(Unusable(format!("{what} holds a character that nobody sees: `{}`", c.escape_unicode()))),
    }
}

/// The same for every text in a schema.
fn refuse_hidden_in_schema(schema: &serde_json::Value) -> Result<(), Unusable> {
    use serde_json::Value;
    match schema {
        Value::String(text) => refuse_hidden("its schema", text),
        Value::Array(elements) => elements.iter().try_for_each(refuse_hidden_in_schema),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            refuse_hidden("its schema", key)?;
            refuse_hidden_in_schema(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}
