//! The folders and files that the host trusts: made private, and refused where somebody else could have put them there.
//! Called when a journal or what lies beside it is opened and when the host key is read.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::error::JournalError;

const FOLDER_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;
/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// Makes `folder` if it is missing, checks that it is a real folder of this user, and closes it to others. The answer is
/// its path without symbolic links.
///
/// # Errors
/// Where it cannot be made or looked at, or is not what it should be.
pub fn prepare_folder(folder: &Path) -> Result<PathBuf, JournalError> {
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

/// Opens a private file that lies beside a journal, and makes an empty one if there is none. A stranger may have shipped what is
/// there: a link is not followed and a pipe not waited for, and what was opened is looked at, and not its name.
///
/// # Errors
/// Where it cannot be opened, or is not a plain file of this user.
pub fn open_own(path: &Path) -> Result<File, JournalError> {
    let refuse = |why| Err(JournalError::Unsafe { path: path.to_path_buf(), why });
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).custom_flags(flags.cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return refuse("it is a symbolic link");
        }
        Err(error) => return Err(JournalError::io(path)(error)),
    };
    let found = file.metadata().map_err(JournalError::io(path))?;
    if !found.is_file() {
        return refuse("it is not a plain file");
    }
    if found.nlink() > 1 {
        return refuse("it is a file with a second name");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if found.mode() & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(JournalError::io(path))?;
    }
    Ok(file)
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
        open_own(&file).unwrap();
        assert_eq!(check_file(&file).unwrap().mode() & 0o777, 0o600);

        std::fs::hard_link(&file, home.path().join("second")).unwrap();
        assert_eq!(refusal(check_file(&file)), "it is a file with a second name");

        let link = home.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refusal(check_file(&link)), "it is a symbolic link");
        assert_eq!(refusal(check_file(home.path())), "it is not a plain file");
    }

    #[test]
    fn what_lies_beside_a_journal_is_a_plain_file_or_refused() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        open_own(&place("file")).unwrap();
        assert_eq!(place("file").metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(place("file"), Permissions::from_mode(0o644)).unwrap();
        open_own(&place("file")).unwrap();
        assert_eq!(place("file").metadata().unwrap().mode() & 0o777, 0o600, "closed again");

        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, place("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(refusal(open_own(&place("pipe"))), "it is not a plain file", "and it was not waited for");
        std::os::unix::fs::symlink(place("nowhere"), place("link")).unwrap();
        assert_eq!(refusal(open_own(&place("link"))), "it is a symbolic link");
        assert!(!place("nowhere").exists());
        std::fs::hard_link(place("file"), place("second")).unwrap();
        assert_eq!(refusal(open_own(&place("second"))), "it is a file with a second name");
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
