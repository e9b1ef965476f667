//! The cache's size on disk: what was stored longest ago goes first. Called after each new entry. A reader that has a file
//! open keeps it; one that finds an entry without its code compiles again.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

/// One file of the directory.
struct Stored {
    name: std::ffi::CString,
    bytes: u64,
    modified: (i64, i64),
}

/// Removes the oldest files until the others have at most `bytes_max` together.
pub(super) fn make_room(directory: &File, bytes_max: u64) -> io::Result<()> {
    let mut files = list(directory)?;
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    files.sort_by_key(|file| file.modified);
    for file in files {
        if total <= bytes_max {
            break;
        }
        match rustix::fs::unlinkat(directory, &file.name, AtFlags::empty()) {
            // Another process makes room too.
            Ok(()) | Err(Errno::NOENT) => total = total.saturating_sub(file.bytes),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn list(directory: &File) -> io::Result<Vec<Stored>> {
    let mut files = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        match rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => files.push(Stored {
                name,
                bytes: stat.st_size.unsigned_abs(),
                modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            }),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_oldest_files_go_first() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let start = SystemTime::now() - Duration::from_secs(100);
        for (age, name) in ["a", "b", "c", "d"].iter().enumerate() {
            let path = directory.path().join(name);
            fs::write(&path, [0; 100])?;
            File::options().write(true).open(&path)?.set_modified(start + Duration::from_secs(age as u64))?;
        }
        make_room(&File::open(directory.path())?, 250)?;
        let mut left: Vec<_> = fs::read_dir(directory.path())?.flatten().map(|file| file.file_name()).collect();
        left.sort();
        assert_eq!(left, ["c", "d"]);
        Ok(())
    }
}
