//! What of an event is kept elsewhere: the digests under which the journal holds its other parts. An export takes them along,
//! and a blob that no event names may be removed. So every field is written out here: a new one that names a blob must not be
//! forgotten, and the compiler asks.

use crate::digest::Digest;
use crate::effect::{Before, UndoEntry};
use crate::event::{EffectDone, EffectIntended, Event, ToolFinished, ToolStarted};
use crate::run_events::{LockedTool, RunRebased, RunStarted};

impl Event {
    /// The blobs that the event names, as often as it does.
    #[must_use]
    pub fn kept(&self) -> Vec<Digest> {
        match self {
            Self::RunStarted(body) => of_start(body),
            Self::RunRebased(RunRebased { agent: _, agent_file: _, instructions: _, models: _, tools }) => {
                components(tools).collect()
            }
            Self::EffectIntended(body) => of_intent(body),
            Self::EffectDone(EffectDone { call: _, attempt: _, effect: _, answer }) => answer.iter().copied().collect(),
            Self::ToolStarted(ToolStarted {
                call: _,
                attempt: _,
                // That of the run's tool, which names it as kept.
                component: _,
                fuel: _,
                authority: _,
                seed: _,
                clock_start: _,
                engine: _,
                continues: _,
                boot: _,
            }) => Vec::new(),
            Self::ToolFinished(body) => of_end(body),
            Self::ModelRequested(_)
            | Self::ToolProposed(_)
            | Self::ModelReplied(_)
            | Self::ModelFailed(_)
            | Self::ApprovalRequested(_)
            | Self::ApprovalDecided(_)
            | Self::GrantWidened(_)
            | Self::EffectPermitted(_)
            | Self::FuelTaken(_)
            | Self::PathsMarked(_)
            | Self::CallUndone(_)
            | Self::ToolSuspended(_)
            | Self::ToolInDoubt(_)
            | Self::DoubtResolved(_)
            | Self::ChangesUndone(_)
            | Self::RunResumed(_)
            | Self::RunAdopted(_)
            | Self::HeadSigned(_)
            | Self::RunEnded(_) => Vec::new(),
        }
    }
}

fn of_start(body: &RunStarted) -> Vec<Digest> {
    let RunStarted {
        agent: _,
        agent_file: _,
        instructions: _,
        input: _,
        models: _,
        tools,
        budget: _,
        durability: _,
        strictness: _,
        doubt: _,
        record: _,
        hardening: _,
        session: _,
        earlier,
        meta: _,
        forked_from: _,
    } = body;
    components(tools).chain(earlier.runs.iter().map(|run| run.conversation)).collect()
}

fn of_intent(body: &EffectIntended) -> Vec<Digest> {
    let EffectIntended { call: _, attempt: _, number: _, request: _, class: _, undo, idempotency_key: _, transcript } =
        body;
    undo.iter().filter_map(content).chain(*transcript).collect()
}

fn of_end(body: &ToolFinished) -> Vec<Digest> {
    let ToolFinished { call: _, outcome: _, metering: _, effects: _, said: _, hidden: _, transcript } = body;
    transcript.iter().copied().collect()
}

fn content(entry: &UndoEntry) -> Option<Digest> {
    match &entry.before {
        Before::Content { digest, .. } => Some(*digest),
        Before::Absent | Before::Directory { .. } | Before::Length(_) | Before::Symlink(_) => None,
    }
}

fn components(tools: &[LockedTool]) -> impl Iterator<Item = Digest> {
    tools.iter().map(|tool| tool.component)
}
