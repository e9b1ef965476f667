//! What the operator notes about a run by `--meta key=value`: for people and their scripts, who find the run by it. It decides
//! nothing and no model sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hidden::is_hidden;
use crate::name::{InvalidName, Name};

/// Entries of one run at most: more is a database, and this is not one.
pub const ENTRIES_MAX: usize = 32;

/// Longest value in bytes: it is shown on one line.
pub const VALUE_BYTES_MAX: usize = 256;

/// What is noted about a run: each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<Name, Value>);

/// A value: one line that a person can see all of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(String);

/// One entry, as it is written on a command line: `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it says something about.
    pub key: Name,
    /// What it says.
    pub value: Value,
}

/// Why a text is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// There is no `=`.
    #[error("`{0}` is not of the form `key=value`")]
    NoValue(String),
    /// The key is none.
    #[error(transparent)]
    Key(#[from] InvalidName),
    /// The value is none.
    #[error("a value is one line of 1 to {VALUE_BYTES_MAX} bytes without hidden characters")]
    Value,
    /// A key was given more than once.
    #[error("metadata `{0}` is given twice")]
    Twice(Name),
    /// There are too many.
    #[error("a run has at most {ENTRIES_MAX} entries of metadata")]
    TooMany,
}

impl Metadata {
    /// From entries, in any order.
    ///
    /// # Errors
    /// Where a key is given twice, or there are too many.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Result<Self, InvalidMetadata> {
        let mut all = BTreeMap::new();
        for Entry { key, value } in entries {
            if all.contains_key(&key) {
                return Err(InvalidMetadata::Twice(key));
            }
            if all.len() == ENTRIES_MAX {
                return Err(InvalidMetadata::TooMany);
            }
            all.insert(key, value);
        }
        Ok(Self(all))
    }

    /// The entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter()
    }

    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the entry is there.
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        self.0.get(&entry.key) == Some(&entry.value)
    }
}

impl Value {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Value {
    type Err = InvalidMetadata;

    fn from_str(text: &str) -> Result<Self, InvalidMetadata> {
        let good = !text.trim().is_empty() && text.len() <= VALUE_BYTES_MAX && !text.chars().any(is_hidden);
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidMetadata::Value) }
    }
}

impl FromStr for Entry {
    type Err = InvalidMetadata;

    fn from_str(text: &str) -> Result<Self, InvalidMetadata> {
        let (key, value) = text.split_once('=').ok_or_else(|| InvalidMetadata::NoValue(text.to_owned()))?;
        Ok(Self { key: key.parse()?, value: value.parse()? })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all: BTreeMap<Name, Value> = BTreeMap::deserialize(deserializer)?;
        if all.len() > ENTRIES_MAX { Err(serde::de::Error::custom(InvalidMetadata::TooMany)) } else { Ok(Self(all)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_name_and_a_line() -> Result<(), InvalidMetadata> {
        let entry: Entry = "team=search and = more".parse()?;
        assert_eq!((entry.key.as_str(), entry.value.as_str()), ("team", "search and = more"));
        let long = format!("a={}", "x".repeat(VALUE_BYTES_MAX + 1));
        for bad in ["team", "=x", "Team=x", "team=", "team=  ", "team=a\nb", "team=\u{202e}x", "team=\u{1b}[2J", &long]
        {
            assert!(bad.parse::<Entry>().is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn metadata_has_each_key_once_and_not_too_many() -> Result<(), InvalidMetadata> {
        let entry = |text: &str| text.parse::<Entry>();
        let twice = Metadata::of([entry("a=1")?, entry("a=1")?]).map_err(|error| error.to_string());
        assert_eq!(twice, Err("metadata `a` is given twice".to_owned()));
        let many = (0..=ENTRIES_MAX).map(|number| entry(&format!("k{number}=x"))).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(Metadata::of(many.clone()), Err(InvalidMetadata::TooMany));
        let good = Metadata::of(many.into_iter().take(ENTRIES_MAX))?;
        assert!(good.has(&entry("k3=x")?) && !good.has(&entry("k3=y")?));
        let read: Result<Metadata, _> = serde_json::to_string(&good).and_then(|text| serde_json::from_str(&text));
        assert_eq!(read.ok(), Some(good));
        Ok(())
    }
}
