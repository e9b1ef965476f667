//! How a journal file begins: laid out whole as a draft, synced once, and then given its name. Laid out in its place, it waited for the
//! disk some twenty times, one after the other, which beside a busy disk takes as long as people wait; and another process could
//! meet it half made.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::schema;
use crate::journal::error::JournalError;
use crate::journal::{draft, folder};

/// What SQLite keeps beside a file.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Makes the journal file, which is empty of runs, unless something is there.
pub(super) fn begin(path: &Path) -> Result<(), JournalError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Whether it is a journal is found out by who opens it.
        _ => return Ok(()),
    }
    let draft = draft::name(path)?;
    let begun = lay_out(&draft).and_then(|()| match draft::put_in_place(&draft, path) {
        Ok(()) => folder::sync_folder(path.parent()),
        Err(error) => Err(JournalError::io(path)(error)),
    });
    if begun.is_err() {
        remove(&draft);
    }
    match begun {
        // Another process was first.
        Err(_) if path.symlink_metadata().is_ok() => Ok(()),
        begun => begun,
    }
}

fn lay_out(draft: &Path) -> Result<(), JournalError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(folder::FILE_MODE).open(draft);
    file.map_err(JournalError::io(draft))?;
    schema::lay_out_unsynced(draft)?;
    File::open(draft).and_then(|file| file.sync_all()).map_err(JournalError::io(draft))
}

fn remove(draft: &Path) {
    for end in BESIDE.iter().chain(&[""]) {
        let mut name = draft.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_journal_begins_whole_private_and_alone_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        begin(&path).unwrap();
        assert_eq!(names(folder.path()), ["journal.db"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[18..20], [2, 2], "its changes go to a log");
        begin(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        schema::connect(&path).unwrap();
    }

    #[test]
    fn many_who_begin_one_at_once_find_the_same() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| begin(&path).and_then(|()| schema::connect(&path)).unwrap());
                }
            });
            assert!(names(folder.path()).iter().all(|name| name.starts_with("journal.db")), "no draft is left");
        }
    }
}
