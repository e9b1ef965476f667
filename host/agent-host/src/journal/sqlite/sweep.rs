//! Removing runs and what nothing refers to any more, and giving the space back. Each step is a short transaction, so that
//! readers are never kept waiting; writers are kept away for as long as a sweep lasts, by a lock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use agent_core::digest::Digest;
use agent_core::event::Event;
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _};

use super::schema::BUSY_MAX;
use super::store::Store;
use super::{checkpoints, end_of, index, listing, log};
use crate::journal::at_work::Alone;
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::Level;
use crate::journal::open_files;
use crate::journal::removal::{Found, Progress, Rewrite, SweepMode, Swept, Tombstone, named_in};

/// Blobs that one transaction looks at: some milliseconds.
const BLOBS_PER_STEP: i64 = 256;

/// Bytes that one transaction removes: some milliseconds.
const BYTES_PER_STEP: u64 = 16 << 20;

/// Pages that one transaction gives back: 16 MiB, some milliseconds.
const PAGES_PER_STEP: i64 = 4096;

/// The largest file that is written anew as a whole, in memory first: about a second.
const REWRITE_BYTES_MAX: u64 = 64 << 20;

/// How long who reads is waited for where a host is at work, which cannot write meanwhile.
const WAIT_BESIDE_A_HOST: Duration = Duration::from_millis(500);

/// After how many events it is said how far the sweep is.
const EVENTS_PER_WORD: u64 = 1000;

/// Removes the events of a run. Its tombstone stays.
pub(super) fn remove_run(store: &Store, run: &RunId, at: UnixMillis) -> Result<Tombstone, JournalError> {
    store.write(Level::Synced, |connection| {
        log::check_free(store, connection, run, TakeOver::IfDead)?;
        let Some((seq, head)) = end_of(store, connection, run)? else {
            return Err(JournalError::NoSuchRun { prefix: run.to_string() });
        };
        let tombstone = Tombstone { run: run.clone(), seq, head, at };
        overwrite_removed(connection)
            .and_then(|()| remove_rows(connection, run))
            .and_then(|()| add_tombstone(store, connection, &tombstone))
            .map_err(|error| store.error(error))?;
        open_files::forget_run(store.folder(), run);
        Ok(tombstone)
    })
}

/// The runs that were removed, the latest first.
pub(super) fn tombstones(store: &Store, connection: &Connection) -> Result<Vec<Found>, JournalError> {
    type Row = (String, i64, [u8; 32], i64, [u8; 32]);
    let sql = "SELECT run, seq, head, at, mac FROM tombstones ORDER BY at DESC, run DESC";
    let read = || -> rusqlite::Result<Vec<Row>> {
        let mut statement = connection.prepare_cached(sql)?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
        rows.collect()
    };
    let found = |(run, seq, head, at, mark): Row| {
        let run = listing::parse(store, &run)?;
        let (seq, at) = (seq.cast_unsigned(), UnixMillis(at.cast_unsigned()));
        let tombstone = Tombstone { run, seq, head: Digest::from_bytes(head), at };
        let is_ours = tombstone.is_ours(&store.marker, &mark);
        Ok(Found { tombstone, is_ours })
    };
    read().map_err(|error| store.error(error))?.into_iter().map(found).collect()
}

/// A run that a person removed does not come back by an import.
pub(super) fn check_not_removed(store: &Store, connection: &Connection, run: &RunId) -> Result<(), JournalError> {
    let sql = "SELECT 1 FROM tombstones WHERE run = ?1";
    let found = connection.query_row(sql, [run.as_str()], |_| Ok(())).optional();
    match found.map_err(|error| store.error(error))? {
        None => Ok(()),
        Some(()) => Err(JournalError::RunRemoved { run: run.clone() }),
    }
}

/// The runs whose first event names `run`: those that it was carried into, or forked to.
pub(super) fn descendants(store: &Store, connection: &Connection, run: &RunId) -> Result<Vec<RunId>, JournalError> {
    let sql = "SELECT e.run FROM events e LEFT JOIN blobs b ON b.digest = e.blob
        WHERE e.seq = 1 AND e.run <> ?1 AND instr(coalesce(CAST(b.bytes AS TEXT), e.body), ?1) > 0 ORDER BY e.run";
    let read = || -> rusqlite::Result<Vec<String>> {
        connection.prepare_cached(sql)?.query_map([run.as_str()], |row| row.get(0))?.collect()
    };
    let runs = read().map_err(|error| store.error(error))?;
    let mut named = Vec::new();
    for text in runs {
        let other = listing::parse(store, &text)?;
        let [first, _] = super::rows::read_ends(connection, &other).map_err(|error| store.error(error))?;
        let first = first.and_then(|stored| stored.to_recorded(&other).ok()).map(|recorded| recorded.event);
        if let Some(Event::RunStarted(started)) = first
            && (started.earlier.runs.iter().any(|earlier| earlier.run == *run)
                || started.forked_from.is_some_and(|from| from.run == *run))
        {
            named.push(other);
        }
    }
    Ok(named)
}

/// Removes the blobs that no event names; `None` where a host is at work in the folder.
pub(super) fn sweep(
    store: &Store,
    mode: SweepMode,
    time: Duration,
    say: &mut dyn FnMut(Progress),
) -> Result<Option<Swept>, JournalError> {
    let Some(_alone) = Alone::begin(store.folder())? else { return Ok(None) };
    let deadline = Instant::now() + time;
    let mut swept = Swept { blobs: count(store, "SELECT count(*) FROM blobs")?, ..Swept::default() };
    let Some(named) = named(store, deadline, say)? else { return Ok(Some(swept)) };
    let mut after = 0;
    while let Some(step) = unnamed(store, &named, after)? {
        if mode == SweepMode::Remove {
            remove_blobs(store, &step)?;
        }
        swept.unnamed += step.numbers.len() as u64;
        swept.unnamed_bytes += step.bytes;
        after = step.last;
        say(Progress::Removing { blobs: swept.unnamed });
        if Instant::now() > deadline {
            return Ok(Some(swept));
        }
    }
    swept.complete = true;
    if mode == SweepMode::Remove {
        let is_in_file = give_back(store, deadline, &mut swept.given_back)?;
        swept.complete = is_in_file && count(store, "PRAGMA freelist_count")? == 0;
    }
    Ok(Some(swept))
}

/// Writes the whole file anew, so that nothing is left in it of what was removed, not even where pages were rearranged before.
/// Only a small file, and only while no host is at work. What took the place of the removed is in the file in any case: until then
/// it stands in the log alone.
pub(super) fn rewrite(store: &Store) -> Result<Rewrite, JournalError> {
    let alone = Alone::begin(store.folder())?;
    let wait = if alone.is_some() { BUSY_MAX } else { WAIT_BESIDE_A_HOST };
    let bytes = count(store, "PRAGMA page_size")? * count(store, "PRAGMA page_count")?;
    let rewritten = match alone {
        None => Rewrite::AtWork,
        Some(_) if bytes > REWRITE_BYTES_MAX => Rewrite::TooLarge,
        Some(_) => {
            store.vacuum()?;
            Rewrite::Done
        }
    };
    Ok(if store.truncate_log(wait)? { rewritten } else { Rewrite::BeingRead })
}

/// Every digest that an event names; `None` where the time was not enough.
fn named(
    store: &Store,
    deadline: Instant,
    say: &mut dyn FnMut(Progress),
) -> Result<Option<HashSet<Digest>>, JournalError> {
    let of = count(store, "SELECT count(*) FROM events")?;
    let sql = "SELECT e.body, e.blob, b.bytes FROM events e LEFT JOIN blobs b ON b.digest = e.blob";
    store.read(|connection| {
        let mut look = || -> rusqlite::Result<Option<HashSet<Digest>>> {
            let mut named = HashSet::new();
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut events = 0;
            while let Some(row) = rows.next()? {
                if let Some(blob) = row.get::<_, Option<[u8; 32]>>(1)? {
                    named.insert(Digest::from_bytes(blob));
                }
                for column in [0, 2] {
                    let bytes = row.get_ref(column)?.as_bytes_or_null()?;
                    named_in(bytes.unwrap_or_default(), |digest| {
                        named.insert(digest);
                    });
                }
                events += 1;
                if events % EVENTS_PER_WORD == 0 {
                    say(Progress::Looking { events, of });
                    if Instant::now() > deadline {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(named))
        };
        look().map_err(|error| store.error(error))
    })
}

/// Blobs of one step that nothing names.
struct Step {
    numbers: Vec<i64>,
    bytes: u64,
    /// The last number that was looked at.
    last: i64,
}

/// The next blobs after number `after`; `None` where there are no more.
fn unnamed(store: &Store, named: &HashSet<Digest>, after: i64) -> Result<Option<Step>, JournalError> {
    let sql = "SELECT number, digest, octet_length(bytes) FROM blobs WHERE number > ?1 ORDER BY number LIMIT ?2";
    store.read(|connection| {
        let look = || -> rusqlite::Result<Option<Step>> {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query((after, BLOBS_PER_STEP))?;
            let mut step = None;
            while let Some(row) = rows.next()? {
                let step = step.get_or_insert(Step { numbers: Vec::new(), bytes: 0, last: after });
                step.last = row.get(0)?;
                if !named.contains(&Digest::from_bytes(row.get(1)?)) {
                    step.numbers.push(step.last);
                    step.bytes += row.get::<_, i64>(2)?.cast_unsigned();
                }
                if step.bytes > BYTES_PER_STEP {
                    break;
                }
            }
            Ok(step)
        };
        look().map_err(|error| store.error(error))
    })
}

fn remove_blobs(store: &Store, step: &Step) -> Result<(), JournalError> {
    if step.numbers.is_empty() {
        return Ok(());
    }
    store.write(Level::Written, |connection| {
        let remove = || -> rusqlite::Result<()> {
            overwrite_removed(connection)?;
            let mut statement = connection.prepare_cached("DELETE FROM blobs WHERE number = ?1")?;
            step.numbers.iter().try_for_each(|number| statement.execute([number]).map(drop))
        };
        remove().map_err(|error| store.error(error))
    })
}

/// Gives free pages back to the file system, and writes the log into the file: whether that was done. `bytes` is how much smaller
/// the file is then.
fn give_back(store: &Store, deadline: Instant, bytes: &mut u64) -> Result<bool, JournalError> {
    let page = count(store, "PRAGMA page_size")?;
    let before = count(store, "PRAGMA page_count")?;
    while Instant::now() < deadline && count(store, "PRAGMA freelist_count")? > 0 {
        store.write(Level::Synced, |connection| vacuum_step(connection).map_err(|error| store.error(error)))?;
    }
    let after = count(store, "PRAGMA page_count")?;
    *bytes = before.saturating_sub(after) * page;
    store.truncate_log(BUSY_MAX)
}

/// It works by being asked for one row after the other.
fn vacuum_step(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_PER_STEP})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn count(store: &Store, sql: &str) -> Result<u64, JournalError> {
    store.read(|connection| {
        let count = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::cast_unsigned).map_err(|error| store.error(error))
    })
}

/// What was removed is overwritten by zeros, not only forgotten.
fn overwrite_removed(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "secure_delete", true)
}

fn remove_rows(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    for sql in ["DELETE FROM events WHERE run = ?1", "DELETE FROM runs WHERE run = ?1"] {
        connection.prepare_cached(sql)?.execute([run.as_str()])?;
    }
    checkpoints::remove(connection, run)?;
    index::remove(connection, run)
}

fn add_tombstone(store: &Store, connection: &Connection, tombstone: &Tombstone) -> rusqlite::Result<()> {
    let sql = "INSERT INTO tombstones (run, seq, head, at, mac) VALUES (?1, ?2, ?3, ?4, ?5)";
    let Tombstone { run, seq, head, at } = tombstone;
    let values = (run.as_str(), seq.cast_signed(), head.as_bytes(), at.0.cast_signed(), tombstone.mark(&store.marker));
    connection.prepare_cached(sql)?.execute(values).map(drop)
}
