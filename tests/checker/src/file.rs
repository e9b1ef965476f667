//! The journal file, read as `docs/journal.md` describes it: the database, each run's events, and whether they hang together.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest as _, Sha256};

use crate::{Invariant, Violation};

/// `AgHj`.
const APPLICATION_ID: i64 = 0x4167_486a;
/// The format that this program knows.
const FORMAT: i64 = 1;

/// Content by its SHA-256.
pub(crate) type Blobs = HashMap<[u8; 32], Vec<u8>>;

/// All that a journal holds.
pub(crate) struct Journal {
    pub(crate) runs: Vec<Run>,
    pub(crate) blobs: Blobs,
    /// Where something does not hang together.
    pub(crate) damage: Vec<Violation>,
    /// Bytes of the database.
    pub(crate) bytes: u64,
    /// Bytes of key-value stores.
    pub(crate) entries_bytes: u64,
}

/// One run's events, as far as they are there.
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) events: Vec<Event>,
}

/// An event.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    pub(crate) at: u64,
    pub(crate) kind: String,
    pub(crate) version: u32,
    pub(crate) body: String,
    /// Whether the body is kept beside the event, and not as a blob.
    pub(crate) is_inline: bool,
    pub(crate) prev_hash: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) mark: Option<Vec<u8>>,
}

struct Row1 {
    run: String,
    seq: u64,
    head: [u8; 32],
    epoch: u64,
}

impl Journal {
    /// Reads the file, or says why it is no journal.
    pub(crate) fn read(path: &Path, host_key: Option<&[u8; 32]>) -> Result<Self, String> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|error| format!("cannot open `{}`: {error}", path.display()))?;
        let told = |error: rusqlite::Error| format!("cannot read `{}`: {error}", path.display());
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(told)?;
        let snapshot = connection.unchecked_transaction().map_err(told)?;
        let pragma = |name: &str| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(told);
        if pragma("page_count")? == 0
            || (pragma("user_version")? == 0
                && pragma("application_id")? == 0
                && !has_tables(&snapshot).map_err(told)?)
        {
            // Its host ended before it had begun the file.
            let (runs, blobs, damage) = (Vec::new(), Blobs::new(), Vec::new());
            return Ok(Self { runs, blobs, damage, bytes: 0, entries_bytes: 0 });
        }
        for (name, expected) in [("application_id", APPLICATION_ID), ("user_version", FORMAT)] {
            let found = pragma(name)?;
            if found != expected {
                return Err(format!("`{name}` is {found} and not {expected}"));
            }
        }
        let bytes = u64::try_from(pragma("page_count")? * pragma("page_size")?).unwrap_or(0);
        let mut damage = Vec::new();
        let blobs = blobs(&snapshot, &mut damage).map_err(told)?;
        let rows = rows(&snapshot).map_err(told)?;
        let mut runs = Vec::new();
        for row in &rows {
            let events = events(&snapshot, &row.run, &blobs, &mut damage).map_err(told)?;
            chain(row, &events, host_key, &mut damage);
            runs.push(Run { id: row.run.clone(), events });
        }
        let sql = "SELECT coalesce(sum(length(value) + length(key) + 96), 0) FROM entries";
        let entries_bytes = snapshot.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(told)?;
        Ok(Self { runs, blobs, damage, bytes, entries_bytes: u64::try_from(entries_bytes).unwrap_or(0) })
    }
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

fn broken(run: &str, seq: Option<u64>, what: impl Into<String>) -> Violation {
    Violation { invariant: Invariant::I9, run: run.to_owned(), seq, what: what.into() }
}

fn hash_column(row: &Row<'_>, index: usize) -> rusqlite::Result<[u8; 32]> {
    row.get::<_, [u8; 32]>(index)
}

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::cast_unsigned)
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<Row1>> {
    let mut statement = connection.prepare("SELECT run, seq, head, epoch FROM runs ORDER BY number")?;
    let row = |row: &Row<'_>| {
        Ok(Row1 { run: row.get(0)?, seq: number(row, 1)?, head: hash_column(row, 2)?, epoch: number(row, 3)? })
    };
    statement.query_map([], row)?.collect()
}

fn blobs(connection: &Connection, damage: &mut Vec<Violation>) -> rusqlite::Result<Blobs> {
    let mut statement = connection.prepare("SELECT digest, bytes FROM blobs")?;
    let mut blobs = Blobs::new();
    let found = statement.query_map([], |row| Ok((hash_column(row, 0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for blob in found {
        let (digest, bytes) = blob?;
        if Sha256::digest(&bytes).as_slice() != digest {
            damage.push(broken(
                "",
                None,
                format!("blob {} has other content than its digest says", hex::encode(digest)),
            ));
        }
        blobs.insert(digest, bytes);
    }
    Ok(blobs)
}

fn events(
    connection: &Connection,
    run: &str,
    blobs: &Blobs,
    damage: &mut Vec<Violation>,
) -> rusqlite::Result<Vec<Event>> {
    let sql = "SELECT seq, epoch, at, kind, version, body, blob, prev_hash, hash, mac FROM events WHERE run = ?1 ORDER BY seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([run])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = number(row, 0)?;
        let (body, is_inline) = match (row.get::<_, Option<String>>(5)?, row.get::<_, Option<[u8; 32]>>(6)?) {
            (Some(text), None) => (text, true),
            (None, Some(digest)) => match blobs.get(&digest).map(|bytes| String::from_utf8(bytes.clone())) {
                Some(Ok(text)) => (text, false),
                Some(Err(_)) | None => {
                    damage.push(broken(run, Some(seq), "its body is not there"));
                    continue;
                }
            },
            (Some(_), Some(_)) | (None, None) => {
                damage.push(broken(run, Some(seq), "it has two bodies or none"));
                continue;
            }
        };
        events.push(Event {
            seq,
            epoch: number(row, 1)?,
            at: number(row, 2)?,
            kind: row.get(3)?,
            version: row.get(4)?,
            body,
            is_inline,
            prev_hash: hash_column(row, 7)?,
            hash: hash_column(row, 8)?,
            mark: row.get(9)?,
        });
    }
    Ok(events)
}

/// Whether a run's events hang together and end where its row says.
fn chain(row: &Row1, events: &[Event], host_key: Option<&[u8; 32]>, damage: &mut Vec<Violation>) {
    let mark_key = host_key.map(|key| hmac(key, b"agent-host derive 1\0journal mark 1"));
    let (mut seq, mut head) = (0, [0; 32]);
    for event in events {
        seq += 1;
        let what = if event.seq != seq {
            Some(format!("event {seq} is missing"))
        } else if event.prev_hash != head {
            Some("it names another event before it than the one that is there".to_owned())
        } else if event.hash != hash_of(&row.run, event) {
            Some("its content does not have its hash".to_owned())
        } else if mark_key.is_some_and(|key| event.mark.as_deref() != Some(&hmac(&key, &event.hash)[..])) {
            Some("it does not carry the host's mark".to_owned())
        } else {
            None
        };
        if let Some(what) = what {
            damage.push(broken(&row.run, Some(event.seq), what));
            return;
        }
        head = event.hash;
    }
    if (seq, head) != (row.seq, row.head) {
        damage.push(broken(&row.run, Some(seq), format!("the run's row ends at event {}, its events here", row.seq)));
    }
    if events.last().is_some_and(|last| last.epoch > row.epoch) {
        let what = format!("its epoch is above the lease's, {}", row.epoch);
        damage.push(Violation { invariant: Invariant::I8, run: row.run.clone(), seq: Some(seq), what });
    }
}

pub(crate) fn hash_of(run: &str, event: &Event) -> [u8; 32] {
    let body = Sha256::digest(event.body.as_bytes());
    let mut hasher = Sha256::new();
    let fields: [&[u8]; 9] = [
        b"agent-host journal event 1",
        &event.prev_hash,
        run.as_bytes(),
        &event.seq.to_le_bytes(),
        &event.epoch.to_le_bytes(),
        &event.at.to_le_bytes(),
        event.kind.as_bytes(),
        &event.version.to_le_bytes(),
        &body,
    ];
    for field in fields {
        hasher.update((field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

/// HMAC-SHA256 (RFC 2104) under a key that is shorter than a block.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(place, key)| *place ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hmac_is_that_of_rfc_4231() {
        // Test case 1, whose key of 20 bytes is the same as one of 32 that ends in zeros: HMAC fills a key up with them.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex::encode(hmac(&key, b"Hi There")), expected);
    }
}
