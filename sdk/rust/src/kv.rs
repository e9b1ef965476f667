//! Keeps things from call to call, in a store of the tool's own. A call sees at once what it writes; it is kept when the call
//! ends, all of it, or none of it where the call is stopped. The operator grants it: `--allow-kv TOOL`. On native builds each
//! thread has stores of its own in memory, so that a test begins with empty ones.
//!
//! ```
//! use agent_host_tool::kv::{Error, Store};
//!
//! fn visits() -> Result<u64, Error> {
//!     let store = Store::open()?;
//!     store.set("last", "today")?;
//!     assert_eq!(store.get_text("last")?.as_deref(), Some("today"));
//!     store.add("visits", 1)
//! }
//!
//! assert_eq!((visits(), visits()), (Ok(1), Ok(2)));
//! ```
//!
//! A store is declared in `tool.toml`; without a name it is the one that [`Store::open`] opens:
//!
//! ```toml
//! [[capabilities.kv]]
//! access = "write"
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(not(target_family = "wasm"))]
#[path = "kv/memory.rs"]
mod backend;
#[cfg(target_family = "wasm")]
#[path = "kv/wasi.rs"]
mod backend;

/// Keys that are asked for at once: as many as the host answers even where each value is a large one.
const KEYS_AT_ONCE: usize = 8;

/// An open store.
pub struct Store(backend::Bucket);

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The operator did not grant this.
    Refused,
    /// The tool has no store of that name.
    NoSuchStore,
    /// Anything else, in the host's words: over a limit, busy.
    Failed(String),
    /// The value under a key is not what was expected there.
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Store {
    /// Opens the store that needs no name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open() -> Result<Self, Error> {
        Self::open_named("default")
    }

    /// Opens a store that `tool.toml` declares by this name.
    ///
    /// # Errors
    /// Where it is not a store's name.
    pub fn open_named(name: &str) -> Result<Self, Error> {
        backend::open(name).map(Self)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Where the store was not granted or failed.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// The value of a key as text.
    ///
    /// # Errors
    /// As [`Store::get`], and where the value is not UTF-8.
    pub fn get_text(&self, key: &str) -> Result<Option<String>, Error> {
        let text = |bytes| String::from_utf8(bytes).map_err(|error| unreadable(key, &error));
        self.get(key)?.map(text).transpose()
    }

    /// The value of a key, read as JSON.
    ///
    /// # Errors
    /// As [`Store::get`], and where the value is not JSON of a `T`.
    ///
    /// ```
    /// # use agent_host_tool::kv::{Error, Store};
    /// # fn main() -> Result<(), Error> {
    /// let store = Store::open()?;
    /// store.set_json("colours", &["red", "green"])?;
    /// assert_eq!(store.get_json::<Vec<String>>("colours")?, Some(vec!["red".to_owned(), "green".to_owned()]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|error| unreadable(key, &error));
        self.get(key)?.map(read).transpose()
    }

    /// The values of several keys, in their order: fewer steps than one by one.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_AT_ONCE) {
            values.extend(self.0.get_many(keys)?);
        }
        Ok(values)
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn contains(&self, key: &str) -> Result<bool, Error> {
        self.0.contains(key)
    }

    /// Every key, in its order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        self.0.keys()
    }

    /// Gives a key a value.
    ///
    /// # Errors
    /// Where the store was not granted for writing, or would be over its limits.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.0.set(key, value.as_ref())
    }

    /// Gives a key a value, written as JSON.
    ///
    /// # Errors
    /// As [`Store::set`], and where the value has no JSON.
    pub fn set_json<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|error| unreadable(key, &error))?;
        self.set(key, bytes)
    }

    /// Removes a key and its value, if it is there.
    ///
    /// # Errors
    /// Where the store was not granted for writing.
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        self.0.remove(key)
    }

    /// Adds to the number under a key, which is 0 where there is none, and says what it is then.
    ///
    /// # Errors
    /// As [`Store::set`], and where the value is no number or would be too large.
    pub fn add(&self, key: &str, delta: u64) -> Result<u64, Error> {
        self.0.add(key, delta)
    }
}

fn unreadable(key: &str, problem: &dyn fmt::Display) -> Error {
    Error::Unreadable { key: key.to_owned(), problem: problem.to_string() }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => {
                f.write_str("this tool may not use its store that way: the operator grants it with `--allow-kv`")
            }
            Self::NoSuchStore => f.write_str("this tool has no store of that name"),
            Self::Failed(why) => write!(f, "the store did not take it: {why}"),
            Self::Unreadable { key, problem } => write!(f, "what is kept under `{key}` cannot be read: {problem}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_until_it_is_removed() {
        let store = Store::open().unwrap();
        store.set("b", "2").unwrap();
        store.set("a", [0xff]).unwrap();
        assert_eq!(store.keys().unwrap(), ["a", "b"]);
        assert_eq!(store.get("a").unwrap(), Some(vec![0xff]));
        assert!(matches!(store.get_text("a"), Err(Error::Unreadable { .. })));
        assert!(matches!(store.get_json::<Vec<u8>>("b"), Err(Error::Unreadable { .. })));
        store.remove("a").unwrap();
        store.remove("a").unwrap();
        assert_eq!((store.contains("a").unwrap(), store.contains("b").unwrap()), (false, true));
        let many: Vec<String> = (0..40).map(|number| format!("key{number}")).chain(["b".to_owned()]).collect();
        let got = store.get_many(&many).unwrap();
        assert_eq!((got.len(), got[40].clone()), (41, Some(b"2".to_vec())));
        assert_eq!(Store::open_named("other").unwrap().keys().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_counter_counts_and_a_text_is_none() {
        let store = Store::open().unwrap();
        assert_eq!((store.add("n", 2).unwrap(), store.add("n", 3).unwrap()), (2, 5));
        assert_eq!(store.get_text("n").unwrap().as_deref(), Some("5"));
        store.set("n", "five").unwrap();
        assert!(matches!(store.add("n", 1), Err(Error::Failed(_))));
    }
}
