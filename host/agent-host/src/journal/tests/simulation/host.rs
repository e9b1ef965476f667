//! A host in the simulation: it does what the machine wants, by the rules of the real driver. An event is recorded before what
//! it announces happens, and as durable as its kind needs; a call that was stopped is undone, run again, or in doubt. Only the
//! waiting is missing: the dice say which of the calls under way goes on next.

use std::collections::VecDeque;

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, Approval, ApprovalDecided, ApprovalRequested, ApprovalSubject, DoubtResolved, Resolution,
    ResolvedBy, RetryFrom, ToolInDoubt,
};
use agent_core::approval;
use agent_core::digest::Digest;
use agent_core::doubt::{self, Why};
use agent_core::effect::{
    Before, Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, UndoEntry,
};
use agent_core::event::{
    EffectDone, EffectIntended, Event, ModelFailed, ModelReplied, ModelRequested, Suspension, ToolFinished,
    ToolStarted, ToolSuspended,
};
use agent_core::file_events::CallUndone;
use agent_core::grant::RuleSource;
use agent_core::hardening::Hardening;
use agent_core::machine::{self, Action};
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::name::CallNumber;
use agent_core::outcome::{Content, MeteredFuel, Metering, Said, ToolOutcome};
use agent_core::path_state::Becoming;
use agent_core::pending::CallStatus;
use agent_core::run_events::RunResumed;
use agent_core::state::{Phase, State};
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};

use super::ledger::Ledger;
use super::world::{Tool, World};
use crate::driver::idempotency_key;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::log::{Durable, RunLog};
use crate::journal::simulated::SimulatedJournal;
use crate::journal::simulated::dice::Dice;

/// The person who is asked.
const BY: AnsweredBy = AnsweredBy { user: 1000, place: AnswerPlace::Run };

/// Fuel of one call: what an attempt costs whose count is lost.
const FUEL: Fuel = Fuel(1_000);

/// What a build does wrong, so that the simulation has something to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Nothing.
    None,
    /// Does not sync before a write that was announced.
    SkipIntentSync,
    /// Does not sync before a request to the model.
    SkipModelSync,
    /// Acts, and records its intent afterwards.
    ActFirst,
    /// Makes a call again that may have had its effect.
    RunAgain,
    /// Does not undo what an interrupted attempt wrote.
    SkipUndo,
    /// Does not look whether it still holds the run.
    IgnoreEpoch,
    /// Tries a failed sync again, and believes what it is told.
    RetrySync,
}

/// How the world treats a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Every answer comes.
    Calm,
    /// Some do not.
    Rough,
}

/// What a host has besides its journal.
pub(super) struct Fate {
    pub(super) dice: Dice,
    pub(super) mutation: Mutation,
    pub(super) weather: Weather,
}

/// What the process does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    On,
    Stopped,
}

/// A process that drives a run.
pub(super) struct Host {
    journal: SimulatedJournal,
    log: Box<dyn RunLog>,
    pub(super) state: State,
    running: Vec<Running>,
    dice: Dice,
    mutation: Mutation,
    weather: Weather,
}

/// A call under way.
struct Running {
    call: CallNumber,
    attempt: u32,
    tool: Tool,
    number: u32,
    to_do: VecDeque<Moment>,
    key: Option<String>,
}

/// One thing that a call does without being interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    IntendChange,
    Change,
    IntendSend,
    Send,
    Answer,
    Sync,
    Finish,
}

impl Host {
    /// Goes on from `state`, which is the fold of what `log` holds.
    pub(super) fn new(journal: SimulatedJournal, log: Box<dyn RunLog>, state: State, fate: Fate) -> Self {
        let Fate { dice, mutation, weather } = fate;
        Self { journal, log, state, running: Vec::new(), dice, mutation, weather }
    }

    /// As if the process were killed.
    pub(super) fn kill(self) {
        self.journal.kill();
    }

    /// Says that this process has taken the run up.
    pub(super) fn take_up(&mut self, ledger: &mut Ledger) -> Result<(), JournalError> {
        let budget = self.state.budget.clone();
        self.record(ledger, RunResumed { budget, hardening: Hardening::none("a test"), boot: None, repaired: None })
    }

    /// Whether nothing happens to the world before something more is recorded.
    pub(super) fn is_between_acts(&self) -> bool {
        if matches!(machine::next(&self.state), Action::UndoCall(_)) {
            return false;
        }
        let next = self.running.iter().filter_map(|running| running.to_do.front());
        next.into_iter().all(|moment| match moment {
            Moment::IntendChange | Moment::IntendSend | Moment::Answer | Moment::Finish => true,
            Moment::Change | Moment::Send | Moment::Sync => false,
        })
    }

    /// Does what the machine wants next.
    pub(super) fn step(&mut self, world: &mut World, ledger: &mut Ledger) -> Result<Step, JournalError> {
        match machine::next(&self.state) {
            Action::CallModel { turn, attempt, model, .. } => {
                self.record(ledger, ModelRequested { turn, attempt, model })?;
                if attempt == 1 && self.dice.once_in(12) {
                    let failure = ModelFailure::new(ModelFailureKind::Timeout, "no answer");
                    return self.record(ledger, ModelFailed { turn, failure }).map(|()| Step::On);
                }
                let reply = world.reply(turn, &self.state.messages);
                self.record(ledger, ModelReplied { turn, reply })?;
            }
            Action::AskApproval(call) => self.ask(ledger, call)?,
            Action::CallTool { call, attempt, .. } => self.start(ledger, call, attempt)?,
            Action::SettleCall { call, outcome } => self.finish(ledger, call, outcome)?,
            Action::UndoCall(call) => self.undo(world, ledger, call)?,
            Action::MarkInDoubt(doubt) if self.mutation != Mutation::RunAgain => self.record(ledger, *doubt)?,
            Action::MarkInDoubt(doubt) => self.run_again(world, ledger, doubt.call)?,
            Action::SettleDoubt { .. } | Action::Reconcile(_) => unreachable!("a person is asked in these runs"),
            Action::Wait => {
                let chosen = self.dice.below(self.running.len());
                self.go_on(world, ledger, chosen)?;
            }
            Action::Finish(ended) => {
                self.record(ledger, ended)?;
                return Ok(Step::Stopped);
            }
            Action::Rest => return Ok(Step::Stopped),
        }
        Ok(Step::On)
    }

    /// A person says what became of the calls in doubt, having looked.
    pub(super) fn resolve(&mut self, world: &World, ledger: &mut Ledger) -> Result<(), JournalError> {
        let Phase::Acting(calls) = &self.state.phase else { return Ok(()) };
        let doubtful = calls.iter().filter(|call| matches!(call.status, CallStatus::InDoubt { .. }));
        let doubtful: Vec<_> = doubtful.map(|call| (call.number, Tool::of_arguments(&call.call.arguments))).collect();
        for (call, (tool, number)) in doubtful {
            let happened = world.server.acts.contains_key(&number);
            let resolution = match (happened, self.dice.below(8)) {
                (_, 0) | (false, 1..4) => Resolution::Retry,
                (true, _) => Resolution::Happened(tool.answer(number)),
                (false, _) => Resolution::DidNotHappen,
            };
            self.record(ledger, DoubtResolved { call, resolution, by: ResolvedBy::Person(BY) })?;
        }
        Ok(())
    }

    fn record(&mut self, ledger: &mut Ledger, event: impl Into<Event>) -> Result<(), JournalError> {
        let event = event.into();
        let durable = match (&event, self.mutation) {
            (Event::EffectIntended(_), Mutation::SkipIntentSync) => Durable::Later,
            (Event::ModelRequested(_), Mutation::SkipModelSync) => Durable::Later,
            (event, _) => Durable::needed_by(event),
        };
        let seq = self.state.seq + 1;
        ledger.attempts(seq, &event);
        match self.log.append(UnixMillis(1_000 + seq), event, durable) {
            Ok(recorded) => {
                self.state.apply(&recorded).map_err(|error| ledger.broke(format!("the state: {error}")))?;
                ledger.acknowledges(&recorded, durable, &self.state);
                Ok(())
            }
            Err(error) => {
                ledger.is_refused(&error);
                Err(error)
            }
        }
    }

    fn ask(&mut self, ledger: &mut Ledger, call: CallNumber) -> Result<(), JournalError> {
        let pending = self.state.call(call).unwrap();
        let digest = approval::call_digest(&self.state, pending);
        let no = Tool::of_arguments(&pending.call.arguments).1.is_multiple_of(4);
        let subject = ApprovalSubject::Call;
        self.record(ledger, ApprovalRequested { call, subject: subject.clone(), digest })?;
        let now = UnixMillis(1_000 + self.state.seq);
        let answer = if no { Approval::Denied { reason: None } } else { Approval::yes(now) };
        self.record(ledger, ApprovalDecided { call, subject, digest, answer, by: BY })
    }

    fn start(&mut self, ledger: &mut Ledger, call: CallNumber, attempt: u32) -> Result<(), JournalError> {
        let pending = self.state.call(call).unwrap();
        let asked = pending.call.clone();
        let sent = match &pending.status {
            CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, .. } => {
                Some(attempt).filter(|attempt| !attempt.sends.is_empty())
            }
            _ => None,
        };
        let continues = sent.map(|attempt| attempt.number);
        let answered = sent.is_some_and(|attempt| attempt.unresolved().is_none());
        let started = ToolStarted {
            call,
            attempt,
            component: Digest::of(b"component"),
            fuel: FUEL,
            authority: Digest::of(b"authority"),
            seed: String::new(),
            clock_start: UnixMillis(1_000),
            engine: "simulation".to_owned(),
            continues,
            boot: None,
        };
        self.record(ledger, started)?;
        let (tool, number) = Tool::of_arguments(&asked.arguments);
        let mut to_do = moments(tool, self.mutation);
        if answered {
            // Told again by the record: nothing is sent.
            to_do.retain(|moment| !matches!(moment, Moment::IntendSend | Moment::Send | Moment::Answer));
        }
        self.running.push(Running { call, attempt, tool, number, to_do, key: None });
        Ok(())
    }

    fn go_on(&mut self, world: &mut World, ledger: &mut Ledger, chosen: usize) -> Result<(), JournalError> {
        let running = &mut self.running[chosen];
        let (call, attempt, tool, number) = (running.call, running.attempt, running.tool, running.number);
        let path = Tool::file(number);
        match running.to_do.pop_front().unwrap() {
            Moment::IntendChange => {
                let before = match world.files.read(&path) {
                    None => Before::Absent,
                    Some(content) => {
                        let digest = self.journal.put_blob(content.as_bytes())?;
                        Before::Content { digest, mode: 0o600 }
                    }
                };
                let undo = vec![UndoEntry {
                    mount: "/data".to_owned(),
                    root: 1,
                    path,
                    before,
                    was: None,
                    owner: None,
                    attributes: Vec::new(),
                    becoming: Becoming::Itself,
                }];
                self.record(ledger, change(call, attempt, undo))
            }
            Moment::Change => {
                world.files.append(&path, number);
                Ok(())
            }
            Moment::IntendSend => {
                let request = request(number);
                let run = self.state.run.clone();
                let key = (tool == Tool::Order).then(|| idempotency_key(run.as_str(), call, 2, &request).0);
                self.running[chosen].key.clone_from(&key);
                let transcript = self.journal.put_blob(b"what the guest was told so far")?;
                self.record(ledger, send(call, attempt, request, key, transcript))
            }
            Moment::Send => {
                let key = self.running[chosen].key.clone();
                // What never leaves does nothing, and everybody knows.
                if self.mutation != Mutation::ActFirst && self.dice.once_in(10) {
                    self.running[chosen].to_do.retain(|later| *later != Moment::Answer);
                    return self.done(ledger, chosen, EffectResult::NotSent("refused".to_owned()));
                }
                world.server.act(number, key.as_deref());
                ledger.acted(call, attempt);
                Ok(())
            }
            Moment::Answer if self.weather == Weather::Rough && self.dice.once_in(16) => {
                // The answer never comes. The tool makes something of that, and doubt is what is recorded.
                self.done(ledger, chosen, EffectResult::Unknown("timeout".to_owned()))
            }
            Moment::Answer => self.done(ledger, chosen, EffectResult::Done("200".to_owned())),
            Moment::Sync => {
                world.files.sync(&path);
                Ok(())
            }
            Moment::Finish => {
                self.running.remove(chosen);
                let Some(CallStatus::Running(now)) = self.state.call(call).map(|pending| &pending.status) else {
                    return Err(ledger.broke("a call ends that is not under way".to_owned()));
                };
                let metering = Metering { fuel: MeteredFuel::Exact(Fuel(10)), ..Metering::nothing() };
                if now.unrepeatable().is_some() {
                    let (change, reason) = (None, "its answer is not known".to_owned());
                    let doubt = doubt::about(call, now, Why { change, reason, retry: RetryFrom::Record }).unwrap();
                    return self.record(ledger, ToolInDoubt { metering: Some(metering), ..doubt });
                }
                if now.unresolved().is_some() {
                    let (reason, effects) = (Suspension::Unanswered, Vec::new());
                    return self.record(ledger, ToolSuspended { call, attempt, reason, metering, effects });
                }
                let content = vec![Content::Text(tool.answer(number))];
                self.finish(ledger, call, ToolOutcome::Returned { content })
            }
        }
    }

    fn done(&mut self, ledger: &mut Ledger, chosen: usize, result: EffectResult) -> Result<(), JournalError> {
        let Running { call, attempt, tool, number, .. } = self.running[chosen];
        let effect = Effect {
            number: 2,
            request: request(number),
            class: class(tool),
            egress: true,
            decision: Decision::Allow { rule: RuleSource("test".to_owned()) },
            secrets: Vec::new(),
            result,
            bytes_out: Bytes(0),
            bytes_in: Bytes(0),
            at: Millis(0),
            duration: Millis(0),
            replayed: false,
        };
        self.record(ledger, EffectDone { call, attempt, effect, answer: None })
    }

    fn finish(&mut self, ledger: &mut Ledger, call: CallNumber, outcome: ToolOutcome) -> Result<(), JournalError> {
        let metering = Metering { fuel: MeteredFuel::Exact(Fuel(10)), ..Metering::nothing() };
        let (effects, said) = (Vec::new(), Said::default());
        self.record(ledger, ToolFinished { call, outcome, metering, effects, said, hidden: 0, transcript: None })
    }

    fn undo(&mut self, world: &mut World, ledger: &mut Ledger, call: CallNumber) -> Result<(), JournalError> {
        let Some(CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, .. }) =
            self.state.call(call).map(|pending| pending.status.clone())
        else {
            return Err(ledger.broke("a call is undone that was not interrupted".to_owned()));
        };
        for entry in attempt.changes.iter().rev().filter(|_| self.mutation != Mutation::SkipUndo) {
            let content = match &entry.before {
                Before::Content { digest, .. } => {
                    let bytes = self.journal.blob(digest)?;
                    let missing = || ledger.broke(format!("I5: the earlier content of `{}` is not there", entry.path));
                    Some(String::from_utf8(bytes.ok_or_else(missing)?).unwrap())
                }
                Before::Absent | Before::Directory { .. } | Before::Length(_) | Before::Symlink(_) => None,
            };
            world.files.restore(&entry.path, content);
        }
        let restored = u32::try_from(attempt.changes.len()).unwrap();
        self.record(ledger, CallUndone { call, attempt: attempt.number, restored })
    }

    /// What no build may do.
    fn run_again(&mut self, world: &mut World, ledger: &mut Ledger, call: CallNumber) -> Result<(), JournalError> {
        let asked = self.state.call(call).unwrap().call.clone();
        let (tool, number) = Tool::of_arguments(&asked.arguments);
        world.server.act(number, None);
        let content = vec![Content::Text(tool.answer(number))];
        self.finish(ledger, call, ToolOutcome::Returned { content })
    }
}

/// What a call of this tool does, in order.
fn moments(tool: Tool, mutation: Mutation) -> VecDeque<Moment> {
    let files: &[Moment] = &[Moment::IntendChange, Moment::Change];
    let send: &[Moment] = match mutation {
        Mutation::ActFirst => &[Moment::Send, Moment::IntendSend, Moment::Answer],
        _ => &[Moment::IntendSend, Moment::Send, Moment::Answer],
    };
    let (files, send, sync): (&[Moment], &[Moment], &[Moment]) = match tool {
        Tool::Compute | Tool::Guarded => (&[], &[], &[]),
        Tool::Append => (files, &[], &[Moment::Sync]),
        Tool::Order | Tool::Pay => (&[], send, &[]),
        Tool::Book => (files, send, &[Moment::Sync]),
    };
    files.iter().chain(send).chain(sync).chain(&[Moment::Finish]).copied().collect()
}

fn class(tool: Tool) -> EffectClass {
    match tool {
        Tool::Order => EffectClass::KeyedWrite,
        Tool::Compute | Tool::Guarded | Tool::Append | Tool::Pay | Tool::Book => EffectClass::OpaqueWrite,
    }
}

fn change(call: CallNumber, attempt: u32, undo: Vec<UndoEntry>) -> EffectIntended {
    let path = format!("/data/{}", undo[0].path);
    EffectIntended {
        call,
        attempt,
        number: 1,
        request: EffectRequest::File { operation: FileOperation::Write, path, to: None },
        class: EffectClass::OwnedWrite,
        undo,
        idempotency_key: None,
        transcript: None,
    }
}

fn send(
    call: CallNumber,
    attempt: u32,
    request: EffectRequest,
    idempotency_key: Option<String>,
    transcript: Digest,
) -> EffectIntended {
    let class = if idempotency_key.is_some() { EffectClass::KeyedWrite } else { EffectClass::OpaqueWrite };
    let (undo, transcript) = (Vec::new(), Some(transcript));
    EffectIntended { call, attempt, number: 2, request, class, undo, idempotency_key, transcript }
}

fn request(number: u32) -> EffectRequest {
    let url = format!("https://shop.test/{number}");
    let digest = Digest::of(url.as_bytes());
    EffectRequest::Http { method: "POST".to_owned(), url, body_bytes: Bytes(0), digest }
}
