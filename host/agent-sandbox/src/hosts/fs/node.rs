//! What a descriptor stands for: an open file or directory, and where it is.

use std::fs::File;
use std::sync::Arc;

use crate::hosts::fs::walk::{RelativePath, Spot};

/// An open file or directory.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The handle.
    pub(crate) file: Arc<File>,
    /// What it is.
    pub(crate) kind: Kind,
    /// The mount that it is below, by its position in the call's list.
    pub(crate) mount: usize,
    /// Where it was when it was opened.
    pub(crate) path: RelativePath,
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
        Self { file: Arc::new(file), kind: Kind::Directory, mount, path: RelativePath::default(), effect: None }
    }

    /// Something that was just opened.
    pub(crate) fn opened(file: File, kind: Kind, mount: usize, spot: &Spot, effect: u32) -> Self {
        Self { file: Arc::new(file), kind, mount, path: spot.path.clone(), effect: Some(effect) }
    }
}
