//! What SQLite's errors mean for a journal.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use super::schema::BUSY_MS_MAX;
use crate::journal::error::JournalError;

/// What an SQLite error means for the file `path`.
pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> JournalError {
    let path = path.to_path_buf();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalError::StoreFull { path },
        Some(ErrorCode::TooBig) => {
            JournalError::StoreCorrupt { path, what: "it holds an entry that is larger than any of ours".to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt) => JournalError::StoreCorrupt { path, what: source.to_string() },
        Some(ErrorCode::NotADatabase) => {
            JournalError::StoreCorrupt { path, what: "it is not a database file".to_owned() }
        }
        // A process that was stopped while it opened the file is waited for in vain under the second name.
        Some(ErrorCode::DatabaseBusy | ErrorCode::FileLockingProtocolFailed) => {
            JournalError::StoreBusy { path, waited_ms: BUSY_MS_MAX }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            JournalError::NotWritable { path }
        }
        // The file beside it, which its readers share, is given its room when it is opened.
        Some(ErrorCode::SystemIoFailure) if extended(&source) == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
            JournalError::StoreFull { path }
        }
        Some(ErrorCode::SystemIoFailure) => JournalError::Failing { path, what: what(&source), source: source.into() },
        _ => match source {
            // A stored value has another type than its column: only a damaged file does that.
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..) => JournalError::StoreCorrupt { path, what: source.to_string() },
            source => JournalError::Store { path, source },
        },
    }
}

fn extended(source: &rusqlite::Error) -> Option<i32> {
    source.sqlite_error().map(|error| error.extended_code)
}

/// What was tried when the disk failed.
fn what(source: &rusqlite::Error) -> &'static str {
    match extended(source) {
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => "a sync",
        Some(ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ) => "a read",
        _ => "a write",
    }
}
