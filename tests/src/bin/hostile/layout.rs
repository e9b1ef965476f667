//! The world of a case before the attack: what every case has, and what its `[[layout]]` adds. Paths are relative to the
//! working folder.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde::Deserialize;

use crate::names::Names;

/// What every case finds: a folder to write in, one to read, and beside them what no grant covers.
const ALWAYS: [(&str, &str); 5] = [
    ("scratch/mine.txt", "mine"),
    ("data/file.txt", "granted"),
    ("data/x/y.txt", "granted too"),
    ("secret.txt", "TOP SECRET"),
    ("../outside/tree/leaf.txt", "TOP SECRET TOO"),
];

/// One thing to lay out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    path: String,
    #[serde(default)]
    kind: Kind,
    /// The content of a file.
    #[serde(default)]
    text: String,
    /// The content of a file, by pieces, each with how often it comes.
    #[serde(default)]
    pieces: Vec<(String, usize)>,
    /// What a link points at: a symbolic link as given, a hard link below the working folder.
    #[serde(default)]
    to: String,
    /// The length of a sparse file.
    #[serde(default)]
    bytes: u64,
    /// The numbers of a device.
    #[serde(default)]
    device: (u32, u32),
    /// Permission bits.
    mode: Option<u32>,
    /// As many of it; `#` in the path is the number.
    #[serde(default = "one")]
    count: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    File,
    Dir,
    Symlink,
    Hardlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
    Sparse,
}

fn one() -> u64 {
    1
}

/// Makes it all, in the order given.
pub(crate) fn lay_out(work: &Path, entries: &[Entry], names: &Names) -> Result<(), String> {
    for (path, text) in ALWAYS {
        make(work, &work.join(path), path, |path| fs::write(path, text))?;
    }
    for entry in entries {
        for number in 0..entry.count {
            let shown = entry.path.replace('#', &number.to_string());
            let path = work.join(&shown);
            make(work, &path, &shown, |path| entry.make(work, path, names))?;
            if let Some(mode) = entry.mode {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

fn make(work: &Path, path: &Path, shown: &str, making: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), String> {
    let parent = path.parent().unwrap_or(work);
    fs::create_dir_all(parent).and_then(|()| making(path)).map_err(|error| format!("cannot lay out `{shown}`: {error}"))
}

impl Entry {
    fn make(&self, work: &Path, path: &Path, names: &Names) -> io::Result<()> {
        let node = |kind, (major, minor): (u32, u32)| {
            mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), makedev(major, minor)).map_err(io::Error::from)
        };
        match self.kind {
            Kind::File => {
                let pieces: String = self.pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
                fs::write(path, names.fill(&format!("{}{pieces}", self.text)))
            }
            Kind::Dir => fs::create_dir_all(path),
            Kind::Symlink => symlink(names.fill(&self.to), path),
            Kind::Hardlink => fs::hard_link(work.join(&self.to), path),
            Kind::Fifo => node(FileType::Fifo, (0, 0)),
            // The file stays when the listener goes.
            Kind::Socket => UnixListener::bind(path).map(drop),
            Kind::CharDevice => node(FileType::CharacterDevice, self.device),
            Kind::BlockDevice => node(FileType::BlockDevice, self.device),
            Kind::Sparse => fs::File::create(path)?.set_len(self.bytes),
        }
    }
}
