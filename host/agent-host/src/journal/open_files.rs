//! The last word about each file that an attempt has open for changes, beside the journal and not in it: it is said around every
//! change, and only matters to who undoes the attempt after its host was killed. A file of slots, one for each undo entry, written
//! in place and never synced: a killed process does not lose it, and what a power loss takes of it leaves the undo with less to
//! go by. Made before the attempt announces its first change, so that where a change is announced and there is no such file, the
//! power was lost. Written by the gate of a call, read by an undo, removed as soon as the marks in the journal say it all.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use agent_core::name::{CallNumber, RunId};
use agent_core::open_file::OpenFile;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::draft;
use super::error::JournalError;
use super::folder::open_own;

/// What one word may take, with the spaces that fill it up. A divisor of a page, so that a process that is killed leaves a whole
/// one or none.
const SLOT_BYTES: usize = 512;

/// Room is taken by pages.
const PAGE_BYTES: u64 = 4096;

/// The longest file that is read: a slot for each of as many entries as an undo keeps, and then some.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// How the names of these files begin.
const PREFIX: &str = "open-files-";

/// The words of one attempt.
pub struct OpenFiles {
    file: File,
    path: PathBuf,
    /// Bytes of room that were taken.
    room: AtomicU64,
}

impl OpenFiles {
    /// Begins them in the folder of a journal.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn begin(folder: &Path, run: &RunId, attempt: (CallNumber, u32)) -> Result<Self, JournalError> {
        let path = path_of(folder, run, attempt);
        Ok(Self { file: open_own(&path)?, path, room: AtomicU64::new(0) })
    }

    /// Whether somebody removed them, or put a copy in their place: another host has taken the run over and undoes the attempt.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// Takes the room for the words about so many entries, so that a full disk is met before any of them is announced, and not in the
    /// middle of a change.
    ///
    /// # Errors
    /// Where there is none.
    pub fn make_room(&self, entries: u32) -> Result<(), JournalError> {
        let bytes = (u64::from(entries) * SLOT_BYTES as u64).next_multiple_of(PAGE_BYTES);
        if self.room.fetch_max(bytes, Ordering::Relaxed) >= bytes {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(JournalError::io(&self.path)(error.into())),
            // Not every file system can do it.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Keeps a word in place of the last one about the same entry.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&self, word: &OpenFile) -> Result<(), JournalError> {
        let failed = JournalError::io(&self.path);
        let mut slot = match serde_json::to_vec(word) {
            Ok(slot) if slot.len() <= SLOT_BYTES => slot,
            Ok(_) => return Err(failed(io::Error::other("a word about a file is longer than its slot"))),
            Err(error) => return Err(failed(error.into())),
        };
        slot.resize(SLOT_BYTES, b' ');
        self.file.write_all_at(&slot, u64::from(word.entry) * SLOT_BYTES as u64).map_err(failed)
    }
}

/// The last words of an attempt. What cannot be read says nothing. `None` where there never was a file, or it is gone: with the
/// attempt's end, or with the power.
///
/// # Errors
/// Where there is a file and it cannot be read.
pub fn read(folder: &Path, run: &RunId, attempt: (CallNumber, u32)) -> Result<Option<Vec<OpenFile>>, JournalError> {
    let path = path_of(folder, run, attempt);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let bytes = bytes_of(&open_own(&path)?).map_err(JournalError::io(&path))?;
    Ok(Some(words(&bytes)))
}

/// As [`read`], for who is about to undo the attempt: puts a copy in the place of the file. A host that was taken over, and was only
/// stopped, finds its own file gone from then on, and touches no file of the call any more; and an undo that is killed finds the
/// words again.
///
/// # Errors
/// See [`read`]; and where the copy cannot be made.
pub fn take_over(
    folder: &Path,
    run: &RunId,
    attempt: (CallNumber, u32),
) -> Result<Option<Vec<OpenFile>>, JournalError> {
    let path = path_of(folder, run, attempt);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let file = open_own(&path)?;
    let copy = draft::name(&path)?;
    let failed = JournalError::io(&path);
    let copied = open_own(&copy).and_then(|mut new| {
        let copied = bytes_of(&file).and_then(|bytes| new.write_all(&bytes)).and_then(|()| fs::rename(&copy, &path));
        // What the other host said until now.
        copied.and_then(|()| bytes_of(&file)).map_err(failed)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&copy);
    }
    Ok(Some(words(&copied?)))
}

fn bytes_of(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn words(bytes: &[u8]) -> Vec<OpenFile> {
    bytes.chunks(SLOT_BYTES).filter_map(|slot| serde_json::from_slice(slot).ok()).collect()
}

/// Removes what was kept of an attempt. That this fails harms nobody: nothing is asked of an attempt that has ended.
pub fn forget(folder: &Path, run: &RunId, attempt: (CallNumber, u32)) {
    let _ = fs::remove_file(path_of(folder, run, attempt));
}

/// Removes what was kept of a run's attempts.
pub(super) fn forget_run(folder: &Path, run: &RunId) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let prefix = format!("{PREFIX}{run}-");
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn path_of(folder: &Path, run: &RunId, (call, attempt): (CallNumber, u32)) -> PathBuf {
    folder.join(format!("{PREFIX}{run}-{call}-{attempt}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use agent_core::open_file::Doing;
    use agent_core::path_state::{PathKind, Stamp};
    use agent_core::units::Bytes;

    use super::*;

    fn word(entry: u32, turn: u64) -> OpenFile {
        let size = Bytes(turn);
        let left = Stamp { kind: PathKind::File, device: None, inode: 7, size, modified_ns: 1, changed_ns: 1 };
        OpenFile { entry, turn, said_ns: 1, left, doing: Some(Doing::write(turn, b"bytes")) }
    }

    #[test]
    fn the_last_word_about_each_file_is_kept_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "0123456789abcdefghjkmnpqrs".parse().unwrap();
        let (first, second) = ((CallNumber(1), 1), (CallNumber(1), 2));
        assert_eq!(read(folder.path(), &run, first).unwrap(), None);
        for attempt in [first, second] {
            let files = OpenFiles::begin(folder.path(), &run, attempt).unwrap();
            for word in [word(2, 1), word(0, 2), word(2, 3)] {
                files.keep(&word).unwrap();
            }
            assert_eq!(read(folder.path(), &run, attempt).unwrap().unwrap(), [word(0, 2), word(2, 3)]);
        }
        let stopped = OpenFiles::begin(folder.path(), &run, first).unwrap();
        assert!(!stopped.is_gone());
        for _ in 0..2 {
            let taken = take_over(folder.path(), &run, first).unwrap().unwrap();
            assert!(stopped.is_gone(), "from the beginning of the undo on");
            assert_eq!(taken, [word(0, 2), word(2, 3)]);
        }
        assert_eq!(read(folder.path(), &run, first).unwrap().map(|words| words.len()), Some(2));
        let stopped = OpenFiles::begin(folder.path(), &run, first).unwrap();
        forget(folder.path(), &run, first);
        assert!(stopped.is_gone());
        assert_eq!(read(folder.path(), &run, first).unwrap(), None);
        assert_eq!(read(folder.path(), &run, second).unwrap().map(|words| words.len()), Some(2));
        forget_run(folder.path(), &run);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_a_word_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "0123456789abcdefghjkmnpqrs".parse().unwrap();
        let attempt = (CallNumber(1), 1);
        OpenFiles::begin(folder.path(), &run, attempt).unwrap().keep(&word(1, 1)).unwrap();
        let path = path_of(folder.path(), &run, attempt);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] = b'{';
        bytes.extend([0xff; 700]);
        fs::write(&path, bytes).unwrap();
        assert_eq!(read(folder.path(), &run, attempt).unwrap().unwrap(), [word(1, 1)]);
    }
}
