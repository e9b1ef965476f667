//! Room on the disk that is kept free for one thing: to record that there is no more of it. A file beside the journal takes it up,
//! and is removed when nothing else can be written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::journal::error::JournalError;
use crate::journal::folder::open_own;

/// Enough for an event with everything around it: the pages of its transaction in the log, and a piece of the log's index.
const BYTES: u64 = 256 << 10;

/// Bytes of a block, as the system counts them.
const BLOCK: u64 = 512;

/// Takes the room up, if it is not taken. Where there is none, or the file system cannot, a full disk ends runs without a
/// record of it; what was recorded before is as safe.
pub(super) fn keep(folder: &Path) {
    let path = path(folder);
    let kept = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.blocks() * BLOCK >= BYTES);
    if kept {
        return;
    }
    if let Err(error) = take(&path) {
        tracing::debug!(path = %path.display(), %error, "no room is kept for a full disk");
        // A part of it is of no use.
        let _ = fs::remove_file(&path);
    }
}

/// Gives the room up. `false` where there was none.
pub(super) fn give_up(folder: &Path) -> bool {
    fs::remove_file(path(folder)).is_ok()
}

fn take(path: &Path) -> Result<(), JournalError> {
    let file = open_own(path)?;
    // Not synced: after a power loss it is taken up anew.
    let taken = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES);
    taken.map_err(io::Error::from).map_err(JournalError::io(path))
}

fn path(folder: &Path) -> PathBuf {
    folder.join("journal.reserve")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_once_and_given_up_once() {
        let home = tempfile::tempdir().unwrap();
        keep(home.path());
        keep(home.path());
        let taken = path(home.path()).metadata().unwrap();
        assert!(taken.blocks() * BLOCK >= BYTES, "real room, no hole: {} blocks", taken.blocks());
        assert_eq!(taken.mode() & 0o777, 0o600);
        assert!(give_up(home.path()));
        assert!(!give_up(home.path()));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = home.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, path(home.path())).unwrap();
        keep(home.path());
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    }
}
