//! What a descriptor stands for: an open file or directory, and where it is.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use crate::hosts::fs::change::Changes;
use crate::hosts::fs::look::Thing;
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::walk::Spot;

/// An open file or directory.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The handle.
    pub(crate) file: Arc<File>,
    /// What it is.
    pub(crate) kind: Kind,
    /// The mount that it is below, by its position in the call's list.
    pub(crate) mount: usize,
    /// Where it is, as far as the call itself moved it since it was opened.
    pub(crate) path: RelativePath,
    /// How many of the call's renames this path takes into account.
    pub(crate) renames_seen: usize,
    /// Where the file can be changed through it.
    #[expect(dead_code, reason = "it acts when the last copy of it is dropped")]
    pub(crate) writing: Option<Arc<Writing>>,
    /// The effect as which its opening was recorded; none for a mount itself.
    pub(crate) effect: Option<u32>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A regular file, and what it was opened for.
    File {
        /// Its bytes can be read.
        readable: bool,
        /// Its bytes can be changed.
        writable: bool,
    },
}

impl Node {
    /// A mount.
    pub(crate) fn root(file: File, mount: usize) -> Self {
        Self::at(file, Kind::Directory, mount, RelativePath::default())
    }

    /// What stands for anything in a replay that touches nothing.
    pub(crate) fn of_nothing(file: Arc<File>) -> Self {
        let (kind, path) = (Kind::Directory, RelativePath::default());
        Self { file, kind, mount: 0, path, renames_seen: 0, writing: None, effect: None }
    }

    /// Something that was just opened.
    pub(crate) fn opened(file: File, kind: Kind, mount: usize, spot: &Spot, effect: u32) -> Self {
        Self { effect: Some(effect), ..Self::at(file, kind, mount, spot.path.clone()) }
    }

    fn at(file: File, kind: Kind, mount: usize, path: RelativePath) -> Self {
        Self { file: Arc::new(file), kind, mount, path, renames_seen: 0, writing: None, effect: None }
    }
}

/// That a file can be changed through a handle, or a stream of it. When the last of them is gone, the file is as the call left
/// it, and that is said.
pub(crate) struct Writing {
    changes: Arc<Changes>,
    mount: usize,
    thing: Thing,
    file: Arc<File>,
}

impl Writing {
    /// It can be from now on.
    pub(crate) fn begin(changes: &Arc<Changes>, mount: usize, thing: Thing, file: &Arc<File>) -> Arc<Self> {
        changes.opened(thing);
        Arc::new(Self { changes: Arc::clone(changes), mount, thing, file: Arc::clone(file) })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.changes.closed(self.mount, self.thing, &self.file);
    }
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").field("mount", &self.mount).field("thing", &self.thing).finish_non_exhaustive()
    }
}
