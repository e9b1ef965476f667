//! The encoded entries of a transcript. What is long and is held by somebody else anyway, such as the body of an answer that the
//! guest has not read, stands among them without being copied: a call would otherwise need twice the memory that its limits
//! allow. Made by `Recorder`, put together only by who stores or follows a transcript.

use bytes::Bytes;

/// From here on a piece is shared. Below, keeping it apart costs more than a copy.
const SHARED_BYTES_LEAST: usize = 16 << 10;

/// Bytes, in pieces.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    /// What stands before `last`.
    pieces: Vec<Bytes>,
    pieces_bytes: usize,
    last: Vec<u8>,
}

impl Entries {
    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.pieces_bytes + self.last.len()
    }

    /// Where more is written.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.last
    }

    /// Appends bytes that somebody else holds too.
    pub(super) fn share(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_LEAST {
            self.last.extend_from_slice(&bytes);
            return;
        }
        let mut before = std::mem::take(&mut self.last);
        before.shrink_to_fit();
        for piece in [before.into(), bytes] {
            self.append(piece);
        }
    }

    /// A copy of what stands from `begin` on.
    pub(super) fn since(&self, begin: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len().saturating_sub(begin));
        let mut skipped = 0;
        for piece in self.parts() {
            let skip = begin.saturating_sub(skipped).min(piece.len());
            bytes.extend_from_slice(&piece[skip..]);
            skipped += piece.len();
        }
        bytes
    }

    /// All of it, in one piece: without a copy where it is one.
    pub(super) fn whole(mut self) -> Bytes {
        self.seal();
        match self.pieces.len() {
            0 | 1 => self.pieces.pop().unwrap_or_default(),
            _ => self.since(0).into(),
        }
    }

    /// The pieces in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &piece[..]).chain([&self.last[..]])
    }

    fn seal(&mut self) {
        let last = std::mem::take(&mut self.last);
        self.append(last.into());
    }

    fn append(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces_bytes += piece.len();
            self.pieces.push(piece);
        }
    }
}

impl From<Vec<u8>> for Entries {
    fn from(last: Vec<u8>) -> Self {
        Self { last, ..Self::default() }
    }
}

/// Bytes are the same, however they are cut.
impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.parts().flatten().eq(other.parts().flatten())
    }
}

impl Eq for Entries {}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> (Entries, Vec<u8>) {
        let long: Vec<u8> = b"long".iter().copied().cycle().take(SHARED_BYTES_LEAST).collect();
        let mut entries = Entries::default();
        entries.end().extend(b"first");
        entries.share(long.clone().into());
        entries.share(Bytes::from_static(b"short"));
        entries.end().extend(b"last");
        (entries, [&b"first"[..], &long[..], b"short", b"last"].concat())
    }

    #[test]
    fn pieces_are_read_as_one() {
        let (entries, all) = cut();
        assert_eq!((entries.len(), entries.pieces.len()), (all.len(), 2));
        for begin in [0, 3, 5, 6, SHARED_BYTES_LEAST, all.len() - 4, all.len()] {
            assert_eq!(entries.since(begin), &all[begin..], "{begin}");
        }
        assert_eq!(entries, Entries::from(all.clone()));
        assert_eq!(entries.whole(), all);
    }

    #[test]
    fn a_shared_piece_is_not_copied() {
        let body = Bytes::from(vec![7; SHARED_BYTES_LEAST]);
        let mut entries = Entries::default();
        entries.share(body.clone());
        assert_eq!(entries.whole().as_ptr(), body.as_ptr());
    }
}
