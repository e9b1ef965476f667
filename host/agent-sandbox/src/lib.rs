//! Runs one tool call in a WASI component: confined to its grants, metered, recorded effect by effect.
//!
//! The only crate that names wasmtime. It knows nothing of models, journals or terminals: it speaks to its caller through one
//! trait, the [`gate::EffectGate`], and returns a [`call::CallReport`]. Load a component once ([`Sandbox::load`]), call it
//! often ([`Sandbox::call`]); every call has a fresh wasmtime `Store`.

mod bindings;
pub mod call;
mod charge;
mod effects;
pub mod gate;
mod hosts;
mod limiter;
pub mod mount;
mod patience;
mod state;
mod stop;
pub mod transcript;
pub mod undo;
