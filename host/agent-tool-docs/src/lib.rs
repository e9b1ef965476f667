//! What a tool's author says of its functions: the comments of its WIT files, which toolchains drop. `wit` reads them, `stored` keeps
//! them in the component, `section` is what that is written with. `agent-host tool build` and `tool pack` put them in, `cargo xtask
//! tools` too, and `agent-sandbox` reads them when a component is loaded.
//!
//! A crate of its own, so that who only writes them need not compile wasmtime.

pub mod section;
pub mod stored;
pub mod wit;
