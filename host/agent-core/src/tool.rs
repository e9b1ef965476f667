//! Tools as the model sees them. Made by the sandbox when a component is loaded, used by the machine and by model adapters.

use serde::{Deserialize, Serialize};

use crate::json::JsonText;
use crate::name::ToolName;

/// Longest description in bytes. More is cut by no one: it is refused at load.
pub const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;

/// One callable operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolDescriptor {
    /// Its name.
    pub name: ToolName,
    /// What it does, for the model that chooses it.
    pub description: String,
    /// Its arguments: a JSON Schema 2020-12 of type `object`.
    pub input_schema: JsonText,
    /// What it returns where it does what was asked, a JSON Schema 2020-12, where that is known: programs read it, models do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<JsonText>,
}
