//! One tool call, from the machine's wish to its recorded outcome: check the arguments, record the start, run it in the
//! sandbox behind its gate, record what came of it. Also the undoing of an attempt whose host ended.

use std::sync::Arc;

use agent_core::answer_events::{RetryFrom, ToolInDoubt};
use agent_core::approval;
use agent_core::digest::Digest;
use agent_core::doubt::Why;
use agent_core::effect::{Effect, EffectClass, EffectRequest, UndoEntry};
use agent_core::event::{Suspension, ToolFinished, ToolStarted, ToolSuspended};
use agent_core::file_events::CallUndone;
use agent_core::grant::{Capability, EnvGrant};
use agent_core::machine;
use agent_core::message::ToolCall;
use agent_core::name::CallNumber;
use agent_core::outcome::{Fault, RefusedCall, ToolOutcome};
use agent_core::pending::{Attempt, CallStatus, Origin};
use agent_core::run_events::{Durability, Record};
use agent_core::state::State;
use agent_core::tool::ToolDescriptor;
use agent_core::units::{Fuel, Millis};
use agent_sandbox::Sandbox;
use agent_sandbox::call::{Call, CallReport, Remains, Variable};
use agent_sandbox::gate::EffectGate;
use agent_sandbox::kv::Stores;
use agent_sandbox::mount::Mount;
use agent_sandbox::sync;
use anyhow::{Context, bail};
use tracing::Instrument;

use super::continuing::{self, Beginning};
use super::doubting::{self, Unresolved, leave_in_doubt};
use super::gate::CallGate;
use super::mounts::at_files;
use super::ports::Ports;
use super::serving;
use super::terms::Terms;
use super::undoing::{self, Restored, changed, restore};
use crate::boot;
use crate::defect::{Defect, is_planted};
use crate::failpoint;
use crate::journal::log::Durable;
use crate::results;
use crate::stores::{CallStores, Place};

/// What became of the wish to start a call.
pub enum Prepared {
    /// It may start; its start is recorded.
    Ready(Box<StartedCall>),
    /// It may not.
    Refused(ToolOutcome),
    /// It was interrupted after it had sent something, and cannot be continued from there.
    InDoubt(Box<ToolInDoubt>),
}

/// A call whose start is recorded.
pub struct StartedCall {
    ports: Arc<Ports>,
    number: CallNumber,
    attempt: u32,
    asked: ToolCall,
    component: Arc<agent_sandbox::component::Component>,
    descriptor: ToolDescriptor,
    call: Call,
    gate: Arc<CallGate>,
    stores: Arc<CallStores>,
    span: tracing::Span,
}

/// Checks a call, opens what it was granted and records its start.
///
/// # Errors
/// Where the start cannot be recorded, or the component that the run is locked to is not loaded.
pub async fn prepare(
    ports: &Arc<Ports>,
    number: CallNumber,
    attempt: u32,
    fuel_left: Fuel,
) -> anyhow::Result<Prepared> {
    let plan = plan(&ports.recorder.state(), number)?;
    let component = ports.components.of_tool(&plan.locked)?;
    let (text, descriptor) = (&plan.asked.arguments, &plan.locked.descriptor);
    let time = plan.grant.limits.deadline.to_duration();
    let arguments = match ports.schemas.check_for(component, text, descriptor, time).await {
        Ok(arguments) => arguments,
        Err(message) => return Ok(Prepared::Refused(refused(RefusedCall::ArgsInvalid, message))),
    };
    let engine = engine(&ports.sandbox);
    let along = match continuing::beginning(ports, number, &engine)? {
        Beginning::Anew => None,
        Beginning::Along(along) => Some(*along),
        Beginning::Never(reason) => return in_doubt(ports, number, doubting::from_start(reason)),
    };
    let mounts = match ports.mounts.open(&plan.grant).await {
        Ok(mounts) => mounts,
        Err(error) => {
            let message = format!("{:#}", anyhow::Error::from(error));
            if doubting::has_sent(ports, number) {
                // What the model would be told is not all that is known. The folder may be there again when a person looks.
                let (change, reason) = (None, format!("it cannot be continued: {message}"));
                return in_doubt(ports, number, Why { change, reason, retry: RetryFrom::Record });
            }
            return Ok(Prepared::Refused(ToolOutcome::Failed { message }));
        }
    };
    let Terms { limits, seed, clock_start } = match &along {
        Some(along) => Terms::along(along, (&plan.grant.limits, fuel_left))?,
        None => Terms::fresh((&plan.grant.limits, fuel_left), plan.origin.as_ref())?,
    };
    let started = ToolStarted {
        call: number,
        attempt,
        component: plan.locked.component,
        fuel: limits.fuel,
        authority: plan.authority,
        seed: hex::encode(seed),
        clock_start,
        engine,
        continues: along.as_ref().map(|along| along.started.attempt),
        boot: boot::known(),
    };
    ports.recorder.record(started, Durable::Later)?;
    failpoint::hit("tool-started");
    let name = plan.locked.descriptor.name.clone();
    ports.reporter.tool_started(number, &name, &plan.asked.arguments);
    let waiting = ports.callers.line(number);
    let cancel = waiting.map_or_else(|| ports.cancel.child_token(), |line| line.cancel.child_token());
    let of_tool = (name.clone(), plan.index);
    let gate = Arc::new(CallGate::new(Arc::clone(ports), of_tool, (number, attempt), cancel.clone()));
    let stores = Arc::new(CallStores::new(name.component.clone(), Place::Run(Arc::clone(&ports.journal))));
    let call = Call {
        operation: name.operation.clone(),
        arguments,
        mounts,
        stores: Arc::clone(&stores) as Arc<dyn Stores>,
        env: granted_environment(&plan.grant),
        secrets: ports.secrets.of(&plan.grant),
        limits,
        seed,
        clock_start,
        gate: Arc::clone(&gate) as Arc<dyn EffectGate>,
        replay: along.map(|along| along.replay),
        cancel,
    };
    let span = tracing::info_span!("call", call = %number, tool = %name, attempt);
    let (ports, component) = (Arc::clone(ports), Arc::clone(component));
    Ok(Prepared::Ready(Box::new(StartedCall {
        ports,
        number,
        attempt,
        asked: plan.asked,
        component,
        descriptor: plan.locked.descriptor,
        call,
        gate,
        stores,
        span,
    })))
}

fn in_doubt(ports: &Ports, number: CallNumber, why: Why) -> anyhow::Result<Prepared> {
    let doubt = doubting::of_call(ports, number, why).context("a call is not continued that had sent nothing")?;
    Ok(Prepared::InDoubt(Box::new(doubt)))
}

impl StartedCall {
    /// Runs the call and records what came of it. One that its host ended has no outcome: it is undone, and goes on later.
    /// Nor has one in doubt.
    ///
    /// # Errors
    /// Where nothing can be recorded any more, or the sandbox itself cannot go on.
    pub async fn run(self: Box<Self>) -> anyhow::Result<Option<ToolFinished>> {
        let span = self.span.clone();
        self.run_inside().instrument(span).await
    }

    async fn run_inside(self: Box<Self>) -> anyhow::Result<Option<ToolFinished>> {
        let Self { ports, number, attempt, asked, component, descriptor, call, gate, stores, .. } = *self;
        let (mounts, deadline) = (call.mounts.clone(), call.limits.deadline);
        let report = ports.sandbox.call(&component, call).await?;
        let mut report = results::held(report, &component, &descriptor, &ports.schemas, deadline).await;
        failpoint::hit("guest-ended");
        tracing::info!(outcome = report.outcome.name(), fuel = report.metering.fuel.counted().0, "call ended");
        if report.remains != Remains::FileWork {
            gate.forget_open_files();
        }
        let changes = changes_so_far(&ports, number);
        let cancelled = matches!(report.outcome, ToolOutcome::Faulted { fault: Fault::Cancelled, .. });
        if report.remains == Remains::FileWork && !changes.is_empty() {
            if cancelled && ports.cancel.is_cancelled() {
                return Ok(None);
            }
            let reason = "one of its file operations still waits for its file system, so nothing can be undone yet";
            let why = doubting::about_change(changed(&changes[0]), reason.to_owned());
            return leave_in_doubt(&ports, number, why, Some(report)).map(|()| None);
        }
        let stopped = matches!(report.outcome, ToolOutcome::Faulted { .. });
        // What was stopped is not made again in a living host: a guest that always traps after its write would send it each time.
        let again = !stopped && matches!(doubting::unresolved(&ports, number), Some(Unresolved::Repeatable));
        if again || stopped {
            // A person who stops a run finds the files as they were, and does not have to resume it for that.
            match restore(&ports, &mounts, number, attempt).await? {
                Restored::All => {}
                Restored::Not { why, restored } => {
                    let undone = CallUndone { call: number, attempt, restored };
                    return left_alone(&ports, undone, why, Some(report)).map(|()| None);
                }
                Restored::Untried(why) => return leave_in_doubt(&ports, number, why, Some(report)).map(|()| None),
            }
        } else if survives_power_loss(&ports) {
            sync_to_disk(&mounts, changes, report.effects.clone())
                .await
                .context("what a tool wrote could not be synced to disk")?;
            failpoint::hit("changes-synced");
        }
        if cancelled {
            ports.reporter.tool_suspended(number);
            return suspend(&ports, (number, attempt), gate.suspension(), report).map(|()| None);
        }
        failpoint::hit("tool-returned");
        if let Some(why) = doubting::not_continued(&report.outcome).filter(|_| doubting::has_sent(&ports, number)) {
            return leave_in_doubt(&ports, number, why, Some(report)).map(|()| None);
        }
        if again {
            ports.reporter.tool_suspended(number);
            wait_to_send_again(&ports, attempt).await;
            return suspend(&ports, (number, attempt), Suspension::Unanswered, report).map(|()| None);
        }
        doubting::tell_unanswered(&ports, number, &mut report);
        let finished = finish(&ports, number, report, &stores)?;
        // Not before it is recorded: what a person has seen must not turn out to be in doubt, or be done again.
        if let Some(ended) = &finished {
            ports.reporter.tool_finished(number, (&asked, &ended.outcome), &ended.metering, &ended.effects);
        }
        Ok(finished)
    }
}

/// Restores what an attempt had changed whose host ended before the call did.
///
/// # Errors
/// Where a path cannot be restored or nothing can be recorded.
pub async fn undo_interrupted(ports: &Arc<Ports>, number: CallNumber) -> anyhow::Result<()> {
    let (attempt, mut grant) = {
        let state = ports.recorder.state();
        let attempt = interrupted(&state, number)?.clone();
        (attempt, plan(&state, number)?.grant)
    };
    // What it did not change need not be there any more.
    grant.fs.retain(|fs| attempt.changes.iter().any(|entry| entry.mount == fs.mount));
    ports.reporter.undoing(number, attempt.changes.len());
    failpoint::hit("undo-begun");
    let restored = match ports.mounts.open(&grant).await {
        Ok(mounts) => restore(ports, &mounts, number, attempt.number).await?,
        Err(error) => {
            let reason = format!("its changes could not be undone: {:#}", anyhow::Error::from(error));
            Restored::Untried(doubting::about_change(changed(&attempt.changes[0]), reason))
        }
    };
    match restored {
        Restored::All => Ok(()),
        Restored::Not { why, restored } => {
            left_alone(ports, CallUndone { call: number, attempt: attempt.number, restored }, why, None)
        }
        Restored::Untried(why) => leave_in_doubt(ports, number, why, None),
    }
}

/// Something that an attempt had changed is not as it was: a person must know of that, and what can be restored has been.
fn left_alone(ports: &Ports, undone: CallUndone, why: Why, report: Option<CallReport>) -> anyhow::Result<()> {
    let of = (undone.call, undone.attempt);
    leave_in_doubt(ports, undone.call, why, report)?;
    // Not to be tried once more where the person says that the call is to be made again: what is left is theirs.
    ports.recorder.record(undone, Durable::Later)?;
    undoing::forget_open_files(ports, of);
    Ok(())
}

/// Waits before a keyed write without an answer is sent again, longer each time: a server that is down is not hammered.
async fn wait_to_send_again(ports: &Ports, attempt: u32) {
    let doubled = machine::RETRY_WAIT.0.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    let wait = Millis(doubled.min(machine::RETRY_WAIT_MAX.0));
    tokio::select! {
        () = ports.cancel.cancelled() => {}
        () = tokio::time::sleep(wait.to_duration()) => {}
    }
}

/// What the running attempt has changed, in order: what to sync, or to restore.
fn changes_so_far(ports: &Ports, number: CallNumber) -> Vec<UndoEntry> {
    match ports.recorder.state().call(number).map(|pending| &pending.status) {
        Some(CallStatus::Running(attempt)) => attempt.changes.clone(),
        _ => Vec::new(),
    }
}

/// What a call needs to know of the run's state.
struct Plan {
    index: usize,
    asked: ToolCall,
    locked: agent_core::run_events::LockedTool,
    grant: agent_core::grant::Grant,
    authority: Digest,
    origin: Option<Origin>,
}

fn plan(state: &State, number: CallNumber) -> anyhow::Result<Plan> {
    let pending = state.call(number).context("the call is not pending")?;
    let index = pending.tool.context("the call names no tool")?;
    Ok(Plan {
        index,
        asked: pending.call.clone(),
        locked: state.started.tools[index].clone(),
        grant: state.authorities[index].grant.clone(),
        authority: approval::authority_digest(&state.authorities[index]),
        origin: pending.origin.clone(),
    })
}

fn interrupted(state: &State, number: CallNumber) -> anyhow::Result<&Attempt> {
    match state.call(number).map(|pending| &pending.status) {
        Some(CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, .. }) => Ok(attempt),
        Some(CallStatus::Proposed | CallStatus::Running(_) | CallStatus::InDoubt { .. } | CallStatus::Finished(_))
        | None => bail!("call {number} was not interrupted"),
    }
}

fn finish(
    ports: &Ports,
    number: CallNumber,
    report: CallReport,
    stores: &CallStores,
) -> anyhow::Result<Option<ToolFinished>> {
    if let Some(Unresolved::Doubtful(request)) = doubting::unresolved(ports, number) {
        let reason = format!("{}; the call ended with `{}`", unknown(&request), report.outcome.name());
        let why = Why { change: None, reason, retry: RetryFrom::Record };
        return leave_in_doubt(ports, number, why, Some(report)).map(|()| None);
    }
    let transcript = kept_transcript(ports, &report)?;
    let (outcome, metering, effects) = (report.outcome, report.metering, report.effects);
    let hidden = outcome.hidden();
    // A client is answered at once, and no later event covers that.
    let shown = ports.recorder.state().is_served() && effects.iter().any(|effect| effect.class > EffectClass::Read);
    let durable = if shown { Durable::Now } else { Durable::Later };
    let finished = ToolFinished { call: number, outcome, metering, effects, said: report.said, hidden, transcript };
    // What the call kept is there if and only if the call is recorded as ended.
    let recorded = ports.recorder.record_with(finished, durable, stores.changes(report.kv).as_ref())?;
    failpoint::hit("tool-finished");
    Ok(serving::finished(recorded.event))
}

/// Records that an attempt ended without outcome, once nothing of it is left to settle.
fn suspend(
    ports: &Ports,
    (call, attempt): (CallNumber, u32),
    reason: Suspension,
    report: CallReport,
) -> anyhow::Result<()> {
    if let Some(Unresolved::Doubtful(request)) = doubting::unresolved(ports, call) {
        let why = match reason {
            Suspension::Approval => "the call was set aside to wait for a person",
            Suspension::Unanswered => "another write has no answer, either",
            Suspension::Cancelled => "the run was stopped",
        };
        let reason = format!("{}; {why}", unknown(&request));
        let why = Why { change: None, reason, retry: RetryFrom::Record };
        return leave_in_doubt(ports, call, why, Some(report));
    }
    let (metering, effects) = (report.metering, report.effects);
    ports.recorder.record(ToolSuspended { call, attempt, reason, metering, effects }, Durable::Later)?;
    failpoint::hit("tool-suspended");
    Ok(())
}

fn unknown(request: &EffectRequest) -> &'static str {
    match request.capability() {
        Capability::Fs => "what it changed is not undone (`undo = false`)",
        _ => "its answer is not known",
    }
}

/// All that the call was told, where the run keeps that.
fn kept_transcript(ports: &Ports, report: &CallReport) -> anyhow::Result<Option<Digest>> {
    let full = ports.recorder.state().started.record == Record::Full;
    if !full || report.remains != Remains::Nothing || matches!(report.outcome, ToolOutcome::Refused { .. }) {
        return Ok(None);
    }
    Ok(Some(ports.journal.put_blob(&report.transcript.to_bytes())?))
}

async fn sync_to_disk(mounts: &[Mount], changes: Vec<UndoEntry>, effects: Vec<Effect>) -> anyhow::Result<()> {
    if mounts.is_empty() || is_planted(Defect::SkipFileSync) {
        return Ok(());
    }
    let below = mounts.to_vec();
    let work = move || sync::sync_changes(&below, &changes).and_then(|()| sync::sync_opaque(&below, &effects));
    let synced = at_files(mounts, work).await;
    synced.context("its file system does not answer")?.map_err(anyhow::Error::from)
}

fn survives_power_loss(ports: &Ports) -> bool {
    match ports.recorder.state().started.durability {
        Durability::Strict | Durability::Group => true,
        Durability::Relaxed => false,
    }
}

/// What a replay needs to be the same.
#[must_use]
pub fn engine(sandbox: &Sandbox) -> String {
    let settings = sandbox.settings();
    format!("wasmtime {} {}", settings.wasmtime, settings.digest)
}

/// The granted variables that are set.
pub fn granted_environment(grant: &agent_core::grant::Grant) -> Vec<Variable> {
    let variable = |env: &EnvGrant| {
        let value = std::env::var(&env.name).ok()?;
        Some(Variable { name: env.name.clone(), value, rule: env.source.clone() })
    };
    grant.env.iter().filter_map(variable).collect()
}

fn refused(reason: RefusedCall, message: String) -> ToolOutcome {
    ToolOutcome::Refused { reason, message }
}
