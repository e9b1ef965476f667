//! State: the fold of a run's events. [`State::apply`] is the only way it changes; it performs nothing, so folding the same
//! events always gives the same state. `machine` reads it to say what comes next.

mod calls;
pub mod checkpoint;
pub mod folding;
mod trial;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::{Budget, Spent};
use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::event::{Event, Recorded};
use crate::message::Message;
use crate::model::ModelFailure;
use crate::name::{CallNumber, RunId};
use crate::pending::{Attempt, CallStatus, PendingCall, interrupt};
use crate::run_events::{LockedTool, RunEnded, RunRebased, RunResumed, RunStarted};
use crate::tool::ToolDescriptor;
use crate::units::{Fuel, Millis, UnixMillis};
use crate::{session, settled};
use folding::Folding;

/// Everything that the machine knows of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The run.
    pub run: RunId,
    /// How it began.
    pub started: RunStarted,
    /// What the tools of the run may do by now, in the order of `started.tools`.
    pub authorities: Vec<ToolAuthority>,
    /// The tools as the model sees them, in the same order.
    pub descriptors: Arc<[ToolDescriptor]>,
    /// The conversation. Shared with the request that is on its way: to copy it each turn makes long runs quadratic.
    pub messages: Arc<Vec<Message>>,
    /// What is going on.
    pub phase: Phase,
    /// Why the run is not going on, if it is not.
    pub stopped: Option<RunEnded>,
    /// What it may use.
    pub budget: Budget,
    /// What it has used.
    pub spent: Spent,
    /// The last call and result, and how often they came in a row.
    pub repeats: Repeats,
    /// Tool calls in a row that did not do what was asked.
    pub failures_in_row: u32,
    /// The number of the last event.
    pub seq: u64,
    /// Replies so far. Fewer than the turns that were used, where a crash left requests open.
    replies: u32,
    next_call: u32,
    last_at: UnixMillis,
    last_epoch: u64,
    /// The place of each tool, by its wire name: a stranger's run has as many tools as he likes.
    places: Arc<HashMap<String, usize>>,
    /// Whether a person was asked anything in this turn: otherwise nobody needs to look through its calls.
    has_asked: bool,
    /// The epoch of what it shares with the run that it was forked from.
    copied: Option<u64>,
    /// How many of its messages were said in earlier runs.
    carried: usize,
    conversation: Conversation,
}

/// What becomes of what was said in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conversation {
    /// It is kept, for the next request to the model.
    #[default]
    Kept,
    /// It is left out: somebody looks at the run, however much was said in it.
    LeftOut,
}

/// What is going on in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The model is to reply.
    Asking(Asking),
    /// The calls of a turn are to be made.
    Acting(Vec<PendingCall>),
    /// The model has answered.
    Answered(String),
    /// Calls come from clients, and each goes its own way. Those with an outcome are gone: a server may run for months.
    Serving(Vec<PendingCall>),
}

/// A turn whose reply is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// The turn, from 1.
    pub turn: u32,
    /// The model that is asked: an index into the run's models.
    pub model: usize,
    /// Requests to this model in this turn that were answered by a failure.
    pub failures: u32,
    /// The last failure.
    pub last: Option<ModelFailure>,
    /// Whether a request is on its way.
    pub requested: bool,
}

/// Repetitions of one call with one result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeats {
    digest: Option<Digest>,
    /// How often in a row.
    pub count: u32,
}

/// An event does not fit the state: the journal is damaged, or two hosts wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} `{kind}` does not follow: {why}")]
pub struct Unexpected {
    /// The event's number.
    pub seq: u64,
    /// Its kind.
    pub kind: &'static str,
    /// What does not fit.
    pub why: &'static str,
}

impl State {
    /// The state after a run's first event.
    ///
    /// # Errors
    /// Where the event is not a `RunStarted` with number 1.
    pub fn begin(first: &Recorded) -> Result<Self, Unexpected> {
        Self::begin_with(first, Conversation::Kept)
    }

    /// As [`State::begin`], with or without what is said in the run.
    ///
    /// # Errors
    /// See [`State::begin`].
    pub fn begin_with(first: &Recorded, conversation: Conversation) -> Result<Self, Unexpected> {
        let Event::RunStarted(started) = &first.event else {
            return Err(unexpected(first, "a run begins with `RunStarted`"));
        };
        if first.seq != 1 {
            return Err(unexpected(first, "a run begins with event 1"));
        }
        Ok(Self {
            run: first.run.clone(),
            authorities: started.tools.iter().map(|tool| tool.authority.clone()).collect(),
            descriptors: descriptors(&started.tools),
            messages: Arc::new(match conversation {
                Conversation::Kept => vec![Message::from_user(started.input.clone())],
                Conversation::LeftOut => Vec::new(),
            }),
            phase: if started.models.is_empty() { Phase::Serving(Vec::new()) } else { Phase::Asking(Asking::turn(1)) },
            stopped: None,
            budget: started.budget.clone(),
            spent: Spent { time: started.forked_from.as_ref().map_or(Millis(0), |from| from.time), ..Spent::default() },
            repeats: Repeats::default(),
            failures_in_row: 0,
            seq: 1,
            replies: 0,
            next_call: 1,
            last_at: first.at,
            last_epoch: first.epoch,
            places: places(&started.tools),
            has_asked: false,
            copied: started.forked_from.as_ref().map(|_| first.epoch),
            carried: 0,
            conversation,
            started: started.clone(),
        })
    }

    /// Folds all events of a run.
    ///
    /// # Errors
    /// Where one does not follow; `None` where there is none.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Option<Self>, Unexpected> {
        let mut folding = Folding::default();
        events.into_iter().for_each(|event| folding.see(event));
        folding.end()
    }

    /// The state after one more event.
    ///
    /// # Errors
    /// Where the event does not follow; the state must not be used further.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), Unexpected> {
        if recorded.seq != self.seq + 1 {
            return Err(unexpected(recorded, "its number is not the next"));
        }
        if !self.is_open_to(&recorded.event) {
            return Err(unexpected(recorded, "the run has stopped"));
        }
        let resumes = matches!(recorded.event, Event::RunResumed(_));
        let same_host = recorded.epoch == self.last_epoch && !resumes;
        // The times of what a fork shares are those of other hosts of another run, with gaps that nobody sees there any more:
        // how long that run was active by then, the fork was told.
        let is_shared = self.copied == Some(recorded.epoch);
        if !is_shared && self.stopped.is_none() && same_host && !self.waits_for_person() {
            // A killed host leaves a gap before the next one's first event, in which the run was not active.
            self.spent.time = Millis(self.spent.time.0.saturating_add(recorded.at.since(self.last_at).0));
        }
        self.dispatch(&recorded.event, recorded.at).map_err(|why| unexpected(recorded, why))?;
        self.seq = recorded.seq;
        self.last_at = recorded.at;
        self.last_epoch = recorded.epoch;
        Ok(())
    }

    /// Puts the conversation of earlier runs before this one's: once, before the run is driven. Whoever only looks at a run
    /// does without.
    pub fn carry(&mut self, earlier: Vec<Message>) {
        self.carried = earlier.len();
        self.messages = Arc::new(session::joined(earlier, self.started.earlier.left_out, &self.messages));
    }

    /// Whether a fact of this kind can come now: a run that has stopped only hears what a person says.
    #[must_use]
    pub fn is_open_to(&self, event: &Event) -> bool {
        self.stopped.is_none() || event.may_follow_the_end()
    }

    /// When the last event was recorded.
    #[must_use]
    pub fn last_at(&self) -> UnixMillis {
        self.last_at
    }

    /// Whether nothing goes on but that a person is waited for. That time is not the run's.
    #[must_use]
    pub fn waits_for_person(&self) -> bool {
        let calls = self.calls();
        let is_running = |call: &PendingCall| matches!(call.status, CallStatus::Running(_));
        let asks = |call: &PendingCall| !call.is_finished() && !call.asked.open.is_empty();
        self.has_asked && calls.iter().any(asks) && !calls.iter().any(is_running)
    }

    /// The calls of the turn that is going on.
    #[must_use]
    pub fn calls(&self) -> &[PendingCall] {
        match &self.phase {
            Phase::Acting(calls) | Phase::Serving(calls) => calls,
            Phase::Asking(_) | Phase::Answered(_) => &[],
        }
    }

    /// Whether its calls come from clients, and it asks no model.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self.phase, Phase::Serving(_))
    }

    /// The pending call of that number.
    #[must_use]
    pub fn call(&self, number: CallNumber) -> Option<&PendingCall> {
        let calls = self.calls();
        calls.get(place(calls, number)?)
    }

    fn dispatch(&mut self, event: &Event, at: UnixMillis) -> Result<(), &'static str> {
        match event {
            Event::RunStarted(_) => Err("the run has begun already"),
            Event::ModelRequested(body) => self.model_requested(body),
            Event::ModelReplied(body) => self.model_replied(body),
            Event::ModelFailed(body) => self.model_failed(body),
            Event::ToolProposed(body) => self.tool_proposed(body),
            Event::ApprovalRequested(body) => self.approval_requested(body),
            Event::ApprovalDecided(body) => self.pending(body.call)?.asked.answer(body, at),
            Event::GrantWidened(body) => self.grant_widened(&body.tool, &body.authority),
            Event::EffectPermitted(body) => self.effect_permitted(body),
            Event::ToolStarted(body) => self.tool_started(body),
            Event::EffectIntended(body) => self.effect_intended(body),
            Event::EffectDone(body) => self.effect_done(body),
            Event::PathsMarked(body) => self.paths_marked(body),
            Event::FuelTaken(body) => self.fuel_taken(body),
            Event::CallUndone(body) => self.call_undone(body),
            Event::ChangesUndone(body) => self.changes_undone(body),
            Event::ToolSuspended(body) => self.tool_suspended(body),
            Event::ToolFinished(body) => self.tool_finished(body),
            Event::ToolInDoubt(body) => self.tool_in_doubt(body),
            Event::DoubtResolved(body) => self.doubt_resolved(body),
            Event::RunResumed(body) => self.run_resumed(body),
            Event::RunRebased(body) => self.run_rebased(body),
            Event::RunAdopted(body) => self.run_adopted(body),
            Event::HeadSigned(_) => Ok(()),
            Event::RunEnded(body) => {
                self.stopped = Some(body.clone());
                Ok(())
            }
        }
    }

    fn pending(&mut self, number: CallNumber) -> Result<&mut PendingCall, &'static str> {
        match &mut self.phase {
            Phase::Acting(calls) | Phase::Serving(calls) => {
                let place = place(calls, number);
                place.and_then(|place| calls.get_mut(place)).ok_or("no such call is pending")
            }
            Phase::Asking(_) | Phase::Answered(_) => Err("no call is pending"),
        }
    }

    fn attempt(&mut self, number: CallNumber, attempt: u32) -> Result<&mut Attempt, &'static str> {
        match &mut self.pending(number)?.status {
            CallStatus::Running(found) | CallStatus::Interrupted(found) if found.number == attempt => Ok(found),
            _ => Err("no such attempt is going on"),
        }
    }

    /// The attempt of that number, while what it has changed could still be undone.
    fn attempt_with_changes(&mut self, number: CallNumber, attempt: u32) -> Option<&mut Attempt> {
        match &mut self.pending(number).ok()?.status {
            CallStatus::Running(found)
            | CallStatus::Interrupted(found)
            | CallStatus::InDoubt { attempt: found, .. }
            | CallStatus::Again { attempt: found, .. } => {
                Some(found).filter(|found| found.number == attempt && !found.changes.is_empty())
            }
            CallStatus::Proposed | CallStatus::Finished(_) => None,
        }
    }

    fn grant_widened(&mut self, tool: &str, authority: &ToolAuthority) -> Result<(), &'static str> {
        let index = *self.places.get(tool).ok_or("no such tool")?;
        self.authorities[index] = authority.clone();
        Ok(())
    }

    fn run_resumed(&mut self, body: &RunResumed) -> Result<(), &'static str> {
        if self.stopped.as_ref().is_some_and(|stopped| !stopped.stop.is_resumable()) {
            return Err("the run is complete");
        }
        self.stopped = None;
        self.budget = body.budget.clone();
        self.failures_in_row = 0;
        self.repeats = Repeats::default();
        match &mut self.phase {
            Phase::Asking(asking) => {
                // The request that was on its way is sent again, and both are paid for: a crash refunds nothing.
                self.spent.turns = self.spent.turns.saturating_add(u32::from(asking.requested));
                // Failures of another hour say nothing about the next one.
                *asking = Asking::turn(asking.turn);
            }
            Phase::Acting(calls) | Phase::Serving(calls) => {
                let lost: u64 = calls.iter_mut().filter_map(|call| interrupt(call, body.boot)).sum();
                self.spent.fuel = self.spent.fuel.saturating_add(Fuel(lost));
            }
            Phase::Answered(_) => {}
        }
        Ok(())
    }

    fn run_rebased(&mut self, body: &RunRebased) -> Result<(), &'static str> {
        if settled::open_work(self).is_some() {
            return Err("something that was begun has not ended");
        }
        let RunRebased { agent, agent_file, instructions, models, tools } = body.clone();
        self.authorities = tools.iter().map(|tool| tool.authority.clone()).collect();
        self.descriptors = descriptors(&tools);
        self.places = places(&tools);
        self.started = RunStarted { agent, agent_file, instructions, models, tools, ..self.started.clone() };
        match &mut self.phase {
            // The models may be others.
            Phase::Asking(asking) => *asking = Asking { requested: asking.requested, ..Asking::turn(asking.turn) },
            Phase::Acting(calls) | Phase::Serving(calls) => {
                for pending in calls {
                    pending.tool = self.places.get(&pending.call.tool).copied();
                }
            }
            Phase::Answered(_) => {}
        }
        Ok(())
    }
}

/// Where a call stands: their numbers rise, with gaps where those of clients have ended.
fn place(calls: &[PendingCall], number: CallNumber) -> Option<usize> {
    calls.binary_search_by_key(&number.0, |call| call.number.0).ok()
}

/// The tools as the model sees them.
fn descriptors(tools: &[LockedTool]) -> Arc<[ToolDescriptor]> {
    tools.iter().map(|tool| tool.descriptor.clone()).collect()
}

/// The first of each wire name, as the model's provider knows tools.
fn places(tools: &[LockedTool]) -> Arc<HashMap<String, usize>> {
    let mut places = HashMap::with_capacity(tools.len());
    for (place, tool) in tools.iter().enumerate() {
        places.entry(tool.descriptor.name.wire()).or_insert(place);
    }
    Arc::new(places)
}

fn unexpected(recorded: &Recorded, why: &'static str) -> Unexpected {
    Unexpected { seq: recorded.seq, kind: recorded.event.kind(), why }
}
