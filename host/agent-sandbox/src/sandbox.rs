//! The sandbox as its caller sees it: load a component, call it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent_core::digest::Digest;
use agent_core::json::JsonText;
use agent_core::name::{Name, ToolName};
use agent_core::outcome::RefusedCall;
use agent_core::tool::ToolDescriptor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component as Code, InstancePre, Linker};

use crate::bindings::ToolPre;
use crate::cache::{CacheOptions, CacheRejected, CodeCache, CodeId};
use crate::call::{Call, CallReport};
use crate::component::{CodeOrigin, Component, Entry, Import, LoadError};
use crate::describe::{Description, Door, Unusable, docs_section, exports, world};
use crate::engine::{self, EngineSettings, Residue};
use crate::gate::GateClosed;
use crate::invoke::{self, Target};
use crate::patience::Patience;
use crate::runtime::GuestRuntime;
use crate::state::{CallParts, CallState};
use crate::{hosts, plain_text, report, structure};

/// Longest text of an error that wasmtime made.
const PROBLEM_CHARS_MAX: usize = 500;

/// A compile that takes longer is announced.
const COMPILE_ANNOUNCED_AFTER: Duration = Duration::from_millis(300);

/// A larger component is announced at once: it will take that long.
const COMPILE_ANNOUNCED_FROM_BYTES: usize = 1 << 20;

/// The interface by which a component describes itself, in the version that we know and its later patches.
const TOOLS_INTERFACE: &str = "agent-host:tool/tools@0.1.";

/// How a sandbox is set up.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Most calls at once. More wait for a slot.
    pub calls_max: u32,
    /// How long a call waits for a slot before it is refused as overloaded.
    pub slot_wait: Duration,
    /// Whether anything stays resident between calls.
    pub residue: Residue,
    /// Where compiled code is kept; without it, each process compiles anew.
    pub cache: Option<CacheOptions>,
    /// Told when a component is compiled and that takes a while. Called from any thread; must not block.
    pub on_compile: Option<Arc<dyn Fn(&Compiling) + Send + Sync>>,
}

/// A component is being compiled, and somebody may be waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiling {
    /// Its name.
    pub component: Name,
    /// Its size.
    pub bytes: usize,
}

impl Default for SandboxOptions {
    /// Room for the 32 calls that one turn may propose. No cache: a key is the caller's to keep.
    fn default() -> Self {
        Self {
            calls_max: 32,
            slot_wait: Duration::from_secs(5),
            residue: Residue::Kept,
            cache: None,
            on_compile: None,
        }
    }
}

/// Runs tool calls. One for each process: it holds the pool of slots and the guests' threads.
pub struct Sandbox {
    engine: Engine,
    settings: EngineSettings,
    linker: Linker<CallState>,
    slots: Arc<Semaphore>,
    slot_wait: Duration,
    cache: Option<Result<CodeCache, CacheRejected>>,
    on_compile: Option<Arc<dyn Fn(&Compiling) + Send + Sync>>,
    /// One compile at a time: each uses every core already.
    compiling: Mutex<()>,
    /// Last, so that what runs is cancelled after nothing can start any more.
    guests: GuestRuntime,
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
            cache: options.cache.as_ref().map(CodeCache::open),
            on_compile: options.on_compile,
            compiling: Mutex::new(()),
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

    /// Loads a component: checks it, compiles it or takes its code from the cache, links it and finds out what it offers.
    /// May take seconds: for threads that may block.
    ///
    /// # Errors
    /// Where it cannot be used, with what the user can do about it.
    pub fn load(&self, name: &Name, bytes: &[u8]) -> Result<Arc<Component>, LoadError> {
        structure::check(bytes)?;
        let digest = Digest::of(bytes);
        let (code, origin) = self.code(name, digest, bytes)?;
        let imports = self.imports(&code)?;
        let pre = self.linker.instantiate_pre(&code).map_err(|error| LoadError::Link(shown(&error)))?;
        let offer = self.offer(&code, pre, bytes).map_err(|Unusable(problem)| LoadError::Description(problem))?;
        Ok(Arc::new(Component {
            tools: offer.descriptions.into_iter().map(|description| descriptor(name, description)).collect(),
            name: name.clone(),
            digest,
            door: offer.door,
            imports,
            unsupported: offer.unsupported,
            code: origin,
            entry: offer.entry,
        }))
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
        let (engine, limits, parts) = (self.engine.clone(), call.limits.clone(), parts(call, cancel));
        let running = self.guests.spawn(async move {
            let finished = invoke::run(&engine, target, parts).await;
            // Only now: the slot is free when the instance is gone.
            drop(slot);
            finished
        });
        match running.await {
            Ok(Ok(finished)) => Ok(report::of_finished(finished, &limits)?),
            Ok(Err(error)) => Err(CallError::Host(shown(&error))),
            Err(panicked) => Err(CallError::Host(panicked.to_string())),
        }
    }

    async fn slot(&self, cancel: &CancellationToken) -> Slot {
        let slots = Arc::clone(&self.slots);
        tokio::select! {
            biased;
            slot = slots.acquire_owned() => match slot {
                Ok(slot) => Slot::Taken(slot),
                Err(closed) => unreachable!("nobody closes the semaphore: {closed}"),
            },
            () = cancel.cancelled() => Slot::Cancelled,
            () = tokio::time::sleep(self.slot_wait) => Slot::Overloaded,
        }
    }

    fn code(&self, name: &Name, component: Digest, bytes: &[u8]) -> Result<(Code, CodeOrigin), LoadError> {
        let id = CodeId { component, settings: self.settings.digest };
        let rejected = match self.cached(id) {
            Ok(Some(code)) => return Ok((code, CodeOrigin::Cached)),
            Ok(None) => None,
            Err(rejected) => Some(rejected),
        };
        if let Some(reason) = &rejected {
            tracing::warn!(component = %name, %reason, "cache_rejected: the component is compiled anew");
        }
        let started = Instant::now();
        let code = self.compile(name, bytes)?;
        self.keep(id, &code);
        Ok((code, CodeOrigin::Compiled { took: started.elapsed(), rejected }))
    }

    fn cached(&self, id: CodeId) -> Result<Option<Code>, CacheRejected> {
        match &self.cache {
            None => Ok(None),
            Some(Ok(cache)) => cache.load(&self.engine, id),
            Some(Err(rejected)) => Err(rejected.clone()),
        }
    }

    /// A cache that cannot be written costs the next start some time, nothing else.
    fn keep(&self, id: CodeId, code: &Code) {
        let Some(Ok(cache)) = &self.cache else { return };
        let kept = code.serialize().map_err(|error| shown(&error));
        if let Err(reason) = kept.and_then(|bytes| cache.store(id, &bytes).map_err(|error| error.to_string())) {
            tracing::warn!(%reason, "compiled code could not be kept");
        }
    }

    fn compile(&self, name: &Name, bytes: &[u8]) -> Result<Code, LoadError> {
        let _one_at_a_time = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let _announcement = self.announce(name, bytes.len());
        // Never `new`, which also takes text.
        Code::from_binary(&self.engine, bytes).map_err(|error| {
            let problem = shown(&error);
            if problem.contains("transitively contains") { LoadError::TooManyParts(problem) } else { LoadError::Invalid(problem) }
        })
    }

    /// Says that a compile is under way: at once for a large component, else when it takes a while.
    fn announce(&self, name: &Name, bytes: usize) -> Option<tokio_util::sync::DropGuard> {
        let tell = Arc::clone(self.on_compile.as_ref()?);
        let compiling = Compiling { component: name.clone(), bytes };
        if bytes >= COMPILE_ANNOUNCED_FROM_BYTES {
            tell(&compiling);
            return None;
        }
        let done = CancellationToken::new();
        let waiting = done.clone();
        self.guests.spawn(async move {
            tokio::select! {
                () = waiting.cancelled() => {}
                () = tokio::time::sleep(COMPILE_ANNOUNCED_AFTER) => tell(&compiling),
            }
        });
        Some(done.drop_guard())
    }

    /// The component's own types are the truth about what it wants.
    fn imports(&self, code: &Code) -> Result<Vec<Import>, LoadError> {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (name, item) in code.component_type().imports(&self.engine) {
            match hosts::known_capability(name) {
                Some(capability) => known.push(Import { name: name.to_owned(), capability }),
                // A bare type that an imported function mentions asks for nothing.
                None if matches!(item.ty, ComponentItem::Type(_)) => {}
                None => unknown.push(plain_text::one_line(name, PROBLEM_CHARS_MAX)),
            }
        }
        if unknown.is_empty() { Ok(known) } else { Err(LoadError::UnknownImport { imports: unknown }) }
    }

    fn offer(&self, code: &Code, pre: InstancePre<CallState>, bytes: &[u8]) -> Result<Offer, Unusable> {
        let ty = code.component_type();
        if ty.exports(&self.engine).any(|(name, _)| name.starts_with(TOOLS_INTERFACE)) {
            return self.offer_of_world(pre);
        }
        let found = exports::find(code, &docs_section::read(bytes)?)?;
        Ok(Offer {
            door: Door::Exports,
            descriptions: found.descriptions,
            unsupported: found.unsupported,
            entry: Entry::Exports { pre, operations: found.operations },
        })
    }

    fn offer_of_world(&self, pre: InstancePre<CallState>) -> Result<Offer, Unusable> {
        let pre = ToolPre::new(pre).map_err(|error| Unusable(shown(&error)))?;
        // One question at a time: the pool has one slot for it.
        let _one_at_a_time = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let (engine, question) = (self.engine.clone(), pre.clone());
        let answer = self.guests.wait(async move { world::ask(&engine, question).await });
        let descriptions = answer.ok_or_else(|| Unusable("the host failed while it asked for the tools".to_owned()))??;
        Ok(Offer { door: Door::World, descriptions, unsupported: Vec::new(), entry: Entry::World { pre } })
    }
}

/// What a component turned out to offer.
struct Offer {
    door: Door,
    descriptions: Vec<Description>,
    unsupported: Vec<crate::describe::Unsupported>,
    entry: Entry,
}

enum Slot {
    Taken(OwnedSemaphorePermit),
    Overloaded,
    Cancelled,
}

fn descriptor(component: &Name, description: Description) -> ToolDescriptor {
    ToolDescriptor {
        name: ToolName { component: component.clone(), operation: description.operation },
        description: description.description,
        input_schema: JsonText::from_value(&description.input_schema),
    }
}

/// What the call is for, its arguments converted; or why it is not started.
fn target(component: &Component, call: &Call) -> Result<Target, Box<CallReport>> {
    let unknown = || {
        let message = format!("`{}` has no operation `{}`", component.name, call.operation);
        Box::new(report::refused(RefusedCall::UnknownTool, message))
    };
    match &component.entry {
        Entry::Exports { pre, operations } => {
            let export = operations.get(&call.operation).ok_or_else(unknown)?;
            let arguments = export
                .lower(call.arguments.as_str())
                .map_err(|mismatch| Box::new(report::refused(RefusedCall::ArgsInvalid, mismatch.to_string())))?;
            Ok(Target::Export { pre: pre.clone(), function: export.function, arguments, returns: export.returns })
        }
        Entry::World { pre } => {
            component.tools.iter().find(|tool| tool.name.operation == call.operation).ok_or_else(unknown)?;
            let (operation, arguments) = (call.operation.to_string(), call.arguments.as_str().to_owned());
            Ok(Target::CallTool { pre: pre.clone(), operation, arguments })
        }
    }
}

/// The deadline begins here: a call that waited for a slot has its whole time.
fn parts(call: Call, cancel: CancellationToken) -> CallParts {
    CallParts {
        mounts: call.mounts,
        env: call.env,
        patience: Arc::new(Patience::start(call.limits.deadline.to_duration())),
        limits: call.limits,
        seed: call.seed,
        clock_start: call.clock_start,
        gate: call.gate,
        cancel,
    }
}

fn shown(error: &wasmtime::Error) -> String {
    plain_text::one_line(&format!("{error:#}"), PROBLEM_CHARS_MAX)
}
