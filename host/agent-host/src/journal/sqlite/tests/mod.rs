//! The journal in its file: what only a real file shows.

mod checkpoints;
mod damage;
mod disk;
mod files;
mod long;
mod process;
mod removal;
mod transfer;

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteJournal;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::tests::{at, begin_run, ended, record_run, replied, requested, run_id};

/// A user's home: a state folder with the key, and a folder with the journal.
pub(in crate::journal) struct Home(pub(in crate::journal) TempDir);

impl Home {
    pub(in crate::journal) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(in crate::journal) fn folder(&self) -> PathBuf {
        self.0.path().join(".agent-host")
    }

    pub(in crate::journal) fn file(&self) -> PathBuf {
        self.folder().join("journal.db")
    }

    pub(in crate::journal) fn key(&self) -> HostKey {
        HostKey::load_or_create(&self.0.path().join("state")).unwrap()
    }

    pub(in crate::journal) fn open(&self) -> SqliteJournal {
        self.try_open().unwrap()
    }

    pub(in crate::journal) fn try_open(&self) -> Result<SqliteJournal, JournalError> {
        SqliteJournal::create_or_open(&self.folder(), &self.key())
    }

    /// As an outsider would: around the journal.
    pub(in crate::journal) fn tamper(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }
}
