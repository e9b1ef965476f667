//! What the fuzz targets call of this crate's private parts. Only with the feature `fuzzing`, and only for `tests/fuzz`: each
//! function panics where its subject does something that it must never do.

#![allow(clippy::expect_used, reason = "a fuzz target fails by panicking")]

pub mod component;
pub mod value;
