#![doc = include_str!("../README.md")]

pub mod arguments;
mod export;
mod host;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kv")]
pub mod kv;
mod operation;
mod part;
pub mod path;
pub mod reconcile;
#[doc(hidden)]
pub mod returns;
pub mod schema;
pub mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;

pub use agent_host_tool_macros::{args, tool};
pub use host::{Level, log, progress};
pub use operation::{Operation, OperationInfo};
pub use part::{IntoOutcome, IntoParts, Json, Media, Part, Resource, ResourceBody};

#[doc(hidden)]
pub use export::names_differ;

// What the macros expand to, and what tools need of these crates: one dependency is enough.
pub use schemars;
pub use serde;
pub use serde_json;
pub use serde_json::json;
