//! The events of a run in the order in which a person reads them: turn by turn, and with each call what became of it.

use std::collections::{HashMap, VecDeque};

use agent_core::client_events::Client;
use agent_core::effect::Effect;
use agent_core::event::{EffectIntended, Event, ModelReplied, Recorded, ToolFinished};
use agent_core::name::CallNumber;
use agent_core::run_events::LockedTool;

/// One step of the story.
pub(super) enum Step {
    Turn(Turn),
    /// A call of a client.
    Served(Client, Call),
    /// Something beside the turns: a failed request, a stop, a resume.
    Note(Box<Recorded>),
}

/// A reply and the calls that it asked for.
pub(super) struct Turn {
    pub(super) replied: ModelReplied,
    pub(super) calls: Vec<Call>,
}

/// A call and everything that was recorded about it, in order.
pub(super) struct Call {
    pub(super) number: CallNumber,
    /// As they were asked for.
    pub(super) arguments: String,
    /// The tool as people write it; as the model wrote it, where there is no such tool.
    pub(super) tool: String,
    pub(super) events: Vec<Event>,
}

/// Puts the events of a run into their steps, event by event: of a long run, only the steps are held that are not complete.
pub(super) struct Teller {
    /// The wire names of the run's tools, with what people write.
    tools: HashMap<String, String>,
    calls: u32,
    steps: VecDeque<Step>,
}

impl Teller {
    /// Of a run whose first event says `tools`.
    pub(super) fn new(tools: &[LockedTool]) -> Self {
        let name = |tool: &LockedTool| (tool.descriptor.name.wire(), tool.descriptor.name.to_string());
        Self { tools: tools.iter().map(name).collect(), calls: 0, steps: VecDeque::new() }
    }

    /// Takes the next event.
    pub(super) fn see(&mut self, recorded: Recorded) {
        let number = match &recorded.event {
            Event::RunStarted(_)
            | Event::ModelRequested(_)
            | Event::HeadSigned(_)
            | Event::PathsMarked(_)
            | Event::FuelTaken(_) => return,
            Event::ModelReplied(_) | Event::ToolProposed(_) => return self.begin(recorded),
            Event::ModelFailed(_)
            | Event::GrantWidened(_)
            | Event::ChangesUndone(_)
            | Event::RunResumed(_)
            | Event::RunRebased(_)
            | Event::RunAdopted(_)
            | Event::RunEnded(_) => return self.steps.push_back(Step::Note(Box::new(recorded))),
            Event::ApprovalRequested(body) => body.call,
            Event::ApprovalDecided(body) => body.call,
            Event::EffectPermitted(body) => body.call,
            Event::ToolStarted(body) => body.call,
            Event::EffectIntended(body) => body.call,
            Event::EffectDone(body) => body.call,
            Event::CallUndone(body) => body.call,
            Event::ToolSuspended(body) => body.call,
            Event::ToolFinished(body) => body.call,
            Event::ToolInDoubt(body) => body.call,
            Event::DoubtResolved(body) => body.call,
        };
        self.attach(number, recorded);
    }

    /// The next step, once nothing more can belong to it. The last one so far stays: whether it is the last of all shows later.
    pub(super) fn next(&mut self) -> Option<Step> {
        let is_complete = self.steps.front().is_some_and(Step::is_complete);
        if is_complete && self.steps.len() > 1 { self.steps.pop_front() } else { None }
    }

    /// What is left at the end.
    pub(super) fn end(self) -> VecDeque<Step> {
        self.steps
    }

    fn begin(&mut self, recorded: Recorded) {
        match recorded.event {
            Event::ModelReplied(replied) => {
                let proposed: Vec<_> =
                    replied.reply.calls.iter().map(|call| (call.tool.clone(), call.arguments.clone())).collect();
                let calls = proposed.into_iter().map(|call| self.call(call)).collect();
                self.steps.push_back(Step::Turn(Turn { replied, calls }));
            }
            Event::ToolProposed(body) => {
                let call = self.call((body.tool, body.arguments));
                self.steps.push_back(Step::Served(body.client, call));
            }
            _ => {}
        }
    }

    fn call(&mut self, (wire, arguments): (String, String)) -> Call {
        self.calls += 1;
        let tool = self.tools.get(&wire).cloned().unwrap_or(wire);
        Call { number: CallNumber(self.calls), arguments, tool, events: Vec::new() }
    }

    /// Calls are numbered over the whole run, and those that are pending are among the last.
    fn attach(&mut self, number: CallNumber, recorded: Recorded) {
        let call = self.steps.iter_mut().rev().find_map(|step| match step {
            Step::Turn(turn) => turn.calls.iter_mut().find(|call| call.number == number),
            Step::Served(_, call) => (call.number == number).then_some(call),
            Step::Note(_) => None,
        });
        match call {
            Some(call) => call.events.push(recorded.event),
            None => self.steps.push_back(Step::Note(Box::new(recorded))),
        }
    }
}

impl Step {
    fn is_complete(&self) -> bool {
        let has_ended = |call: &Call| call.finished().is_some() || call.is_resolved();
        match self {
            Self::Turn(turn) => turn.calls.iter().all(has_ended),
            Self::Served(_, call) => has_ended(call),
            Self::Note(_) => true,
        }
    }
}

impl Call {
    /// How it ended, where it did.
    pub(super) fn finished(&self) -> Option<&ToolFinished> {
        self.events.iter().find_map(|event| match event {
            Event::ToolFinished(body) => Some(body),
            _ => None,
        })
    }

    /// Whether a person said what became of it, in the place of an outcome.
    pub(super) fn is_resolved(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::DoubtResolved(body) if body.resolution.settles()))
    }

    /// Whether its last attempt ended without outcome, to go on later.
    pub(super) fn is_set_aside(&self) -> bool {
        let tells = |event: &&Event| matches!(event, Event::ToolStarted(_) | Event::ToolSuspended(_));
        matches!(self.events.iter().rev().find(tells), Some(Event::ToolSuspended(_)))
    }

    /// What it did, as far as that is recorded: complete once it ended, before that the announced writes.
    pub(super) fn effects(&self) -> Effects<'_> {
        if let Some(finished) = self.finished() {
            return Effects { recorded: finished.effects.iter().collect(), announced: Vec::new() };
        }
        let recorded = self.events.iter().filter_map(|event| match event {
            Event::EffectDone(body) => Some(&body.effect),
            _ => None,
        });
        let recorded: Vec<_> = recorded.collect();
        let announced = self.events.iter().filter_map(|event| match event {
            Event::EffectIntended(body) if !recorded.iter().any(|done| done.number == body.number) => Some(body),
            _ => None,
        });
        Effects { announced: announced.collect(), recorded }
    }
}

/// The effects of a call.
pub(super) struct Effects<'a> {
    pub(super) recorded: Vec<&'a Effect>,
    /// Writes that were announced, and of which no result is recorded.
    pub(super) announced: Vec<&'a EffectIntended>,
}
