//! The file of the journal on the simulated disk: one record after the other, each a set of changes that belong together.
//!
//! A record carries a checksum over itself and over the checksum of the one before, so that only a beginning of what was written
//! is ever read: not what stood there before, nor what was written after something that was lost. It also says how far the
//! file was synced when it was written. What does not read before that point was lost by the disk; what does not read after it
//! is where the power went.

use std::path::PathBuf;

use agent_core::digest::Digest;
use agent_core::units::UnixMillis;

use super::disk::{Disk, DiskError};
use crate::journal::book::{Change, Entry};
use crate::journal::chain::{Body, Stored};
use crate::journal::error::JournalError;
use crate::journal::lease::Holder;

const HEADER: &[u8; 16] = b"agent-host sim 1";
const MAGIC: &[u8; 4] = b"ahjr";
/// Magic, length, how far was synced, the checksum before.
const PREFIX: usize = 4 + 4 + 8 + SUM;
const SUM: usize = 16;

/// The end of what was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    end: usize,
    synced: usize,
    sum: [u8; SUM],
}

/// What was found on a disk.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) changes: Vec<Change>,
    pub(super) written: Written,
}

impl Written {
    /// Writes a record. Where that fails for want of room, the next one takes its place.
    pub(super) fn append(&mut self, disk: &mut Disk, changes: &[Change]) -> Result<(), DiskError> {
        let record = self.record(changes);
        write_all(disk, self.end, &record)?;
        self.end += record.len();
        self.sum = sum_of(&record[..record.len() - SUM]);
        Ok(())
    }

    /// Makes everything written so far survive a power cut.
    pub(super) fn sync(&mut self, disk: &mut Disk) -> Result<(), DiskError> {
        disk.sync()?;
        self.synced = self.end;
        Ok(())
    }

    fn record(&self, changes: &[Change]) -> Vec<u8> {
        let mut writer = Writer(Vec::with_capacity(1024));
        changes.iter().for_each(|change| writer.change(change));
        let content = writer.0;
        let mut record = Vec::with_capacity(PREFIX + content.len() + SUM);
        record.extend(MAGIC);
        record.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend((self.synced as u64).to_le_bytes());
        record.extend(self.sum);
        record.extend(content);
        record.extend(sum_of(&record));
        record
    }
}

/// Reads the changes on the disk, and cuts off what the power cut left behind them.
pub(super) fn recover(disk: &mut Disk) -> Result<Found, JournalError> {
    let io = |error: DiskError| JournalError::Io { path: place(), source: std::io::Error::other(format!("{error:?}")) };
    let bytes = disk.read().to_vec();
    if bytes.len() <= HEADER.len() {
        // Nothing was ever recorded: the header is synced before the first record is written.
        write_all(disk, 0, HEADER).map_err(io)?;
        disk.sync().map_err(io)?;
        return Ok(Found { changes: Vec::new(), written: Written::begin() });
    }
    if bytes[..HEADER.len()] != *HEADER {
        return Err(corrupt("it does not begin like a journal".to_owned()));
    }
    let (changes, mut written) = read(&bytes)?;
    let torn = written.end;
    if (torn + 1..bytes.len()).filter_map(|at| valid(&bytes, at)).any(|later| later.synced > torn) {
        return Err(corrupt(format!("what was synced does not read at byte {torn}")));
    }
    if torn < bytes.len() {
        disk.set_length(torn).map_err(io)?;
    }
    // Written once more: what is read may be what a failed sync was for, which no later sync makes up for.
    write_all(disk, written.synced, &bytes[written.synced..torn]).map_err(io)?;
    written.sync(disk).map_err(io)?;
    Ok(Found { changes, written })
}

impl Written {
    fn begin() -> Self {
        Self { end: HEADER.len(), synced: HEADER.len(), sum: [0; SUM] }
    }
}

/// All records from the first on that follow each other.
fn read(bytes: &[u8]) -> Result<(Vec<Change>, Written), JournalError> {
    let (mut changes, mut written) = (Vec::new(), Written::begin());
    while let Some(record) = valid(bytes, written.end).filter(|record| record.before == written.sum) {
        let mut reader = Reader(record.content);
        while !reader.0.is_empty() {
            let made = reader.change().ok_or_else(|| corrupt(format!("no change at byte {}", written.end)))?;
            changes.push(made);
        }
        written = Written { end: record.end, synced: record.synced, sum: record.sum };
    }
    Ok((changes, written))
}

struct Record<'a> {
    synced: usize,
    before: [u8; SUM],
    content: &'a [u8],
    sum: [u8; SUM],
    end: usize,
}

/// The record at `at`, if its checksum is right.
fn valid(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let prefix = bytes.get(at..at + PREFIX)?;
    if prefix[..4] != *MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(prefix[4..8].try_into().ok()?) as usize;
    let content_end = (at + PREFIX).checked_add(length)?;
    let sum: [u8; SUM] = bytes.get(content_end..content_end.checked_add(SUM)?)?.try_into().ok()?;
    if sum != sum_of(&bytes[at..content_end]) {
        return None;
    }
    Some(Record {
        synced: usize::try_from(u64::from_le_bytes(prefix[8..16].try_into().ok()?)).ok()?,
        before: prefix[16..].try_into().ok()?,
        content: &bytes[at + PREFIX..content_end],
        sum,
        end: content_end + SUM,
    })
}

fn sum_of(bytes: &[u8]) -> [u8; SUM] {
    let mut sum = [0; SUM];
    sum.copy_from_slice(&Digest::of(bytes).as_bytes()[..SUM]);
    sum
}

/// A disk may write less than it is asked for.
fn write_all(disk: &mut Disk, mut at: usize, mut bytes: &[u8]) -> Result<(), DiskError> {
    while !bytes.is_empty() {
        let written = disk.write(at, bytes)?;
        (at, bytes) = (at + written, &bytes[written..]);
    }
    Ok(())
}

fn corrupt(what: String) -> JournalError {
    JournalError::StoreCorrupt { path: place(), what }
}

fn place() -> PathBuf {
    PathBuf::from("simulated disk")
}

/// Changes as bytes: a letter for the kind, numbers little end first, everything else with its length before it.
struct Writer(Vec<u8>);

impl Writer {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Begin { run, holder, first } => {
                self.kind(b'b').bytes(run.as_str().as_bytes()).holder(holder).event(first);
            }
            Change::Append { run, next } => {
                self.kind(b'a').bytes(run.as_str().as_bytes()).event(next);
            }
            Change::Claim { run, epoch, holder } => {
                self.kind(b'c').bytes(run.as_str().as_bytes()).number(*epoch).holder(holder);
            }
            Change::Release { run } => {
                self.kind(b'r').bytes(run.as_str().as_bytes());
            }
            Change::Keep { bytes } => {
                self.kind(b'k').bytes(bytes);
            }
            Change::Put { place, entry } => {
                self.kind(b'p').place(place).bytes(&entry.value).bytes(&entry.mark);
            }
            Change::Remove { place } => {
                self.kind(b'd').place(place);
            }
        }
    }

    fn kind(&mut self, kind: u8) -> &mut Self {
        self.0.push(kind);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn place(&mut self, place: &[String; 3]) -> &mut Self {
        for part in place {
            self.bytes(part.as_bytes());
        }
        self
    }

    fn holder(&mut self, holder: &Holder) -> &mut Self {
        let (pid, started, place) = holder.to_columns();
        self.number(u64::from(pid)).number(started.cast_unsigned()).bytes(place.as_bytes())
    }

    fn event(&mut self, event: &Stored) -> &mut Self {
        let Body::Text { text, .. } = &event.body else { unreachable!("an event to be written has its body") };
        self.number(event.seq).number(event.epoch).number(event.at.0).bytes(event.kind.as_bytes());
        self.number(u64::from(event.version)).bytes(text.as_bytes());
        self.bytes(event.prev_hash.as_bytes()).bytes(event.hash.as_bytes());
        self.bytes(event.mark.as_ref().map_or(&[][..], |mark| &mark[..]))
    }
}

/// The reverse. `None` where the bytes are no change.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn change(&mut self) -> Option<Change> {
        Some(match self.take(1)?[0] {
            b'b' => Change::Begin { run: self.text()?.parse().ok()?, holder: self.holder()?, first: self.event()? },
            b'a' => Change::Append { run: self.text()?.parse().ok()?, next: self.event()? },
            b'c' => Change::Claim { run: self.text()?.parse().ok()?, epoch: self.number()?, holder: self.holder()? },
            b'r' => Change::Release { run: self.text()?.parse().ok()? },
            b'k' => Change::Keep { bytes: self.bytes()?.to_vec() },
            b'p' => {
                let (place, value, mark) = (self.place()?, self.bytes()?.to_vec(), self.array()?);
                Change::Put { place, entry: Entry { value, mark } }
            }
            b'd' => Change::Remove { place: self.place()? },
            _ => return None,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.take(count)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes()?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn place(&mut self) -> Option<[String; 3]> {
        Some([self.text()?.to_owned(), self.text()?.to_owned(), self.text()?.to_owned()])
    }

    fn holder(&mut self) -> Option<Holder> {
        let (pid, started) = (u32::try_from(self.number()?).ok()?, self.number()?.cast_signed());
        Some(Holder::from_columns(pid, started, self.text()?))
    }

    fn event(&mut self) -> Option<Stored> {
        let (seq, epoch, at) = (self.number()?, self.number()?, UnixMillis(self.number()?));
        let (kind, version) = (self.text()?.to_owned(), u32::try_from(self.number()?).ok()?);
        let text = self.text()?.to_owned();
        let (prev_hash, hash) = (Digest::from_bytes(self.array()?), Digest::from_bytes(self.array()?));
        let mark = self.bytes()?.try_into().ok();
        let digest = Digest::of(text.as_bytes());
        Some(Stored { seq, epoch, at, kind, version, body: Body::Text { text, digest }, prev_hash, hash, mark })
    }
}
