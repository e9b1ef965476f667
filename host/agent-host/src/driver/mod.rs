//! The driver: does what the machine wants, and reports back facts. Commands build its ports and drive it to a stop.

mod call;
pub mod callers;
mod continuing;
mod doubting;
mod gate;
pub mod mounts;
pub mod ports;
mod reconcile;
pub mod recorder;
pub mod serving;
mod set_aside;
mod terms;
pub mod undoing;

pub use self::call::{engine, granted_environment};
pub use self::gate::idempotency_key;

use std::sync::Arc;
use std::time::Duration;

use agent_core::answer_events::{AnswerPlace, ApprovalDecided, ApprovalRequested};
use agent_core::approval;
use agent_core::event::{Event, ModelFailed, ModelReplied, ModelRequested, ToolFinished};
use agent_core::machine::{self, Action};
use agent_core::model::{CALLS_MAX, ModelFailure, ModelFailureKind, ModelReply, ModelRequest};
use agent_core::name::CallNumber;
use agent_core::outcome::ToolOutcome;
use agent_core::run_events::RunEnded;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::{Fuel, Millis};
use anyhow::Context;
use tokio::task::JoinSet;

use self::ports::Ports;
use crate::asking::{self, Offered};
use crate::clock;
use crate::failpoint;
use crate::hardening::kept::Wish;
use crate::journal::log::Durable;
use crate::person;
use crate::report::waiting::{self, Wants};

/// How long calls that were cancelled may take to come back before the run ends without them: who stops a run waits ten
/// seconds at most. Recording the end is part of it, and so are the two seconds that a collector of its trace has.
const DRAIN_TIME: Duration = Duration::from_secs(7);

/// Drives one run.
pub struct Driver {
    ports: Arc<Ports>,
    running: JoinSet<anyhow::Result<()>>,
}

/// Whether to go on in the loop.
enum Step {
    On,
    Stopped(RunEnded),
    HandedOver(Wish),
}

/// How a drive ended.
pub enum Driven {
    /// The run stopped.
    Ended(RunEnded),
    /// The run goes on in another process, which can reach what the person granted.
    HandedOver(Wish),
}

impl Driver {
    /// A driver of the run that `ports` records.
    #[must_use]
    pub fn new(ports: Arc<Ports>) -> Self {
        Self { ports, running: JoinSet::new() }
    }

    /// Does what the machine wants until the run stops.
    ///
    /// # Errors
    /// Where the run cannot go on in this process, above all when nothing can be recorded any more. The run can be resumed.
    pub async fn drive(mut self) -> anyhow::Result<Driven> {
        match self.drive_on().await {
            Err(error) if self.ports.journal.ran_out_of_room() => self.pause(error).await.map(Driven::Ended),
            driven => driven,
        }
    }

    async fn drive_on(&mut self) -> anyhow::Result<Driven> {
        loop {
            let stopped = self.ports.recorder.state().stopped.is_some();
            if self.ports.cancel.is_cancelled() && !stopped {
                return self.cancelled().await.map(Driven::Ended);
            }
            match self.step().await? {
                Step::On => {}
                Step::Stopped(ended) => return Ok(Driven::Ended(ended)),
                Step::HandedOver(wish) => return Ok(Driven::HandedOver(wish)),
            }
        }
    }

    async fn step(&mut self) -> anyhow::Result<Step> {
        let action = machine::next(&self.ports.recorder.state());
        match action {
            Action::CallModel { turn, attempt, model, wait } => self.call_model(turn, attempt, model, wait).await?,
            Action::AskApproval(call) => return self.ask_approval(call).await,
            Action::CallTool { call, attempt, fuel } => return self.start_call(call, attempt, fuel).await,
            Action::SettleCall { call, outcome } => self.settle(call, outcome)?,
            Action::UndoCall(call) => call::undo_interrupted(&self.ports, call).await?,
            Action::MarkInDoubt(doubt) => doubting::mark(&self.ports, *doubt)?,
            Action::SettleDoubt { call, resolution } => doubting::settle_by_policy(&self.ports, call, resolution)?,
            Action::Reconcile(call) => reconcile::reconcile(&self.ports, call).await?,
            Action::Wait => self.wait().await?,
            Action::Finish(ended) => return self.finish(ended).map(Step::Stopped),
            Action::Rest => {
                let stopped = self.ports.recorder.state().stopped.clone();
                return stopped.map(Step::Stopped).context("the run rests without having stopped");
            }
        }
        Ok(Step::On)
    }

    async fn call_model(&mut self, turn: u32, attempt: u32, model: usize, wait: Millis) -> anyhow::Result<()> {
        if self.rest(wait).await? == Rested::Cancelled {
            return Ok(());
        }
        // The sync before the request leaves covers everything of the turn before.
        self.ports.recorder.record(ModelRequested { turn, attempt, model }, Durable::Now)?;
        failpoint::hit("model-requested");
        self.ports.reporter.model_asked(turn, attempt, self.ports.models[model].name());
        let Some(reply) = self.reply(model).await else { return Ok(()) };
        match reply {
            Ok(reply) => {
                let replied = self.ports.recorder.record(ModelReplied { turn, reply }, Durable::Later)?;
                failpoint::hit("model-replied");
                if let Event::ModelReplied(ModelReplied { reply, .. }) = &replied.event {
                    self.ports.reporter.model_replied(reply);
                }
            }
            Err(failure) => {
                let failed = self.ports.recorder.record(ModelFailed { turn, failure }, Durable::Later)?;
                if let Event::ModelFailed(ModelFailed { failure, .. }) = &failed.event {
                    self.ports.reporter.model_failed(failure);
                }
            }
        }
        Ok(())
    }

    /// The model's reply; `None` if the run was cancelled meanwhile.
    async fn reply(&self, model: usize) -> Option<Result<ModelReply, ModelFailure>> {
        let (instructions, messages, tools, left) = {
            let state = self.ports.recorder.state();
            let left = state.budget.time.saturating_sub(state.spent.time);
            (state.started.instructions.clone(), Arc::clone(&state.messages), Arc::clone(&state.descriptors), left)
        };
        let request = ModelRequest { instructions: &instructions, messages: &messages, tools: &tools };
        let asked = tokio::time::timeout(left.to_duration(), self.ports.models[model].reply(request));
        tokio::select! {
            () = self.ports.cancel.cancelled() => None,
            reply = asked => Some(match reply {
                Ok(Ok(reply)) => usable(reply),
                Ok(Err(failure)) => Err(failure),
                Err(_) => Err(ModelFailure::new(ModelFailureKind::Timeout, "the run's time was used up before the model replied")),
            }),
        }
    }

    /// Puts to the person what a call asks. Where nobody answers, the questions stay open, and the run goes on without the
    /// call until nothing else is left to do.
    async fn ask_approval(&mut self, number: CallNumber) -> anyhow::Result<Step> {
        // First, since a directory that is granted changes what is asked about.
        if let Some(wish) = self.offer_directory(number).await? {
            return Ok(Step::HandedOver(wish));
        }
        let ports = Arc::clone(&self.ports);
        let questions = {
            let state = ports.recorder.state();
            approval::questions(&state, state.call(number).context("the call to approve is gone")?)
        };
        for (subject, digest) in questions {
            let asked = ApprovalRequested { call: number, subject: subject.clone(), digest };
            ports.recorder.record(asked, Durable::Later)?;
            failpoint::hit("approval-requested");
            if let Some(answer) = asking::approve(&ports, number, &subject).await {
                let by = person::answered(AnswerPlace::Run);
                ports.recorder.record(ApprovalDecided { call: number, subject, digest, answer, by }, Durable::Now)?;
                failpoint::hit("approval-decided");
            }
        }
        Ok(Step::On)
    }

    /// Offers the tool of a call a directory. What is under way is finished where the run then goes on elsewhere; the call
    /// itself has not begun, so nothing is lost.
    async fn offer_directory(&mut self, call: CallNumber) -> anyhow::Result<Option<Wish>> {
        let tool = self.ports.recorder.state().call(call).and_then(|pending| pending.tool);
        let Some(tool) = tool else { return Ok(None) };
        match asking::offer_directory(&self.ports, tool).await {
            Offered::Settled => Ok(None),
            Offered::Wished(wish) => self.until_idle().await.map(|()| Some(wish)),
        }
    }

    async fn start_call(&mut self, call: CallNumber, attempt: u32, fuel: Fuel) -> anyhow::Result<Step> {
        if let Some(wish) = self.offer_directory(call).await? {
            return Ok(Step::HandedOver(wish));
        }
        match call::prepare(&self.ports, call, attempt, fuel).await? {
            call::Prepared::Ready(started) => drop(self.running.spawn(async { started.run().await.map(drop) })),
            call::Prepared::Refused(outcome) => self.settle(call, outcome)?,
            call::Prepared::InDoubt(doubt) => drop(self.ports.recorder.record(*doubt, Durable::Now)?),
        }
        Ok(Step::On)
    }

    fn settle(&self, call: CallNumber, outcome: ToolOutcome) -> anyhow::Result<()> {
        let tool = self.ports.recorder.state().call(call).map(|pending| pending.call.clone());
        let settled = self.ports.recorder.record(ToolFinished::settled(call, outcome), Durable::Later)?;
        if let (Some(tool), Event::ToolFinished(finished)) = (tool, &settled.event) {
            self.ports.reporter.tool_settled(&tool, &finished.outcome);
        }
        Ok(())
    }

    /// Waits until a call reports, the run's time is up, or somebody cancels.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let left = {
            let state = self.ports.recorder.state();
            state.budget.time.saturating_sub(state.spent.time).to_duration()
        };
        tokio::select! {
            () = self.ports.cancel.cancelled() => Ok(()),
            joined = self.running.join_next() => flatten(joined),
            () = tokio::time::sleep(left) => {
                self.drain().await?;
                let detail = Some(format!("the run's time of {} is used up", self.ports.recorder.state().budget.time));
                self.finish(RunEnded { stop: StopReason::TimeBudget, answer: None, detail }).map(drop)
            }
        }
    }

    async fn rest(&self, wait: Millis) -> anyhow::Result<Rested> {
        if wait.0 == 0 {
            return Ok(Rested::Long);
        }
        // Up to a quarter more, so that many hosts do not come back in step.
        let jitter = u64::from(clock::random::<1>()?[0]) * wait.0 / 1024;
        let wait = Millis(wait.0 + jitter);
        self.ports.reporter.waiting_for_model(wait);
        Ok(tokio::select! {
            () = self.ports.cancel.cancelled() => Rested::Cancelled,
            () = tokio::time::sleep(wait.to_duration()) => Rested::Long,
        })
    }

    async fn until_idle(&mut self) -> anyhow::Result<()> {
        while !self.running.is_empty() {
            flatten(self.running.join_next().await)?;
        }
        Ok(())
    }

    fn finish(&self, ended: RunEnded) -> anyhow::Result<RunEnded> {
        self.ports.recorder.record(ended.clone(), Durable::Now)?;
        failpoint::hit("run-ended");
        Ok(ended)
    }

    /// There was no room for something that had to be recorded. Nothing happened that depended on it, and nothing recorded is
    /// lost: the run goes on from there once there is room.
    async fn pause(&mut self, error: anyhow::Error) -> anyhow::Result<RunEnded> {
        // The calls end as if the host were killed; that they cannot be recorded is known.
        while !self.running.is_empty() && self.drain().await.is_err() {}
        let detail = Some("the journal's disk is full".to_owned());
        let ended = RunEnded { stop: StopReason::StoreFull, answer: None, detail };
        let recorded = self.ports.recorder.record_last(ended.clone());
        recorded.map_or(Err(error), |()| Ok(ended))
    }

    async fn cancelled(&mut self) -> anyhow::Result<RunEnded> {
        self.drain().await?;
        let detail = Some(left_behind(&self.ports.recorder.state()));
        self.finish(RunEnded { stop: StopReason::Cancelled, answer: None, detail })
    }

    /// Ends the calls that are under way and waits for them, within a bound. Each is undone or in doubt then; one that did not
    /// come back in time is treated like that of a killed host when the run is resumed.
    async fn drain(&mut self) -> anyhow::Result<()> {
        self.ports.cancel.cancel();
        let all = async {
            while let Some(joined) = self.running.join_next().await {
                flatten(Some(joined))?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(Ok(()))
    }
}

/// What a stopped run leaves to its resume, for people.
fn left_behind(state: &State) -> String {
    let doubtful: Vec<_> = waiting::of_run(state)
        .into_iter()
        .filter(|waiting| matches!(waiting.wants, Wants::Word { .. }))
        .map(|waiting| format!("call {} `{}` is in doubt: {}", waiting.call, waiting.tool, waiting.what()))
        .collect();
    if doubtful.is_empty() {
        return "what was under way runs again on `agent-host resume`".to_owned();
    }
    doubtful.join("; ")
}

/// Whether a wait was waited to its end.
#[derive(PartialEq, Eq)]
enum Rested {
    Long,
    Cancelled,
}

/// A reply that neither says anything nor asks for anything is no reply; neither is one that asks for everything.
fn usable(reply: ModelReply) -> Result<ModelReply, ModelFailure> {
    if reply.text.trim().is_empty() && reply.calls.is_empty() {
        return Err(ModelFailure::new(ModelFailureKind::BadReply, "the reply is empty"));
    }
    if reply.calls.len() > CALLS_MAX {
        let text = format!("the reply asks for {} calls at once, more than {CALLS_MAX}", reply.calls.len());
        return Err(ModelFailure::new(ModelFailureKind::BadReply, text));
    }
    Ok(reply)
}

fn flatten(joined: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match joined {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(error).context("a tool call ended with a defect of the host"),
        None => Ok(()),
    }
}
