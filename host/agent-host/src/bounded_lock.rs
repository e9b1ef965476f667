//! The lock on a file that another agent-host may hold for a moment, waited for within a bound: one that was stopped in the middle
//! holds it for as long as it is.

use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long it is waited for. Whoever holds one writes a small file.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// Locks `file` for this process alone.
///
/// # Errors
/// Where another process does not let it go, or the system refuses.
pub fn lock(file: &File) -> io::Result<()> {
    lock_within(file, WAIT_MAX)
}

fn lock_within(file: &File, wait: Duration) -> io::Result<()> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if since.elapsed() < wait => thread::sleep(TRY_EVERY),
            Err(TryLockError::WouldBlock) => {
                let why = format!("another agent-host has held it for {} s: is one stopped?", wait.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_it_for_ever_is_told_of() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let open = || File::options().write(true).create(true).truncate(false).open(folder.path().join("lock"));
        let (one, other) = (open()?, open()?);
        lock(&one)?;
        let refused = lock_within(&other, 2 * TRY_EVERY).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::TimedOut));
        drop(one);
        lock(&other)
    }
}
