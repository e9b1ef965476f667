//! The calls of a run as its events tell them: what each was asked, under what terms, what it was told and what came of it.
//! `journal replay` makes them again.

use std::collections::BTreeMap;

use agent_core::digest::Digest;
use agent_core::effect::Effect;
use agent_core::event::{Event, Recorded, ToolFinished, ToolStarted};
use agent_core::grant::Grant;
use agent_core::message::ToolCall;
use agent_core::name::CallNumber;
use agent_core::run_events::LockedTool;
use agent_core::state::State;
use agent_core::state::folding::Folding;
use anyhow::Context;

/// A call that has ended.
#[derive(Debug)]
pub struct RecordedCall {
    /// The number of the event that ended it.
    pub seq: u64,
    /// What the model asked for.
    pub asked: ToolCall,
    /// What was made of it; `None` where it was not started at all.
    pub made: Option<Made>,
    /// What came of it.
    pub finished: ToolFinished,
}

/// A call that was started.
#[derive(Debug)]
pub struct Made {
    /// The tool, pinned.
    pub locked: LockedTool,
    /// What it held.
    pub grant: Grant,
    /// The last attempt.
    pub started: ToolStarted,
    /// What was answered to its keyed and opaque writes, in any attempt: the effect and the digest of the answer.
    pub answers: BTreeMap<u32, (Effect, Digest)>,
}

/// The calls of a run, fed event by event: only those under way are held.
pub struct Following {
    folding: Folding,
    under_way: BTreeMap<CallNumber, Made>,
}

impl Default for Following {
    fn default() -> Self {
        Self { folding: Folding::without_conversation(), under_way: BTreeMap::new() }
    }
}

impl Following {
    /// Takes the next event; the call that ends with it.
    ///
    /// # Errors
    /// Where the events do not hang together.
    pub fn see(&mut self, recorded: &Recorded) -> anyhow::Result<Option<RecordedCall>> {
        let ended = match self.folding.state() {
            Some(state) => step(state, &mut self.under_way, recorded)?,
            None => None,
        };
        self.folding.see(recorded);
        Ok(ended)
    }
}

fn step(
    state: &State,
    under_way: &mut BTreeMap<CallNumber, Made>,
    recorded: &Recorded,
) -> anyhow::Result<Option<RecordedCall>> {
    match &recorded.event {
        Event::ToolStarted(started) => {
            let before = under_way.remove(&started.call).filter(|_| started.continues.is_some());
            let answers = before.map(|before| before.answers).unwrap_or_default();
            under_way.insert(started.call, made(state, started, answers)?);
            Ok(None)
        }
        Event::EffectDone(done) => {
            let made = under_way.get_mut(&done.call);
            if let (Some(made), Some(answer)) = (made, done.answer) {
                made.answers.insert(done.effect.number, (done.effect.clone(), answer));
            }
            Ok(None)
        }
        Event::ToolFinished(finished) => {
            let asked = state.call(finished.call).context("a call ended that was not asked for")?.call.clone();
            let (made, finished) = (under_way.remove(&finished.call), finished.clone());
            Ok(Some(RecordedCall { seq: recorded.seq, asked, made, finished }))
        }
        _ => Ok(None),
    }
}

fn made(state: &State, started: &ToolStarted, answers: BTreeMap<u32, (Effect, Digest)>) -> anyhow::Result<Made> {
    let tool = state.call(started.call).and_then(|pending| pending.tool);
    let tool = tool.context("a call was started that names no tool of the run")?;
    let locked = state.started.tools.get(tool).context("a call was started of a tool that the run does not have")?;
    let grant = state.authorities[tool].grant.clone();
    Ok(Made { locked: locked.clone(), grant, started: started.clone(), answers })
}
