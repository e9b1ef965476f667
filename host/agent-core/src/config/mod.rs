//! Stand-in.
#[allow(missing_docs)]
pub mod resolve;
