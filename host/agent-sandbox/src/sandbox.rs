//! The sandbox as its caller sees it: load a component, call it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_core::limits::Limits;
use agent_core::name::Name;
use agent_core::outcome::{Fault, RefusedCall, ToolOutcome};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::cache::{CacheOptions, CacheRejected, CodeCache};
use crate::call::{Call, CallReport};
use crate::compile::{Compiler, InProcess};
use crate::component::{Component, Entry};
use crate::describe::exports::Lowered;
use crate::distant::{self, Settled, Watch};
use crate::effects::Effects;
use crate::engine::{self, EngineSettings, Residue};
use crate::gate::GateClosed;
use crate::invoke::{self, Finished, Target};
use crate::mount::Mount;
use crate::pace::{Begin, HOST_CALLS_MAX, Lent};
use crate::patience::Patience;
use crate::plain_text::error_line;
use crate::replay::{Replay, ReplayEnd};
use crate::runtime::GuestRuntime;
use crate::secrets::CallSecrets;
use crate::state::{CallParts, CallState};
use crate::value::json::Json;
use crate::value::{Mismatch, Path};
use crate::{hosts, report};

pub use crate::hosts::clocks::ClockGrain;

/// Longest text of a call's arguments.
const ARGUMENTS_BYTES_MAX: usize = 1 << 20;

/// How a sandbox is set up.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Most calls at once. More wait for a slot.
    pub calls_max: u32,
    /// How long a call waits for a slot before it is refused as overloaded.
    pub slot_wait: Duration,
    /// Whether anything stays resident between calls.
    pub residue: Residue,
    /// How fine the time is that guests can measure.
    pub clock: ClockGrain,
    /// Where compiled code is kept; without it, each process compiles anew.
    pub cache: Option<CacheOptions>,
    /// Who compiles what is not there.
    pub compiler: Arc<dyn Compiler>,
    /// Told when a component is compiled and that takes a while. Called from any thread; must not block.
    pub on_compile: Option<OnCompile>,
}

/// Hears of compiles.
pub type OnCompile = Arc<dyn Fn(&Compiling) + Send + Sync>;

/// A component is being compiled, and somebody may be waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiling {
    /// Its name.
    pub component: Name,
    /// Its size.
    pub bytes: usize,
}

impl Default for SandboxOptions {
    /// Room for the 32 calls that one turn may propose. No cache: a key is the caller's to keep. Compiles in this process:
    /// whoever loads what strangers made gives a compiler that can be killed.
    fn default() -> Self {
        Self {
            calls_max: 32,
            slot_wait: Duration::from_secs(5),
            residue: Residue::Kept,
            clock: ClockGrain::AsAsked,
            cache: None,
            compiler: Arc::new(InProcess::default()),
            on_compile: None,
        }
    }
}

/// Runs tool calls. One for each process: it holds the pool of slots and the guests' threads.
pub struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) settings: EngineSettings,
    pub(crate) linker: Linker<CallState>,
    slots: Arc<Semaphore>,
    slot_wait: Duration,
    clock: ClockGrain,
    pub(crate) cache: Option<Result<CodeCache, CacheRejected>>,
    pub(crate) on_compile: Option<OnCompile>,
    pub(crate) compiler: Arc<dyn Compiler>,
    /// One component at a time is asked for its tools: the pool has one slot for that.
    pub(crate) asking: Mutex<()>,
    /// Last, so that what runs is cancelled after nothing can start any more.
    pub(crate) guests: GuestRuntime,
}

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime refused the engine's settings, for instance for want of address space.
    #[error("cannot set up the sandbox: {0}")]
    Engine(String),
    /// The guests' threads could not be started.
    #[error("cannot start the guests' threads")]
    Threads(#[from] std::io::Error),
}

/// The call could not be carried out, and nobody but the host can do anything about it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing can be recorded any more, so nothing may happen any more.
    #[error(transparent)]
    Gate(#[from] GateClosed),
    /// The sandbox itself failed.
    #[error("the sandbox failed during the call: {0}")]
    Host(String),
}

impl Sandbox {
    /// Sets up the engine, the pool and the guests' threads.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let engine_error = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let calls_max = options.calls_max.max(1);
        // One slot more than calls: the question at load needs one too, and loading happens one at a time.
        let engine = engine::build(calls_max.saturating_add(1), options.residue).map_err(engine_error)?;
        let mut linker = Linker::new(&engine);
        hosts::add_to_linker(&mut linker).map_err(engine_error)?;
        Ok(Self {
            settings: engine::settings(&engine),
            slots: Arc::new(Semaphore::new(calls_max as usize)),
            slot_wait: options.slot_wait,
            clock: options.clock,
            cache: options.cache.as_ref().map(CodeCache::open),
            on_compile: options.on_compile,
            compiler: options.compiler,
            asking: Mutex::new(()),
            guests: GuestRuntime::start()?,
            engine,
            linker,
        })
    }

    /// The settings that a recorded call names.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Performs one call in a store of its own. Dropping the future cancels the call.
    ///
    /// # Errors
    /// Where the gate closed or the host failed. Everything that the model can react to is in the report.
    pub async fn call(&self, component: &Arc<Component>, call: Call) -> Result<CallReport, CallError> {
        let cancel = call.cancel.child_token();
        let _cancelled_if_dropped = cancel.clone().drop_guard();
        let target = match target(component, &call) {
            Ok(target) => target,
            Err(report) => return Ok(*report),
        };
        let slot = match self.slot(&cancel).await {
            Slot::Taken(slot) => slot,
            Slot::Overloaded => return Ok(report::refused(RefusedCall::Overloaded, report::OVERLOADED)),
            Slot::Cancelled => return Ok(report::not_started(report::cancelled())),
        };
        let (limits, secrets) = (call.limits.clone(), call.secrets.clone());
        if call.mounts.iter().any(Mount::is_distant) {
            return self.run_distant(component, target, (call, slot), cancel).await;
        }
        // What an attempt before did takes as long as it takes.
        let begin = if call.replay.is_some() { Begin::Elsewhere } else { component.begin(&call.mounts) };
        let finished = match begin {
            Begin::Elsewhere => self.run(&Lent::default(), component, target, (call, slot), cancel).await?.0,
            Begin::Here => self.run_from_here(component, target, (call, slot), cancel).await?,
        };
        report_on(finished, &limits, &secrets).await
    }

    /// Runs a call whose files may not answer, for as long as its time lasts.
    async fn run_distant(
        &self,
        component: &Component,
        target: Target,
        (call, slot): (Call, OwnedSemaphorePermit),
        cancel: CancellationToken,
    ) -> Result<CallReport, CallError> {
        let Some(place) = component.distant.place(self.slot_wait).await else {
            return Ok(report::refused(RefusedCall::Overloaded, distant::ALL_WAITING));
        };
        let (limits, secrets) = (call.limits.clone(), call.secrets.clone());
        let parts = parts(component, call, cancel, (self.clock, Lent::default()));
        let engine = self.engine.clone();
        let watch = Watch::over(&parts);
        let guest = async move {
            let finished = invoke::run(&engine, target, parts).await;
            // Only now: the slot is free when the instance is gone.
            drop(slot);
            finished
        };
        match distant::run(&self.guests, place, guest, watch).await {
            Ok(Settled::Ended(finished)) => {
                let finished = finished.map_err(|error| CallError::Host(error_line(&error)))?;
                report_on(finished, &limits, &secrets).await
            }
            Ok(Settled::GivenUp(mut report)) => {
                secrets.scrub(&mut report);
                Ok(*report)
            }
            Err(error) => Err(CallError::Host(error.to_string())),
        }
    }

    /// Begins a call that can change nothing on its caller's thread, and runs it anew on a guests' thread where it made too many
    /// host calls before it went there by itself.
    async fn run_from_here(
        &self,
        component: &Arc<Component>,
        target: Target,
        (call, slot): (Call, OwnedSemaphorePermit),
        cancel: CancellationToken,
    ) -> Result<Finished, CallError> {
        let lent = Lent::begin(Begin::Here);
        let (finished, slot) = self.run(&lent, component, target, (call.clone(), slot), cancel.clone()).await?;
        let was_short_of_calls = lent.is_lent() && call.limits.host_calls > HOST_CALLS_MAX;
        if !was_short_of_calls || !finished.ending.is(Fault::HostcallLimit) {
            return Ok(finished);
        }
        component.pace.was_not_short();
        match self::target(component, &call) {
            Ok(target) => Ok(self.run(&Lent::default(), component, target, (call, slot), cancel).await?.0),
            Err(_) => unreachable!("the same call had a target before"),
        }
    }

    /// Runs one instance to its end and gives the slot back.
    pub(crate) async fn run(
        &self,
        lent: &Lent,
        component: &Component,
        target: Target,
        (call, slot): (Call, OwnedSemaphorePermit),
        cancel: CancellationToken,
    ) -> Result<(Finished, OwnedSemaphorePermit), CallError> {
        let parts = parts(component, call, cancel, (self.clock, lent.clone()));
        let engine = self.engine.clone();
        let running = self.guests.run(lent, &component.pace, async move {
            // The slot goes along: it is free when the instance is gone, whether or not somebody still waits for that.
            (invoke::run(&engine, target, parts).await, slot)
        });
        let (finished, slot) = running.await.map_err(|panicked| CallError::Host(panicked.to_string()))?;
        Ok((finished.map_err(|error| CallError::Host(error_line(&error)))?, slot))
    }

    pub(crate) async fn slot(&self, cancel: &CancellationToken) -> Slot {
        let slots = Arc::clone(&self.slots);
        if !cancel.is_cancelled()
            && let Ok(slot) = Arc::clone(&slots).try_acquire_owned()
        {
            return Slot::Taken(slot);
        }
        tokio::select! {
            // What was cancelled before it began does not begin.
            biased;
            () = cancel.cancelled() => Slot::Cancelled,
            slot = slots.acquire_owned() => match slot {
                Ok(slot) => Slot::Taken(slot),
                Err(closed) => unreachable!("nobody closes the semaphore: {closed}"),
            },
            () = tokio::time::sleep(self.slot_wait) => Slot::Overloaded,
        }
    }
}

/// What came of a guest that ran. A call that was not stopped leaves no doubt about what it changed.
async fn report_on(finished: Finished, limits: &Limits, secrets: &CallSecrets) -> Result<CallReport, CallError> {
    let announced = Arc::clone(&finished.account.announced);
    let mut report = report::of_finished(finished, limits)?;
    secrets.scrub(&mut report);
    if matches!(report.outcome, ToolOutcome::Returned { .. } | ToolOutcome::Failed { .. }) {
        announced.clear_doubts(&report.effects).await?;
    }
    Ok(report)
}

pub(crate) enum Slot {
    Taken(OwnedSemaphorePermit),
    Overloaded,
    Cancelled,
}

/// What the call is for, its arguments converted; or why it is not started.
fn target(component: &Component, call: &Call) -> Result<Target, Box<CallReport>> {
    let unknown = || {
        let message = format!("`{}` has no operation `{}`", component.name, call.operation);
        Box::new(report::refused(RefusedCall::UnknownTool, message))
    };
    let invalid = |mismatch: Mismatch| Box::new(report::refused(RefusedCall::ArgsInvalid, mismatch.to_string()));
    let json = arguments(call.arguments.as_str()).map_err(invalid)?;
    let own = component.own_names.get(&call.operation).ok_or_else(unknown)?;
    match &component.entry {
        Entry::Exports { pre, operations } => {
            let export = operations.get(own).ok_or_else(unknown)?;
            let mut arguments = export.lower(&json).map_err(invalid)?;
            if let Lowered::Command(line) = &mut arguments {
                // What programs expect to be called by.
                line.args.insert(0, component.name.to_string());
            }
            Ok(Target::Export { pre: pre.clone(), function: export.function, arguments, result: export.result.clone() })
        }
        Entry::World { pre, .. } => {
            let (operation, arguments) = (own.to_string(), call.arguments.as_str().to_owned());
            Ok(Target::CallTool { pre: pre.clone(), operation, arguments })
        }
    }
}

impl Component {
    /// Whether these arguments are what the operation takes, as far as the component's types say it: all of it where its exports
    /// are its tools, only the bounds of any call where it has schemas of its own.
    ///
    /// # Errors
    /// What is wrong with them, and where.
    pub fn check_arguments(&self, operation: &Name, text: &str) -> Result<(), String> {
        let json = arguments(text).map_err(|mismatch| mismatch.to_string())?;
        let export = match &self.entry {
            Entry::Exports { operations, .. } => self.own_names.get(operation).and_then(|own| operations.get(own)),
            Entry::World { .. } => None,
        };
        export.map_or(Ok(()), |export| export.lower(&json).map(drop).map_err(|mismatch| mismatch.to_string()))
    }
}

/// Whether arguments are within the bounds of any call. For whoever looks at them longer than that takes, before a call.
///
/// # Errors
/// The bound that they break.
pub fn check_arguments(text: &str) -> Result<(), String> {
    arguments(text).map(drop).map_err(|mismatch| mismatch.to_string())
}

/// The arguments within their bounds, whoever reads them then.
fn arguments(text: &str) -> Result<Json<'_>, Mismatch> {
    const ROOT: &str = "arguments";
    if text.len() > ARGUMENTS_BYTES_MAX {
        return Err(Path::root(ROOT).mismatch(format!("larger than {ARGUMENTS_BYTES_MAX} bytes")));
    }
    match Json::parse(text, ROOT)? {
        object @ Json::Object(_) => Ok(object),
        other => Err(Path::root(ROOT).mismatch(format!("expected an object, found {}", other.kind()))),
    }
}

/// The deadline begins here: a call that waited for a slot has its whole time. Its requests are sent by the caller's runtime,
/// so that they are recorded though the guest is gone.
fn parts(component: &Component, call: Call, cancel: CancellationToken, (clock, lent): (ClockGrain, Lent)) -> CallParts {
    let patience = Arc::new(Patience::start(call.limits.deadline.to_duration()));
    let effects = match &call.replay {
        Some(Replay { end: ReplayEnd::StayOffline { effects }, .. }) => {
            Effects::of_record(call.gate, patience.clone(), call.secrets.clone(), effects)
        }
        Some(Replay { end: ReplayEnd::GoLive, .. }) | None => {
            Effects::new(call.gate, patience.clone(), call.secrets.clone())
        }
    };
    CallParts {
        mounts: call.mounts,
        stores: call.stores,
        env: call.env,
        secrets: call.secrets,
        effects: Arc::new(effects),
        replay: call.replay,
        patience,
        resolver: Arc::clone(&component.resolver),
        limits: call.limits,
        seed: call.seed,
        clock_start: call.clock_start,
        clock,
        cancel,
        lent,
        host: Handle::current(),
    }
}
