//! The key-value stores of tools, in the same journal as the runs: what a call wrote becomes durable with its `ToolFinished`, or
//! not at all. Each entry carries this host's mark, since a journal may come from a stranger, whose words would otherwise
//! reach a model as what the tool had remembered.

use agent_core::digest::Digest;
use agent_core::name::Name;
use agent_sandbox::kv::KvChange;

/// What a mark is over, first of all: an entry of this form and no other thing.
const DOMAIN: &[u8] = b"agent-host kv entry 1";

/// What a call wants changed in the stores of its component.
#[derive(Debug, Clone)]
pub struct StoreChanges {
    /// Whose stores.
    pub component: Name,
    /// The changes, each key once.
    pub changes: Vec<KvChange>,
}

/// An entry that this host did not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its key.
    pub key: String,
}

/// Stores that one call has to itself, until this is dropped.
pub struct StoresHeld {
    #[expect(dead_code, reason = "it is there to be dropped")]
    by: Box<dyn Send>,
}

impl StoresHeld {
    /// Held for as long as `by` lives.
    pub(super) fn by(by: impl Send + 'static) -> Self {
        Self { by: Box::new(by) }
    }
}

/// What the mark of an entry is over: its place, that is component, store and key, and the digest of its value.
pub(super) fn entry_hash([component, store, key]: [&str; 3], value: &[u8; 32]) -> Digest {
    Digest::of_parts(&[DOMAIN, component.as_bytes(), store.as_bytes(), key.as_bytes(), value])
}
