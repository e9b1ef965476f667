//! How a host function ends a call: it traps with a [`Stop`], and `fault` reads it back out of the trap.

use agent_core::outcome::Fault;

use crate::gate::GateClosed;

/// Why a host function ended the call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// A limit was met, or the guest did what a host function cannot let pass.
    #[error("{message}")]
    Fault { fault: Fault, message: String },
    /// Nothing can be recorded any more.
    #[error(transparent)]
    Gate(#[from] GateClosed),
}

impl Stop {
    /// A fault with the text that the model and the person read.
    pub(crate) fn fault(fault: Fault, message: impl Into<String>) -> Self {
        Self::Fault { fault, message: message.into() }
    }
}
