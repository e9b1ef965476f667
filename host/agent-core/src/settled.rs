//! Points at which nothing is in flight: where a run can be forked, and where what it is locked to may be moved. A call that
//! has begun belongs to the run and the component that began it: what it changed is undone there, what it sent is known there.

use crate::event::Recorded;
use crate::name::CallNumber;
use crate::pending::CallStatus;
use crate::state::folding::Folding;
use crate::state::{Phase, State, Unexpected};

/// What was begun and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenWork {
    /// A call has begun and has no outcome.
    #[error("call {0} has begun and has no outcome yet")]
    Call(CallNumber),
    /// The run is complete.
    #[error("the run is complete there")]
    Complete,
}

/// What is open in this state; `None` where nothing is.
#[must_use]
pub fn open_work(state: &State) -> Option<OpenWork> {
    match &state.phase {
        Phase::Asking(_) => None,
        Phase::Answered(_) => Some(OpenWork::Complete),
        Phase::Acting(calls) | Phase::Serving(calls) => {
            let open = calls.iter().find(|call| !matches!(call.status, CallStatus::Proposed | CallStatus::Finished(_)));
            open.map(|call| OpenWork::Call(call.number))
        }
    }
}

/// Whether a run can be forked in this state: nothing is open, and it has not stopped.
#[must_use]
pub fn is_fork_point(state: &State) -> bool {
    state.stopped.is_none() && open_work(state).is_none()
}

/// The events after which a run can be forked, by their numbers.
///
/// # Errors
/// Where an event does not follow.
pub fn fork_points(events: &[Recorded]) -> Result<Vec<u64>, Unexpected> {
    let (mut folding, mut points) = (Folding::without_conversation(), Vec::new());
    for event in events {
        folding.see(event);
        points.extend(folding.state().filter(|state| is_fork_point(state)).map(|state| state.seq));
    }
    folding.end().map(|_| points)
}
