//! Reading files that people name, with a bound and with words that help.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::OFlags;

use crate::named::{Name, Named};

/// Longest configuration file in bytes: what a parser is given at most.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The text of a configuration file. `shown` is what the person called it.
///
/// # Errors
/// Where it is missing, no file, too long or not UTF-8.
pub fn read_config(path: &Path, shown: &str) -> anyhow::Result<String> {
    read_text(path, CONFIG_BYTES_MAX).with_context(|| format!("cannot read `{shown}`"))
}

/// The text of a file of at most `bytes_max` bytes.
///
/// # Errors
/// Where it is missing, no file, too long or not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    String::from_utf8(read_bytes(path, bytes_max)?).context("the file is not UTF-8 text")
}

/// The bytes of a file of at most `bytes_max` bytes.
///
/// # Errors
/// Where it is missing, no regular file, or too long.
pub fn read_bytes(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let file = open(path)?;
    refuse_longer(file.metadata()?.len(), bytes_max)?;
    let mut bytes = Vec::new();
    // It may have grown since.
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    refuse_longer(read as u64, bytes_max)?;
    Ok(bytes)
}

/// Opens a regular file. A stranger may have put anything into his folder, and may put another thing there at any time: a pipe
/// would block whoever opens it, and a device does what it does.
///
/// # Errors
/// Where it is missing, cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let special = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    // Looking first keeps what opening a device would do from happening where nobody interferes.
    if !std::fs::metadata(path)?.is_file() {
        return Err(special());
    }
    // Without `NONBLOCK`, opening a pipe would wait for whoever writes to it.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(special()) }
}

/// Whether something is there, be it a link that leads nowhere. What cannot be looked at is not taken for missing.
///
/// # Errors
/// Where nobody can tell.
pub fn is_there(path: &Path) -> anyhow::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot look for `{}`", path.display())),
    }
}

fn refuse_longer(bytes: u64, bytes_max: u64) -> Result<(), Named> {
    let why = || format!("it has {bytes} bytes, more than the {bytes_max} that are read");
    if bytes > bytes_max { Err(Name::RequestTooLarge.because(why())) } else { Ok(()) }
}
