//! Files as commands name them: relative to the shell's own folder, `-` and `/dev/null`, and errors in the words that shells use.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::streams::{Input, Output, Stream};

/// Why a file could not be used, as every shell says it.
pub(crate) fn reason(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "No such file or directory".to_owned(),
        Kind::PermissionDenied if cfg!(target_family = "wasm") => {
            "Permission denied (outside the granted folder, or it was granted for less)".to_owned()
        }
        Kind::PermissionDenied => "Permission denied".to_owned(),
        Kind::AlreadyExists => "File exists".to_owned(),
        Kind::IsADirectory => "Is a directory".to_owned(),
        Kind::NotADirectory => "Not a directory".to_owned(),
        Kind::DirectoryNotEmpty => "Directory not empty".to_owned(),
        Kind::ReadOnlyFilesystem => "Read-only file system".to_owned(),
        Kind::StorageFull | Kind::QuotaExceeded => {
            "No space left on device (or the call's quota is used up)".to_owned()
        }
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// The path that a name stands for, seen from a folder.
pub(crate) fn place(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

/// Takes `.` and `..` out of a path by its text, as `cd` does.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other @ (Component::Prefix(_) | Component::RootDir | Component::Normal(_)) => normal.push(other),
        }
    }
    if normal.as_os_str().is_empty() { PathBuf::from("/") } else { normal }
}

impl Shell {
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        place(&self.directory, name)
    }

    /// What is at a name, after links.
    pub(crate) fn metadata(&self, name: &str) -> io::Result<Metadata> {
        if name.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        std::fs::metadata(self.place(name))
    }

    /// What a command reads by that name: a file, or its own input for `-`.
    pub(crate) fn open_input(&self, name: &str) -> Outcome<Input> {
        match name {
            "-" | "/dev/stdin" => Ok(self.streams.input()),
            "/dev/null" => Ok(Input::empty()),
            _ => self.open_file(name).map(Input::file).map_err(|error| failed(name, &error)),
        }
    }

    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        if self.metadata(name)?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        File::open(self.place(name))
    }

    /// What a redirection or `tee` writes to by that name.
    pub(crate) fn open_output(&self, name: &str, how: Opening) -> Outcome<Output> {
        match name {
            "/dev/null" => return Ok(Output::Nowhere),
            "/dev/stdout" => return Ok(self.streams.output()),
            "/dev/stderr" => return Ok(self.streams.errors()),
            _ => {}
        }
        if how == Opening::New && self.metadata(name).is_ok_and(|found| found.is_file()) {
            return Err(Stop::failed(format!("{name}: cannot overwrite existing file")));
        }
        if self.metadata(name).is_ok_and(|found| found.is_dir()) {
            return Err(failed(name, &io::ErrorKind::IsADirectory.into()));
        }
        let mut options = File::options();
        match how {
            Opening::New | Opening::Truncated => options.write(true).create(true).truncate(true),
            Opening::Appended => options.append(true).create(true),
        };
        let file = options.open(self.place(name)).map_err(|error| failed(name, &error))?;
        Ok(Output::File(std::rc::Rc::new(file)))
    }

    /// `3<>file`: read and written through one number; here it is read.
    pub(crate) fn open_both(&self, name: &str) -> Outcome<Stream> {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(self.place(name));
        open.map(|file| Stream::In(Input::file(file))).map_err(|error| failed(name, &error))
    }
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It must not be there yet: `set -C`.
    New,
    Truncated,
    Appended,
}

pub(crate) fn failed(name: &str, error: &io::Error) -> Stop {
    Stop::failed(format!("{name}: {}", reason(error)))
}
