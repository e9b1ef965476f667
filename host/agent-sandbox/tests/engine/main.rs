//! The engine half of the sandbox from outside: loading, calling, limits, the code cache. Guests are components in
//! WebAssembly text, so that a test shows the whole of what it runs.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs, reason = "tests")]

mod advances;
mod cached;
mod calling;
mod limits;
mod loading;
mod outline;
mod round_trip;
mod support;
mod world;
