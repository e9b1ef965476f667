//! What is recorded of calls that come from clients and not from a model: a program that serves its tools to others has no
//! turns. Bodies of `event::Event`.

use serde::{Deserialize, Serialize};

/// See [`crate::event::Event::ToolProposed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolProposed {
    /// The tool's wire name as the client wrote it. It may name no tool.
    pub tool: String,
    /// The arguments as the client wrote them.
    pub arguments: String,
    /// Who asks.
    pub client: Client,
}

/// A client, as it calls itself: nobody vouches for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}
