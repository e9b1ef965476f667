//! A run as one file that needs nothing else: `agent-host journal export` writes it, `import` and `verify --file` read it. JSON
//! lines: a head, the events with their hashes and marks, the blobs that they name, and a last line with the digest of all
//! before. Nothing in it is compressed, so it is never larger inside than outside. `docs/journal.md` describes it.
//!
//! What is read comes from a stranger. Each bound is checked before what it bounds is used, and nothing is believed that a
//! digest can show.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read as _, Write};

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::units::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::BLOB_BYTES_MAX;
use super::allowance::{EVENT_BYTES_MAX, EVENTS_MAX};
use super::chain::{Body, NO_HASH, Stored};
use super::error::JournalError;

/// The form below.
const VERSION: u32 = 1;

/// The longest line: the largest blob in base64, and the names around it.
const LINE_BYTES_MAX: u64 = (BLOB_BYTES_MAX as u64).div_ceil(3) * 4 + 4096;

/// The longest name of a kind.
const KIND_BYTES_MAX: usize = 64;

/// The largest file. Its largest parts, the components of a run, are a few megabytes each.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// Blobs of one run at most: one or two for each write of a call.
const BLOBS_MAX: u64 = 1_000_000;

/// Why an exported run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// The file could not be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// It does not begin like one.
    #[error("the file is not an exported run\n  hint: `agent-host journal export RUN FILE` writes one")]
    NotExport,
    /// It has a form that this program does not know.
    #[error(
        "the exported run has format {0}, this agent-host knows formats up to {VERSION}\n  hint: use the newer agent-host that wrote it"
    )]
    Newer(u32),
    /// It ends too early.
    #[error("the exported run was cut short at line {0}\n  hint: copy the file again from where it came")]
    Cut(u64),
    /// A line is not what it should be.
    #[error(
        "line {line} of the exported run {why}\n  hint: the file was damaged or made by hand; copy it again from where it came"
    )]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A bound of what is read.
    #[error("the exported run has {0}")]
    TooMuch(String),
    /// What a line holds could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What is done with each blob of an exported run.
pub type Keep<'a> = dyn FnMut(&Digest, Vec<u8>) -> Result<(), JournalError> + 'a;

/// An exported run, with its blobs already handed on.
pub struct Portable {
    /// The run.
    pub run: RunId,
    /// Its events, unchecked but for their form.
    pub events: Vec<Stored>,
    /// The blobs that came with it: the bytes of each had its digest.
    pub blobs: BTreeSet<Digest>,
    /// The digest of the file.
    pub file: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "agent-host-export")]
    version: u32,
    run: RunId,
    events: u64,
    blobs: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    seq: u64,
    epoch: u64,
    at: UnixMillis,
    kind: String,
    version: u32,
    body: String,
    hash: Digest,
    mac: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobLine {
    blob: Digest,
    base64: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: Digest,
}

/// What an export is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// So many events: the first ones of the run, which may go on meanwhile.
    pub events: u64,
    /// What their kinds and bodies take.
    pub bytes: u64,
    /// The blobs that they name.
    pub blobs: BTreeSet<Digest>,
}

/// Takes the next event to be written.
pub type Put<'p> = dyn FnMut(&Stored) -> anyhow::Result<()> + 'p;

/// Writes a run. `events` hands its events over, one by one; `blob` gives the bytes of each blob.
///
/// # Errors
/// Where an event or blob is not there, [`read`] would refuse so much, or `out` cannot be written.
pub fn write(
    run: &RunId,
    extent: &Extent,
    events: impl FnOnce(&mut Put<'_>) -> anyhow::Result<()>,
    mut blob: impl FnMut(&Digest) -> anyhow::Result<Vec<u8>>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Extent { events: count, bytes, blobs } = extent;
    check_counts(*count, blobs.len() as u64)?;
    if *bytes > EVENT_BYTES_MAX {
        return Err(too_many_bytes().into());
    }
    let mut lines = Lines { out, hasher: Sha256::new(), bytes: 0 };
    lines.put(&Head { version: VERSION, run: run.clone(), events: *count, blobs: blobs.len() as u64 })?;
    let mut written = 0;
    events(&mut |stored| {
        written += 1;
        lines.put(&event_line(stored))
    })?;
    anyhow::ensure!(written == *count, "the run has {written} events and had {count}: it was changed meanwhile");
    for digest in blobs {
        lines.put(&BlobLine { blob: *digest, base64: BASE64.encode(blob(digest)?) })?;
    }
    let end = Digest::from_bytes(lines.hasher.clone().finalize().into());
    lines.put(&EndLine { end })?;
    Ok(lines.out.flush()?)
}

/// Whether [`read`] takes so much: an export that nobody can import is no backup.
fn check_counts(events: u64, blobs: u64) -> Result<(), PortableError> {
    for (count, max, what) in [(events, EVENTS_MAX, "events"), (blobs, BLOBS_MAX, "blobs")] {
        if count > max {
            return Err(PortableError::TooMuch(format!("{count} {what}, more than the {max} that are read")));
        }
    }
    Ok(())
}

fn too_many_bytes() -> PortableError {
    PortableError::TooMuch(format!("events of more than {EVENT_BYTES_MAX} bytes"))
}

/// Reads a run, and hands each blob to `keep`.
///
/// # Errors
/// Where it is no exported run, is damaged or too large, or a blob was not kept.
pub fn read(input: &mut dyn BufRead, keep: &mut Keep<'_>) -> Result<Portable, PortableError> {
    let mut source = Source { input, line: 0, hasher: Sha256::new() };
    let head = read_head(&mut source)?;
    let events = read_events(&mut source, &head)?;
    let mut blobs = BTreeSet::new();
    for _ in 0..head.blobs {
        let BlobLine { blob, base64 } = source.next()?;
        let bytes = BASE64.decode(base64).map_err(|_| source.wrong("is not base64"))?;
        if Digest::of(&bytes) != blob {
            return Err(source.wrong("holds bytes that do not have their digest"));
        }
        if !blobs.insert(blob) {
            return Err(source.wrong("repeats a blob"));
        }
        keep(&blob, bytes)?;
    }
    let before = Digest::from_bytes(source.hasher.clone().finalize().into());
    let EndLine { end } = source.next()?;
    if end != before {
        return Err(source.wrong("does not have the digest of the lines before it"));
    }
    source.nothing_more()?;
    let file = Digest::from_bytes(source.hasher.finalize().into());
    Ok(Portable { run: head.run, events, blobs, file })
}

fn read_head(source: &mut Source<'_>) -> Result<Head, PortableError> {
    let line = source.line(4096)?;
    let value: serde_json::Value = serde_json::from_slice(&line).map_err(|_| PortableError::NotExport)?;
    let version = value.get("agent-host-export").and_then(serde_json::Value::as_u64).ok_or(PortableError::NotExport)?;
    if version != u64::from(VERSION) {
        return Err(PortableError::Newer(u32::try_from(version).unwrap_or(u32::MAX)));
    }
    let head: Head = serde_json::from_slice(&line).map_err(|error| source.wrong(&error.to_string()))?;
    check_counts(head.events, head.blobs)?;
    Ok(head)
}

fn read_events(source: &mut Source<'_>, head: &Head) -> Result<Vec<Stored>, PortableError> {
    let mut events = Vec::new();
    let mut prev_hash = Digest::from_bytes(NO_HASH);
    let mut bytes = 0_u64;
    for _ in 0..head.events {
        let line: EventLine = source.next()?;
        if line.kind.len() > KIND_BYTES_MAX {
            return Err(source.wrong("has a kind that is none"));
        }
        bytes = bytes.saturating_add((line.kind.len() + line.body.len()) as u64);
        if bytes > EVENT_BYTES_MAX {
            return Err(too_many_bytes());
        }
        let mark = line.mac.map(|mac| mark(&mac).ok_or_else(|| source.wrong("has a mark that is none"))).transpose()?;
        let digest = Digest::of(line.body.as_bytes());
        let EventLine { seq, epoch, at, kind, version, body, hash, .. } = line;
        let body = Body::Text { text: body, digest };
        events.push(Stored { seq, epoch, at, kind, version, body, prev_hash, hash, mark });
        prev_hash = hash;
    }
    Ok(events)
}

fn mark(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hexadecimal, &mut bytes).ok().map(|()| bytes)
}

fn event_line(stored: &Stored) -> EventLine {
    let text = match &stored.body {
        Body::Text { text, .. } => text.clone(),
        Body::Missing | Body::Changed => unreachable!("an intact event has its body"),
    };
    EventLine {
        seq: stored.seq,
        epoch: stored.epoch,
        at: stored.at,
        kind: stored.kind.clone(),
        version: stored.version,
        body: text,
        hash: stored.hash,
        mac: stored.mark.map(hex::encode),
    }
}

/// What is written, and the digest of it.
struct Lines<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
    bytes: u64,
}

impl Extent {
    /// Takes the next event into it.
    ///
    /// # Errors
    /// Where the event is none.
    pub fn take(&mut self, run: &RunId, stored: &Stored) -> Result<(), JournalError> {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(stored.bytes());
        let event = |source| JournalError::Event { run: run.clone(), seq: stored.seq, source };
        self.blobs.extend(stored.to_recorded(run).map_err(event)?.event.kept());
        Ok(())
    }
}

impl Lines<'_> {
    fn put(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let bytes = text.len() as u64;
        self.bytes = self.bytes.saturating_add(bytes);
        if bytes > LINE_BYTES_MAX || self.bytes > FILE_BYTES_MAX {
            let what = format!("a line of {bytes} bytes and {} so far, more than is read", self.bytes);
            return Err(PortableError::TooMuch(what).into());
        }
        self.hasher.update(&text);
        Ok(self.out.write_all(&text)?)
    }
}

/// What is read, line by line, and the digest of it.
struct Source<'a> {
    input: &'a mut dyn BufRead,
    /// The number of the last line.
    line: u64,
    hasher: Sha256,
}

impl Source<'_> {
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, PortableError> {
        let line = self.line(LINE_BYTES_MAX)?;
        serde_json::from_slice(&line).map_err(|error| self.wrong(&format!("cannot be understood: {error}")))
    }

    /// The next line, with its end.
    fn line(&mut self, bytes_max: u64) -> Result<Vec<u8>, PortableError> {
        self.line += 1;
        let mut line = Vec::new();
        (&mut *self.input).take(bytes_max).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            let too_long = line.len() as u64 >= bytes_max;
            return Err(match self.line {
                1 => PortableError::NotExport,
                _ if too_long => self.wrong("is longer than any honest one"),
                line => PortableError::Cut(line),
            });
        }
        self.hasher.update(&line);
        Ok(line)
    }

    fn nothing_more(&mut self) -> Result<(), PortableError> {
        if self.input.fill_buf()?.is_empty() { Ok(()) } else { Err(self.wrong("is followed by more")) }
    }

    fn wrong(&self, why: &str) -> PortableError {
        PortableError::Line { line: self.line, why: why.to_owned() }
    }
}
