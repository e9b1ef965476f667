//! What loading reads of a component's bytes before it is linked.

use std::sync::OnceLock;

use agent_core::tool::DESCRIPTION_BYTES_MAX;
use agent_tool_docs::stored::{self, Docs};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::describe::{docs_section, exports};
use crate::engine::{self, Residue};
use crate::{hosts, structure};

/// Looks at `bytes` as `Sandbox::load` does.
///
/// # Panics
/// Where it should not.
pub fn look(bytes: &[u8]) {
    let docs = docs_section::read(bytes);
    if let Ok(docs) = &docs {
        docs_are_read_back(bytes, docs);
    }
    if structure::check(bytes).is_err() {
        return;
    }
    // No text and no compiled code reaches this: the first look refuses them.
    if let (Ok(code), Ok(docs)) = (Component::from_binary(engine(), bytes), docs) {
        describe(&code, &docs);
    }
}

/// `tool build` writes the section that `describe` reads.
fn docs_are_read_back(bytes: &[u8], docs: &Docs) {
    if structure::check(bytes).is_ok() {
        assert_eq!(docs_section::read(&stored::append(bytes, docs)).as_ref(), Ok(docs));
    }
}

fn describe(code: &Component, docs: &Docs) {
    for (name, _) in code.component_type().imports(engine()) {
        let _ = hosts::known_capability(name);
    }
    let Ok(found) = exports::find(code, docs) else { return };
    assert_eq!(found.descriptions.len(), found.operations.len(), "two operations have one name");
    for description in &found.descriptions {
        assert!(found.operations.contains_key(&description.operation), "{}", description.operation);
        assert!(description.description.len() <= DESCRIPTION_BYTES_MAX, "{}", description.operation);
        assert_eq!(description.input_schema["type"], "object", "{}", description.input_schema);
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine::build(1, Residue::Kept).expect("an engine"))
}
