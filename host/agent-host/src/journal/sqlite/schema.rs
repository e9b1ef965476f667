//! The layout of the journal file, and how a connection to it is made. `docs/journal.md` describes it to strangers: change
//! both, and [`FORMAT`], together.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error;
use crate::journal::error::JournalError;

/// Marks the file as ours: `AgHj` in ASCII.
const APPLICATION_ID: i64 = 0x4167_486a;

/// The layout below. Another layout is another number, and a newer number is refused.
pub(super) const FORMAT: i64 = 1;

/// How long a writer waits for another process's transaction. They take microseconds; a stopped process holds one for ever.
pub(super) const BUSY_MS_MAX: u64 = 5_000;

/// Statements kept ready. The journal has about a dozen.
const STATEMENTS: usize = 32;

/// Pages kept in memory. Blobs are found by their digest, so in no order: a smaller cache reads the same pages again and
/// again.
const CACHE_KIB: i64 = 16 << 10;

/// Every table, exactly as it is stored in the file: another text is another file.
const TABLES: [(&str, &str); 4] = [
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
    (
        "blobs",
        "CREATE TABLE blobs (
  number INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  bytes BLOB NOT NULL
) STRICT",
    ),
];

/// Connects to the file, which exists, and lays out an empty one.
pub(super) fn connect(path: &Path) -> Result<Connection, JournalError> {
    let sqlite = |source| error::from_sqlite(path, source);
    // One thread at a time uses it, behind a mutex of ours.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    distrust(&connection).map_err(sqlite)?;
    let (application, format) = one_identity(&mut connection).map_err(sqlite)?;
    match (application, format) {
        (0, 0) => lay_out(path, &mut connection)?,
        (APPLICATION_ID, FORMAT) => {}
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
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS_MAX))?;
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

fn create_tables(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (_, sql) in TABLES {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)
}

fn check_tables(path: &Path, connection: &Connection) -> Result<(), JournalError> {
    let found: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
        .and_then(|mut all| all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(|source| error::from_sqlite(path, source))?;
    if found.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).eq(TABLES) {
        return Ok(());
    }
    Err(JournalError::NotJournal { path: path.to_path_buf(), why: "its tables are not those of a journal" })
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Not in files somewhere else, which are out of a run's reach.
    connection.pragma_update(None, "temp_store", "memory")?;
    // Stays in the file; a stranger's file may say otherwise.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")
}
