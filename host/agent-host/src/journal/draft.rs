//! Files that are there whole or not at all: written under another name, which nobody else has, and then renamed. Whoever is killed in
//! between leaves a draft that is in nobody's way. The host key and the journal begin so.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::error::JournalError;
use crate::bounded_lock;

/// A name beside `path` that no other draft has.
///
/// # Errors
/// Where the system gives no random bytes.
pub(super) fn name(path: &Path) -> Result<PathBuf, JournalError> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(JournalError::Random)?;
    Ok(path.with_extension(hex::encode(nonce)))
}

/// Gives the draft its name, unless something has it already.
pub(super) fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // Some file systems cannot look and rename at once.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => put_in_place_alone(draft, path),
        renamed => Ok(renamed?),
    }
}

/// The same with a lock, which everybody takes where a rename cannot do it alone.
fn put_in_place_alone(draft: &Path, path: &Path) -> io::Result<()> {
    let beside = path.with_extension("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside)?;
    bounded_lock::lock(&lock)?;
    match path.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::rename(draft, path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (draft, path) = (folder.path().join("draft"), folder.path().join("file"));
        std::fs::write(&path, "first").unwrap();
        for put in [put_in_place, put_in_place_alone] {
            std::fs::write(&draft, "second").unwrap();
            assert_eq!(put(&draft, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&path).unwrap(), b"first");
        }
        std::fs::remove_file(&path).unwrap();
        put_in_place_alone(&draft, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
    }
}
