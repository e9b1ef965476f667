//! Where a call itself moved things to. A handle remembers the path at which it was opened; by this it learns where that is
//! now. Otherwise what is done through it would be announced, and undone, at a path that is somebody else's by then.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hosts::fs::marks::Place;
use crate::hosts::fs::node::Node;

/// The moves of one call, in order. There are no more of them than effects that can be recorded of a call.
#[derive(Default)]
pub(crate) struct Renames(Mutex<Vec<Move>>);

struct Move {
    from: Place,
    to: Place,
}

impl Renames {
    /// How many there were so far.
    pub(crate) fn count(&self) -> usize {
        self.moves().len()
    }

    /// Something was moved, and all in it.
    pub(crate) fn add(&self, from: Place, to: Place) {
        self.moves().push(Move { from, to });
    }

    /// Where a handle is now.
    pub(crate) fn follow(&self, node: &mut Node) {
        let moves = self.moves();
        for Move { from, to } in moves.iter().skip(node.renames_seen) {
            if node.mount == from.0
                && let Some(path) = node.path.moved(&from.1, &to.1)
            {
                (node.mount, node.path) = (to.0, path);
            }
        }
        node.renames_seen = moves.len();
    }

    fn moves(&self) -> MutexGuard<'_, Vec<Move>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
