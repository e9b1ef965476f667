//! What the undo of one call could restore, and how much is kept for it. `change` asks before it announces.

use std::collections::HashMap;

use agent_core::effect::{Before, UndoEntry};

use crate::gate::Undo;
use crate::hosts::fs::FileError;
use crate::hosts::fs::before::beyond_undo;
use crate::hosts::fs::marks::Place;

/// Most bytes that are kept for the undo of one call: contents, attributes, paths and the targets of links.
const UNDO_BYTES_MAX: u64 = 256 << 20;

/// Most entries. A path has one, a second where first only its length was kept, and a directory one more each time that it is
/// renamed.
const UNDO_ENTRIES_MAX: usize = 10_000;

/// What is kept of one call.
#[derive(Default)]
pub(crate) struct Kept {
    bytes: u64,
    entries: usize,
    paths: HashMap<Place, Announced>,
}

/// How much of a path an undo can restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// That nothing was there.
    Absent,
    /// A directory; what is in it is announced by itself.
    Directory,
    /// Everything.
    Whole,
    /// Its first bytes are still there; the rest is new.
    Length(u64),
}

impl Kept {
    /// Whether there is room for one entry more. Asked before its content is read, and again when it is kept.
    pub(crate) fn has_room(&self, bytes: u64) -> Result<(), FileError> {
        if self.bytes.saturating_add(bytes) > UNDO_BYTES_MAX || self.entries >= UNDO_ENTRIES_MAX {
            return Err(beyond_undo("the call changes more than can be kept for an undo"));
        }
        Ok(())
    }

    /// Counts one entry more.
    pub(crate) fn keep(&mut self, bytes: u64) -> Result<(), FileError> {
        self.has_room(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries += 1;
        Ok(())
    }

    /// A path was announced.
    pub(crate) fn announced(&mut self, place: Place, as_what: Announced) {
        self.paths.insert(place, as_what);
    }

    /// What was announced of a path, if anything.
    pub(crate) fn of(&self, place: &Place) -> Option<Announced> {
        self.paths.get(place).copied()
    }
}

impl Announced {
    /// What an entry that says this can restore.
    pub(crate) fn of(before: &Before) -> Self {
        match before {
            Before::Length(length) => Self::Length(length.0),
            Before::Absent => Self::Absent,
            Before::Directory { .. } => Self::Directory,
            Before::Content { .. } | Before::Symlink(_) => Self::Whole,
        }
    }
}

/// What a guest can make of an entry, in bytes.
pub(crate) fn kept_bytes(undo: &Undo) -> u64 {
    let UndoEntry { path, before, attributes, .. } = &undo.entry;
    let target = match before {
        Before::Symlink(target) => target.len(),
        Before::Absent | Before::Directory { .. } | Before::Length(_) | Before::Content { .. } => 0,
    };
    let attributes = attributes.iter().map(|attribute| attribute.name.len() + attribute.value.len()).sum::<usize>();
    let content = undo.content.as_ref().map_or(0, Vec::len);
    (content + path.len() + target + attributes) as u64
}

#[cfg(test)]
mod tests {
    use agent_core::path_state::{Attribute, Becoming};

    use super::*;

    fn entry(before: Before, content: usize) -> Undo {
        let attribute = Attribute { name: "user.a".to_owned(), value: "00".repeat(100) };
        let entry = UndoEntry {
            mount: "/data".to_owned(),
            root: 1,
            path: "a/b".to_owned(),
            before,
            was: None,
            owner: None,
            attributes: vec![attribute],
            becoming: Becoming::Gone,
        };
        Undo { entry, content: Some(vec![0; content]) }
    }

    /// Attributes are as much a guest's to choose as contents: ten thousand files with four kilobytes each.
    #[test]
    fn all_that_is_kept_counts() {
        assert_eq!(kept_bytes(&entry(Before::Absent, 1_000)), 1_000 + 3 + 206);
        assert_eq!(kept_bytes(&entry(Before::Symlink("target".to_owned()), 0)), 6 + 3 + 206);
        let mut kept = Kept::default();
        assert!(kept.keep(UNDO_BYTES_MAX).is_ok() && kept.keep(1).is_err() && kept.keep(0).is_ok());
        let mut kept = Kept::default();
        for _ in 0..UNDO_ENTRIES_MAX {
            assert!(kept.keep(10).is_ok());
        }
        assert!(kept.keep(0).is_err());
    }
}
