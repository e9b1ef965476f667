//! Reading files that people name, with a bound and with words that help.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

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
    // A pipe or device could block for ever or never end, so look before opening. The path is the operator's own word.
    let metadata = std::fs::metadata(path)?;
    ensure!(metadata.is_file(), "it is not a regular file");
    refuse_longer(metadata.len(), bytes_max)?;
    let mut bytes = Vec::new();
    // It may have grown since.
    let read = File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    refuse_longer(read as u64, bytes_max)?;
    Ok(bytes)
}

fn refuse_longer(bytes: u64, bytes_max: u64) -> Result<(), Named> {
    let why = || format!("it has {bytes} bytes, more than the {bytes_max} that are read");
    if bytes > bytes_max { Err(Name::RequestTooLarge.because(why())) } else { Ok(()) }
}
