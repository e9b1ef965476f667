//! A text that comes in pieces: holds back what may be the beginning of a secret, and not more.

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::MARK;
use super::forms::is_base64;
use super::lens::{Begun, Lens, Said};
use super::trie::{ROOT, Trie};

/// Bytes that are looked at before what is safe of them is passed on. A bound on what is held beside the longest form.
const PIECE_BYTES: usize = 16 << 10;

/// The longest escape of one byte: `\u0041`. A form that is held back is at most this many times its own length.
const ESCAPE_BYTES_MAX: usize = 6;

/// A text on its way through a [`super::Redactor`].
pub struct Stream {
    trie: Option<Arc<Trie>>,
    tracks: [Track; 3],
    /// What was read and not passed on.
    held: Zeroizing<Vec<u8>>,
    /// Where in the text `held` begins.
    passed: u64,
    /// What is to be taken out of `held`.
    spans: Vec<Range<u64>>,
    /// Where the last secret that was taken out ended: what touches it needs no mark of its own.
    marked: Option<u64>,
    replaced: u64,
}

/// The most that is held back: the longest form and its neighbours, each byte of it escaped.
pub(super) fn held_bytes_max(trie: &Trie) -> usize {
    (trie.longest() + 2) * ESCAPE_BYTES_MAX
}

impl Stream {
    pub(super) fn new(trie: Option<Arc<Trie>>) -> Self {
        let longest = trie.as_ref().map_or(0, |trie| trie.longest());
        let held = trie.as_ref().map_or(0, |trie| PIECE_BYTES + held_bytes_max(trie));
        Self {
            tracks: [Lens::Plain, Lens::Percent, Lens::Json].map(|lens| Track::new(lens, longest)),
            // All of it now: what a growing vector leaves behind would not be wiped.
            held: Zeroizing::new(Vec::with_capacity(held)),
            trie,
            passed: 0,
            spans: Vec::new(),
            marked: None,
            replaced: 0,
        }
    }

    /// Takes the next piece and appends to `out` what is safe by now.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(trie) = self.trie.clone() else { return out.extend_from_slice(piece) };
        for piece in piece.chunks(PIECE_BYTES) {
            let start = self.passed + self.held.len() as u64;
            self.held.extend_from_slice(piece);
            self.look(&trie, piece, start);
            let safe = self.tracks.iter().map(|track| track.safe(&trie)).min().unwrap_or(0);
            self.pass_on(safe, out);
        }
    }

    /// Ends the text, appends the rest of it to `out`, and says how many secrets were taken out.
    pub fn finish(mut self, out: &mut Vec<u8>) -> u64 {
        let end = self.passed + self.held.len() as u64;
        if let Some(trie) = self.trie.clone() {
            for track in &mut self.tracks {
                track.end(&trie, end, &mut self.spans);
            }
        }
        self.pass_on(end, out);
        self.replaced
    }

    /// Ends a text that goes on elsewhere. What may be a secret or the beginning of one is not passed on: says how many secrets
    /// were taken out, and how many bytes at the end were left out.
    pub(super) fn break_off(self, out: &mut Vec<u8>) -> (u64, usize) {
        if self.spans.is_empty() && self.tracks.iter().all(Track::is_idle) {
            return (self.finish(out), 0);
        }
        (self.replaced, self.held.len())
    }

    /// Where secrets stand in a whole text, in order. What touches is one place.
    pub(super) fn places(mut self, text: &[u8]) -> Vec<Range<u64>> {
        let Some(trie) = self.trie.clone() else { return Vec::new() };
        self.look(&trie, text, 0);
        for track in &mut self.tracks {
            track.end(&trie, text.len() as u64, &mut self.spans);
        }
        self.spans.sort_by_key(|span| (span.start, span.end));
        let mut places: Vec<Range<u64>> = Vec::new();
        for span in std::mem::take(&mut self.spans) {
            match places.last_mut().filter(|last| span.start <= last.end) {
                Some(last) => last.end = last.end.max(span.end),
                None => places.push(span),
            }
        }
        places
    }

    fn look(&mut self, trie: &Trie, piece: &[u8], start: u64) {
        let mut next = 0;
        while let Some(rest) = piece.get(next..).filter(|rest| !rest.is_empty()) {
            if self.tracks.iter().all(Track::is_idle) {
                let interesting = |byte: &u8| trie.begins(*byte) || Lens::any_begins(*byte);
                let dull = rest.iter().position(interesting).unwrap_or(rest.len());
                if dull > 0 {
                    next += dull;
                    let last = Said { byte: piece[next - 1], start: start + next as u64 - 1, end: start + next as u64 };
                    self.tracks.iter_mut().for_each(|track| track.note(last));
                    continue;
                }
            }
            for track in &mut self.tracks {
                track.read(trie, piece[next], start + next as u64, &mut self.spans);
            }
            next += 1;
        }
    }

    /// Passes on what stands before `safe`, with marks for secrets that end there.
    fn pass_on(&mut self, safe: u64, out: &mut Vec<u8>) {
        // Taken out of `held` once, at the end: a text may be dense with secrets.
        let mut from = self.passed;
        self.spans.sort_by_key(|span| (span.start, span.end));
        let mut spans = std::mem::take(&mut self.spans).into_iter().peekable();
        while let Some(mut span) = spans.next() {
            while let Some(touching) = spans.next_if(|next| next.start <= span.end) {
                span.end = span.end.max(touching.end);
            }
            if span.end > safe {
                self.spans.push(span);
                self.spans.extend(spans);
                break;
            }
            self.copy(from, span.start, out);
            if self.marked != Some(span.start) {
                out.extend_from_slice(MARK.as_bytes());
                self.replaced += 1;
            }
            from = from.max(span.end);
            self.marked = Some(span.end);
        }
        let unsafe_from = self.spans.first().map_or(safe, |span| span.start.min(safe));
        self.copy(from, unsafe_from, out);
        self.drop_to(from.max(unsafe_from));
    }

    fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        let (from, to) = (self.count_to(from), self.count_to(to));
        out.extend_from_slice(self.held.get(from..to).unwrap_or_default());
    }

    fn drop_to(&mut self, place: u64) {
        let count = self.count_to(place);
        self.held.drain(..count);
        self.passed += count as u64;
    }

    fn count_to(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.passed)).unwrap_or(usize::MAX).min(self.held.len())
    }
}

/// The text as one lens shows it, and how far a form has been seen in it.
struct Track {
    lens: Lens,
    begun: Begun,
    state: u32,
    /// Where the last bytes that were said stand in the text: enough for the longest form and its neighbour.
    places: Vec<Place>,
    said: usize,
    /// Whether the next character belongs to the form that ended here.
    tail: bool,
}

#[derive(Clone, Copy, Default)]
struct Place {
    start: u64,
    is_base64: bool,
}

impl Track {
    fn new(lens: Lens, longest: usize) -> Self {
        let places = vec![Place::default(); longest + 2];
        Self { lens, begun: Begun::default(), state: ROOT, places, said: 0, tail: false }
    }

    /// Whether nothing has been seen that could become a secret.
    fn is_idle(&self) -> bool {
        self.state == ROOT && self.begun.is_empty() && !self.tail
    }

    fn read(&mut self, trie: &Trie, byte: u8, at: u64, spans: &mut Vec<Range<u64>>) {
        let mut begun = std::mem::take(&mut self.begun);
        begun.read(self.lens, byte, at, &mut |said| self.take(trie, said, spans));
        self.begun = begun;
    }

    fn end(&mut self, trie: &Trie, at: u64, spans: &mut Vec<Range<u64>>) {
        let mut begun = std::mem::take(&mut self.begun);
        begun.give_up(at, &mut |said| self.take(trie, said, spans));
    }

    /// Takes what the text says next.
    fn take(&mut self, trie: &Trie, said: Said, spans: &mut Vec<Range<u64>>) {
        if std::mem::take(&mut self.tail) && is_base64(said.byte) {
            spans.push(said.start..said.end);
        }
        self.note(said);
        self.state = trie.step(self.state, said.byte);
        let found = trie.found(self.state);
        if found.length == 0 {
            return;
        }
        self.tail = found.after > 0;
        let first = self.said - found.length as usize;
        let neighbour = first.checked_sub(usize::from(found.before)).map(|before| self.place(before));
        let start = neighbour.filter(|place| place.is_base64).unwrap_or_else(|| self.place(first));
        spans.push(start.start..said.end);
    }

    /// Remembers where it was said.
    fn note(&mut self, said: Said) {
        let slot = self.said % self.places.len();
        self.places[slot] = Place { start: said.start, is_base64: is_base64(said.byte) };
        self.said += 1;
    }

    /// The place up to which nothing that is still to come can be part of a secret.
    fn safe(&self, trie: &Trie) -> u64 {
        // One more than the form itself, for its neighbour.
        let kept = trie.depth(self.state) + 1;
        self.said.checked_sub(kept).map_or(0, |first| self.place(first).start)
    }

    fn place(&self, number: usize) -> Place {
        self.places[number % self.places.len()]
    }
}
