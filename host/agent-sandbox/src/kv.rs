//! The key-value stores of a component as a call finds them, and what the call wants changed in them. The caller implements
//! [`Stores`]; the sandbox only reads there. What a guest writes is kept with the call, seen by it, and handed back in its
//! report: the caller makes it durable with the record of the call, or drops it with the call.

use agent_core::name::Name;
use async_trait::async_trait;

/// Reads a component's stores as they were when the call first looked: nobody else changes them before the call has ended.
#[async_trait]
pub trait Stores: Send + Sync {
    /// How full a store is. One that nobody wrote to is empty.
    ///
    /// # Errors
    /// Where it cannot be read now, or not at all.
    async fn size(&self, store: &Name) -> Result<StoreSize, StoresError>;

    /// The value of a key.
    ///
    /// # Errors
    /// Where it cannot be read now, or not at all.
    async fn value(&self, store: &Name, key: &str) -> Result<Option<Vec<u8>>, StoresError>;

    /// Every key, in any order.
    ///
    /// # Errors
    /// Where they cannot be read now, or not at all.
    async fn keys(&self, store: &Name) -> Result<Vec<String>, StoresError>;
}

/// How full a store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// Why a store was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoresError {
    /// Another call holds it. The guest is told, and may try again.
    #[error("{0}")]
    Busy(String),
    /// It cannot be read: the call must end.
    #[error("a key-value store could not be read: {0}")]
    Failed(String),
}

/// One change that a call wants made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvChange {
    /// The store.
    pub store: Name,
    /// The key.
    pub key: String,
    /// Its new value; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// No store at all: for a component that is only asked for its tools.
pub struct NoStores;

#[async_trait]
impl Stores for NoStores {
    async fn size(&self, _: &Name) -> Result<StoreSize, StoresError> {
        Ok(StoreSize::default())
    }

    async fn value(&self, _: &Name, _: &str) -> Result<Option<Vec<u8>>, StoresError> {
        Ok(None)
    }

    async fn keys(&self, _: &Name) -> Result<Vec<String>, StoresError> {
        Ok(Vec::new())
    }
}
