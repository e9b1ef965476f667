//! The folders and files that the host trusts: made private, and refused where somebody else could have put them there.
//! Called when a journal is opened and when the host key is read.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::JournalError;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// Makes `folder` if it is missing, checks that it is a real folder of this user, and closes it to others. The answer is
/// its path without symbolic links.
pub(super) fn prepare_folder(folder: &Path) -> Result<PathBuf, JournalError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => sync_folder(folder.parent())?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(JournalError::io(folder)(error)),
    }
    check_folder(folder)
}

/// As [`prepare_folder`], for a folder that must be there.
pub(super) fn check_folder(folder: &Path) -> Result<PathBuf, JournalError> {
    let found = std::fs::symlink_metadata(folder).map_err(JournalError::io(folder))?;
    let refuse = |why| Err(JournalError::Unsafe { path: folder.to_path_buf(), why });
    if found.is_symlink() {
        return refuse("it is a symbolic link");
    }
    if !found.is_dir() {
        return refuse("it is not a folder");
    }
    close_to_others(folder, &found, FOLDER_MODE)?;
    std::fs::canonicalize(folder).map_err(JournalError::io(folder))
}

/// Makes an empty private file if there is none, so that SQLite, which would ask the umask, makes its own files as private
/// as this one.
pub(super) fn prepare_file(path: &Path) -> Result<(), JournalError> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
        Ok(file) => {
            file.sync_all().map_err(JournalError::io(path))?;
            sync_folder(path.parent())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(JournalError::io(path)(error)),
    }
}

/// Checks that `path` is a plain file of this user, reachable under no other name, and closes it to others.
pub(super) fn check_file(path: &Path) -> Result<Metadata, JournalError> {
    let found = std::fs::symlink_metadata(path).map_err(JournalError::io(path))?;
    let refuse = |why| Err(JournalError::Unsafe { path: path.to_path_buf(), why });
    if found.is_symlink() {
        return refuse("it is a symbolic link");
    }
    if !found.is_file() {
        return refuse("it is not a plain file");
    }
    if found.nlink() > 1 {
        return refuse("it is a file with a second name");
    }
    close_to_others(path, &found, FILE_MODE)?;
    Ok(found)
}

/// Makes a rename or a new name in a folder survive a power loss.
pub(super) fn sync_folder(folder: Option<&Path>) -> Result<(), JournalError> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(JournalError::io(folder))
}

fn close_to_others(path: &Path, found: &Metadata, mode: u32) -> Result<(), JournalError> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(JournalError::Unsafe { path: path.to_path_buf(), why: "it belongs to another user" });
    }
    if found.mode() & OTHERS != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(JournalError::io(path))?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn refusal(result: Result<impl Sized, JournalError>) -> &'static str {
        match result {
            Err(JournalError::Unsafe { why, .. }) => why,
            Err(other) => panic!("refused otherwise: {other}"),
            Ok(_) => "nothing",
        }
    }

    #[test]
    fn a_folder_is_made_private_and_a_foreign_one_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("kept");
        prepare_folder(&folder).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);

        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        prepare_folder(&folder).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700, "closed again");

        let link = home.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!(refusal(prepare_folder(&link)), "it is a symbolic link");

        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(refusal(prepare_folder(&file)), "it is not a folder");
    }

    #[test]
    fn a_file_is_made_private_and_other_things_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        prepare_file(&file).unwrap();
        assert_eq!(check_file(&file).unwrap().mode() & 0o777, 0o600);

        std::fs::hard_link(&file, home.path().join("second")).unwrap();
        assert_eq!(refusal(check_file(&file)), "it is a file with a second name");

        let link = home.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refusal(check_file(&link)), "it is a symbolic link");
        assert_eq!(refusal(check_file(home.path())), "it is not a plain file");
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            assert_eq!(refusal(check_folder(Path::new("/usr"))), "it belongs to another user");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(1), None).unwrap();
        assert_eq!(refusal(check_folder(home.path())), "it belongs to another user");
    }
}
