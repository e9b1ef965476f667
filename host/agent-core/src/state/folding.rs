//! A fold that is fed event by event: a run of a million events need not be in memory for it. Whoever takes up a run reads so.

use super::{State, Unexpected};
use crate::event::Recorded;

/// The fold of a run that is being read.
#[derive(Debug, Default)]
pub struct Folding {
    state: Option<State>,
    failed: Option<Unexpected>,
}

impl Folding {
    /// Takes the next event. After one that does not follow, nothing more is taken.
    pub fn see(&mut self, recorded: &Recorded) {
        if self.failed.is_some() {
            return;
        }
        let taken = match &mut self.state {
            Some(state) => state.apply(recorded),
            None => State::begin(recorded).map(|state| self.state = Some(state)),
        };
        self.failed = taken.err();
    }

    /// The state at the end; `None` where there was no event.
    ///
    /// # Errors
    /// Where an event does not follow.
    pub fn end(self) -> Result<Option<State>, Unexpected> {
        match self.failed {
            Some(failed) => Err(failed),
            None => Ok(self.state),
        }
    }
}
