//! The log of one run: the only way in which events enter the journal. The driver holds one for as long as it drives the run.

use agent_core::digest::Digest;
use agent_core::event::{Event, Recorded};
use agent_core::run_events::Durability;
use agent_core::state::State;
use agent_core::units::UnixMillis;

use super::BLOB_BYTES_MAX;
use super::error::JournalError;
use super::stores::StoreChanges;

/// When an event has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durable {
    /// With the next one that is `Now`. A killed process does not lose it.
    Later,
    /// Before the append returns, with everything before it: something is about to depend on it.
    Now,
}

/// What is on the disk when an append returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Handed to the system: survives a killed process.
    Written,
    /// On the disk, and with it everything written before: survives a power loss.
    Synced,
    /// The same, by a sync that other runs of this process may share.
    SyncedTogether,
}

/// The one writer of a run. Dropping it gives the run back.
pub trait RunLog: Send + Sync {
    /// Records `event` as the next of the run; `changes` of key-value stores are made with it or not at all.
    ///
    /// # Errors
    /// Where it was not recorded: then nothing may happen that depends on it.
    fn append_with(
        &self,
        at: UnixMillis,
        event: Event,
        durable: Durable,
        changes: Option<&StoreChanges>,
    ) -> Result<Recorded, JournalError>;

    /// As [`RunLog::append_with`], without changes.
    ///
    /// # Errors
    /// As [`RunLog::append_with`].
    fn append(&self, at: UnixMillis, event: Event, durable: Durable) -> Result<Recorded, JournalError> {
        self.append_with(at, event, durable, None)
    }

    /// The number and hash of the last event.
    fn end(&self) -> (u64, Digest);

    /// Records the last event that this process has for the run, and where there is no room for it, in the room that is kept
    /// for that.
    ///
    /// # Errors
    /// As [`RunLog::append_with`].
    fn append_last(&self, at: UnixMillis, event: Event) -> Result<Recorded, JournalError> {
        self.append(at, event, Durable::Now)
    }

    /// How often the disk was made to keep what this log had appended.
    fn syncs(&self) -> u64;

    /// Keeps a checkpoint of the run, where one is due and nothing is going on in it, and drops it once the run has its answer.
    /// `state` is the fold up to the last event. Where that fails, the run is only read from further back when it is taken up.
    fn keep_checkpoint(&self, _state: &State) {}
}

impl Durable {
    /// When an event of this kind has to be on the disk at the latest, whatever wrote it. Later than this is nowhere safe;
    /// sooner costs a sync.
    #[must_use]
    pub fn needed_by(event: &Event) -> Self {
        match event {
            // A request to a model leaves, a change is made, or a person's word is acted on.
            Event::ModelRequested(_)
            | Event::ApprovalDecided(_)
            | Event::GrantWidened(_)
            | Event::EffectPermitted(_)
            | Event::EffectIntended(_)
            | Event::ToolInDoubt(_)
            | Event::DoubtResolved(_)
            | Event::RunResumed(_)
            | Event::RunRebased(_)
            | Event::RunAdopted(_) => Self::Now,
            // Forgetting them would have files restored again that somebody has changed since.
            Event::CallUndone(_) | Event::ChangesUndone(_) => Self::Now,
            // Nobody looks at the run any more, so nothing later would cover it.
            Event::RunEnded(_) | Event::HeadSigned(_) => Self::Now,
            // Covered by the next of those above, before which nothing depends on it.
            Event::RunStarted(_)
            | Event::ModelReplied(_)
            | Event::ModelFailed(_)
            | Event::ToolProposed(_)
            | Event::ApprovalRequested(_)
            | Event::ToolStarted(_)
            | Event::ToolSuspended(_)
            | Event::ToolFinished(_) => Self::Later,
            // Without it the write is one whose answer never came: sent again under its key, or in doubt. So nothing is repeated, and
            // what the guest makes of the answer is covered: each further write and change is announced with a sync, and so is the
            // request that shows its result. A sync of its own would make each write cost two.
            Event::EffectDone(_) => Self::Later,
            // What is lost of this is lost with the power, after which the whole limit counts.
            Event::FuelTaken(_) => Self::Later,
            // An undo finds the files themselves: what is lost of this leaves it with less to compare.
            Event::PathsMarked(_) => Self::Later,
        }
    }
}

impl Level {
    /// What an append to a run of this durability has to reach.
    pub(super) fn of(durability: Durability, durable: Durable) -> Self {
        match (durability, durable) {
            (Durability::Strict, Durable::Now) => Self::Synced,
            (Durability::Group, Durable::Now) => Self::SyncedTogether,
            (Durability::Strict | Durability::Group, Durable::Later) | (Durability::Relaxed, _) => Self::Written,
        }
    }
}

/// The body of an event as a journal keeps it.
pub(super) fn body_of(event: &Event) -> Result<String, JournalError> {
    let body = event.to_body().map_err(|source| JournalError::Unwritable { kind: event.kind(), source })?;
    if body.len() > BLOB_BYTES_MAX {
        return Err(JournalError::TooLarge { bytes: body.len(), bytes_max: BLOB_BYTES_MAX });
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use agent_core::limits::Limit;

    use super::*;

    /// What the effects of one call take in its record, as the sandbox bounds them, and the rest of it.
    const REST_BYTES: u64 = 24 << 20;
    /// What JSON makes of one byte: `\u0001`, once more behind a backslash where it stands in JSON that is kept as text.
    const ESCAPED: u64 = 7;
    /// What stands around the text of a log record.
    const AROUND_BYTES: u64 = 64;

    /// A call whose end cannot be recorded would be made again and again.
    #[test]
    fn whatever_is_granted_the_end_of_a_call_fits_into_an_entry() {
        let highest = |limit: Limit| limit.highest().unwrap_or(u64::MAX);
        let said = [Limit::ResultBytes, Limit::OutputBytes, Limit::LogBytes].map(highest);
        let said = said.iter().fold(0_u64, |sum, bytes| sum.saturating_add(bytes.saturating_mul(ESCAPED)));
        let around = highest(Limit::LogRecords).saturating_mul(AROUND_BYTES);
        let all = said.saturating_add(around).saturating_add(REST_BYTES);
        assert!(all <= BLOB_BYTES_MAX as u64, "{all}");
        // An answer is kept with its header, before the guest sees it.
        let answer = highest(Limit::HttpResponseBytes).saturating_add(highest(Limit::HttpHeaderBytes));
        assert!(answer <= BLOB_BYTES_MAX as u64, "{answer}");
    }
}
