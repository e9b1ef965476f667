//! Trust in agent files: which digests the operator has accepted. Kept in the operator's own state folder, so that no
//! agent can ship its own trust.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use agent_core::digest::Digest;
use agent_core::units::UnixMillis;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::agent::Source;
use crate::bounded_lock;
use crate::clock;
use crate::input;

/// The version in which the file is written.
const VERSION: u32 = 1;
/// Longest trust file in bytes: some tens of thousands of agents.
const BYTES_MAX: u64 = 8 << 20;

/// The agent files that the operator trusts.
pub struct TrustStore {
    path: PathBuf,
    stored: Stored,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    trusted: Vec<Trusted>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trusted {
    path: PathBuf,
    digest: Digest,
    at: UnixMillis,
}

/// How an agent file stands with the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This very content was accepted.
    Trusted,
    /// Another content of the same file was accepted.
    Changed,
    /// It was never accepted.
    Unknown,
}

impl TrustStore {
    /// Reads the file; no file is no trust.
    ///
    /// # Errors
    /// Where it cannot be read or is from a newer version.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let empty = Stored { version: VERSION, trusted: Vec::new() };
        let stored = if input::is_there(path)? { read(path)? } else { empty };
        Ok(Self { path: path.to_owned(), stored })
    }

    /// How many files are trusted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.trusted.len()
    }

    /// How the agent file stands.
    #[must_use]
    pub fn standing(&self, source: &Source) -> Standing {
        let mut of_file = self.stored.trusted.iter().filter(|trusted| trusted.path == source.path).peekable();
        if of_file.peek().is_none() {
            return Standing::Unknown;
        }
        if of_file.any(|trusted| trusted.digest == source.digest) { Standing::Trusted } else { Standing::Changed }
    }

    /// Accepts the content of an agent file, in place of what was accepted of it before.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn accept(&mut self, source: &Source) -> anyhow::Result<()> {
        // Another agent-host may have added to the file since it was read.
        let _lock = lock(&self.path)?;
        if input::is_there(&self.path)? {
            self.stored = read(&self.path)?;
        }
        // What is gone is trusted no more; without this the file would only grow, until it could not be read.
        let is_gone = |path: &Path| matches!(input::is_there(path), Ok(false));
        self.stored.trusted.retain(|trusted| trusted.path != source.path && !is_gone(&trusted.path));
        let trusted = Trusted { path: source.path.clone(), digest: source.digest, at: clock::now() };
        self.stored.trusted.push(trusted);
        let text = serde_json::to_string_pretty(&self.stored).context("the path is not UTF-8, so trust in it cannot be written down\n  hint: move it to a folder whose path is, or say `--yes` or `run once`")?;
        write_private(&self.path, text.as_bytes())
    }
}

/// Holds off other processes until it is dropped.
fn lock(path: &Path) -> anyhow::Result<fs::File> {
    let beside = path.with_extension("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&beside);
    let file = file.with_context(|| format!("cannot open `{}`", beside.display()))?;
    bounded_lock::lock(&file).with_context(|| format!("cannot lock `{}`", beside.display()))?;
    Ok(file)
}

fn read(path: &Path) -> anyhow::Result<Stored> {
    let shown = path.display();
    let text = input::read_text(path, BYTES_MAX)
        .with_context(|| format!("cannot read `{shown}`: move it away to begin without trust"))?;
    let stored: Stored = serde_json::from_str(&text)
        .with_context(|| format!("cannot understand `{shown}`: move it away to begin without trust"))?;
    ensure!(stored.version <= VERSION, "`{shown}` was written by a newer agent-host: use that one");
    Ok(stored)
}

/// Replaces a file of mode 0600 whole, so that a crash leaves the old or the new one.
///
/// # Errors
/// Where it cannot be written.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let shown = path.display();
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("cannot write `{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_must_be_trusted_again() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("trust.json");
        let file = folder.path().join("agent.toml");
        fs::write(&file, "")?;
        let source = |text: &[u8]| Source { path: file.clone(), digest: Digest::of(text) };
        let mut store = TrustStore::open(&path)?;
        assert_eq!(store.standing(&source(b"1")), Standing::Unknown);
        store.accept(&source(b"1"))?;
        let store = TrustStore::open(&path)?;
        assert_eq!(store.standing(&source(b"1")), Standing::Trusted);
        assert_eq!(store.standing(&source(b"2")), Standing::Changed);
        fs::remove_file(&file)?;
        let other = Source { path: path.clone(), digest: Digest::of(b"other") };
        TrustStore::open(&path)?.accept(&other)?;
        assert_eq!(TrustStore::open(&path)?.len(), 1, "what is gone is trusted no more");
        Ok(())
    }
}
