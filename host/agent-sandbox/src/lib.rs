//! Runs one tool call in a WASI component: confined to its grants, metered, recorded effect by effect.
//!
//! The only crate that names wasmtime. It knows nothing of models, journals or terminals: it speaks to its caller through one
//! trait, the [`gate::EffectGate`], and returns a [`call::CallReport`]. Load a component once ([`Sandbox::load`]), call it
//! often ([`Sandbox::call`]); every call has a fresh wasmtime `Store`.
//!
//! What happens in a call, module by module: `sandbox` finds the operation and takes a slot, `value` turns JSON into component
//! values, `pace` says where it begins, `invoke` arms the limits and runs the guest, on its caller's thread or on the guests'
//! own `runtime`, while `hosts` answer it, `fault` names what stopped it, `report` says what came of it. What happens in a
//! load: `structure` looks, `cache` has the code or `compile` makes it, `describe` finds the operations.

#![warn(unreachable_pub)]

mod advance;
mod base64;
mod bindings;
pub mod cache;
pub mod call;
mod charge;
mod code;
mod command;
pub mod compile;
pub mod component;
mod concurrency;
pub mod core_module;
#[doc(hidden)]
pub mod defence;
pub mod describe;
mod distant;
mod effects;
pub mod engine;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod gate;
mod hosts;
mod invoke;
pub mod kv;
#[doc(hidden)]
pub mod layer;
mod limiter;
mod loading;
pub mod mount;
mod newer_types;
pub mod own_world;
mod pace;
mod patience;
mod plain_text;
mod plainly;
pub mod reconcile;
pub mod replay;
mod report;
mod runtime;
pub mod sandbox;
pub mod secrets;
mod state;
mod stop;
mod structure;
pub mod sync;
pub mod transcript;
pub mod undo;
mod value;

pub use sandbox::Sandbox;
