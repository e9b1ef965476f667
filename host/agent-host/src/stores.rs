//! The key-value stores that one call sees: those of its component, in the journal beside the agent. A call has them to
//! itself from its first look until it ends, so that what it read is still so when what it wrote is recorded.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use agent_core::name::Name;
use agent_sandbox::kv::{KvChange, StoreSize, Stores, StoresError};
use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::stores::{Foreign, StoreChanges, StoresHeld};

/// How long a call waits for another one that holds the stores: longer than calls take, shorter than their deadline.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How often it looks whether they are free. Within a run calls of one component take turns, so only another run is waited
/// for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The stores of one component, for one call.
pub struct CallStores {
    component: Name,
    place: Place,
    wait_max: Duration,
    /// Held from the first look on.
    held: Mutex<Option<StoresHeld>>,
}

/// Where the stores are.
pub enum Place {
    /// In the journal of a run.
    Run(Arc<dyn Journal>),
    /// In the journal of a folder, which is only begun once a tool keeps something there.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The key that marks what is written.
        key: Box<HostKey>,
        /// The journal, once it was opened.
        opened: OnceLock<Arc<dyn Journal>>,
    },
}

impl CallStores {
    /// The stores of `component`.
    #[must_use]
    pub fn new(component: Name, place: Place) -> Self {
        Self { component, place, wait_max: WAIT_MAX, held: Mutex::new(None) }
    }

    /// What a call wants changed, as the journal takes it; `None` where it is nothing.
    #[must_use]
    pub fn changes(&self, changes: Vec<KvChange>) -> Option<StoreChanges> {
        (!changes.is_empty()).then(|| StoreChanges { component: self.component.clone(), changes })
    }

    /// Makes the changes of a call that belongs to no run.
    ///
    /// # Errors
    /// Where they were not made.
    pub fn keep(&self, changes: Vec<KvChange>) -> Result<(), JournalError> {
        match self.changes(changes) {
            Some(changes) => self.place.journal()?.change_stores(&changes),
            None => Ok(()),
        }
    }

    /// The journal, with the component's stores held by this call.
    async fn held(&self) -> Result<Arc<dyn Journal>, StoresError> {
        let journal = self.place.journal().map_err(|error| failed(&error))?;
        let mut held = self.held.lock().await;
        if held.is_none() {
            *held = Some(self.take(&*journal).await?);
        }
        Ok(journal)
    }

    async fn take(&self, journal: &dyn Journal) -> Result<StoresHeld, StoresError> {
        let since = Instant::now();
        loop {
            match journal.try_hold_stores(&self.component).map_err(|error| failed(&error))? {
                Some(held) => return Ok(held),
                None if since.elapsed() < self.wait_max => tokio::time::sleep(LOOK_AGAIN).await,
                None => {
                    let why = format!("another call of `{}` holds its stores: try again later", self.component);
                    return Err(StoresError::Busy(why));
                }
            }
        }
    }

    fn not_ours(&self, store: &Name, foreign: &Foreign) -> StoresError {
        let (key, component) = (&foreign.key, &self.component);
        StoresError::Busy(format!("key `{key}` of store `{store}` of `{component}` was not written by this host"))
    }
}

impl Place {
    fn journal(&self) -> Result<Arc<dyn Journal>, JournalError> {
        match self {
            Self::Run(journal) => Ok(Arc::clone(journal)),
            Self::Folder { folder, key, opened } => {
                if let Some(journal) = opened.get() {
                    return Ok(Arc::clone(journal));
                }
                let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::create_or_open(folder, key)?);
                Ok(Arc::clone(opened.get_or_init(|| journal)))
            }
        }
    }
}

#[async_trait]
impl Stores for CallStores {
    async fn size(&self, store: &Name) -> Result<StoreSize, StoresError> {
        self.held().await?.store_size(&self.component, store).map_err(|error| failed(&error))
    }

    async fn value(&self, store: &Name, key: &str) -> Result<Option<Vec<u8>>, StoresError> {
        let found = self.held().await?.store_value(&self.component, store, key).map_err(|error| failed(&error))?;
        found.map_err(|foreign| self.not_ours(store, &foreign))
    }

    async fn keys(&self, store: &Name) -> Result<Vec<String>, StoresError> {
        let found = self.held().await?.store_keys(&self.component, store).map_err(|error| failed(&error))?;
        found.map_err(|foreign| self.not_ours(store, &foreign))
    }
}

fn failed(error: &JournalError) -> StoresError {
    StoresError::Failed(error.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_call_has_the_stores_to_itself() {
        let home = tempfile::tempdir().unwrap();
        let stores = || {
            let key = Box::new(HostKey::load_or_create(&home.path().join("state")).unwrap());
            let place = Place::Folder { folder: home.path().join("runs"), key, opened: OnceLock::new() };
            CallStores::new("notes".parse().unwrap(), place)
        };
        let (first, mut second) = (stores(), stores());
        second.wait_max = 2 * LOOK_AGAIN;
        assert!(!home.path().join("runs").exists(), "nothing is begun before a tool keeps something");
        let store = "default".parse().unwrap();
        assert_eq!(first.size(&store).await, Ok(StoreSize::default()));
        assert!(matches!(second.size(&store).await, Err(StoresError::Busy(_))));
        first.keep(vec![KvChange { store: store.clone(), key: "a".into(), value: Some(b"1".to_vec()) }]).unwrap();
        drop(first);
        assert_eq!(second.value(&store, "a").await, Ok(Some(b"1".to_vec())));
    }
}
