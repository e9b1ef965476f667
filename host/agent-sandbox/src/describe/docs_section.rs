//! What a component says of its functions: in our own section, else in one that other tools wrote. Asked when it is described.

use agent_tool_docs::stored::{self, Docs};

use crate::describe::{Unusable, package_docs};

/// The documentation in `component`, empty where it has none. What our own section does not say, another may.
pub(crate) fn read(component: &[u8]) -> Result<Docs, Unusable> {
    let mut docs = stored::read(component).map_err(|error| Unusable(error.to_string()))?;
    for (function, text) in package_docs::read(component) {
        docs.functions.entry(function).or_insert(text);
    }
    Ok(docs)
}
