//! One callable operation. `#[tool]` writes the implementations; `export!` collects them.

use serde_json::Value;

use crate::part::Part;

/// One operation of a tool. Written by [`macro@crate::tool`]; call it in tests to go through the JSON as the host does.
pub trait Operation {
    /// Unique in the component: `[a-z][a-z0-9_-]*`, at most 31 bytes.
    const NAME: &'static str;

    /// What it does, for the model that chooses it.
    fn description() -> String;

    /// The arguments: a JSON Schema 2020-12 of type `object`.
    fn input_schema() -> Value;

    /// What it returns: a JSON Schema 2020-12, where it returns exactly one JSON value. The host holds the result to it, and
    /// programs rely on it. [`macro@crate::tool`] writes it for functions that return [`Json`](crate::Json) of something with a schema.
    fn output_schema() -> Option<Value> {
        None
    }

    /// Reads the arguments from the text of a JSON object and calls the function. The error is for the model to read.
    ///
    /// # Errors
    /// What is wrong with the arguments, else what the function says.
    fn call(arguments: &str) -> Result<Vec<Part>, String>;
}

/// An operation as it is listed, before anyone calls it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationInfo {
    /// [`Operation::NAME`].
    pub name: &'static str,
    /// [`Operation::description`].
    pub description: String,
    /// [`Operation::input_schema`].
    pub input_schema: Value,
    /// [`Operation::output_schema`].
    pub output_schema: Option<Value>,
}

impl OperationInfo {
    /// The description of `O`.
    #[must_use]
    pub fn of<O: Operation>() -> Self {
        let (input_schema, output_schema) = (O::input_schema(), O::output_schema());
        Self { name: O::NAME, description: O::description(), input_schema, output_schema }
    }
}
