//! The Model Context Protocol: other programs list and call our tools, each call in the sandbox, under the operator's grants,
//! recorded. `commands/mcp.rs` starts it.
//!
//! [`server::Server`] holds what is served and the runs that record it, each at a [`desk::Desk`]. A [`client::Client`] is one client's view of it, made
//! by the crate `rmcp`, which knows the protocol and its versions. [`stdio`] is the one client on standard input and output, which [`streams`] waits for.

pub mod answer;
pub mod bounds;
pub mod client;
pub mod desk;
pub mod http;
pub mod offer;
pub mod raw_arguments;
pub mod runs;
pub mod server;
pub mod stdio;
pub mod streams;
mod teller;
pub mod tool_set;
pub mod watch;
