//! Points at which nothing is in flight: where a run can be forked, and where what it is locked to may be moved. A call that
//! has begun belongs to the run and the component that began it: what it changed is undone there, what it sent is known there.

use crate::event::Recorded;
use crate::name::CallNumber;
use crate::pending::CallStatus;
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

/// The events after which a run can be forked, by their numbers: nothing is open there, and the run has not stopped.
///
/// # Errors
/// Where an event does not follow.
pub fn fork_points(events: &[Recorded]) -> Result<Vec<u64>, Unexpected> {
    let mut points = Vec::new();
    let mut state: Option<State> = None;
    for event in events {
        let state = match &mut state {
            None => state.insert(State::begin(event)?),
            Some(state) => {
                state.apply(event)?;
                state
            }
        };
        if state.stopped.is_none() && open_work(state).is_none() {
            points.push(event.seq);
        }
    }
    Ok(points)
}
