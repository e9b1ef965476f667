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
    /// How the client numbers its request, cut to a bounded length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// A client, as it calls itself: nobody vouches for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the protocol that it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}
