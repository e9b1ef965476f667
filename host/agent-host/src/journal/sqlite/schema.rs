//! The layout of the journal file, and how a connection to it is made. `docs/journal.md` describes it to strangers: change
//! both, and [`FORMAT`], together.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::error;
use crate::journal::BLOB_BYTES_MAX;
use crate::journal::error::JournalError;

/// Marks the file as ours: `AgHj` in ASCII.
const APPLICATION_ID: i64 = 0x4167_486a;

/// The layout below. Another layout is another number, and a newer number is refused.
pub(super) const FORMAT: i64 = 2;

/// How long a writer waits for another process's transaction. They take microseconds; a stopped process holds one for ever.
pub(super) const BUSY_MS_MAX: u64 = 5_000;
pub(super) const BUSY_MAX: Duration = Duration::from_millis(BUSY_MS_MAX);

/// The pause before something is tried again for which SQLite does not wait.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// Statements kept ready. The journal has about a dozen.
const STATEMENTS: usize = 32;

/// Pages kept in memory. A process that writes for long fills all of it. Blobs are found by their digest, so in no order: what does not
/// fit is read again, from the system's own cache.
const CACHE_KIB: i64 = 2 << 10;

/// Pages in the log after which they are written into the file itself, with two syncs, and who appends waits for that. SQLite's own
/// 1,000 are reached after some eighty calls.
const LOG_PAGES: i64 = 4_000;

/// The longest value, and row, that is read or written: the largest blob and what stands beside it.
const ENTRY_BYTES_MAX: i32 = BLOB_BYTES_MAX as i32 + (64 << 10);

/// The folds of long runs, one of each.
const CHECKPOINTS: &str = "CREATE TABLE checkpoints (
  number INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE CHECK (length(run) = 26),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  head BLOB NOT NULL CHECK (length(head) = 32),
  fold TEXT NOT NULL,
  state TEXT NOT NULL,
  mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT";

/// What says what a run holds is found without the rest of it.
const TERMS: &str = "CREATE INDEX terms ON events (run, seq)
  WHERE kind IN ('RunStarted', 'RunRebased', 'RunAdopted', 'GrantWidened')";

/// Every table and index, exactly as it is stored in the file: another text is another file. Blobs stand last in a
/// file that begins so: the end of one that was cut short is then missed by whoever reads a run.
const TABLES: [(&str, &str); 9] = [
    (
        "entries",
        "CREATE TABLE entries (
  number INTEGER PRIMARY KEY,
  component TEXT NOT NULL,
  store TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  UNIQUE (component, store, key)
) STRICT",
    ),
    (
        "runs",
        "CREATE TABLE runs (
  number INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE CHECK (length(run) = 26),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  head BLOB NOT NULL CHECK (length(head) = 32),
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  holder_pid INTEGER,
  holder_started INTEGER,
  holder_place TEXT
) STRICT",
    ),
    (
        "sessions",
        "CREATE TABLE sessions (
  session TEXT NOT NULL,
  place INTEGER NOT NULL CHECK (place >= 1),
  run TEXT NOT NULL UNIQUE,
  PRIMARY KEY (session, place)
) STRICT, WITHOUT ROWID",
    ),
    (
        "metadata",
        "CREATE TABLE metadata (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  run TEXT NOT NULL,
  PRIMARY KEY (key, value, run)
) STRICT, WITHOUT ROWID",
    ),
    (
        "tombstones",
        "CREATE TABLE tombstones (
  run TEXT NOT NULL PRIMARY KEY CHECK (length(run) = 26),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  head BLOB NOT NULL CHECK (length(head) = 32),
  at INTEGER NOT NULL,
  mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT, WITHOUT ROWID",
    ),
    (
        "events",
        "CREATE TABLE events (
  run TEXT NOT NULL,
  seq INTEGER NOT NULL CHECK (seq >= 1),
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  body TEXT,
  blob BLOB CHECK (length(blob) = 32),
  prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  mac BLOB CHECK (length(mac) = 32),
  PRIMARY KEY (run, seq),
  CHECK ((body IS NULL) <> (blob IS NULL))
) STRICT, WITHOUT ROWID",
    ),
    ("terms", TERMS),
    ("checkpoints", CHECKPOINTS),
    (
        "blobs",
        "CREATE TABLE blobs (
  number INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  bytes BLOB NOT NULL
) STRICT",
    ),
];

/// What brings a file of an older format to the next one: the statements from format 1 to 2 stand first, and so on. They end
/// with the tables and indices above, exactly as they stand there, in any order. Format 1 had no checkpoints and no index of terms.
const MIGRATIONS: [&[&str]; 1] = [&[CHECKPOINTS, TERMS]];

const _: () = assert!(FORMAT == 1 + MIGRATIONS.len() as i64, "each format but the first has the way to it");

/// One thread at a time uses it, behind a mutex of ours.
const FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX).union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Lays out a new file that nobody else knows, and leaves it to the caller to have it on the disk.
pub(super) fn lay_out_unsynced(path: &Path) -> Result<(), JournalError> {
    let sqlite = |source| error::from_sqlite(path, source);
    let mut connection = Connection::open_with_flags(path, FLAGS).map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "off").map_err(sqlite)?;
    lay_out(path, &mut connection)?;
    keep_log(&connection).map_err(sqlite)?;
    connection.close().map_err(|(_, source)| sqlite(source))
}

/// Connects to the file, which exists, and lays out an empty one.
pub(super) fn connect(path: &Path) -> Result<Connection, JournalError> {
    let sqlite = |source| error::from_sqlite(path, source);
    let mut connection = Connection::open_with_flags(path, FLAGS).map_err(sqlite)?;
    distrust(&connection).map_err(sqlite)?;
    let (application, format) = one_identity(&mut connection).map_err(sqlite)?;
    match (application, format) {
        (0, 0) => lay_out(path, &mut connection)?,
        (APPLICATION_ID, FORMAT) => {}
        (APPLICATION_ID, found) if (1..FORMAT).contains(&found) => migrate(path, &mut connection, &MIGRATIONS)?,
        (APPLICATION_ID, found) if found > FORMAT => {
            return Err(JournalError::Newer { path: path.to_path_buf(), found, known: FORMAT });
        }
        _ => return Err(JournalError::NotJournal { path: path.to_path_buf(), why: "it is another kind of database" }),
    }
    check_tables(path, &connection)?;
    prepare(&connection).map_err(sqlite)?;
    Ok(connection)
}

/// The file may come from a stranger: nothing in it may run code, and its pages are checked while they are read.
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, ENTRY_BYTES_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// Both numbers of one state of the file: another process may be laying it out just now.
fn one_identity(connection: &mut Connection) -> rusqlite::Result<(i64, i64)> {
    identity(&*connection.transaction()?)
}

fn identity(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((value("application_id")?, value("user_version")?))
}

fn lay_out(path: &Path, connection: &mut Connection) -> Result<(), JournalError> {
    let sqlite = |source| error::from_sqlite(path, source);
    // Only before the first page is written: free pages can then be given back in steps.
    connection.pragma_update(None, "auto_vacuum", "incremental").map_err(sqlite)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    // Another process may have been first; from here on nobody else can be.
    if identity(&transaction).map_err(sqlite)? != (0, 0) {
        return Ok(());
    }
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = transaction.query_row(count, [], |row| row.get(0)).map_err(sqlite)?;
    if tables > 0 {
        return Err(JournalError::NotJournal { path: path.to_path_buf(), why: "it is another kind of database" });
    }
    create_tables(&transaction).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// Brings the file to the format after the last of `steps`, all of them in one transaction: after a kill it is as before.
fn migrate(path: &Path, connection: &mut Connection, steps: &[&[&str]]) -> Result<(), JournalError> {
    let sqlite = |source| error::from_sqlite(path, source);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    // Another process may have been first.
    let (_, found) = identity(&transaction).map_err(sqlite)?;
    let done = usize::try_from(found - 1).unwrap_or(usize::MAX);
    for sql in steps.iter().skip(done).copied().flatten() {
        transaction.execute_batch(sql).map_err(sqlite)?;
    }
    let format = i64::try_from(steps.len()).unwrap_or(i64::MAX).saturating_add(1);
    transaction.pragma_update(None, "user_version", format).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

fn create_tables(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (_, sql) in TABLES {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)
}

fn check_tables(path: &Path, connection: &Connection) -> Result<(), JournalError> {
    let found: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .and_then(|mut all| all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(|source| error::from_sqlite(path, source))?;
    let mut known = TABLES;
    known.sort_unstable();
    if found.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).eq(known) {
        return Ok(());
    }
    Err(JournalError::NotJournal { path: path.to_path_buf(), why: "its tables are not those of a journal" })
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    // What was moved or removed within a page is overwritten, which costs next to nothing: a removed run should be gone.
    connection.pragma_update(None, "secure_delete", "fast")?;
    // Not in files somewhere else, which are out of a run's reach.
    connection.pragma_update(None, "temp_store", "memory")?;
    keep_log(connection)?;
    connection.pragma_update(None, "synchronous", "normal")
}

/// Has changes written to a log first. Stays in the file; a stranger's file may say otherwise. SQLite does not wait by itself where
/// it finds another process that is about to write, such as one that begins the same journal.
fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY_MAX;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if is_busy(&error) && Instant::now() < until => thread::sleep(TRY_AGAIN),
            ended => return ended,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    /// A file of format 1 with one run, as some program of the future finds it.
    fn of_format_1(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        let old = "CREATE TABLE runs (run TEXT NOT NULL) STRICT; INSERT INTO runs VALUES ('a');
            PRAGMA application_id = 0x4167486a; PRAGMA user_version = 1;";
        connection.execute_batch(old).unwrap();
        connection
    }

    fn state(connection: &Connection) -> (i64, Vec<String>) {
        let (_, format) = identity(connection).unwrap();
        let mut tables = connection.prepare("SELECT name FROM sqlite_schema ORDER BY rowid").unwrap();
        let names = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        (format, names)
    }

    const STEPS: [&[&str]; 2] = [
        &[
            "CREATE TABLE labels (run TEXT NOT NULL, label TEXT NOT NULL) STRICT",
            "INSERT INTO labels SELECT run, 'old' FROM runs",
        ],
        &["DROP TABLE labels", "CREATE TABLE notes (run TEXT NOT NULL) STRICT"],
    ];

    /// Of two processes that began a journal in the same moment, one gave up: it was told at once that the file had been busy for
    /// five seconds.
    #[test]
    fn who_opens_a_journal_waits_for_another_who_begins_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut other = Connection::open(&path).unwrap();
        let transaction = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        create_tables(&transaction).unwrap();
        transaction.commit().unwrap();
        let transaction = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        thread::scope(|scope| {
            let opened = scope.spawn(|| connect(&path).map(drop));
            thread::sleep(Duration::from_millis(200));
            drop(transaction);
            opened.join().unwrap().unwrap();
        });
    }

    #[test]
    fn an_older_format_is_brought_to_the_newest_step_by_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut connection = of_format_1(&path);
        migrate(&path, &mut connection, &STEPS[..1]).unwrap();
        assert_eq!(state(&connection), (2, vec!["runs".to_owned(), "labels".to_owned()]));
        let label: String = connection.query_row("SELECT label FROM labels", [], |row| row.get(0)).unwrap();
        assert_eq!(label, "old");
        migrate(&path, &mut connection, &STEPS).unwrap();
        assert_eq!(state(&connection), (3, vec!["runs".to_owned(), "notes".to_owned()]));
        // Who comes second finds it done.
        migrate(&path, &mut connection, &STEPS).unwrap();
        assert_eq!(state(&connection).0, 3);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut connection = of_format_1(&path);
        let broken: [&[&str]; 2] = [STEPS[0], &["CREATE TABLE runs (x)"]];
        assert!(migrate(&path, &mut connection, &broken).is_err());
        drop(connection);
        assert_eq!(state(&Connection::open(&path).unwrap()), (1, vec!["runs".to_owned()]));
    }
}
