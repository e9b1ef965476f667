//! A directory being read, entry by entry: a directory of a million entries costs the host no more memory than one of ten.

use std::fs::File;

use rustix::fs::{AtFlags, Dir, FileType};
use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;

use crate::hosts::fs::FileError;
use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::metadata::descriptor_type;
use crate::hosts::fs::names::is_hidden;

/// What a directory entry stream stands for.
pub(crate) struct Listing {
    /// None in a replay that touches nothing.
    entries: Option<Dir>,
}

impl Listing {
    /// Begins to read a directory.
    pub(crate) fn of(directory: &File) -> Result<Self, FileError> {
        // The handle may be one that can only be gone through, and a listing has a position of its own.
        let handle = open_directory(directory, ".", Handle::Read)?;
        Ok(Self { entries: Some(Dir::new(handle)?) })
    }

    /// The listing of nothing.
    pub(crate) fn of_nothing() -> Self {
        Self { entries: None }
    }

    /// The next entry. Names that guests do not see are left out, and so are those that are no text, which no guest can say:
    /// one of them must not hide the others.
    pub(crate) fn next(&mut self) -> Result<Option<DirectoryEntry>, FileError> {
        let Some(entries) = &mut self.entries else { return Ok(None) };
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !matches!(name, "." | "..") && !is_hidden(name) {
                let type_ = descriptor_type(known_type(entries, entry.file_type(), name)?);
                return Ok(Some(DirectoryEntry { type_, name: name.to_owned() }));
            }
        }
        Ok(None)
    }
}

/// Some file systems leave the type out of a listing.
fn known_type(entries: &Dir, listed: FileType, name: &str) -> Result<FileType, FileError> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    let stat = rustix::fs::statat(entries.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}
