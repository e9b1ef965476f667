//! Events as rows: how they are read from the file and written to it.

use agent_core::digest::Digest;
use agent_core::event::{KINDS_ABOUT_THE_RECORD, KINDS_OF_ANSWERS};
use agent_core::file_events::KINDS_ABOUT_FILES;
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::store::Store;
use crate::journal::chain::{Body, Stored};
use crate::journal::error::JournalError;
use crate::journal::lease::Holder;

/// The longest body kept beside its event. A row with one still lies in one page, four of which SQLite wants to fit there. A longer
/// body is a blob: a row, an entry in an index and two more pages of each transaction, but equal ones of any runs are kept once.
const INLINE_BYTES_MAX: usize = 768;

macro_rules! select {
    ($rest:literal) => {
        select!("", $rest)
    };
    ($index:literal, $rest:literal) => {
        concat!(
            "SELECT e.seq, e.epoch, e.at, e.kind, e.version, e.prev_hash, e.hash, e.mac, e.body, e.blob, b.bytes FROM events e ",
            $index,
            " LEFT JOIN blobs b ON b.digest = e.blob WHERE e.run = ?1 ",
            $rest
        )
    };
}

/// Hands the stored events of a run to `see`, in order, until it fails: all of them, or those after a number. A failure of the store
/// itself comes with the number of the event that could not be read.
pub(super) fn read<E>(
    connection: &Connection,
    (run, after): (&RunId, Option<u64>),
    mut see: impl FnMut(Stored) -> Result<(), E>,
) -> Result<Result<(), E>, (u64, rusqlite::Error)> {
    let mut reached = after.unwrap_or(0).saturating_add(1);
    // What a stranger's file has under a number that no event can have is damage like any other.
    let after = after.map_or(i64::MIN, u64::cast_signed);
    let mut read = || {
        let mut statement = connection.prepare_cached(select!("AND e.seq > ?2 ORDER BY e.seq"))?;
        let mut rows = statement.query((run.as_str(), after))?;
        while let Some(row) = rows.next()? {
            let stored = from_row(row)?;
            reached = stored.seq.saturating_add(1);
            if let Err(stop) = see(stored) {
                return Ok(Err(stop));
            }
        }
        Ok(Ok(()))
    };
    let result = read();
    result.map_err(|error| (reached, error))
}

/// Bytes after which a page ends, wherever it does: each event of a stranger's run may have the largest body.
const PAGE_BYTES_MAX: u64 = 8 << 20;

/// At most `count_max` events of a run after number `seq`, in order, unchecked; at least one, if there is one.
pub(super) fn read_after(
    connection: &Connection,
    run: &RunId,
    seq: u64,
    count_max: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(select!("AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"))?;
    let mut rows = statement.query((run.as_str(), seq.cast_signed(), count_max))?;
    let mut page = Vec::new();
    let mut bytes = 0;
    while bytes < PAGE_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let stored = from_row(row)?;
        bytes += stored.bytes();
        page.push(stored);
    }
    Ok(page)
}

/// The event of a run with that number, unchecked.
pub(super) fn read_at(connection: &Connection, run: &RunId, seq: u64) -> rusqlite::Result<Option<Stored>> {
    let mut statement = connection.prepare_cached(select!("AND e.seq = ?2"))?;
    statement.query_row((run.as_str(), seq.cast_signed()), from_row).optional()
}

/// Hands the events of a run to `see` that say what it holds, in order, unchecked. By an index that has no others: whoever takes up a
/// run asks this first.
pub(super) fn read_terms(connection: &Connection, run: &RunId, mut see: impl FnMut(Stored)) -> rusqlite::Result<()> {
    let sql = select!(
        "INDEXED BY terms",
        "AND e.kind IN ('RunStarted', 'RunRebased', 'RunAdopted', 'GrantWidened') ORDER BY e.seq"
    );
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run.as_str()])?;
    while let Some(row) = rows.next()? {
        see(from_row(row)?);
    }
    Ok(())
}

/// The first event of a run and the last one that says how it stands, unchecked, for a listing.
pub(super) fn read_ends(connection: &Connection, run: &RunId) -> rusqlite::Result<[Option<Stored>; 2]> {
    Ok([read_one(connection, run, select!("ORDER BY e.seq LIMIT 1"))?, read_last(connection, run)?])
}

/// The last event of a run that says how it stands, unchecked.
pub(super) fn read_last(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<Stored>> {
    debug_assert!(KINDS_ABOUT_THE_RECORD == ["RunAdopted", "HeadSigned"], "the kinds that are left out below");
    debug_assert!(KINDS_ABOUT_FILES == ["PathsMarked", "ChangesUndone"], "the kinds that are left out below");
    debug_assert!(KINDS_OF_ANSWERS == ["ApprovalDecided", "DoubtResolved"], "the kinds that are left out below");
    let sql = select!(
        "AND e.kind NOT IN ('RunAdopted', 'HeadSigned', 'PathsMarked', 'ChangesUndone', 'ApprovalDecided', \
         'DoubtResolved') ORDER BY e.seq DESC LIMIT 1"
    );
    read_one(connection, run, sql)
}

fn read_one(connection: &Connection, run: &RunId, sql: &str) -> rusqlite::Result<Option<Stored>> {
    connection.prepare_cached(sql)?.query_row([run.as_str()], from_row).optional()
}

/// The holder in columns `first`, `first + 1` and `first + 2`; `None` where nobody holds the run.
pub(super) fn holder(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Holder>> {
    let Some(pid) = row.get::<_, Option<u32>>(first)? else { return Ok(None) };
    let started = row.get::<_, Option<i64>>(first + 1)?.unwrap_or(0);
    Ok(Some(Holder::from_columns(pid, started, row.get_ref(first + 2)?.as_str_or_null()?.unwrap_or(""))))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        epoch: row.get::<_, i64>(1)?.cast_unsigned(),
        at: UnixMillis(row.get::<_, i64>(2)?.cast_unsigned()),
        kind: row.get(3)?,
        version: row.get(4)?,
        prev_hash: Digest::from_bytes(row.get(5)?),
        hash: Digest::from_bytes(row.get(6)?),
        mark: row.get(7)?,
        body: body_from_row(row)?,
    })
}

fn body_from_row(row: &Row<'_>) -> rusqlite::Result<Body> {
    let Some(named) = row.get::<_, Option<[u8; 32]>>(9)? else {
        let text: String = row.get(8)?;
        return Ok(Body::Text { digest: Digest::of(text.as_bytes()), text });
    };
    let Some(bytes) = row.get_ref(10)?.as_blob_or_null()? else { return Ok(Body::Missing) };
    let digest = Digest::of(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if digest == Digest::from_bytes(named) => Ok(Body::Text { text: text.to_owned(), digest }),
        Ok(_) | Err(_) => Ok(Body::Changed),
    }
}

/// Writes an event, its body as a blob where that is long.
pub(super) fn insert(store: &Store, connection: &Connection, run: &RunId, event: &Stored) -> Result<(), JournalError> {
    let Body::Text { text, digest } = &event.body else { unreachable!("an event to be written has its body") };
    let blob = (text.len() > INLINE_BYTES_MAX).then_some(digest);
    if let Some(digest) = blob {
        store.put_blob(connection, digest, text.as_bytes())?;
    }
    let add = || {
        let sql = "INSERT INTO events (run, seq, epoch, at, kind, version, body, blob, prev_hash, hash, mac)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        connection.prepare_cached(sql)?.execute((
            run.as_str(),
            event.seq.cast_signed(),
            event.epoch.cast_signed(),
            event.at.0.cast_signed(),
            &event.kind,
            event.version,
            blob.is_none().then_some(text),
            blob.map(Digest::as_bytes),
            event.prev_hash.as_bytes(),
            event.hash.as_bytes(),
            event.mark,
        ))
    };
    add().map(drop).map_err(|error| store.error(error))
}
