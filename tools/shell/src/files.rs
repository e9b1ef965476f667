//! Files as commands name them: relative to the shell's own folder, `-` and `/dev/null`, and errors in the words that shells use.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::identity;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::streams::{Destination, Input, Output, Stream};

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

/// Writes a file's new contents over its earlier ones, and cuts off what is left of them only then: where nothing can be written
/// any more, nothing is lost.
pub(crate) fn overwrite(place: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).open(place)?;
    file.write_all(contents)?;
    file.set_len(contents.len() as u64)
}

/// Puts a file in the place of a link, as `sed -i` does: what the link leads to stays as it is.
pub(crate) fn replace_link(place: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = beside(place);
    let written = File::create_new(&beside).and_then(|mut file| file.write_all(contents));
    let renamed = written.and_then(|()| std::fs::rename(&beside, place));
    renamed.inspect_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            drop(std::fs::remove_file(&beside));
        }
    })
}

/// A name for what is to take the place of something once it is finished.
pub(crate) fn beside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".unfinished");
    PathBuf::from(name)
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
    /// Where a name leads. An empty one leads nowhere: `mv "$unset" x` is not about this folder.
    pub(crate) fn place(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(place(&self.directory, name)) }
    }

    /// Whether a name ends with `/` and is a link without it. To remove or to rename that would be about what the link leads to.
    pub(crate) fn is_link_with_slash(&self, name: &str) -> bool {
        let link = name.trim_end_matches('/');
        link != name && self.unfollowed(link).is_ok_and(|found| found.is_symlink())
    }

    /// What is at a name: the link itself, if it is one.
    pub(crate) fn unfollowed(&self, name: &str) -> io::Result<Metadata> {
        self.place(name).and_then(std::fs::symlink_metadata)
    }

    /// What is at a name, after links.
    pub(crate) fn metadata(&self, name: &str) -> io::Result<Metadata> {
        self.place(name).and_then(std::fs::metadata)
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
        File::open(self.place(name)?)
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
        let file = self.place(name).and_then(|place| options.open(place)).map_err(|error| failed(name, &error))?;
        let identity = self.place(name).and_then(|place| identity::followed(&place)).ok();
        Ok(Output::File(Rc::new(Destination { file, identity })))
    }

    /// Whether a file is the one that the output goes into, and has something in it: who copies it there never comes to its end.
    pub(crate) fn is_own_output(&self, name: &str) -> bool {
        let Output::File(destination) = self.streams.output() else { return false };
        let found = self.place(name).and_then(|place| identity::followed(&place));
        let is_same = found.is_ok_and(|found| destination.identity == Some(found));
        is_same && self.metadata(name).is_ok_and(|found| found.len() > 0)
    }

    /// `3<>file`: read and written through one number; here it is read.
    pub(crate) fn open_both(&self, name: &str) -> Outcome<Stream> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let open = self.place(name).and_then(|place| options.open(place));
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
