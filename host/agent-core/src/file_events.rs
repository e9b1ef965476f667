//! Events about the files that calls change: in which state they were left, and that they were restored. Bodies of `event::Event`.

use serde::{Deserialize, Serialize};

use crate::name::CallNumber;
use crate::path_state::PathMark;

/// Kinds that say what became of files, and not how a run stands. They may follow its end.
pub const KINDS_ABOUT_FILES: [&str; 2] = ["PathsMarked", "ChangesUndone"];

/// See [`crate::event::Event::PathsMarked`]. Written without a sync of its own: a killed host does not lose it, and what a power loss takes
/// of it leaves the undo with less to go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathsMarked {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// Which start of the machine it is: a number that the next start does not have. After a power loss, files may be in a
    /// state of before the last mark.
    pub boot: u32,
    /// What is said, in order.
    pub marks: Vec<PathMark>,
}

/// See [`crate::event::Event::CallUndone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallUndone {
    /// The call.
    pub call: CallNumber,
    /// The attempt that was undone.
    pub attempt: u32,
    /// How many paths were restored.
    pub restored: u32,
}

/// See [`crate::event::Event::ChangesUndone`]. May follow the run's end: it says what became of its files, not of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesUndone {
    /// The attempts, the last one first.
    pub attempts: Vec<AttemptUndone>,
}

/// One attempt whose changes a person had undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptUndone {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// How many paths are as they were before it.
    pub restored: u32,
    /// Paths that were left alone, since something else had changed them: places of undo entries among those of the attempt.
    pub left: Vec<u32>,
}
