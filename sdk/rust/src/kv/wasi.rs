//! Stores by `wasi:keyvalue`.

use super::Error;
use generated::wasi::keyvalue::{atomics, batch, store};

/// Generated from the host's WIT.
#[allow(unsafe_code, missing_docs, unused_qualifications, unreachable_pub, reason = "generated code")]
mod generated {
    wit_bindgen::generate!({ path: "../../wit", world: "keyvalue", generate_all });
}

/// Pages of one listing: as many as the host gives out.
const PAGES_MAX: usize = 1_000;

pub(super) struct Bucket(store::Bucket);

pub(super) fn open(name: &str) -> Result<Bucket, Error> {
    store::open(name).map(Bucket).map_err(error)
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key).map_err(error)
    }

    pub(super) fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let found = batch::get_many(&self.0, keys).map_err(error)?;
        Ok(found.into_iter().map(|pair| pair.map(|(_, value)| value)).collect())
    }

    pub(super) fn contains(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key).map_err(error)
    }

    pub(super) fn keys(&self) -> Result<Vec<String>, Error> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.0.list_keys(cursor).map_err(error)?;
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(keys)
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value).map_err(error)
    }

    pub(super) fn remove(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key).map_err(error)
    }

    pub(super) fn add(&self, key: &str, delta: u64) -> Result<u64, Error> {
        atomics::increment(&self.0, key, delta).map_err(error)
    }
}

fn error(error: store::Error) -> Error {
    match error {
        store::Error::NoSuchStore => Error::NoSuchStore,
        store::Error::AccessDenied => Error::Refused,
        store::Error::Other(why) => Error::Failed(why),
    }
}
