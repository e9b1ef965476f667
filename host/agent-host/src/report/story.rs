//! The events of a run in the order in which a person reads them: turn by turn, and with each call what became of it.

use agent_core::client_events::Client;
use agent_core::effect::Effect;
use agent_core::event::{EffectIntended, Event, ModelReplied, Recorded, ToolFinished};
use agent_core::name::CallNumber;
use agent_core::run_events::LockedTool;

/// One step of the story.
pub(super) enum Step<'a> {
    Turn(Turn<'a>),
    /// A call of a client.
    Served(&'a Client, Call<'a>),
    /// Something beside the turns: a failed request, a stop, a resume.
    Note(&'a Recorded),
}

/// A reply and the calls that it asked for.
pub(super) struct Turn<'a> {
    pub(super) replied: &'a ModelReplied,
    pub(super) calls: Vec<Call<'a>>,
}

/// A call and everything that was recorded about it, in order.
pub(super) struct Call<'a> {
    pub(super) number: CallNumber,
    /// As they were asked for.
    pub(super) arguments: &'a str,
    /// The tool as people write it; as the model wrote it, where there is no such tool.
    pub(super) tool: String,
    pub(super) events: Vec<&'a Event>,
}

/// Puts the events of a run, whose first one says `tools`, into their steps.
pub(super) fn tell<'a>(tools: &[LockedTool], events: &'a [Recorded]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let mut calls = 0;
    for recorded in events {
        match &recorded.event {
            Event::RunStarted(_) | Event::ModelRequested(_) | Event::HeadSigned(_) | Event::PathsMarked(_) => {}
            Event::ModelReplied(replied) => steps.push(Step::Turn(Turn::begin(tools, replied, &mut calls))),
            Event::ToolProposed(body) => {
                let call = Call::begin(tools, (&body.tool, &body.arguments), &mut calls);
                steps.push(Step::Served(&body.client, call));
            }
            Event::ModelFailed(_)
            | Event::GrantWidened(_)
            | Event::ChangesUndone(_)
            | Event::RunResumed(_)
            | Event::RunRebased(_)
            | Event::RunAdopted(_)
            | Event::RunEnded(_) => {
                steps.push(Step::Note(recorded));
            }
            Event::ApprovalRequested(body) => attach(&mut steps, body.call, recorded),
            Event::ApprovalDecided(body) => attach(&mut steps, body.call, recorded),
            Event::ToolStarted(body) => attach(&mut steps, body.call, recorded),
            Event::EffectIntended(body) => attach(&mut steps, body.call, recorded),
            Event::EffectDone(body) => attach(&mut steps, body.call, recorded),
            Event::CallUndone(body) => attach(&mut steps, body.call, recorded),
            Event::ToolSuspended(body) => attach(&mut steps, body.call, recorded),
            Event::ToolFinished(body) => attach(&mut steps, body.call, recorded),
            Event::ToolInDoubt(body) => attach(&mut steps, body.call, recorded),
            Event::DoubtResolved(body) => attach(&mut steps, body.call, recorded),
        }
    }
    steps
}

/// Calls are numbered over the whole run, and those that are pending are among the last.
fn attach<'a>(steps: &mut Vec<Step<'a>>, number: CallNumber, recorded: &'a Recorded) {
    let call = steps.iter_mut().rev().find_map(|step| match step {
        Step::Turn(turn) => turn.calls.iter_mut().find(|call| call.number == number),
        Step::Served(_, call) => (call.number == number).then_some(call),
        Step::Note(_) => None,
    });
    match call {
        Some(call) => call.events.push(&recorded.event),
        None => steps.push(Step::Note(recorded)),
    }
}

impl<'a> Turn<'a> {
    fn begin(tools: &[LockedTool], replied: &'a ModelReplied, calls: &mut u32) -> Self {
        let proposed = replied.reply.calls.iter();
        let calls = proposed.map(|call| Call::begin(tools, (&call.tool, &call.arguments), calls)).collect();
        Self { replied, calls }
    }
}

impl<'a> Call<'a> {
    fn begin(tools: &[LockedTool], (wire, arguments): (&'a str, &'a str), calls: &mut u32) -> Self {
        *calls += 1;
        let known = tools.iter().find(|tool| tool.descriptor.name.wire() == wire);
        let tool = known.map_or_else(|| wire.to_owned(), |tool| tool.descriptor.name.to_string());
        Call { number: CallNumber(*calls), arguments, tool, events: Vec::new() }
    }

    /// How it ended, where it did.
    pub(super) fn finished(&self) -> Option<&'a ToolFinished> {
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
        let tells = |event: &&&Event| matches!(event, Event::ToolStarted(_) | Event::ToolSuspended(_));
        matches!(self.events.iter().rev().find(tells), Some(Event::ToolSuspended(_)))
    }

    /// What it did, as far as that is recorded: complete once it ended, before that the announced writes.
    pub(super) fn effects(&self) -> Effects<'a> {
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
