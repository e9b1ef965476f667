//! Reading a run into its state, and taking it over: what every verb does that goes on with a run or records a person's word.

use agent_core::name::RunId;
use agent_core::state::State;
use agent_core::state::folding::Folding;
use anyhow::Context;

use super::progress::Progress;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::RunLog;

/// A run that this process holds.
pub type Held = (State, Box<dyn RunLog>);

/// Takes a run over, and folds it while it is read, from its checkpoint on: its events are not held.
///
/// # Errors
/// Where it cannot be taken over, or does not hang together.
pub fn take(journal: &dyn Journal, run: &RunId, take_over: TakeOver) -> anyhow::Result<Held> {
    take_or(journal, run, take_over, anyhow::Error::from)
}

/// As [`take`]; `say` has the words for where it cannot be taken over.
///
/// # Errors
/// See [`take`].
pub fn take_or(
    journal: &dyn Journal,
    run: &RunId,
    take_over: TakeOver,
    say: impl FnOnce(JournalError) -> anyhow::Error,
) -> anyhow::Result<Held> {
    let mut folding = Folding::default();
    let mut progress = Progress::new("reading events");
    let log = journal.take_up(run, take_over, &mut folding, &mut || progress.step()).map_err(say)?;
    Ok((whole(folding, run)?, log))
}

/// The state of a run that is only looked at, without what was said in it.
///
/// # Errors
/// Where there is none, or it does not hang together.
pub fn look(journal: &dyn Journal, run: &RunId) -> anyhow::Result<State> {
    let mut folding = Folding::without_conversation();
    let mut progress = Progress::new("reading events");
    journal.read_into(run, &mut |recorded| {
        progress.step();
        folding.see(&recorded);
    })?;
    whole(folding, run)
}

fn whole(folding: Folding, run: &RunId) -> anyhow::Result<State> {
    folding.end()?.with_context(|| format!("run {run} has no events"))
}
