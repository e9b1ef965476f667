//! The span of one attempt of a tool call, and with it those of its effects: they are known when the attempt ends.

use std::collections::BTreeSet;

use super::effects::{self, Announced, EFFECT_SPANS_MAX, Within};
use super::facts::Facts;
use super::names::{self, Subject, operation};
use super::{Content, Ended, Side, Span, SpanId, content, model_call::mark_cut};
use crate::answer_events::ToolInDoubt;
use crate::effect::{Effect, EffectClass, EffectResult};
use crate::event::{EffectDone, EffectIntended, Recorded, Suspension, ToolFinished, ToolStarted, ToolSuspended};
use crate::message::ToolCall;
use crate::name::CallNumber;
use crate::outcome::{MeteredFuel, Metering, ToolOutcome};
use crate::units::UnixMillis;

/// An attempt that goes on.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) call: CallNumber,
    pub(super) span: Span,
    /// The event that began it.
    seq: u64,
    /// Writes that it announced, in order.
    announced: Vec<Announced>,
}

impl Attempt {
    pub(super) fn start(facts: &Facts, recorded: &Recorded, body: &ToolStarted, asked: &Asked) -> Self {
        let mut span = begin(facts, recorded, body.call, asked);
        span.set(&names::ATTEMPT, body.attempt);
        span.set(&names::COMPONENT, body.component.to_string());
        if body.continues.is_some() {
            span.set(&names::REPLAYED, true);
        }
        Self { call: body.call, span, seq: recorded.seq, announced: Vec::new() }
    }

    pub(super) fn announce(&mut self, at: UnixMillis, body: &EffectIntended) {
        // Each path that one effect changes is announced; the effect is one.
        if !self.announced.iter().any(|known| known.body.number == body.number) {
            self.announced.push(Announced { at, body: body.clone(), done: None });
        }
    }

    pub(super) fn done(&mut self, at: UnixMillis, body: &EffectDone) {
        if let Some(known) = self.announced.iter_mut().find(|known| known.body.number == body.effect.number) {
            known.done = Some((at, body.effect.clone()));
        }
    }

    /// It has its outcome.
    pub(super) fn finish(mut self, facts: &Facts, recorded: &Recorded, body: &ToolFinished) -> Vec<Span> {
        describe_outcome(facts, &mut self.span, &body.outcome);
        describe_use(&mut self.span, &body.metering);
        self.with_effects(facts, recorded.at, &body.effects)
    }

    /// It has no outcome, and the call goes on later: by another attempt.
    pub(super) fn suspend(mut self, facts: &Facts, at: UnixMillis, body: &ToolSuspended) -> Vec<Span> {
        let reason = match body.reason {
            Suspension::Approval => "approval",
            Suspension::Unanswered => "unanswered",
            Suspension::Cancelled => "cancelled",
        };
        self.span.set(&names::SUSPENDED, reason);
        describe_use(&mut self.span, &body.metering);
        self.with_effects(facts, at, &body.effects)
    }

    fn with_effects(mut self, facts: &Facts, at: UnixMillis, all: &[Effect]) -> Vec<Span> {
        self.span.end(at, Ended::Done);
        let within = self.within();
        let find = |effect: &Effect| self.announced.iter().find(|known| known.body.number == effect.number);
        // What was only told again has its span in the attempt that did it.
        let own: Vec<&Effect> = all.iter().filter(|effect| !effect.replayed).collect();
        let shown = with_spans(&own);
        let spans: Vec<Span> =
            shown.into_iter().map(|effect| effects::recorded(facts, within, effect, find(effect))).collect();
        count_effects(&mut self.span, all, &own);
        omit(&mut self.span, own.len(), spans.len());
        std::iter::once(self.span).chain(spans).collect()
    }

    /// It has no outcome and will have none: its host ended, or the run was stopped.
    pub(super) fn break_off(mut self, facts: &Facts, at: UnixMillis) -> Vec<Span> {
        self.span.end(at, Ended::Interrupted);
        self.with_announced(facts)
    }

    /// It may or may not have had its effect.
    pub(super) fn doubt(mut self, facts: &Facts, at: UnixMillis, body: &ToolInDoubt) -> Vec<Span> {
        self.span.set(&names::IN_DOUBT, true);
        self.span.fail("in_doubt", None);
        match &body.metering {
            Some(metering) => {
                describe_use(&mut self.span, metering);
                self.with_effects(facts, at, &body.effects)
            }
            None => {
                self.span.end(at, Ended::Done);
                self.with_announced(facts)
            }
        }
    }

    /// As it stands, while it goes on.
    pub(super) fn look(mut self, facts: &Facts, now: UnixMillis) -> Vec<Span> {
        self.span.end(now, Ended::Open);
        self.with_announced(facts)
    }

    fn with_announced(mut self, facts: &Facts) -> Vec<Span> {
        let within = self.within();
        let shown = self.announced.iter().take(EFFECT_SPANS_MAX);
        let spans: Vec<Span> = shown.map(|announced| effects::announced(facts, within, announced)).collect();
        self.span.set(&names::EFFECTS, self.announced.len() as u64);
        omit(&mut self.span, self.announced.len(), spans.len());
        std::iter::once(self.span).chain(spans).collect()
    }

    fn within(&self) -> Within {
        Within { span: self.span.id, seq: self.seq, call: self.call, start: self.span.start, end: self.span.end }
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) turn: u32,
    pub(super) call: ToolCall,
    pub(super) by: Asker,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asker {
    /// The model.
    Model,
    /// A client, at that time, by that version of the protocol and by a request that it calls so.
    Client { at: UnixMillis, protocol: Option<String>, request: Option<String> },
}

/// A call that got its outcome without being made.
pub(super) fn settled(facts: &Facts, recorded: &Recorded, body: &ToolFinished, asked: &Asked) -> Span {
    let mut span = begin(facts, recorded, body.call, asked);
    describe_outcome(facts, &mut span, &body.outcome);
    describe_use(&mut span, &body.metering);
    span.end(recorded.at, Ended::Done);
    span
}

fn begin(facts: &Facts, recorded: &Recorded, call: CallNumber, asked: &Asked) -> Span {
    let tool = facts.tool(&asked.call.tool);
    // What no tool of the run is called is the model's own word.
    let name = match tool {
        Some(tool) => tool.descriptor.name.to_string(),
        None => facts.words(&asked.call.tool).unwrap_or_else(|| "unknown".to_owned()),
    };
    let shown = if tool.is_some() { name.as_str() } else { "unknown" };
    let id = SpanId::of(&facts.run, recorded.seq, (operation::EXECUTE_TOOL, 0));
    let title = format!("{} {shown}", operation::EXECUTE_TOOL);
    let mut span = Span::begin(facts.trace, id, (Subject::Tool, Side::Internal), title, recorded.at);
    span.set(&names::OPERATION, operation::EXECUTE_TOOL);
    span.set(&names::TOOL_NAME, name);
    span.set(&names::TOOL_CALL_ID, asked.call.id.as_str());
    span.set(&names::TOOL_TYPE, "function");
    span.set(&names::CALL, call.0);
    span.set(&names::TURN, asked.turn);
    if let Asker::Client { at, protocol, request } = &asked.by {
        span.set(&names::MCP_METHOD, names::MCP_TOOLS_CALL);
        protocol.iter().for_each(|version| span.set(&names::MCP_PROTOCOL, version.as_str()));
        request.iter().for_each(|id| span.set(&names::JSONRPC_REQUEST, id.as_str()));
        span.set(&names::WAITED, recorded.at.since(*at).0);
    }
    if let Some(tool) = tool {
        span.set(&names::TOOL_DESCRIPTION, tool.descriptor.description.as_str());
    }
    if facts.content == Content::Captured {
        let (arguments, cut) = content::cut(&asked.call.arguments);
        span.set(&names::TOOL_ARGUMENTS, arguments);
        mark_cut(&mut span, cut);
    }
    span
}

fn describe_outcome(facts: &Facts, span: &mut Span, outcome: &ToolOutcome) {
    match outcome {
        ToolOutcome::Returned { .. } => {}
        ToolOutcome::Failed { message }
        | ToolOutcome::Refused { message, .. }
        | ToolOutcome::Faulted { message, .. } => span.fail(outcome.name(), facts.words(message)),
    }
    if facts.content == Content::Captured {
        let (result, cut) = content::outcome(outcome);
        span.set(&names::TOOL_RESULT, result);
        mark_cut(span, cut);
    }
}

fn describe_use(span: &mut Span, metering: &Metering) {
    span.set(&names::FUEL, metering.fuel.counted().0);
    span.set(&names::FUEL_EXACT, matches!(metering.fuel, MeteredFuel::Exact(_)));
    span.set(&names::MEMORY_PEAK, metering.memory_peak.0);
    span.set(&names::HOST_CALLS, metering.host_calls);
    if metering.effects_dropped > 0 {
        span.set(&names::EFFECTS_DROPPED, metering.effects_dropped);
    }
}

/// How many effects are its own; which kinds of authority it used, all that it was told again included.
fn count_effects(span: &mut Span, all: &[Effect], own: &[&Effect]) {
    let refused = own.iter().filter(|effect| effect.result == EffectResult::Refused).count();
    span.set(&names::EFFECTS, own.len() as u64);
    if refused > 0 {
        span.set(&names::EFFECTS_REFUSED, refused as u64);
    }
    let used = all.iter().filter(|effect| effect.result != EffectResult::Refused);
    let highest = used.clone().map(|effect| effect.class).max().unwrap_or(EffectClass::Pure);
    span.set(&names::EFFECT_CLASS, effects::class_name(highest));
    let capabilities: BTreeSet<_> = used.map(|effect| effect.request.capability()).collect();
    if !capabilities.is_empty() {
        let names = capabilities.into_iter().map(|capability| effects::capability_name(capability).to_owned());
        span.set(&names::CAPABILITIES, names.collect::<Vec<_>>());
    }
}

/// Those that get a span of their own, in order: before any look or refusal, all that changed or told something. Otherwise a
/// tool could push out of the picture what it does not want to be seen.
fn with_spans<'a>(own: &[&'a Effect]) -> Vec<&'a Effect> {
    let is_look =
        |effect: &Effect| effect.result == EffectResult::Refused || effect.class <= EffectClass::Read && !effect.egress;
    let mut shown = own.to_vec();
    if shown.len() > EFFECT_SPANS_MAX {
        shown.sort_by_key(|effect| is_look(effect));
        shown.truncate(EFFECT_SPANS_MAX);
        shown.sort_by_key(|effect| effect.number);
    }
    shown
}

fn omit(span: &mut Span, all: usize, shown: usize) {
    if all > shown {
        span.set(&names::EFFECTS_OMITTED, (all - shown) as u64);
    }
}
