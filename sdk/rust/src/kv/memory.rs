//! Stores in memory, for native builds: one set for each thread, so that tests do not meet.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Error;

thread_local! {
    static STORES: RefCell<BTreeMap<(String, String), Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

pub(super) struct Bucket(String);

pub(super) fn open(name: &str) -> Result<Bucket, Error> {
    if name.is_empty() { Err(Error::NoSuchStore) } else { Ok(Bucket(name.to_owned())) }
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(STORES.with_borrow(|stores| stores.get(&self.place(key)).cloned()))
    }

    pub(super) fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    pub(super) fn contains(&self, key: &str) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some())
    }

    pub(super) fn keys(&self) -> Result<Vec<String>, Error> {
        let own = |(store, _): &&(String, String)| *store == self.0;
        Ok(STORES.with_borrow(|stores| stores.keys().filter(own).map(|(_, key)| key.clone()).collect()))
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        STORES.with_borrow_mut(|stores| stores.insert(self.place(key), value.to_vec()));
        Ok(())
    }

    pub(super) fn remove(&self, key: &str) -> Result<(), Error> {
        STORES.with_borrow_mut(|stores| stores.remove(&self.place(key)));
        Ok(())
    }

    pub(super) fn add(&self, key: &str, delta: u64) -> Result<u64, Error> {
        let before = match self.get(key)? {
            None => 0,
            Some(bytes) => String::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Error::Failed(format!("the value of `{key}` is no number")))?,
        };
        let sum =
            u64::checked_add(before, delta).ok_or_else(|| Error::Failed(format!("`{key}` would be too large")))?;
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    fn place(&self, key: &str) -> (String, String) {
        (self.0.clone(), key.to_owned())
    }
}
