//! Takes secrets out of what a guest, a record or a person is about to see: raw, in base64 and base64url at all three
//! alignments, in hex of both cases, percent-encoded, JSON-escaped, and split over any chunks. Text without a secret passes
//! unchanged, byte for byte.
//!
//! The sandbox puts every answer to a request that could hold a secret through this, and all that a call reports. What is
//! not found: a value that was compressed, encrypted, cut in two messages or spelt in a way that is not listed here. A
//! server that wants to hand a secret on can do so; this is for servers that merely repeat what they were sent.

mod forms;
mod lens;
mod stream;
#[cfg(test)]
mod tests;
mod trie;

use std::borrow::Cow;
use std::fmt;
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
}

impl Redactor {
    /// A redactor of these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v SecretValue>) -> Self {
        let forms: Vec<_> = values.into_iter().flat_map(|value| forms::of(value.expose().as_bytes())).collect();
        Self { trie: (!forms.is_empty()).then(|| Arc::new(Trie::new(&forms))) }
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

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}
