//! What a call sees of its stores: what was there, and over it what the call itself wrote. Every limit on a store is kept
//! here, on keys, values and the store as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use agent_core::limits::Limits;
use agent_core::name::Name;
use agent_core::units::Bytes;

use crate::defence::{self, Defence};
use crate::kv::{KvChange, StoreSize, Stores, StoresError};

/// Most keys of one listing's page.
const PAGE_KEYS_MAX: usize = 1_000;

/// Most bytes of keys of one page: what a guest's small memory holds easily.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Places at which listings of one call may go on. A store of the standard size is listed in ten.
const CURSORS_MAX: usize = 1_000;

/// The stores of one call.
pub(crate) struct View {
    stores: Arc<dyn Stores>,
    room: Room,
    seen: BTreeMap<Name, Seen>,
    /// The last keys of pages that were handed out: a cursor is a place in this list.
    cursors: Vec<String>,
}

/// The limits.
struct Room {
    bytes: Bytes,
    entries: u64,
    key: Bytes,
    value: Bytes,
}

/// One store that the call used.
#[derive(Default)]
struct Seen {
    /// With the changes.
    size: StoreSize,
    changes: BTreeMap<String, Option<Vec<u8>>>,
    /// Every key, with the changes, once the call listed them.
    keys: Option<BTreeSet<String>>,
}

/// A page of keys.
pub(crate) struct Page {
    pub(crate) keys: Vec<String>,
    pub(crate) cursor: Option<u64>,
}

/// Why an operation was not done.
pub(crate) enum Problem {
    /// Over a limit; in words.
    Quota(String),
    /// The guest asked for what cannot be, in words.
    Wrong(String),
    Stores(StoresError),
}

impl From<StoresError> for Problem {
    fn from(error: StoresError) -> Self {
        Self::Stores(error)
    }
}

impl View {
    /// Over what `stores` hold, within `limits`.
    pub(crate) fn new(stores: Arc<dyn Stores>, limits: &Limits) -> Self {
        let room = Room {
            bytes: limits.kv_bytes,
            entries: limits.kv_entries,
            key: limits.kv_key_bytes,
            value: limits.kv_value_bytes,
        };
        Self { stores, room, seen: BTreeMap::new(), cursors: Vec::new() }
    }

    /// What the call wants changed.
    pub(crate) fn finish(self) -> Vec<KvChange> {
        let of_store = |(store, seen): (Name, Seen)| {
            seen.changes.into_iter().map(move |(key, value)| KvChange { store: store.clone(), key, value })
        };
        self.seen.into_iter().flat_map(of_store).collect()
    }

    pub(crate) async fn get(&mut self, store: &Name, key: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.room.check_key(key)?;
        if let Some(changed) = self.seen(store).await?.changes.get(key) {
            return Ok(changed.clone());
        }
        Ok(self.stores.value(store, key).await?)
    }

    pub(crate) async fn set(&mut self, store: &Name, key: String, value: Vec<u8>) -> Result<(), Problem> {
        self.room.check_value(&value)?;
        let before = self.get(store, &key).await?.map(|before| before.len());
        let (room, seen) = (&self.room, self.seen.entry(store.clone()).or_default());
        seen.size = room.with(store, seen.size, before, &key, value.len())?;
        if let Some(keys) = &mut seen.keys {
            keys.insert(key.clone());
        }
        seen.changes.insert(key, Some(value));
        Ok(())
    }

    /// Whether there was such a key.
    pub(crate) async fn delete(&mut self, store: &Name, key: String) -> Result<bool, Problem> {
        let Some(before) = self.get(store, &key).await? else { return Ok(false) };
        let seen = self.seen.entry(store.clone()).or_default();
        seen.size.bytes = seen.size.bytes.saturating_sub((key.len() + before.len()) as u64);
        seen.size.entries = seen.size.entries.saturating_sub(1);
        if let Some(keys) = &mut seen.keys {
            keys.remove(&key);
        }
        seen.changes.insert(key, None);
        Ok(true)
    }

    /// The keys in their order, from `cursor` on.
    pub(crate) async fn page(&mut self, store: &Name, cursor: Option<u64>) -> Result<Page, Problem> {
        let after = cursor.map(|cursor| self.place(cursor)).transpose()?;
        let keys = self.keys(store).await?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        let fits = |key: &&String| {
            bytes += key.len();
            bytes <= PAGE_BYTES_MAX
        };
        let mut rest = keys.range::<String, _>((start, Bound::Unbounded));
        let page: Vec<String> = rest.by_ref().take(PAGE_KEYS_MAX).take_while(fits).cloned().collect();
        let more = page.last().is_some_and(|last| keys.last() != Some(last));
        let cursor = if more { Some(self.remember(page.last().cloned().unwrap_or_default())?) } else { None };
        Ok(Page { keys: page, cursor })
    }

    fn place(&self, cursor: u64) -> Result<String, Problem> {
        let place = usize::try_from(cursor).ok().and_then(|place| self.cursors.get(place));
        place.cloned().ok_or_else(|| Problem::Wrong("no listing of this call gave out that cursor".to_owned()))
    }

    fn remember(&mut self, last: String) -> Result<u64, Problem> {
        if self.cursors.len() == CURSORS_MAX {
            return Err(Problem::Wrong(format!("one call goes on with listings at most {CURSORS_MAX} times")));
        }
        self.cursors.push(last);
        Ok(self.cursors.len() as u64 - 1)
    }

    async fn keys(&mut self, store: &Name) -> Result<&BTreeSet<String>, Problem> {
        if self.seen(store).await?.keys.is_none() {
            let mut keys: BTreeSet<String> = self.stores.keys(store).await?.into_iter().collect();
            let seen = self.seen.entry(store.clone()).or_default();
            for (key, value) in &seen.changes {
                match value {
                    Some(_) => keys.insert(key.clone()),
                    None => keys.remove(key),
                };
            }
            seen.keys = Some(keys);
        }
        Ok(self.seen.entry(store.clone()).or_default().keys.get_or_insert_default())
    }

    async fn seen(&mut self, store: &Name) -> Result<&mut Seen, Problem> {
        if !self.seen.contains_key(store) {
            let size = self.stores.size(store).await?;
            self.seen.insert(store.clone(), Seen { size, ..Seen::default() });
        }
        Ok(self.seen.entry(store.clone()).or_default())
    }
}

impl Room {
    fn check_key(&self, key: &str) -> Result<(), Problem> {
        let (bytes, most) = (key.len() as u64, self.key);
        if bytes > most.0 {
            return Err(Problem::Quota(format!("a key of {}: `limits.kv_key_bytes` is {most}", Bytes(bytes))));
        }
        if key.is_empty() {
            return Err(Problem::Wrong("a key is not empty".to_owned()));
        }
        Ok(())
    }

    fn check_value(&self, value: &[u8]) -> Result<(), Problem> {
        let (bytes, most) = (value.len() as u64, self.value);
        if bytes > most.0 {
            return Err(Problem::Quota(format!("a value of {}: `limits.kv_value_bytes` is {most}", Bytes(bytes))));
        }
        Ok(())
    }

    /// The size of a store once `key` has a value of that length.
    fn with(
        &self,
        store: &Name,
        size: StoreSize,
        before: Option<usize>,
        key: &str,
        value: usize,
    ) -> Result<StoreSize, Problem> {
        let (gone, entries) = match before {
            Some(before) => (key.len() + before, size.entries),
            None => (0, size.entries.saturating_add(1)),
        };
        let bytes = size.bytes.saturating_sub(gone as u64).saturating_add((key.len() + value) as u64);
        // A store that an operator's lower limit found too full may still shrink.
        let off = defence::is_off(Defence::KvQuota);
        if bytes > self.bytes.0 && bytes > size.bytes && !off {
            let full = format!("store `{store}` would hold {}: `limits.kv_bytes` is {}", Bytes(bytes), self.bytes);
            return Err(Problem::Quota(full));
        }
        if entries > self.entries && entries > size.entries && !off {
            let full = format!("store `{store}` would hold {entries} entries: `limits.kv_entries` is {}", self.entries);
            return Err(Problem::Quota(full));
        }
        Ok(StoreSize { bytes, entries })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::sync::Mutex;

    use agent_core::limits::Limit;
    use async_trait::async_trait;

    use super::*;

    /// Stores in memory, of one name.
    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    #[async_trait]
    impl Stores for Memory {
        async fn size(&self, _: &Name) -> Result<StoreSize, StoresError> {
            let held = self.0.lock().unwrap();
            let bytes = held.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
            Ok(StoreSize { bytes, entries: held.len() as u64 })
        }

        async fn value(&self, _: &Name, key: &str) -> Result<Option<Vec<u8>>, StoresError> {
            Ok(self.0.lock().unwrap().get(key).cloned())
        }

        async fn keys(&self, _: &Name) -> Result<Vec<String>, StoresError> {
            Ok(self.0.lock().unwrap().keys().cloned().collect())
        }
    }

    fn view(held: &[(&str, &str)], limits: &Limits) -> (View, Name) {
        let held = held.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        (View::new(Arc::new(Memory(Mutex::new(held))), limits), "default".parse().unwrap())
    }

    fn said<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(Problem::Quota(why) | Problem::Wrong(why)) => why,
            Err(Problem::Stores(error)) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_call_sees_what_it_wrote_over_what_was_there() {
        let (mut view, store) = view(&[("a", "1"), ("b", "2")], &Limits::STANDARD);
        view.set(&store, "c".into(), b"3".to_vec()).await.ok().unwrap();
        view.set(&store, "a".into(), b"one".to_vec()).await.ok().unwrap();
        assert_eq!(said(view.delete(&store, "b".into()).await), "true");
        assert_eq!(said(view.delete(&store, "never".into()).await), "false");
        assert_eq!(view.get(&store, "a").await.ok().unwrap(), Some(b"one".to_vec()));
        assert_eq!(view.get(&store, "b").await.ok().unwrap(), None);
        assert_eq!(view.page(&store, None).await.ok().unwrap().keys, ["a", "c"]);
        view.set(&store, "d".into(), Vec::new()).await.ok().unwrap();
        assert_eq!(view.page(&store, None).await.ok().unwrap().keys, ["a", "c", "d"]);
        let change = |key: &str, value: Option<&[u8]>| KvChange {
            store: store.clone(),
            key: key.to_owned(),
            value: value.map(<[u8]>::to_vec),
        };
        let wanted = [("a", Some(&b"one"[..])), ("b", None), ("c", Some(b"3")), ("d", Some(b""))];
        assert_eq!(view.finish(), wanted.map(|(key, value)| change(key, value)));
    }

    #[tokio::test]
    async fn every_limit_is_kept() {
        let limits = [(Limit::KvBytes, 10), (Limit::KvEntries, 2), (Limit::KvKeyBytes, 3), (Limit::KvValueBytes, 6)];
        let limits = limits.iter().fold(Limits::STANDARD, |limits, (limit, value)| limits.with(*limit, *value));
        let (mut view, store) = view(&[("a", "1234")], &limits);
        let mut set = async |key: &str, value: &str| said(view.set(&store, key.into(), value.into()).await);
        assert_eq!(set("long", "").await, "a key of 4 B: `limits.kv_key_bytes` is 3 B");
        assert_eq!(set("", "").await, "a key is not empty");
        assert_eq!(set("b", "1234567").await, "a value of 7 B: `limits.kv_value_bytes` is 6 B");
        assert_eq!(set("b", "12345").await, "store `default` would hold 11 B: `limits.kv_bytes` is 10 B");
        assert_eq!(set("b", "1234").await, "()");
        assert_eq!(set("c", "").await, "store `default` would hold 11 B: `limits.kv_bytes` is 10 B");
        assert_eq!(set("a", "").await, "()");
        assert_eq!(set("c", "").await, "store `default` would hold 3 entries: `limits.kv_entries` is 2");
        assert_eq!(said(view.delete(&store, "a".into()).await), "true");
        assert_eq!(said(view.set(&store, "c".into(), Vec::new()).await), "()");
    }

    #[tokio::test]
    async fn a_long_listing_comes_in_pages_that_deletes_do_not_shift() {
        let names: Vec<String> = (0..2_500).map(|number| format!("key{number:04}")).collect();
        let held: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let (mut view, store) = view(&held, &Limits::STANDARD);
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = view.page(&store, cursor).await.ok().unwrap();
            for key in &page.keys {
                view.delete(&store, key.clone()).await.ok().unwrap();
            }
            listed.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, names);
        assert!(matches!(view.page(&store, Some(99)).await, Err(Problem::Wrong(_))));
    }
}
