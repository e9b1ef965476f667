//! A fold that is fed event by event: a run of a million events need not be in memory for it. Whoever takes up a run reads so.

use super::{Conversation, State, Unexpected};
use crate::event::Recorded;

/// The fold of a run that is being read.
#[derive(Debug, Default)]
pub struct Folding {
    state: Option<State>,
    failed: Option<Unexpected>,
    conversation: Conversation,
}

impl Folding {
    /// For who looks at a run and does not go on with it: what was said in it is left out of the state.
    #[must_use]
    pub fn without_conversation() -> Self {
        Self { conversation: Conversation::LeftOut, ..Self::default() }
    }

    /// Goes on from a state that was folded before.
    #[must_use]
    pub fn from_state(state: State) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// The state so far; `None` before the first event, and after one that does not follow.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref().filter(|_| self.failed.is_none())
    }

    /// Takes the next event. After one that does not follow, nothing more is taken.
    pub fn see(&mut self, recorded: &Recorded) {
        if self.failed.is_some() {
            return;
        }
        let taken = match &mut self.state {
            Some(state) => state.apply(recorded),
            None => State::begin_with(recorded, self.conversation).map(|state| self.state = Some(state)),
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
