//! The one writing connection, and what a commit promises. Everything that touches the file goes through here.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use agent_core::digest::Digest;
use agent_core::run_events::Durability;
use agent_core::units::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _};

use super::group::{Group, Synced};
use super::schema::BUSY_MAX;
use super::{beginning, cut_off, error, schema};
use crate::defect::{Defect, is_planted};
use crate::failpoint;
use crate::journal::at_work::AtWork;
use crate::journal::chain::Marker;
use crate::journal::error::JournalError;
use crate::journal::key::HostKey;
use crate::journal::lease::Holder;
use crate::journal::log::Level;
use crate::journal::{BLOB_BYTES_MAX, folder};

const FILE: &str = "journal.db";

/// The smallest page, and so the smallest database, that SQLite knows.
const SQLITE_BYTES_MIN: u64 = 512;

/// An open journal file.
pub(super) struct Store {
    pub(super) path: PathBuf,
    pub(super) marker: Marker,
    /// This process, as a lease names it.
    pub(super) holder: Holder,
    /// Device and file number, by which a replaced file is noticed.
    identity: Identity,
    writer: Mutex<Writer>,
    /// Held from the first write of a run or blob on.
    at_work: Mutex<Option<AtWork>>,
    /// Somebody else's log that was there when the file was opened.
    found_log: Option<LogState>,
    /// What was cut off at the end of that log, once this process has begun to write.
    cut_off: OnceLock<Option<Bytes>>,
    /// The write-ahead log, opened for the syncs that runs share.
    wal: OnceLock<File>,
    group: Group,
    full: AtomicBool,
}

/// Device and number of a file.
type Identity = (u64, u64);

/// The length of a log, and when it was last written to.
type LogState = (u64, SystemTime);

/// Whose sync it was that put an append on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Own,
    Others,
}

struct Writer {
    connection: Connection,
    log: OthersLog,
    level: Level,
    /// A write failed in a way that leaves its fate open; what the file then holds is for a new process to find out.
    poisoned: bool,
}

/// What this process has done about a log that it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OthersLog {
    /// This process only reads, and leaves it as it is: how it ends is for the first to see who writes.
    LeftAlone,
    /// This process writes, or there was none.
    Taken,
}

impl Store {
    /// Opens the journal in `folder`, and begins one if there is none.
    pub(super) fn create_or_open(folder: &Path, key: &HostKey) -> Result<Self, JournalError> {
        let path = folder::prepare_folder(folder)?.join(FILE);
        beginning::begin(&path)?;
        Self::open(path, key)
    }

    /// Opens the journal in `folder`.
    pub(super) fn open_existing(folder: &Path, key: &HostKey) -> Result<Self, JournalError> {
        match std::fs::symlink_metadata(folder.join(FILE)) {
            Ok(_) => Self::open(folder::check_folder(folder)?.join(FILE), key),
            Err(_) => Err(JournalError::NoJournal { folder: folder.to_path_buf() }),
        }
    }

    fn open(path: PathBuf, key: &HostKey) -> Result<Self, JournalError> {
        let file = folder::check_file(&path)?;
        // SQLite takes a shorter file for an empty one, and would write over it.
        if (1..SQLITE_BYTES_MIN).contains(&file.len()) {
            return Err(JournalError::StoreCorrupt { path, what: "it was cut short".to_owned() });
        }
        // The last one who closes the file in peace leaves none, unless it only read one that was there.
        let found_log = log_state(&path);
        let connection = schema::connect(&path)?;
        let log = if found_log.is_some() { OthersLog::LeftAlone } else { OthersLog::Taken };
        bring_in_at_end(&connection, log).map_err(|error| error::from_sqlite(&path, error))?;
        let writer = Mutex::new(Writer { connection, log, level: Level::Written, poisoned: false });
        Ok(Self {
            path,
            marker: Marker::new(key),
            holder: Holder::this_process(),
            identity: (file.dev(), file.ino()),
            writer,
            wal: OnceLock::new(),
            group: Group::default(),
            full: AtomicBool::new(false),
            at_work: Mutex::new(None),
            found_log,
            cut_off: OnceLock::new(),
        })
    }

    /// The folder that the file is in.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Runs `act` in one transaction. When this returns, the transaction is at `level`; where it fails, nothing of it is
    /// there, or this handle takes no more.
    pub(super) fn write<T>(
        &self,
        level: Level,
        act: impl FnOnce(&Connection) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut writer = self.lock();
        if writer.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        let result = self.transact(&mut writer, level, act);
        writer.poisoned = result.as_ref().is_err_and(JournalError::leaves_doubt);
        if matches!(result, Err(JournalError::StoreFull { .. })) {
            self.full.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Whether a write found no room.
    pub(super) fn ran_out_of_room(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// What was dropped from the end of the log that this process found when it began to write, if something was.
    pub(super) fn cut_off(&self) -> Option<Bytes> {
        self.cut_off.get().copied().flatten()
    }

    /// A run begins to be written that syncs together with others, if it does.
    pub(super) fn join(&self, durability: Durability) {
        if durability == Durability::Group {
            self.group.join();
        }
    }

    /// It is not written any more.
    pub(super) fn leave(&self, durability: Durability) {
        if durability == Durability::Group {
            self.group.leave();
        }
    }

    /// Comes back when everything that this thread has written is on the disk.
    pub(super) fn sync_together(&self) -> Result<Share, JournalError> {
        if is_planted(Defect::SkipSync) {
            return Ok(Share::Others);
        }
        let synced = self.group.sync(|| {
            self.point("journal-sync")?;
            self.sync_log()?;
            self.point("journal-synced")
        });
        match synced {
            Ok(Synced::Itself) => Ok(Share::Own),
            Ok(Synced::ByAnother) => Ok(Share::Others),
            Ok(Synced::Failed) => Err(JournalError::Poisoned { path: self.path.clone() }),
            Err(error) => {
                // Whatever the error: what the disk has now is not known.
                self.lock().poisoned = true;
                Err(error)
            }
        }
    }

    /// Syncs the write-ahead log, in which every commit is that is not in the file itself. SQLite syncs it only when it commits
    /// under `FULL`, each time.
    fn sync_log(&self) -> Result<(), JournalError> {
        self.check_in_place()?;
        let path = log_of(&self.path);
        let wal = match self.wal.get() {
            Some(wal) => wal,
            None => {
                let wal = File::open(&path).map_err(JournalError::io(&path))?;
                // SQLite does this with its own first sync, which may never come.
                folder::sync_folder(path.parent())?;
                self.wal.get_or_init(|| wal)
            }
        };
        wal.sync_data().map_err(|source| JournalError::Failing {
            path: self.path.clone(),
            what: "a sync",
            source: source.into(),
        })
    }

    /// Where somebody else's log may be: has everything written once more, into the file itself, and synced, and the log begun
    /// anew. What is read may be what a failed sync was for, and the system takes that for written; whatever was appended behind
    /// it would go with it. Another process that reads all the time is not waited for longer than for a lock.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        match self.checkpoint("RESTART", BUSY_MAX) {
            Ok(true) => Ok(()),
            // Nothing is lost by that: it stays in the log.
            Ok(false) | Err(JournalError::StoreFull { .. } | JournalError::StoreBusy { .. }) => {
                tracing::debug!(path = %self.path.display(), "the journal's log could not be written into its file");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the log into the file; `false` where somebody who reads or writes stood in the way for so long, which SQLite says in
    /// its answer and not as an error. Nobody else writes meanwhile.
    fn checkpoint(&self, mode: &str, wait: Duration) -> Result<bool, JournalError> {
        let mut writer = self.lock();
        self.take_log(&mut writer)?;
        writer.connection.busy_timeout(wait).map_err(|error| self.error(error))?;
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let was_in_the_way = writer.connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        writer.connection.busy_timeout(BUSY_MAX).map_err(|error| self.error(error))?;
        Ok(was_in_the_way.map_err(|error| self.error(error))? == 0)
    }

    fn transact<T>(
        &self,
        writer: &mut Writer,
        level: Level,
        act: impl FnOnce(&Connection) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let level = if is_planted(Defect::SkipSync) { Level::Written } else { level };
        self.take_log(writer)?;
        self.point("journal-write")?;
        self.raise(writer, level)?;
        let transaction = Transaction::begin(&writer.connection).map_err(|error| self.error(error))?;
        let value = act(transaction.connection)?;
        self.point(match level {
            Level::Written | Level::SyncedTogether => "journal-commit",
            Level::Synced => "journal-sync",
        })?;
        transaction.commit().map_err(|error| self.error(error))?;
        self.point(match level {
            Level::Written | Level::SyncedTogether => "journal-committed",
            Level::Synced => "journal-synced",
        })?;
        Ok(value)
    }

    /// Before anything is written behind a log that was found: sees what of it was cut off, which is written over now.
    fn take_log(&self, writer: &mut Writer) -> Result<(), JournalError> {
        match writer.log {
            OthersLog::Taken => return Ok(()),
            OthersLog::LeftAlone => {}
        }
        // Nobody else is in the middle of a transaction then.
        let held = Transaction::begin(&writer.connection).map_err(|error| self.error(error))?;
        let cut_off = *self.cut_off.get_or_init(|| cut_off::of_log(&log_of(&self.path)));
        drop(held);
        tracing::debug!(path = %self.path.display(), ?cut_off, "the log of another process was taken");
        bring_in_at_end(&writer.connection, OthersLog::Taken).map_err(|error| self.error(error))?;
        writer.log = OthersLog::Taken;
        Ok(())
    }

    /// A test may let the write fail here.
    fn point(&self, name: &'static str) -> Result<(), JournalError> {
        failpoint::hit_or_fail(name).map_err(JournalError::io(&self.path))
    }

    /// SQLite syncs the whole log at a commit under `FULL`, so what was committed under `NORMAL` before is on disk, too.
    fn raise(&self, writer: &mut Writer, level: Level) -> Result<(), JournalError> {
        self.check_in_place()?;
        if writer.level != level {
            let name = match level {
                Level::Written | Level::SyncedTogether => "normal",
                Level::Synced => "full",
            };
            writer.connection.pragma_update(None, "synchronous", name).map_err(|error| self.error(error))?;
            writer.level = level;
        }
        Ok(())
    }

    /// SQLite goes on writing to a deleted file without an error.
    fn check_in_place(&self) -> Result<(), JournalError> {
        let is_there = identity(&self.path) == Some(self.identity);
        if is_there { Ok(()) } else { Err(JournalError::StoreGone { path: self.path.clone() }) }
    }

    /// From now on no sweep removes what this process keeps before an event names it, and nothing that it writes stands behind
    /// what another process failed to sync.
    pub(super) fn at_work(&self) -> Result<(), JournalError> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.is_none() {
            let begun = AtWork::begin(self.folder())?;
            if self.found_log.is_some() {
                self.settle()?;
            }
            *at_work = Some(begun);
        }
        Ok(())
    }

    /// Writes the whole file anew. For who is alone.
    pub(super) fn vacuum(&self) -> Result<(), JournalError> {
        let mut writer = self.lock();
        self.take_log(&mut writer)?;
        writer.connection.execute_batch("VACUUM").map_err(|error| self.error(error))
    }

    /// Writes the log of changes into the file and makes it empty. `false` where somebody read all the time: what was removed may
    /// then still stand in the file, and what takes its place only in the log.
    /// Who reads is waited for this long.
    pub(super) fn truncate_log(&self, wait: Duration) -> Result<bool, JournalError> {
        self.checkpoint("TRUNCATE", wait)
    }

    /// Runs `act` on one state of the file.
    pub(super) fn read<T>(&self, act: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let writer = self.lock();
        let snapshot = writer.connection.unchecked_transaction().map_err(|error| self.error(error))?;
        act(&snapshot)
    }

    /// Keeps `bytes` under their digest, once. What stands there and is not these bytes was damaged, or put there by whoever shipped
    /// the file: nothing new may depend on it.
    pub(super) fn put_blob(&self, connection: &Connection, digest: &Digest, bytes: &[u8]) -> Result<(), JournalError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: bytes.len(), bytes_max: BLOB_BYTES_MAX });
        }
        let put = || {
            let sql = "INSERT INTO blobs (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes \
                       WHERE bytes IS NOT excluded.bytes";
            connection.prepare_cached(sql)?.execute((digest.as_bytes(), bytes))
        };
        put().map(drop).map_err(|error| self.error(error))
    }

    /// The bytes kept under `digest`, unchecked.
    pub(super) fn blob(&self, connection: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let get = || {
            let mut statement = connection.prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?;
            statement.query_row([digest.as_bytes()], |row| row.get(0)).optional()
        };
        get().map_err(|error| self.error(error))
    }

    /// What an SQLite error means for this file.
    pub(super) fn error(&self, source: rusqlite::Error) -> JournalError {
        error::from_sqlite(&self.path, source)
    }

    /// A thread that panicked inside a transaction has rolled it back.
    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    /// A log that another process has written to meanwhile was seen by that one.
    fn drop(&mut self) {
        if log_state(&self.path) != self.found_log {
            let _ = bring_in_at_end(&self.lock().connection, OthersLog::Taken);
        }
    }
}

/// Whether SQLite writes the log into the file and removes it, when this is the last connection that is closed.
fn bring_in_at_end(connection: &Connection, log: OthersLog) -> rusqlite::Result<()> {
    let leave = log == OthersLog::LeftAlone;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave).map(drop)
}

/// How the log of the file is now, if there is anything in it.
fn log_state(path: &Path) -> Option<LogState> {
    let log = std::fs::metadata(log_of(path)).ok().filter(|log| log.len() > 0)?;
    Some((log.len(), log.modified().ok()?))
}

/// The write-ahead log of the file.
fn log_of(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

fn identity(path: &Path) -> Option<Identity> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// A write transaction. rusqlite's own parses `BEGIN` and `COMMIT` each time, which takes longer than they do.
struct Transaction<'a> {
    connection: &'a Connection,
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { connection })
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Transaction<'_> {
    /// Does nothing after a commit. Where a rollback fails, SQLite has already rolled back.
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}
