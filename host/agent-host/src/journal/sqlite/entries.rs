//! The key-value stores of tools, as rows: read with their marks checked, changed in a transaction of the caller's.

use agent_core::digest::Digest;
use agent_core::name::Name;
use agent_sandbox::kv::{KvChange, StoreSize};
use rusqlite::{Connection, OptionalExtension as _};

use super::store::Store;
use crate::journal::chain::Marker;
use crate::journal::error::JournalError;
use crate::journal::stores::{Foreign, StoreChanges, entry_hash};

/// How full a store is.
pub(super) fn size(journal: &Store, component: &Name, store: &Name) -> Result<StoreSize, JournalError> {
    let sql = "SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0), count(*) FROM entries
        WHERE component = ?1 AND store = ?2";
    let size = |row: &rusqlite::Row<'_>| {
        let (bytes, entries): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(StoreSize { bytes: bytes.cast_unsigned(), entries: entries.cast_unsigned() })
    };
    read(journal, |connection| connection.prepare_cached(sql)?.query_row((component.as_str(), store.as_str()), size))
}

/// The value of a key.
pub(super) fn value(
    journal: &Store,
    component: &Name,
    store: &Name,
    key: &str,
) -> Result<Result<Option<Vec<u8>>, Foreign>, JournalError> {
    let sql = "SELECT value, digest, mac FROM entries WHERE component = ?1 AND store = ?2 AND key = ?3";
    type Found = (Vec<u8>, [u8; 32], [u8; 32]);
    let found: Option<Found> = read(journal, |connection| {
        let mut statement = connection.prepare_cached(sql)?;
        let row = statement
            .query_row((component.as_str(), store.as_str(), key), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        row.optional()
    })?;
    let Some((value, digest, mark)) = found else { return Ok(Ok(None)) };
    let is_ours = Digest::of(&value) == Digest::from_bytes(digest)
        && journal.marker.is_ours(&entry_hash([component.as_str(), store.as_str(), key], &digest), &mark);
    Ok(if is_ours { Ok(Some(value)) } else { Err(Foreign { key: key.to_owned() }) })
}

/// Every key.
pub(super) fn keys(
    journal: &Store,
    component: &Name,
    store: &Name,
) -> Result<Result<Vec<String>, Foreign>, JournalError> {
    let sql = "SELECT key, digest, mac FROM entries WHERE component = ?1 AND store = ?2";
    let rows: Vec<(String, [u8; 32], [u8; 32])> = read(journal, |connection| {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement
            .query_map((component.as_str(), store.as_str()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    })?;
    let ours = |(key, digest, mark): (String, [u8; 32], [u8; 32])| {
        let hash = entry_hash([component.as_str(), store.as_str(), &key], &digest);
        if journal.marker.is_ours(&hash, &mark) { Ok(key) } else { Err(Foreign { key }) }
    };
    Ok(rows.into_iter().map(ours).collect())
}

/// Makes the changes, in a transaction of the caller's.
pub(super) fn apply(store: &Store, connection: &Connection, changes: &StoreChanges) -> Result<(), JournalError> {
    let component = changes.component.as_str();
    let change = |change: &KvChange| match &change.value {
        Some(value) => put(connection, &store.marker, [component, change.store.as_str(), &change.key], value),
        None => remove(connection, [component, change.store.as_str(), &change.key]),
    };
    changes.changes.iter().try_for_each(change).map_err(|error| store.error(error))
}

fn read<T>(journal: &Store, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
    journal.read(|connection| act(connection).map_err(|error| journal.error(error)))
}

fn put(connection: &Connection, marker: &Marker, place: [&str; 3], value: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entries (component, store, key, value, digest, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (component, store, key) DO UPDATE SET value = ?4, digest = ?5, mac = ?6";
    let digest = Digest::of(value);
    let mark = marker.mark(&entry_hash(place, digest.as_bytes()));
    let [component, name, key] = place;
    connection.prepare_cached(sql)?.execute((component, name, key, value, digest.as_bytes(), mark)).map(drop)
}

fn remove(connection: &Connection, place: [&str; 3]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM entries WHERE component = ?1 AND store = ?2 AND key = ?3";
    connection.prepare_cached(sql)?.execute(place).map(drop)
}
