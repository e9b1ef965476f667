//! How people read what a run did.

pub mod authority;
pub mod text;
