//! The journal file, read as `docs/journal.md` describes it: the database, each run's events, and whether they hang together.
//! [`crate::judge`] reads it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

use crate::{Invariant, Violation};

/// `AgHj`.
const APPLICATION_ID: i64 = 0x4167_486a;
/// The format that this program knows.
const FORMAT: i64 = 2;

/// Content by its SHA-256.
pub(crate) type Blobs = HashMap<[u8; 32], Vec<u8>>;

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

/// The row of a run: where its events end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) run: String,
    pub(crate) seq: u64,
    pub(crate) head: [u8; 32],
    pub(crate) epoch: u64,
}

/// The file as it is at one moment, whatever is written meanwhile.
pub(crate) struct Snapshot {
    connection: Connection,
    place: String,
}

impl Snapshot {
    /// Opens the file, or says why it is no journal. `None` where its host ended before it had begun the file.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, String> {
        let place = path.display().to_string();
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|error| format!("cannot open `{place}`: {error}"))?;
        let snapshot = Self { connection, place };
        let begin = |connection: &Connection| {
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            // Ends with the connection.
            connection.execute_batch("BEGIN")
        };
        snapshot.ask(begin)?;
        if snapshot.pragma("page_count")? == 0
            || (snapshot.pragma("user_version")? == 0
                && snapshot.pragma("application_id")? == 0
                && !snapshot.ask(has_tables)?)
        {
            return Ok(None);
        }
        for (name, expected) in [("application_id", APPLICATION_ID), ("user_version", FORMAT)] {
            let found = snapshot.pragma(name)?;
            if found != expected {
                return Err(format!("`{name}` is {found} and not {expected}"));
            }
        }
        Ok(Some(snapshot))
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        question(&self.connection).map_err(|error| format!("cannot read `{}`: {error}", self.place))
    }

    fn pragma(&self, name: &str) -> Result<i64, String> {
        self.ask(|connection| connection.pragma_query_value(None, name, |row| row.get(0)))
    }

    /// Bytes of the database.
    pub(crate) fn bytes(&self) -> Result<u64, String> {
        Ok(u64::try_from(self.pragma("page_count")? * self.pragma("page_size")?).unwrap_or(0))
    }

    /// Bytes of key-value stores.
    pub(crate) fn entries_bytes(&self) -> Result<u64, String> {
        let sql = "SELECT coalesce(sum(length(value) + length(key) + 96), 0) FROM entries";
        self.ask(|connection| connection.query_row(sql, [], |row| number(row, 0)))
    }

    /// Bytes of checkpoints.
    pub(crate) fn checkpoint_bytes(&self) -> Result<u64, String> {
        let sql = "SELECT coalesce(sum(octet_length(state) + 192), 0) FROM checkpoints";
        self.ask(|connection| connection.query_row(sql, [], |row| number(row, 0)))
    }

    /// Brings what is known of the blobs up to date, and says which of the new ones are damaged.
    pub(crate) fn learn_blobs(&self, blobs: &mut Blobs, damage: &mut Vec<Violation>) -> Result<(), String> {
        let digests: HashSet<[u8; 32]> = self.ask(|connection| {
            connection.prepare("SELECT digest FROM blobs")?.query_map([], |row| hash_column(row, 0))?.collect()
        })?;
        blobs.retain(|digest, _| digests.contains(digest));
        for digest in digests {
            if blobs.contains_key(&digest) {
                continue;
            }
            let sql = "SELECT bytes FROM blobs WHERE digest = ?1";
            let bytes: Vec<u8> =
                self.ask(|connection| connection.prepare_cached(sql)?.query_row([digest], |row| row.get(0)))?;
            if Sha256::digest(&bytes).as_slice() != digest {
                let what = format!("blob {} has other content than its digest says", hex::encode(digest));
                damage.push(broken("", None, what));
            }
            blobs.insert(digest, bytes);
        }
        Ok(())
    }

    /// Where each run ends by its row, the oldest first.
    pub(crate) fn ends(&self) -> Result<Vec<End>, String> {
        self.ask(|connection| {
            let mut statement = connection.prepare("SELECT run, seq, head, epoch FROM runs ORDER BY number")?;
            let row = |row: &Row<'_>| {
                Ok(End { run: row.get(0)?, seq: number(row, 1)?, head: hash_column(row, 2)?, epoch: number(row, 3)? })
            };
            statement.query_map([], row)?.collect()
        })
    }

    /// A run's events, and whether they hang together and end where its row says.
    pub(crate) fn run(
        &self,
        end: &End,
        blobs: &Blobs,
        host_key: Option<&[u8; 32]>,
        damage: &mut Vec<Violation>,
    ) -> Result<Run, String> {
        let events = self.ask(|connection| events(connection, &end.run, blobs, damage))?;
        chain(end, &events, host_key, damage);
        if let Some(kept) = self.ask(|connection| checkpoint(connection, &end.run))? {
            check_checkpoint(&end.run, &kept, &events, host_key, damage);
        }
        Ok(Run { id: end.run.clone(), events })
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
fn chain(row: &End, events: &[Event], host_key: Option<&[u8; 32]>, damage: &mut Vec<Violation>) {
    let mark_key = host_key.map(mark_key);
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

/// What a run's fold is kept as.
struct Checkpoint {
    seq: u64,
    head: [u8; 32],
    fold: String,
    state: String,
    mark: Vec<u8>,
}

fn checkpoint(connection: &Connection, run: &str) -> rusqlite::Result<Option<Checkpoint>> {
    let sql = "SELECT seq, head, fold, state, mac FROM checkpoints WHERE run = ?1";
    let row = |row: &Row<'_>| {
        let (seq, head) = (number(row, 0)?, hash_column(row, 1)?);
        Ok(Checkpoint { seq, head, fold: row.get(2)?, state: row.get(3)?, mark: row.get(4)? })
    };
    connection.query_row(sql, [run], row).optional()
}

/// Whether a checkpoint is of the events that are there. What it says of them, the program compares itself in the harness's runs.
fn check_checkpoint(
    run: &str,
    kept: &Checkpoint,
    events: &[Event],
    host_key: Option<&[u8; 32]>,
    damage: &mut Vec<Violation>,
) {
    let last = events.iter().find(|event| event.seq == kept.seq);
    if last.is_none_or(|last| last.hash != kept.head) {
        damage.push(broken(run, Some(kept.seq), "its checkpoint is not of the event that it names"));
    }
    let state = Sha256::digest(kept.state.as_bytes());
    let (seq, domain) = (kept.seq.to_le_bytes(), &b"agent-host checkpoint 1"[..]);
    let over = hash_of_fields(&[domain, run.as_bytes(), &seq, &kept.head, kept.fold.as_bytes(), &state]);
    if host_key.is_some_and(|key| kept.mark != hmac(&mark_key(key), &over)) {
        damage.push(broken(run, Some(kept.seq), "its checkpoint does not carry the host's mark"));
    }
}

/// The key that this host's marks are made with.
fn mark_key(host_key: &[u8; 32]) -> [u8; 32] {
    hmac(host_key, b"agent-host derive 1\0journal mark 1")
}

pub(crate) fn hash_of(run: &str, event: &Event) -> [u8; 32] {
    let body = Sha256::digest(event.body.as_bytes());
    hash_of_fields(&[
        b"agent-host journal event 1",
        &event.prev_hash,
        run.as_bytes(),
        &event.seq.to_le_bytes(),
        &event.epoch.to_le_bytes(),
        &event.at.to_le_bytes(),
        event.kind.as_bytes(),
        &event.version.to_le_bytes(),
        &body,
    ])
}

fn hash_of_fields(fields: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
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
