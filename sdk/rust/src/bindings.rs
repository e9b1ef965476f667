//! The component interface, generated from the host's WIT, and the conversions between it and this crate's own types.
//! Compiled for WebAssembly only; `export!` is its one user.
#![allow(unsafe_code, missing_docs, unused_qualifications, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "tool",
    pub_export_macro: true,
    default_bindings_module: "agent_host_tool::bindings",
    export_macro_name: "export_component",
});

pub use exports::agent_host::tool::tools::{Guest, Part as WitPart, ToolInfo};

use crate::host::Level;
use crate::operation::{Operation, OperationInfo};
use crate::part::{Media, Part, ResourceBody};
use agent_host::tool::{host, types};

/// The description of `O` as the host takes it.
#[must_use]
pub fn tool_info<O: Operation>() -> ToolInfo {
    let info = OperationInfo::of::<O>();
    ToolInfo {
        name: info.name.to_owned(),
        description: info.description,
        input_schema: info.input_schema.to_string(),
        output_schema: info.output_schema.map(|schema| schema.to_string()),
    }
}

#[must_use]
pub fn parts(parts: Vec<Part>) -> Vec<WitPart> {
    parts.into_iter().map(part).collect()
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::log(level, message);
}

pub(crate) fn progress(message: &str, fraction: Option<f64>) {
    host::progress(message, fraction);
}

fn part(part: Part) -> WitPart {
    match part {
        Part::Text(text) => WitPart::Text(text),
        Part::Json(text) => WitPart::Json(text),
        Part::Image(content) => WitPart::Image(media(content)),
        Part::Audio(content) => WitPart::Audio(media(content)),
        Part::Embedded(resource) => WitPart::Embedded(types::ResourceContent {
            uri: resource.uri,
            mime_type: resource.mime_type,
            body: match resource.body {
                ResourceBody::Text(text) => types::ResourceBody::Text(text),
                ResourceBody::Blob(data) => types::ResourceBody::Blob(data),
            },
        }),
    }
}

fn media(content: Media) -> types::Media {
    types::Media { mime_type: content.mime_type, data: content.data }
}
