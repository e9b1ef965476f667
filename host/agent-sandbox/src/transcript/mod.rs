//! The host-call transcript: every answer the host gave a guest during one call, in order, in the guest's granularity. What
//! a replay feeds back. Kept in bounded memory; made durable with the first keyed or opaque intent.
//!
//! `state` writes it (one place: `CallState::answer`), `encode` says how values become bytes and `decode` how they come back,
//! `entries` holds them, `operation` numbers the host functions. `replay` follows one.

mod decode;
mod encode;
mod entries;
mod operation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::digest::Digest;

use bytes::Bytes;

pub(crate) use decode::{Decode, Recall, decode_all};
pub(crate) use encode::{Blob, Encode, put_blob, put_number};
use entries::Entries;
pub(crate) use operation::Operation;

use crate::layer::{self, Layer};

/// Longest transcript kept of one call. A call that reads more than this can still run; it can then not be resumed in its
/// middle, only be run again from the start.
pub(crate) const TRANSCRIPT_BYTES_MAX: usize = 16 << 20;

/// Longest request stored as it is; a longer one is stored as its digest, since a replay only compares requests.
const REQUEST_BYTES_PLAIN_MAX: usize = 64;

/// Room for requests that stays between two of them. What a guest hands over at once can be a thousand times as much.
const WORK_BYTES_KEPT: usize = 4 << 10;

/// What the encoded form begins with: four letters and a version. A newer version is refused.
const MAGIC: [u8; 4] = *b"AHTR";
const VERSION: u8 = 1;

/// Most bytes of the number that ends an entry.
const EFFECTS_BYTES_MAX: usize = 5;

/// The answers of one call.
///
/// Encoded: `AHTR`, the version, one byte that is 1 if the transcript is complete, then the entries one after the other. An
/// entry is the operation (two bytes, little-endian), the request and the answer, each preceded by its length (LEB128), and the
/// number of the call's last effect once this was answered (LEB128).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    entries: Entries,
    count: u64,
    complete: bool,
}

/// The answers since those that the journal has already, encoded for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TranscriptSnapshot {
    bytes: Vec<u8>,
}

/// One answer, as read back from a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The number of the host function; stable.
    pub(crate) operation: u16,
    /// What was asked: the encoded arguments, or `sha256:` and their digest's 32 bytes where they are long.
    pub(crate) request: &'a [u8],
    /// What was answered, encoded.
    pub(crate) answer: &'a [u8],
    /// The number of the call's last effect by then.
    pub(crate) effects: u32,
}

/// Why bytes are not a transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTranscript {
    /// The bytes do not begin as a transcript does.
    #[error("not a host-call transcript")]
    Magic,
    /// A later host wrote them.
    #[error("the transcript has version {0}, this host reads version {VERSION}")]
    Version(u8),
    /// An entry is cut off.
    #[error("the transcript is cut off in entry {0}")]
    CutOff(u64),
}

impl Default for Transcript {
    fn default() -> Self {
        Self { entries: Entries::default(), count: 0, complete: true }
    }
}

impl Transcript {
    /// Whether every answer is in it. If not, a replay ends where it does.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The number of answers in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether the guest asked nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The transcript of which these are the parts, in order: each what was added since the one before.
    #[must_use]
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.complete &= part.complete;
            whole.count += part.count;
            part.entries.parts().for_each(|bytes| whole.entries.end().extend_from_slice(bytes));
        }
        whole
    }

    /// The versioned byte form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() + 6);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, u8::from(self.complete)]);
        self.entries.parts().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// If the bytes are something else, come from a later version, or are cut off.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidTranscript> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(InvalidTranscript::Magic)?;
        let [version, complete, entries @ ..] = rest else {
            return Err(InvalidTranscript::Magic);
        };
        if *version != VERSION {
            return Err(InvalidTranscript::Version(*version));
        }
        let count = read_entries(entries)?.len() as u64;
        Ok(Self { entries: entries.to_vec().into(), count, complete: *complete == 1 })
    }

    /// The answers, encoded, which [`read_entries`] reads.
    pub(crate) fn into_entries(self) -> Bytes {
        self.entries.whole()
    }

    /// Adds an entry, or marks the transcript incomplete if it would grow too long. Says how long the answer is: what is written
    /// and what is shared. It is written where it stays: made elsewhere first, a long one would be in memory once more.
    fn push(
        &mut self,
        (operation, asked): (u16, &[u8]),
        effects: u32,
        (write, shared): (impl FnOnce(&mut Vec<u8>), Bytes),
    ) -> usize {
        let entries = self.entries.end();
        let begin = entries.len();
        entries.extend(operation.to_le_bytes());
        put_blob(asked, entries);
        let answer = entries.len();
        write(entries);
        let written = entries.len() - answer;
        let length = written + shared.len();
        // Its length goes before it, and is known only now.
        put_number(length as u64, entries);
        let before = entries.len() - answer - written;
        entries[answer..].rotate_right(before);
        if self.complete && self.entries.len() + shared.len() + EFFECTS_BYTES_MAX <= TRANSCRIPT_BYTES_MAX {
            self.count += 1;
            self.entries.share(shared);
            effects.encode(self.entries.end());
        } else {
            self.complete = false;
            let entries = self.entries.end();
            entries.truncate(begin);
            entries.shrink_to(TRANSCRIPT_BYTES_MAX);
        }
        length
    }
}

impl TranscriptSnapshot {
    /// No answers, and marked as incomplete: for a call that is not to be continued from here.
    pub(crate) fn none() -> Self {
        Self { bytes: Transcript { complete: false, ..Transcript::default() }.to_bytes() }
    }

    /// The versioned byte form, for the journal.
    #[must_use]
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads it back.
    ///
    /// # Errors
    /// As [`Transcript::from_bytes`].
    pub fn transcript(&self) -> Result<Transcript, InvalidTranscript> {
        Transcript::from_bytes(&self.bytes)
    }
}

/// Writes a call's transcript. Host functions run one after the other, so at most one entry is being made.
#[derive(Default)]
pub(crate) struct Recorder {
    shared: SharedTranscript,
    operation: u16,
    /// What is asked, as it is stored.
    asked: Vec<u8>,
    /// What is asked, whole.
    work: Vec<u8>,
    handles: Handles,
}

/// The transcript as the tasks see it that send requests while the guest goes on.
#[derive(Clone, Default)]
pub(crate) struct SharedTranscript(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    transcript: Transcript,
    /// The journal has the entries before this place, of which these are so many.
    kept: Place,
}

/// A place between two entries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    byte: usize,
    count: u64,
}

impl SharedTranscript {
    /// Every answer given that the journal has not, and how far it then has them.
    pub(crate) fn news(&self) -> (TranscriptSnapshot, Place) {
        let shared = self.lock();
        let Shared { transcript, kept } = &*shared;
        let here = Place { byte: transcript.entries.len().max(kept.byte), count: transcript.count.max(kept.count) };
        let news = Transcript {
            // A call that is replayed has not come to what the journal has of it.
            entries: transcript.entries.since(kept.byte).into(),
            count: here.count - kept.count,
            complete: transcript.complete,
        };
        (TranscriptSnapshot { bytes: news.to_bytes() }, here)
    }

    /// The journal has the entries before `place`.
    pub(crate) fn kept(&self, place: Place) {
        self.lock().kept = place;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// The recorder of a call that is replayed along a transcript, which the journal has.
    pub(crate) fn along(transcript: &Transcript) -> Self {
        let recorder = Self::default();
        recorder.shared.kept(Place { byte: transcript.entries.len(), count: transcript.count });
        recorder
    }

    /// The transcript, to be read while the guest goes on.
    pub(crate) fn shared(&self) -> SharedTranscript {
        self.shared.clone()
    }

    /// Begins an entry and says how long the request is. An entry that was begun and never ended (the call was stopped in
    /// between) is forgotten.
    pub(crate) fn ask(&mut self, operation: Operation, handles: &[u32], request: &dyn Encode) -> usize {
        if layer::is_off(Layer::Transcript) {
            return 0;
        }
        self.operation = operation as u16;
        self.work.clear();
        for handle in handles {
            self.handles.name(*handle).encode(&mut self.work);
        }
        request.encode(&mut self.work);
        self.asked.clear();
        if self.work.len() <= REQUEST_BYTES_PLAIN_MAX {
            self.asked.extend(&self.work);
        } else {
            self.asked.extend(b"sha256:");
            self.asked.extend(Digest::of(&self.work).as_bytes());
        }
        let length = self.work.len();
        self.work.truncate(WORK_BYTES_KEPT);
        self.work.shrink_to(WORK_BYTES_KEPT);
        length
    }

    /// What was asked, as it is stored.
    pub(crate) fn asked(&self) -> (u16, &[u8]) {
        (self.operation, &self.asked)
    }

    /// Ends the entry with its answer and says how long the answer is.
    pub(crate) fn answer(&mut self, effects: u32, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        self.answer_sharing(effects, Bytes::new(), write)
    }

    /// As [`Recorder::answer`], for an answer that ends with bytes which somebody else holds too.
    pub(crate) fn answer_sharing(&mut self, effects: u32, shared: Bytes, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if layer::is_off(Layer::Transcript) {
            return 0;
        }
        self.shared.lock().transcript.push((self.operation, &self.asked), effects, (write, shared))
    }

    /// The guest gave a handle back: its number in the table may be used again, its name is not.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.handles.forget(handle);
    }

    /// The transcript at the call's end.
    pub(crate) fn finish(self) -> Transcript {
        std::mem::take(&mut self.shared.lock().transcript)
    }
}

/// Names of handles within a transcript: numbered in the order in which the guest first uses them, since the numbers in
/// wasmtime's resource table are not the same when a call is replayed.
#[derive(Default)]
struct Handles {
    names: Vec<u32>,
    last: u32,
}

impl Handles {
    fn name(&mut self, handle: u32) -> u32 {
        let index = handle as usize;
        if self.names.len() <= index {
            self.names.resize(index + 1, 0);
        }
        if self.names[index] == 0 {
            self.last += 1;
            self.names[index] = self.last;
        }
        self.names[index]
    }

    fn forget(&mut self, handle: u32) {
        if let Some(name) = self.names.get_mut(handle as usize) {
            *name = 0;
        }
    }
}

/// The entries that stand in `bytes`, in order.
pub(crate) fn read_entries(mut bytes: &[u8]) -> Result<Vec<Entry<'_>>, InvalidTranscript> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let entry = read_entry(&mut bytes).ok_or(InvalidTranscript::CutOff(entries.len() as u64 + 1))?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Takes an entry from the front of `bytes`.
pub(crate) fn read_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (operation, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    let request = encode::take_blob(bytes)?;
    let answer = encode::take_blob(bytes)?;
    let effects = u32::decode(bytes)?;
    Some(Entry { operation: u16::from_le_bytes(*operation), request, answer, effects })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(answers: &[(&[u8], &[u8])]) -> Transcript {
        let mut recorder = Recorder::default();
        for (request, answer) in answers {
            recorder.ask(Operation::StreamRead, &[7], &Blob(request));
            recorder.answer(0, |out| put_blob(answer, out));
        }
        recorder.finish()
    }

    #[test]
    fn a_transcript_reads_back() {
        let transcript = recorded(&[(b"a", b"one"), (&[9; 200], b"two")]);
        assert_eq!(Transcript::from_bytes(&transcript.to_bytes()), Ok(transcript.clone()));
        let bytes = transcript.into_entries();
        let entries = read_entries(&bytes).unwrap_or_default();
        assert_eq!((entries[0].request, entries[0].answer), (b"\x01\x01a".as_slice(), b"\x03one".as_slice()));
        assert!(entries[1].request.starts_with(b"sha256:"));
    }

    #[test]
    fn a_cut_transcript_is_refused_at_every_byte() {
        let transcript = recorded(&[(b"a", b"one")]);
        let bytes = transcript.to_bytes();
        for length in 7..bytes.len() {
            assert_eq!(Transcript::from_bytes(&bytes[..length]), Err(InvalidTranscript::CutOff(1)), "{length}");
        }
        assert_eq!(Transcript::from_bytes(b"AHTR\x02\x01"), Err(InvalidTranscript::Version(2)));
        assert_eq!(Transcript::from_bytes(b"other"), Err(InvalidTranscript::Magic));
    }

    #[test]
    fn what_the_journal_has_is_not_given_to_it_again() {
        let mut recorder = Recorder::default();
        let mut add = |bytes: &[u8]| {
            recorder.ask(Operation::StreamRead, &[], &Blob(bytes));
            recorder.answer(0, |out| put_blob(bytes, out));
            recorder.shared()
        };
        let shared = add(b"one");
        let (first, place) = shared.news();
        let (again, _) = shared.news();
        assert_eq!(first, again, "what could not be recorded is given once more");
        shared.kept(place);
        add(b"two");
        let (second, place) = shared.news();
        shared.kept(place);
        assert_eq!(shared.news().0.transcript().map(|none| none.len()), Ok(0));
        let parts = [first, second].map(|part| part.transcript().unwrap_or_default());
        let whole = Transcript::joined(parts);
        assert_eq!((whole.clone(), whole.len()), (recorder.finish(), 2));
        let replaying = Recorder::along(&whole);
        assert_eq!(replaying.shared().news().0.transcript().map(|none| none.len()), Ok(0));
    }

    #[test]
    fn an_overlong_transcript_is_marked_and_keeps_its_beginning() {
        let mut recorder = Recorder::default();
        for _ in 0..2 {
            recorder.ask(Operation::StreamRead, &[], &());
            recorder.answer(0, |out| put_blob(&vec![0; TRANSCRIPT_BYTES_MAX - 100], out));
        }
        recorder.ask(Operation::StreamRead, &[], &());
        recorder.answer(0, |_| ());
        let transcript = recorder.finish();
        assert_eq!((transcript.len(), transcript.is_complete()), (1, false));
    }

    #[test]
    fn what_is_shared_is_as_if_it_were_written() {
        let body = Bytes::from(vec![7; TRANSCRIPT_BYTES_MAX / 2]);
        let of = |answer: fn(&mut Recorder, &Bytes) -> usize| {
            let mut recorder = Recorder::default();
            let mut lengths = Vec::new();
            for _ in 0..3 {
                recorder.ask(Operation::ResponseGet, &[], &());
                lengths.push(answer(&mut recorder, &body));
                recorder.ask(Operation::StreamRead, &[], &());
                recorder.answer(1, |out| out.push(0));
            }
            let news = recorder.shared().news().0;
            (lengths, news, recorder.finish())
        };
        let shared = of(|recorder, body| recorder.answer_sharing(1, body.clone(), |out| out.push(0)));
        let written = of(|recorder, body| recorder.answer(1, |out| out.extend([&[0][..], &body[..]].concat())));
        assert_eq!(shared, written);
        assert_eq!((shared.2.len(), shared.2.is_complete()), (2, false));
        assert_eq!(shared.2.to_bytes(), written.2.to_bytes());
    }

    #[test]
    fn what_a_large_request_needed_is_given_back() {
        let mut recorder = Recorder::default();
        assert_eq!(recorder.ask(Operation::StreamRead, &[], &Blob(&vec![0; 1 << 20])), (1 << 20) + 3);
        assert!(recorder.work.capacity() <= WORK_BYTES_KEPT);
        for _ in 0..2 {
            assert_eq!(recorder.answer(0, |out| out.extend(vec![0; TRANSCRIPT_BYTES_MAX])), TRANSCRIPT_BYTES_MAX);
            assert!(recorder.shared.lock().transcript.entries.end().capacity() <= TRANSCRIPT_BYTES_MAX);
        }
    }

    #[test]
    fn a_handle_keeps_its_name_until_it_is_given_back() {
        let mut handles = Handles::default();
        assert_eq!([handles.name(5), handles.name(2), handles.name(5)], [1, 2, 1]);
        handles.forget(5);
        assert_eq!(handles.name(5), 3);
    }
}
