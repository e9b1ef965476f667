//! The journal on a simulated disk: what power loss, failing writes and a lying disk leave of it. For tests; the file that runs
//! are kept in is SQLite's, and no test can take the power from that.
//!
//! A [`Machine`] has a disk and any number of processes that have its journal open. When it starts again after its power was
//! cut, the journal is what [`format`] finds on the disk.

pub(super) mod dice;
pub(super) mod disk;
mod format;

use std::sync::{Arc, Mutex, PoisonError};

use super::book::{Book, Change};
use super::error::JournalError;
use super::key::HostKey;
use super::lease::Holder;
use super::log::Level;
use super::memory::{Backing, Failed, Fence, MemoryJournal, Shared};
use disk::{Disk, DiskError};
use format::{Found, Written};

/// A journal on a simulated disk, as one process has it open.
pub(super) type SimulatedJournal = MemoryJournal<OnDisk>;

/// A machine that has a journal on its disk.
pub(super) struct Machine {
    disk: Arc<Mutex<Disk>>,
    key: HostKey,
    this: Holder,
    boots: u32,
    broken: Broken,
    running: Option<Arc<Mutex<Shared<OnDisk>>>>,
}

/// What a journal does wrong, for a simulation that has to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// It lets a process write that has lost the run.
    Fence,
    /// It tries a sync again that has failed, and takes its word.
    FailedSync,
}

/// What stands behind the journal: its end on the disk.
pub(super) struct OnDisk {
    disk: Arc<Mutex<Disk>>,
    written: Written,
    broken: Broken,
}

impl Machine {
    /// A machine with this disk.
    pub(super) fn new(disk: Disk, broken: Broken) -> Self {
        let (key, this) = (HostKey::of_bytes([7; 32]), Holder::this_process());
        Self { disk: Arc::new(Mutex::new(disk)), key, this, boots: 1, broken, running: None }
    }

    /// Opens the journal in a process of its own. The first one after a start reads the disk.
    pub(super) fn open(&mut self) -> Result<SimulatedJournal, JournalError> {
        self.open_as([7; 32])
    }

    /// The same for a host with another key.
    pub(super) fn open_as(&mut self, key: [u8; 32]) -> Result<SimulatedJournal, JournalError> {
        let shared = match &self.running {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared = self.recover()?;
                Arc::clone(self.running.insert(shared))
            }
        };
        self.key = HostKey::of_bytes(key);
        Ok(MemoryJournal::open(&shared, &self.key, self.this.after_boot(self.boots)))
    }

    /// What the disk does from now on.
    pub(super) fn with_disk<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the journal keeps, for somebody who goes behind its back.
    pub(super) fn with_book(&mut self, act: impl FnOnce(&mut Book)) {
        if let Some(shared) = &self.running {
            act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner).book);
        }
    }

    /// The power goes, and comes again: nothing runs any more, and the disk is as it survived that.
    pub(super) fn lose_power(&mut self) {
        self.with_disk(Disk::lose_power);
        self.restart();
    }

    /// The machine is started again in good order: everything that was written is on the disk.
    pub(super) fn restart(&mut self) {
        self.running = None;
        self.boots += 1;
    }

    fn recover(&self) -> Result<Arc<Mutex<Shared<OnDisk>>>, JournalError> {
        let Found { changes, written } = self.with_disk(format::recover)?;
        let mut book = Book::default();
        changes.into_iter().for_each(|change| book.make(change));
        let fence = if self.broken == Broken::Fence { Fence::Down } else { Fence::Up };
        Ok(Shared::new(book, OnDisk { disk: Arc::clone(&self.disk), written, broken: self.broken }, fence))
    }
}

impl Backing for OnDisk {
    fn commit(&mut self, changes: &[Change], level: Level) -> Result<(), Failed> {
        let disk = Arc::clone(&self.disk);
        let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = self.written.append(&mut disk, changes);
        if level != Level::Written {
            made = made.and_then(|()| self.sync(&mut disk));
        }
        made.map_err(|error| match error {
            DiskError::Full => Failed::Full,
            DiskError::Failed => Failed::Broken("the disk failed"),
            DiskError::NoPower => Failed::Broken("there is no power"),
        })
    }
}

impl OnDisk {
    fn sync(&mut self, disk: &mut Disk) -> Result<(), DiskError> {
        match self.written.sync(disk) {
            Err(DiskError::Failed) if self.broken == Broken::FailedSync => self.written.sync(disk),
            synced => synced,
        }
    }
}
