//! Takes secrets out of what a guest, a record or a person is about to see: raw, in base64 and base64url at all three
//! alignments, in hex of both cases, percent-encoded, JSON-escaped, and split over any chunks. Text without a secret passes
//! unchanged, byte for byte.
//!
//! The sandbox puts every answer to a request that could hold a secret through this, and all that a call reports. What is
//! not found: a value that was compressed, encrypted, cut in two answers or spelt in a way that is not listed here. A
//! server that wants to hand a secret on can do so; this is for servers that merely repeat what they were sent.

mod forms;
mod lens;
mod stream;
#[cfg(test)]
mod tests;
mod trie;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use self::stream::Stream;
use self::trie::Trie;
use crate::secret::SecretValue;

/// What stands in the place of a secret. Not longer than the shortest secret, so that no text grows.
pub const MARK: &str = "[secret]";

/// Finds the secrets that it was made for. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    trie: Option<Arc<Trie>>,
    /// Of the same forms in lower case: the names of header fields have no other.
    names: Option<Arc<Trie>>,
}

/// The beginning of a text that goes on elsewhere, without secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct Beginning<'b> {
    /// What is left of it; borrowed if that is all.
    pub bytes: Cow<'b, [u8]>,
    /// Bytes at the end that were left out, since a secret may begin there.
    pub left_out: usize,
}

impl Redactor {
    /// A redactor of these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v SecretValue>) -> Self {
        let forms: Vec<_> = values.into_iter().flat_map(|value| forms::of(value.expose().as_bytes())).collect();
        if forms.is_empty() {
            return Self::default();
        }
        let trie = Some(Arc::new(Trie::new(&forms)));
        let lower: Vec<_> = forms.into_iter().map(forms::Form::lower_case).collect();
        Self { trie, names: Some(Arc::new(Trie::new(&lower))) }
    }

    /// Whether there is nothing to find.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.trie.is_none()
    }

    /// Begins a text that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.trie.clone())
    }

    /// `bytes` without secrets; borrowed if there were none.
    #[must_use]
    pub fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.is_idle() {
            return Cow::Borrowed(bytes);
        }
        let (mut stream, mut out) = (self.stream(), Vec::with_capacity(bytes.len()));
        stream.push(bytes, &mut out);
        match stream.finish(&mut out) {
            0 => Cow::Borrowed(bytes),
            _ => Cow::Owned(out),
        }
    }

    /// Bytes of which the rest was cut off. A secret may go on beyond the cut, and no piece of one is left.
    #[must_use]
    pub fn beginning<'b>(&self, bytes: &'b [u8]) -> Beginning<'b> {
        if self.is_idle() {
            return Beginning { bytes: Cow::Borrowed(bytes), left_out: 0 };
        }
        let (mut stream, mut out) = (self.stream(), Vec::with_capacity(bytes.len()));
        stream.push(bytes, &mut out);
        match stream.break_off(&mut out) {
            (0, 0) => Beginning { bytes: Cow::Borrowed(bytes), left_out: 0 },
            (_, left_out) => Beginning { bytes: Cow::Owned(out), left_out },
        }
    }

    /// Takes secrets out of texts that follow each other, also one that begins in a text and ends in a later one: its mark stands
    /// where it begins.
    pub fn texts(&self, texts: &mut [&mut String]) {
        let whole: Vec<u8> = texts.iter().flat_map(|text| text.bytes()).collect();
        let places = self.stream().places(&whole);
        if places.is_empty() {
            return;
        }
        let mut start = 0;
        for text in texts {
            let end = start + text.len() as u64;
            **text =
                without(text.as_str(), start, places.iter().filter(|place| place.start < end && place.end > start));
            start = end;
        }
    }

    /// The longest piece of a text that is one secret, in any spelling.
    #[must_use]
    pub fn spelling_bytes_max(&self) -> usize {
        self.trie.as_ref().map_or(0, |trie| stream::held_bytes_max(trie))
    }

    /// Whether the name of a header field, which is in lower case, holds a secret.
    #[must_use]
    pub fn is_in_name(&self, name: &str) -> bool {
        let mut stream = Stream::new(self.names.clone());
        let mut out = Vec::new();
        stream.push(name.as_bytes(), &mut out);
        stream.finish(&mut out) > 0
    }

    /// `text` without secrets; borrowed if there were none.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Every form is ASCII and so is the mark: what is left is still UTF-8.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

/// `text`, which begins at `start`, without what stands at `places`.
fn without<'p>(text: &str, start: u64, places: impl Iterator<Item = &'p Range<u64>>) -> String {
    let (mut left, mut from) = (Vec::with_capacity(text.len()), 0);
    let within = |place: u64| usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX).min(text.len());
    for place in places {
        left.extend_from_slice(&text.as_bytes()[from..within(place.start)]);
        if place.start >= start {
            left.extend_from_slice(MARK.as_bytes());
        }
        from = within(place.end);
    }
    left.extend_from_slice(&text.as_bytes()[from..]);
    // Every form is ASCII and so is the mark: what is left is still UTF-8.
    String::from_utf8_lossy(&left).into_owned()
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}
