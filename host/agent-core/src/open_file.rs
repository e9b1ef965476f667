//! How a file stands that a call has open for changes, from one change to the next. The journal's marks say that it is being
//! changed and, once it is closed, how it was left; what is between them only matters to who comes after a host that was killed
//! there. The sandbox says it around each change, the host keeps the last word beside the journal, and an undo reads it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path_state::Stamp;
use crate::units::Bytes;

/// The last word about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenFile {
    /// Its path: the place of an undo entry of it among those of the attempt, from 0.
    pub entry: u32,
    /// Counts all such words of an attempt: a file that gets another name has an earlier one under the other.
    pub turn: u64,
    /// When it was said, in nanoseconds since 1970. What it announces was done at once, or never.
    pub said_ns: i64,
    /// How the call had left it so far.
    pub left: Stamp,
    /// What was about to be done to it, which may have been done or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
}

/// A change of an open file, as far as it can be told afterwards whether it was this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Doing {
    /// Bytes are written.
    Write {
        /// From here on.
        offset: u64,
        /// So many.
        bytes: Bytes,
        /// These.
        digest: Digest,
    },
    /// It gets this length.
    Length(Bytes),
    /// It gets other times.
    Times,
}

impl Doing {
    /// That these bytes are written.
    #[must_use]
    pub fn write(offset: u64, bytes: &[u8]) -> Self {
        Self::Write { offset, bytes: Bytes(bytes.len() as u64), digest: Digest::of(bytes) }
    }
}

impl OpenFile {
    /// Whether a file of this length may be this one with the change made. What the bytes are is another question.
    #[must_use]
    pub fn may_have_length(&self, now: Bytes) -> bool {
        match &self.doing {
            Some(Doing::Write { offset, bytes, .. }) => {
                now == self.left.size.max(Bytes(offset.saturating_add(bytes.0)))
            }
            Some(Doing::Length(length)) => now == *length,
            Some(Doing::Times) | None => now == self.left.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_state::PathKind;

    fn file(doing: Option<Doing>) -> OpenFile {
        let left =
            Stamp { kind: PathKind::File, device: None, inode: 7, size: Bytes(10), modified_ns: 1, changed_ns: 1 };
        OpenFile { entry: 0, turn: 1, said_ns: 1, left, doing }
    }

    #[test]
    fn a_change_explains_one_length() {
        for (doing, length) in [
            (Doing::write(4, b"four"), 10),
            (Doing::write(8, b"four"), 12),
            (Doing::write(20, b"four"), 24),
            (Doing::Length(Bytes(3)), 3),
            (Doing::Times, 10),
        ] {
            let file = file(Some(doing));
            for other in [0, 3, 9, 10, 11, 12, 13, 24, 25] {
                assert_eq!(file.may_have_length(Bytes(other)), other == length, "{file:?} {other}");
            }
        }
    }

    #[test]
    fn a_word_is_stored_in_few_bytes() -> Result<(), serde_json::Error> {
        let (stamp, most) = (file(None).left, u64::MAX);
        let stamp = Stamp { device: Some(most), inode: most, size: Bytes(most), ..stamp };
        let stamp = Stamp { modified_ns: i64::MIN, changed_ns: i64::MIN, ..stamp };
        let doing = Doing::Write { offset: most, bytes: Bytes(most), digest: Digest::of(b"") };
        let longest = OpenFile { entry: u32::MAX, turn: most, said_ns: i64::MIN, left: stamp, doing: Some(doing) };
        let text = serde_json::to_string(&longest)?;
        assert!(text.len() < 480, "{}", text.len());
        assert_eq!(serde_json::from_str::<OpenFile>(&text)?, longest);
        Ok(())
    }
}
