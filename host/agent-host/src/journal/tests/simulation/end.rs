//! Holds the end of a run that was played against how it ends undisturbed, and against what it did outside.

use agent_core::answer_events::Resolution;
use agent_core::event::{Event, Recorded};
use agent_core::outcome::{Fault, ToolOutcome};

use super::super::run_id;
use super::checks;
use super::play::{Ending, Play};
use crate::journal::Journal;
use crate::journal::simulated::SimulatedJournal;

impl Play {
    /// Holds the end of the run against how it ends undisturbed.
    pub(super) fn check_end(&mut self, ending: &Ending, undisturbed: &Ending) -> Result<(), String> {
        let journal = self.machine.open().map_err(|error| error.to_string())?;
        let events = journal.events(&run_id(1)).map_err(|error| error.to_string())?;
        checks::check(&events)?;
        verify(&journal)?;
        let retries = |number| events.iter().filter(|event| doubt(event) == Some((number, Doubt::Retried))).count();
        for (number, acts) in &self.world.server.acts {
            let allowed = 1 + retries(*number);
            if *acts as usize > allowed {
                return Err(format!("I4: the write of call {number} happened {acts} times, {allowed} were allowed"));
            }
        }
        let given_up = events.iter().any(was_given_up);
        let doubted = |number| events.iter().filter_map(doubt).any(|(doubted, _)| doubted == number);
        for number in self.world.appends().filter(|number| !doubted(*number)) {
            let lines = self.world.files.lines_of(number);
            if lines != 1 && !given_up {
                return Err(format!("files: call {number} left {lines} lines"));
            }
        }
        let certain = !events.iter().any(|event| doubt(event).is_some());
        if certain && !given_up && ending != undisturbed {
            return Err(format!("the answer: {ending:?} instead of {undisturbed:?}"));
        }
        self.check_size(&events)
    }

    /// The file is at most twice what is in it.
    fn check_size(&self, events: &[Recorded]) -> Result<(), String> {
        /// What an event is besides its body: names, numbers, hashes.
        const BESIDES: usize = 256;
        let bodies: usize =
            events.iter().map(|event| event.event.to_body().map_or(0, |body| body.len()) + BESIDES).sum();
        let file = self.machine.with_disk(|disk| disk.read().len());
        if file <= 2 * bodies { Ok(()) } else { Err(format!("I12: {file} bytes for {bodies} bytes of events")) }
    }
}

fn verify(journal: &SimulatedJournal) -> Result<(), String> {
    let verified = journal.verify(&run_id(1)).map_err(|error| error.to_string())?;
    verified.damage.map_or(Ok(()), |damage| Err(format!("I9: {damage}")))
}

/// What an event says of the doubt about a call.
#[derive(PartialEq, Eq)]
enum Doubt {
    Arose,
    Retried,
}

/// The call that an event is about, if it is about doubt. Calls have the numbers of the script.
fn doubt(recorded: &Recorded) -> Option<(u32, Doubt)> {
    match &recorded.event {
        Event::ToolInDoubt(doubt) => Some((doubt.call.0, Doubt::Arose)),
        Event::DoubtResolved(resolved) if resolved.resolution == Resolution::Retry => {
            Some((resolved.call.0, Doubt::Retried))
        }
        _ => None,
    }
}

/// A call that was cut short too often has no answer.
fn was_given_up(recorded: &Recorded) -> bool {
    let Event::ToolFinished(finished) = &recorded.event else { return false };
    matches!(finished.outcome, ToolOutcome::Faulted { fault: Fault::Interrupted, .. })
}
