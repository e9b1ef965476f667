//! Follows the events of a run, in order, and gives the spans that each of them ends. Who stops half-way and begins anew from
//! the first event gets the same spans again.

use std::sync::Arc;

use super::drive::Drive;
use super::facts::Facts;
use super::model_call;
use super::names::{self, Attribute, note};
use super::talk::Talk;
use super::tool_call::{self, Attempt};
use super::{Content, Link, Note, Span, Value};
use crate::answer_events::{Approval, ApprovalSubject, DoubtResolved, Resolution, ToolInDoubt};
use crate::digest::Digest;
use crate::event::{Event, ModelFailed, ModelReplied, ModelRequested, Recorded, ToolFinished, ToolStarted};
use crate::message::Message;
use crate::name::CallNumber;
use crate::outcome::{Content as Told, ToolOutcome};
use crate::run_events::RunEnded;
use crate::units::UnixMillis;

/// The trace of a run up to where it was followed.
#[derive(Debug, Clone)]
pub struct Projection {
    content: Content,
    facts: Option<Arc<Facts>>,
    drive: Option<Drive>,
    drives: u32,
    /// The drive before.
    before: Option<Link>,
    /// The last event that was seen.
    last: (u64, UnixMillis),
    /// The time that its own events cover.
    period: Option<Period>,
    /// The lease under which it was written.
    epoch: u64,
    /// The lease under which events were copied from the run that this one was forked from. What they tell happened there.
    copied: Option<u64>,
    /// What was recorded while nobody drove the run.
    between: Vec<Note>,
    talk: Talk,
}

/// A time that events cover, in nanoseconds since 1970. It grows with each of them, whatever the clock does: what was added up at
/// one of them is never of the same time as what was added up at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// When the first was written.
    pub start: u64,
    /// When the last was written.
    pub end: u64,
}

impl Period {
    /// By how much it grows at least. One less is the time of what ends with a host, after the last event and before the next.
    const STEP: u64 = 2;

    fn until(before: Option<Self>, at: UnixMillis) -> Self {
        let at = at.0.saturating_mul(1_000_000);
        before.map_or(Self { start: at, end: at.saturating_add(Self::STEP) }, |before| Self {
            end: at.max(before.end.saturating_add(Self::STEP)),
            ..before
        })
    }

    /// Up to the end of the host, of which no event tells.
    #[must_use]
    pub fn broken_off(self) -> Self {
        Self { end: self.end.saturating_add(Self::STEP - 1), ..self }
    }
}

impl Projection {
    /// Of a run whose events are still to come.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            content,
            facts: None,
            drive: None,
            drives: 0,
            before: None,
            last: (0, UnixMillis(0)),
            period: None,
            epoch: 0,
            copied: None,
            between: Vec::new(),
            talk: Talk::new(content),
        }
    }

    /// The number of the last event that was followed; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.last.0
    }

    /// The time that its own events cover so far; `None` before the first.
    #[must_use]
    pub fn period(&self) -> Option<Period> {
        self.period
    }

    /// Whether nothing goes on: the run stopped, and only a resume would change that.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.facts.is_some() && self.drive.is_none()
    }

    /// Goes on by one event, whose hash is `head` where it is known. Gives the spans that it ends.
    pub fn follow(&mut self, recorded: &Recorded, head: Option<&Digest>) -> Vec<Span> {
        if let (Event::RunStarted(started), None) = (&recorded.event, &self.facts) {
            let facts = Arc::new(Facts::new(&recorded.run, started, self.content));
            self.talk.say(|| Message::from_user(started.input.clone()));
            self.copied = started.forked_from.as_ref().map(|_| recorded.epoch);
            self.begin_drive(&facts, recorded);
            self.facts = Some(facts);
        }
        // What does not begin with the beginning of a run is no run, and has no spans.
        let facts = self.facts.clone();
        let mut ended = Vec::new();
        if let Some(facts) = &facts {
            if self.seq() > 0 && recorded.epoch != self.epoch {
                // Another process writes: whoever drove the run before is gone.
                ended.extend(self.take_interrupted(facts));
            }
            ended.extend(self.step(facts, recorded, head));
        }
        let is_copied = self.is_copied();
        (self.last, self.epoch) = ((recorded.seq, recorded.at), recorded.epoch);
        if !self.is_copied() {
            self.period = Some(Period::until(self.period, recorded.at));
        }
        // What the copies left open was open in the other run.
        if is_copied || self.is_copied() { Vec::new() } else { ended }
    }

    /// The spans that ended because the host is gone: those that the next event would end first, whatever it is. For where
    /// there is none yet.
    #[must_use]
    pub fn interrupted(&self) -> Vec<Span> {
        match &self.facts {
            Some(_) if self.is_copied() => Vec::new(),
            Some(facts) => self.clone().take_interrupted(facts),
            None => Vec::new(),
        }
    }

    /// The spans that go on, as they are at `now`.
    #[must_use]
    pub fn open(&self, now: UnixMillis) -> Vec<Span> {
        match (&self.facts, self.drive.clone()) {
            (Some(facts), Some(drive)) if !self.is_copied() => drive.look(facts, (self.seq(), now)),
            (Some(_) | None, _) => Vec::new(),
        }
    }

    /// Whether all that was seen so far was copied from another run.
    fn is_copied(&self) -> bool {
        self.copied.is_some_and(|copied| copied == self.epoch)
    }

    fn step(&mut self, facts: &Facts, recorded: &Recorded, head: Option<&Digest>) -> Vec<Span> {
        let at = recorded.at;
        match &recorded.event {
            Event::RunStarted(_) => Vec::new(),
            Event::RunResumed(_) => {
                let ended = self.take_interrupted(facts);
                self.begin_drive(facts, recorded);
                ended
            }
            Event::RunRebased(body) => {
                self.facts = Some(Arc::new(facts.rebased(body)));
                self.put(Note { at, name: note::RUN_REBASED, attributes: Vec::new() });
                Vec::new()
            }
            Event::ChangesUndone(body) => {
                let restored = body.attempts.iter().map(|attempt| attempt.restored).fold(0, u32::saturating_add);
                self.put(Note { at, name: note::CHANGES_UNDONE, attributes: vec![(&names::UNDONE, restored.into())] });
                Vec::new()
            }
            // They are about the record or what a recovery goes by, and not about what happened.
            Event::RunAdopted(_) | Event::HeadSigned(_) | Event::PathsMarked(_) | Event::FuelTaken(_) => Vec::new(),
            Event::RunEnded(body) => self.run_ended(facts, recorded, body, head),
            Event::ModelRequested(body) => self.model_requested(facts, recorded, body),
            Event::ModelReplied(body) => self.model_replied(facts, recorded, body),
            Event::ModelFailed(body) => self.model_failed(facts, recorded, body),
            Event::ToolProposed(body) => {
                self.talk.propose(at, body);
                Vec::new()
            }
            Event::ApprovalRequested(body) => {
                let subject = subject(&body.subject);
                self.tell(at, note::APPROVAL_REQUESTED, body.call, [(&names::NOTE_SUBJECT, subject.into())])
            }
            Event::ApprovalDecided(body) => {
                let (subject, answer) = (subject(&body.subject), answer(&body.answer));
                let said = [(&names::NOTE_SUBJECT, subject.into()), (&names::NOTE_ANSWER, answer.into())];
                self.tell(at, note::APPROVAL_DECIDED, body.call, said)
            }
            Event::GrantWidened(body) => {
                let tool = body.authority.tool.to_string();
                self.put(Note { at, name: note::GRANT_WIDENED, attributes: vec![(&names::NOTE_TOOL, tool.into())] });
                Vec::new()
            }
            Event::EffectPermitted(body) => self.tell(at, note::EFFECT_PERMITTED, body.call, []),
            Event::ToolStarted(body) => self.tool_started(facts, recorded, body),
            Event::EffectIntended(body) => {
                self.attempt(body.call).into_iter().for_each(|attempt| attempt.announce(at, body));
                Vec::new()
            }
            Event::EffectDone(body) => {
                self.attempt(body.call).into_iter().for_each(|attempt| attempt.done(at, body));
                Vec::new()
            }
            Event::CallUndone(body) => {
                self.tell(at, note::CALL_UNDONE, body.call, [(&names::UNDONE, body.restored.into())])
            }
            Event::ToolSuspended(body) => match self.drive.as_mut().and_then(|drive| drive.take_attempt(body.call)) {
                Some(attempt) => attempt.suspend(facts, at, body),
                None => Vec::new(),
            },
            Event::ToolFinished(body) => self.tool_finished(facts, recorded, body),
            Event::ToolInDoubt(body) => self.tool_in_doubt(facts, recorded, body),
            Event::DoubtResolved(body) => self.doubt_resolved(at, body),
        }
    }

    fn take_interrupted(&mut self, facts: &Facts) -> Vec<Span> {
        let last = self.last;
        self.drive.take().map(|drive| drive.interrupt(facts, last)).unwrap_or_default()
    }

    fn begin_drive(&mut self, facts: &Facts, recorded: &Recorded) {
        self.drives += 1;
        // A copied drive is one of the other run, which this one goes on from.
        let before = if self.is_copied() { facts.origin() } else { self.before.or_else(|| facts.origin()) };
        let mut drive = Drive::begin(facts, recorded, self.drives, before);
        drive.span.notes = std::mem::take(&mut self.between);
        self.before = Some(drive.link());
        self.drive = Some(drive);
    }

    fn run_ended(&mut self, facts: &Facts, recorded: &Recorded, body: &RunEnded, head: Option<&Digest>) -> Vec<Span> {
        self.drive.take().map(|drive| drive.stop(facts, recorded, body, head)).unwrap_or_default()
    }

    /// Goes into a turn, where somebody drives the run: nothing else can happen then.
    fn enter_turn(&mut self, facts: &Facts, recorded: &Recorded, number: u32) -> Vec<Span> {
        self.talk.turn = number;
        self.drive.as_mut().map(|drive| drive.enter_turn(facts, recorded, number)).unwrap_or_default()
    }

    fn leave_turn_if_settled(&mut self, at: UnixMillis) -> Option<Span> {
        if !self.talk.is_settled() {
            return None;
        }
        self.drive.as_mut()?.leave_turn(at)
    }

    fn model_requested(&mut self, facts: &Facts, recorded: &Recorded, body: &ModelRequested) -> Vec<Span> {
        let ended = self.enter_turn(facts, recorded, body.turn);
        self.drive.iter_mut().for_each(Drive::count_request);
        if let Some(turn) = self.drive.as_mut().and_then(|drive| drive.turn.as_mut()) {
            let mut span = model_call::asked(facts, recorded, body, &self.talk.said);
            span.parent = Some(turn.span.id);
            turn.model = Some(span);
        }
        ended
    }

    fn model_replied(&mut self, facts: &Facts, recorded: &Recorded, body: &ModelReplied) -> Vec<Span> {
        let said = self.talk.reply(body);
        let Some(drive) = &mut self.drive else { return Vec::new() };
        drive.count_reply(body);
        let mut ended: Vec<Span> = drive.turn.as_mut().and_then(|turn| turn.model.take()).into_iter().collect();
        ended.iter_mut().for_each(|span| model_call::replied(facts, span, recorded, body, &said));
        ended.extend(self.leave_turn_if_settled(recorded.at));
        ended
    }

    fn model_failed(&mut self, facts: &Facts, recorded: &Recorded, body: &ModelFailed) -> Vec<Span> {
        let turn = self.drive.as_mut().and_then(|drive| drive.turn.as_mut());
        let mut ended: Vec<Span> = turn.and_then(|turn| turn.model.take()).into_iter().collect();
        ended.iter_mut().for_each(|span| model_call::failed(facts, span, recorded, body));
        ended
    }

    fn tool_started(&mut self, facts: &Facts, recorded: &Recorded, body: &ToolStarted) -> Vec<Span> {
        let asked = self.talk.asked(body.call);
        let ended = self.enter_turn(facts, recorded, asked.turn);
        if let Some(turn) = self.drive.as_mut().and_then(|drive| drive.turn.as_mut()) {
            let mut attempt = Attempt::start(facts, recorded, body, &asked);
            attempt.span.parent = Some(turn.span.id);
            turn.tools.push(attempt);
        }
        ended
    }

    fn tool_finished(&mut self, facts: &Facts, recorded: &Recorded, body: &ToolFinished) -> Vec<Span> {
        let asked = self.talk.asked(body.call);
        let mut ended = self.enter_turn(facts, recorded, asked.turn);
        self.talk.settle(body.call, &body.outcome);
        let Some(drive) = &mut self.drive else { return ended };
        drive.count_call(body);
        match drive.take_attempt(body.call) {
            Some(attempt) => ended.extend(attempt.finish(facts, recorded, body)),
            None => {
                let mut span = tool_call::settled(facts, recorded, body, &asked);
                span.parent = drive.turn.as_ref().map(|turn| turn.span.id);
                ended.push(span);
            }
        }
        ended.extend(self.leave_turn_if_settled(recorded.at));
        ended
    }

    fn tool_in_doubt(&mut self, facts: &Facts, recorded: &Recorded, body: &ToolInDoubt) -> Vec<Span> {
        match self.drive.as_mut().and_then(|drive| drive.take_attempt(body.call)) {
            Some(attempt) => attempt.doubt(facts, recorded.at, body),
            None => self.tell(recorded.at, note::CALL_IN_DOUBT, body.call, []),
        }
    }

    fn doubt_resolved(&mut self, at: UnixMillis, body: &DoubtResolved) -> Vec<Span> {
        let (word, outcome) = resolution(&body.resolution);
        let mut ended = self.tell(at, note::DOUBT_RESOLVED, body.call, [(&names::NOTE_RESOLUTION, word.into())]);
        if let Some(outcome) = outcome {
            self.talk.settle(body.call, &outcome);
            ended.extend(self.leave_turn_if_settled(at));
        }
        ended
    }

    fn attempt(&mut self, call: CallNumber) -> Option<&mut Attempt> {
        self.drive.as_mut()?.attempt(call)
    }

    /// Something happened to a call: said on its attempt, where one goes on.
    fn tell<const N: usize>(
        &mut self,
        at: UnixMillis,
        name: &'static str,
        call: CallNumber,
        more: [(&'static Attribute, Value); N],
    ) -> Vec<Span> {
        let mut attributes = vec![(&names::CALL, Value::from(call.0))];
        attributes.extend(more);
        let note = Note { at, name, attributes };
        match self.attempt(call) {
            Some(attempt) => attempt.span.notes.push(note),
            None => self.put(note),
        }
        Vec::new()
    }

    fn put(&mut self, note: Note) {
        match &mut self.drive {
            Some(drive) => drive.tell(note),
            None => self.between.push(note),
        }
    }
}

fn subject(subject: &ApprovalSubject) -> &'static str {
    match subject {
        ApprovalSubject::Call => "call",
        ApprovalSubject::Effect { .. } => "effect",
    }
}

fn answer(answer: &Approval) -> &'static str {
    match answer {
        Approval::Approved { .. } => "approved",
        Approval::Denied { .. } => "denied",
    }
}

/// What somebody said of a call in doubt, and the outcome that it has by that.
fn resolution(resolution: &Resolution) -> (&'static str, Option<ToolOutcome>) {
    match resolution {
        Resolution::Happened(text) => {
            ("happened", Some(ToolOutcome::Returned { content: vec![Told::Text(text.clone())] }))
        }
        Resolution::DidNotHappen => {
            let message = "the call was interrupted, and its effect did not happen".to_owned();
            ("did_not_happen", Some(ToolOutcome::Failed { message }))
        }
        Resolution::Retry => ("retry", None),
        Resolution::LeftOpen => {
            let message = "the call was interrupted, and nobody knows whether its effect happened".to_owned();
            ("left_open", Some(ToolOutcome::Failed { message }))
        }
        Resolution::Unknown => ("unknown", None),
    }
}
