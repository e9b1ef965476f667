//! What is at a path, as far as a look at it tells, and what a call says of the paths that it changes: that one is about to
//! become something, and in which state it was left. By this an undo knows whether a path is still as the call left it. The
//! sandbox looks, the journal keeps, the sandbox's undo compares.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What a thing in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else, which no call makes.
    Other,
}

/// Which thing is at a path, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// What it is.
    pub kind: PathKind,
    /// The device that it is on, where that is not the device of its mount: most have another number after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u64>,
    /// Its number on the device: the same thing as long as it lives, whatever it is called.
    pub inode: u64,
    /// Its length.
    pub size: Bytes,
    /// When its content was last modified, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When anything about it last changed; nobody can set this back.
    pub changed_ns: i64,
}

/// What a path is about to become: what may be found there if nothing more of it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Becoming {
    /// The thing that it is, in another state.
    #[default]
    Itself,
    /// The file that it is, with what it contained before: an undo writes it back where it is.
    Before,
    /// Nothing.
    Gone,
    /// A file or directory that did not exist before, still empty.
    New,
    /// A link to this target.
    Link(String),
    /// A thing that exists already, in whatever state.
    Thing {
        /// See [`Stamp::device`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<u64>,
        /// Its number.
        inode: u64,
    },
    /// Too much has happened there to be followed. Nothing that is found there can be told from somebody else's.
    Unknown,
}

/// One thing said of a path that a call changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathMark {
    /// The path: the place of an undo entry of it among those of the attempt, from 0.
    pub entry: u32,
    /// What is said.
    pub is: Mark,
}

/// What is said of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mark {
    /// It is being changed.
    Changing(Becoming),
    /// The call has left it like this; nothing where nothing is there.
    Left(Option<Stamp>),
}

/// Who owns a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The user's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
}

/// An extended attribute of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name, such as `user.comment`.
    pub name: String,
    /// Its value, in hexadecimal digits.
    pub value: String,
}

impl Stamp {
    /// Whether `other` is the same thing, unchanged. Of a directory only that it is the same: what is in it has states of its
    /// own, and whatever is done in it changes its times.
    #[must_use]
    pub fn is_same_state(&self, other: &Self) -> bool {
        match self.kind {
            PathKind::Directory => (self.kind, self.device, self.inode) == (other.kind, other.device, other.inode),
            PathKind::File | PathKind::Link | PathKind::Other => self == other,
        }
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a link",
            Self::Other => "a special file",
        })
    }
}

impl fmt::Display for Stamp {
    /// Enough for a person to see the difference between two of them: `a file of 12 B, modified at 1700000000.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NS: i64 = 1_000_000_000;
        let Self { kind, inode, size, modified_ns, .. } = self;
        match kind {
            PathKind::File => {
                let (seconds, rest) = (modified_ns.div_euclid(NS), modified_ns.rem_euclid(NS));
                write!(f, "{kind} of {size} (number {inode}, modified at {seconds}.{rest:09})")
            }
            PathKind::Directory | PathKind::Link | PathKind::Other => write!(f, "{kind} (number {inode})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Stamp = Stamp {
        kind: PathKind::File,
        device: None,
        inode: 7,
        size: Bytes(12),
        modified_ns: 1_700_000_000_250_000_000,
        changed_ns: 1_700_000_000_250_000_001,
    };

    #[test]
    fn any_difference_of_a_file_is_another_state_and_of_a_directory_only_its_identity() {
        let others = [
            Stamp { inode: 8, ..FILE },
            Stamp { device: Some(1), ..FILE },
            Stamp { size: Bytes(13), ..FILE },
            Stamp { modified_ns: 0, ..FILE },
            Stamp { changed_ns: 0, ..FILE },
            Stamp { kind: PathKind::Link, ..FILE },
        ];
        assert!(FILE.is_same_state(&FILE) && others.iter().all(|other| !FILE.is_same_state(other)));
        let directory = Stamp { kind: PathKind::Directory, ..FILE };
        assert!(directory.is_same_state(&Stamp { size: Bytes(0), modified_ns: 0, changed_ns: 0, ..directory }));
        assert!(!directory.is_same_state(&Stamp { inode: 8, ..directory }));
    }

    #[test]
    fn marks_are_stored_in_few_bytes() -> Result<(), serde_json::Error> {
        let marks = [
            PathMark { entry: 0, is: Mark::Left(Some(FILE)) },
            PathMark { entry: 1, is: Mark::Left(None) },
            PathMark { entry: 2, is: Mark::Changing(Becoming::Thing { device: None, inode: 9 }) },
            PathMark { entry: 3, is: Mark::Changing(Becoming::Itself) },
        ];
        let text = serde_json::to_string(&marks)?;
        assert_eq!(
            text,
            "[{\"entry\":0,\"is\":{\"left\":{\"kind\":\"file\",\"inode\":7,\"size\":12,\"modified_ns\":1700000000250000000,\
             \"changed_ns\":1700000000250000001}}},{\"entry\":1,\"is\":{\"left\":null}},{\"entry\":2,\"is\":{\"changing\":\
             {\"thing\":{\"inode\":9}}}},{\"entry\":3,\"is\":{\"changing\":\"itself\"}}]"
        );
        assert_eq!(serde_json::from_str::<[PathMark; 4]>(&text)?, marks);
        Ok(())
    }

    #[test]
    fn a_state_is_shown_so_that_a_person_sees_the_difference() {
        assert_eq!(FILE.to_string(), "a file of 12 B (number 7, modified at 1700000000.250000000)");
        assert_eq!(Stamp { kind: PathKind::Directory, ..FILE }.to_string(), "a directory (number 7)");
    }
}
