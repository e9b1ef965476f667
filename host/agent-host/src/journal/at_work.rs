//! Who is at work in a folder of runs. Whoever writes there (drives a run, keeps a blob) holds a lock together with all others
//! who do; whoever sweeps holds it alone. So when blobs are removed that no event names, nobody has kept one for an event that
//! is still to come. The system lets the lock go with the process.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::JournalError;
use super::folder::open_own;

const FILE: &str = "at-work.lock";

/// How long a writer waits for a sweep: longer than a sweep takes that nobody gave more time.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often it looks whether the sweep is done.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// This process writes, beside others.
pub(super) struct AtWork(#[expect(dead_code, reason = "held, not read")] File);

/// This process sweeps, and nobody writes.
pub(super) struct Alone(#[expect(dead_code, reason = "held, not read")] File);

impl AtWork {
    /// Begins to write in `folder`; waits for a sweep.
    pub(super) fn begin(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let file = open_own(&path)?;
        let since = Instant::now();
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if since.elapsed() < WAIT_MAX => std::thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(JournalError::Sweeping { folder: folder.to_path_buf() }),
                Err(TryLockError::Error(error)) => return Err(JournalError::io(&path)(error)),
            }
        }
    }
}

impl Alone {
    /// Keeps all writers away; `None` where one is at work.
    pub(super) fn begin(folder: &Path) -> Result<Option<Self>, JournalError> {
        let path = folder.join(FILE);
        let file = open_own(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(JournalError::io(&path)(error)),
        }
    }
}
