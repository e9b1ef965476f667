//! One drive of a run and the turn that it is in: the spans that hold the others, and what is added up over them.

use super::facts::Facts;
use super::model_call::{self, mark_cut};
use super::names::{self, Subject, operation};
use super::tool_call::Attempt;
use super::{Content, Ended, Link, Note, Side, Span, SpanId, content};
use crate::digest::Digest;
use crate::event::{Event, ModelReplied, Recorded, ToolFinished};
use crate::message::{Message, Part, Role};
use crate::model::TokenUsage;
use crate::name::CallNumber;
use crate::run_events::{RunEnded, RunResumed};
use crate::stop::StopReason;
use crate::units::UnixMillis;

/// What goes on between a start or resume and the end of it.
#[derive(Debug, Clone)]
pub(super) struct Drive {
    pub(super) span: Span,
    pub(super) turn: Option<Turn>,
    turns: u64,
    model_calls: u64,
    tool_calls: u64,
    fuel: u64,
    tokens: TokenUsage,
}

/// A turn, as far as it happens in one drive.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) span: Span,
    pub(super) number: u32,
    pub(super) model: Option<Span>,
    pub(super) tools: Vec<Attempt>,
}

impl Drive {
    /// The `number`th drive of the run, which goes on from the one `before`.
    pub(super) fn begin(facts: &Facts, recorded: &Recorded, number: u32, before: Option<Link>) -> Self {
        let agent = &facts.started.agent;
        let id = SpanId::of(&facts.run, recorded.seq, (operation::INVOKE_AGENT, 0));
        let name = format!("{} {agent}", operation::INVOKE_AGENT);
        let mut span = Span::begin(facts.trace, id, (Subject::Run, Side::Internal), name, recorded.at);
        span.links = before.into_iter().collect();
        span.set(&names::OPERATION, operation::INVOKE_AGENT);
        facts.model(0).describe(&mut span);
        span.set(&names::AGENT_NAME, agent.as_str());
        if let Some(file) = &facts.started.agent_file {
            span.set(&names::AGENT_VERSION, file.to_string());
        }
        span.set(&names::RUN, facts.run.as_str());
        if let Some(session) = facts.session() {
            span.set(&names::CONVERSATION, session);
        }
        if let Some(from) = &facts.started.forked_from {
            span.set(&names::FORKED_FROM, from.run.as_str());
        }
        span.set(&names::DRIVE, number);
        span.set(&names::DURABILITY, facts.durability());
        if let Event::RunResumed(RunResumed { repaired: Some(bytes), .. }) = &recorded.event {
            span.set(&names::REPAIRED, bytes.0);
        }
        if facts.content == Content::Captured {
            capture(&mut span, &names::INPUT_MESSAGES, Message::from_user(facts.started.input.clone()));
            let (definitions, cut) = content::definitions(facts.started.tools.iter().map(|tool| &tool.descriptor));
            span.set(&names::TOOL_DEFINITIONS, definitions);
            mark_cut(&mut span, cut);
        }
        Self { span, turn: None, turns: 0, model_calls: 0, tool_calls: 0, fuel: 0, tokens: TokenUsage::default() }
    }

    /// How the next drive refers to this one.
    pub(super) fn link(&self) -> Link {
        Link { trace: self.span.trace, span: self.span.id }
    }

    /// Goes into a turn, and out of another one where that was left open.
    pub(super) fn enter_turn(&mut self, facts: &Facts, recorded: &Recorded, number: u32) -> Vec<Span> {
        if self.turn.as_ref().is_some_and(|turn| turn.number == number) {
            return Vec::new();
        }
        let ended = self.break_turn(facts, recorded.at);
        let id = SpanId::of(&facts.run, recorded.seq, ("turn", 0));
        let name = format!("turn {number}");
        let mut span = Span::begin(facts.trace, id, (Subject::Turn, Side::Internal), name, recorded.at);
        span.parent = Some(self.span.id);
        span.set(&names::TURN, number);
        self.turn = Some(Turn { span, number, model: None, tools: Vec::new() });
        ended
    }

    pub(super) fn leave_turn(&mut self, at: UnixMillis) -> Option<Span> {
        let mut span = self.turn.take()?.span;
        span.end(at, Ended::Done);
        Some(span)
    }

    /// Ends the turn and all that goes on in it.
    fn break_turn(&mut self, facts: &Facts, at: UnixMillis) -> Vec<Span> {
        let Some(mut turn) = self.turn.take() else { return Vec::new() };
        let broken = |attempt: Attempt| attempt.break_off(facts, at);
        let mut ended: Vec<Span> = turn.tools.into_iter().flat_map(broken).collect();
        ended.extend(turn.model.map(|mut span| {
            span.end(at, Ended::Interrupted);
            span
        }));
        turn.span.end(at, Ended::Interrupted);
        ended.push(turn.span);
        ended
    }

    pub(super) fn count_request(&mut self) {
        self.model_calls += 1;
    }

    pub(super) fn count_reply(&mut self, body: &ModelReplied) {
        self.turns += 1;
        self.tokens.add(&body.reply.usage);
        self.span.set(&names::FINISH_REASONS, vec![model_call::finish_reason(body).to_owned()]);
    }

    pub(super) fn count_call(&mut self, body: &ToolFinished) {
        self.tool_calls += 1;
        self.fuel = self.fuel.saturating_add(body.metering.fuel.counted().0);
    }

    /// The host is gone, and everything that was going on ended with it.
    pub(super) fn interrupt(mut self, facts: &Facts, (seq, at): (u64, UnixMillis)) -> Vec<Span> {
        let mut ended = self.break_turn(facts, at);
        self.total(seq);
        self.span.end(at, Ended::Interrupted);
        ended.push(self.span);
        ended
    }

    /// The run stopped. What goes on then was cancelled.
    pub(super) fn stop(
        mut self,
        facts: &Facts,
        recorded: &Recorded,
        body: &RunEnded,
        head: Option<&Digest>,
    ) -> Vec<Span> {
        let mut ended = self.break_turn(facts, recorded.at);
        self.total(recorded.seq);
        let mut span = self.span;
        span.set(&names::STOP, body.stop.name());
        if let Some(head) = head {
            span.set(&names::HEAD, head.to_string());
        }
        if is_failure(body.stop) {
            span.fail(body.stop.name(), body.detail.as_deref().and_then(|detail| facts.words(detail)));
        }
        if let (Content::Captured, Some(answer)) = (facts.content, &body.answer) {
            let parts = vec![Part::Text(answer.clone())];
            capture(&mut span, &names::OUTPUT_MESSAGES, Message { role: Role::Assistant, parts });
        }
        span.end(recorded.at, Ended::Done);
        ended.push(span);
        ended
    }

    /// Everything that goes on, as it is now.
    pub(super) fn look(mut self, facts: &Facts, (seq, now): (u64, UnixMillis)) -> Vec<Span> {
        self.total(seq);
        let (model, tools, turn) = match self.turn.take() {
            Some(turn) => (turn.model, turn.tools, Some(turn.span)),
            None => (None, Vec::new(), None),
        };
        let mut open: Vec<Span> = [self.span].into_iter().chain(turn).chain(model).collect();
        open.iter_mut().for_each(|span| span.end(now, Ended::Open));
        open.extend(tools.into_iter().flat_map(|attempt| attempt.look(facts, now)));
        open
    }

    pub(super) fn attempt(&mut self, call: CallNumber) -> Option<&mut Attempt> {
        self.turn.as_mut()?.tools.iter_mut().find(|attempt| attempt.call == call)
    }

    pub(super) fn take_attempt(&mut self, call: CallNumber) -> Option<Attempt> {
        let tools = &mut self.turn.as_mut()?.tools;
        let index = tools.iter().position(|attempt| attempt.call == call)?;
        Some(tools.remove(index))
    }

    /// Something happened that is about no call of its own: said on the turn where there is one.
    pub(super) fn tell(&mut self, note: Note) {
        let span = self.turn.as_mut().map_or(&mut self.span, |turn| &mut turn.span);
        span.notes.push(note);
    }

    /// What was used since it began.
    fn total(&mut self, seq: u64) {
        self.span.set(&names::SEQ, seq);
        self.span.set(&names::TURNS, self.turns);
        self.span.set(&names::MODEL_CALLS, self.model_calls);
        self.span.set(&names::TOOL_CALLS, self.tool_calls);
        self.span.set(&names::FUEL, self.fuel);
        model_call::count_tokens(&mut self.span, &self.tokens);
    }
}

fn capture(span: &mut Span, attribute: &'static names::Attribute, message: Message) {
    let (messages, cut) = content::messages(&[message]);
    span.set(attribute, messages);
    mark_cut(span, cut);
}

/// Whether a run that stopped so did not do what it was for. One that waits for a person, or for room, goes on.
fn is_failure(stop: StopReason) -> bool {
    match stop {
        StopReason::Completed | StopReason::SuspendedApproval | StopReason::SuspendedDoubt | StopReason::StoreFull => {
            false
        }
        StopReason::OutputInvalid
        | StopReason::MaxTurns
        | StopReason::MaxToolCalls
        | StopReason::TokenBudget
        | StopReason::TimeBudget
        | StopReason::FuelBudget
        | StopReason::LoopDetected
        | StopReason::ToolErrors
        | StopReason::Cancelled
        | StopReason::Error => true,
    }
}
