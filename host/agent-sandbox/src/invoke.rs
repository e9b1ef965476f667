//! One guest, from a fresh store to its account. Limits are armed before the instantiation, because that runs guest code.
//! `sandbox` runs this on the guests' runtime, for calls and for the one question at load.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use agent_core::outcome::{Fault, MeteredFuel};
use agent_core::units::{Bytes, Fuel, Millis};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{ComponentExportIndex, Func, InstancePre, Val};
use wasmtime::{Engine, Store};

use crate::bindings::exports::agent_host::tool::tools::{Part, ToolInfo};
use crate::bindings::reconciler::exports::agent_host::tool::reconcile::{Finding, Write};
use crate::bindings::reconciler::{Reconciler, ReconcilerPre};
use crate::bindings::{Tool, ToolPre};
use crate::command::{self, Exit};
use crate::defence::{self, Defence};
use crate::describe::exports::Lowered;
use crate::engine::YIELD_INTERVAL_FUEL;
use crate::layer::{self, Layer};
use crate::own_world::Own;
use crate::patience::Patience;
use crate::plain_text::error_line;
use crate::plainly::{self, PlainAnswer};
use crate::state::{Account, CallParts, CallState};
use crate::stop::Stop;
use crate::value::shape::Shape;

/// How long what a call began may take to end once the guest is gone: a request that was sent is recorded before the call is
/// reported, and has a shorter deadline of its own. What hangs beyond this is the host's failure and not an outcome.
const ACCOUNT_WAIT: Duration = Duration::from_secs(60);

/// What to call.
pub(crate) enum Target {
    /// An exported function.
    Export {
        pre: InstancePre<CallState>,
        function: ComponentExportIndex,
        arguments: Lowered,
        /// What it returns, if it returns anything.
        result: Option<Arc<Shape>>,
    },
    /// `call-tool` of our own world.
    CallTool { pre: ToolPre<CallState>, operation: String, arguments: String },
    /// `list-tools` of our own world, of a component that may export `reconcile` beside it.
    ListTools { pre: ToolPre<CallState>, reconciles: bool },
    /// `reconcile`, which a component of our own world may export.
    Reconcile { pre: ReconcilerPre<CallState>, operation: String, arguments: String, write: Write },
}

/// A function of our own world has not the type that this host knows. Seen by whoever asks a component for its tools, since wasmtime
/// compares types once there is an instance.
#[derive(Debug, thiserror::Error)]
#[error("{difference}")]
pub(crate) struct Misfit {
    pub(crate) interface: Own,
    pub(crate) difference: String,
}

/// What it answered.
pub(crate) enum Answer {
    Value(Option<(Val, Arc<Shape>)>),
    Plain(PlainAnswer),
    Exit(Exit),
    Parts(Result<Vec<Part>, String>),
    Tools(Vec<ToolInfo>),
    Finding(Finding),
}

/// How it ended.
pub(crate) enum Ending {
    Answered(Answer),
    Stopped(wasmtime::Error),
    DeadlineExceeded,
    Cancelled,
}

impl Ending {
    /// Whether a limit of ours ended it, by this fault.
    pub(crate) fn is(&self, fault: Fault) -> bool {
        let Self::Stopped(error) = self else { return false };
        matches!(error.downcast_ref(), Some(Stop::Fault { fault: met, .. }) if *met == fault)
    }
}

/// A guest that is gone, and what it leaves.
pub(crate) struct Finished {
    pub(crate) ending: Ending,
    pub(crate) fuel: MeteredFuel,
    pub(crate) memory_peak: Bytes,
    pub(crate) duration: Millis,
    pub(crate) account: Account,
}

/// Runs `target` to its end, whatever end that is.
///
/// # Errors
/// Where the store could not even be made: the host's fault, not the guest's.
pub(crate) async fn run(engine: &Engine, target: Target, parts: CallParts) -> wasmtime::Result<Finished> {
    let (patience, cancel, fuel_limit) = (Arc::clone(&parts.patience), parts.cancel.clone(), parts.limits.fuel);
    let mut store = armed_store(engine, parts)?;
    if let Target::Export { arguments: Lowered::Command(line), .. } = &target {
        store.data_mut().console.give(line);
    }
    let ending = race(&mut store, target, &patience, &cancel).await;
    let ending = match (ending, store.data().console.exited()) {
        // It exited, by a trap of our own: everything is in order, and the fuel was counted before the host was called.
        (Ending::Stopped(_), Some(exit)) => Ending::Answered(Answer::Exit(exit)),
        (ending, _) => ending,
    };
    patience.end();
    tracing::debug!("the guest ended");
    let duration = Millis(u64::try_from(patience.active().as_millis()).unwrap_or(u64::MAX));
    let left = if layer::is_off(Layer::Fuel) { fuel_limit.0 } else { store.get_fuel()? };
    let used = Fuel(fuel_limit.0.saturating_sub(left));
    let fuel = match ending {
        Ending::Answered(_) => MeteredFuel::Exact(used),
        // After a trap wasmtime's counter is only a lower bound.
        Ending::Stopped(_) | Ending::DeadlineExceeded | Ending::Cancelled => MeteredFuel::AtLeast(used),
    };
    let memory_peak = store.data().limiter.memory_peak();
    // Drops the instance: after a trap it must never be entered again.
    let account = tokio::time::timeout(ACCOUNT_WAIT, store.into_data().finish()).await;
    let account = account.map_err(|_| wasmtime::Error::msg("what the call began did not end"))?;
    Ok(Finished { ending, fuel, memory_peak, duration, account })
}

fn armed_store(engine: &Engine, parts: CallParts) -> wasmtime::Result<Store<CallState>> {
    let limits = parts.limits.clone();
    let mut store = Store::try_new(engine, CallState::new(parts)?)?;
    if !layer::is_off(Layer::Limiter) {
        store.limiter(|state| &mut state.limiter);
    }
    if !layer::is_off(Layer::Fuel) {
        store.set_fuel(defence::limit(Defence::Fuel, limits.fuel.0))?;
        store.fuel_async_yield_interval(Some(YIELD_INTERVAL_FUEL))?;
    }
    let copy_bytes = defence::limit(Defence::Copies, limits.copy_bytes.0);
    store.set_hostcall_fuel(usize::try_from(copy_bytes).unwrap_or(usize::MAX));
    let handles = defence::limit(Defence::Handles, limits.handles);
    store.set_max_component_handles(usize::try_from(handles).unwrap_or(usize::MAX));
    Ok(store)
}

/// The guest against its deadline and its cancellation. Whoever loses is dropped; a dropped guest leaves the store intact.
async fn race(store: &mut Store<CallState>, target: Target, patience: &Patience, cancel: &CancellationToken) -> Ending {
    if layer::is_off(Layer::Deadline) {
        return drive(store, target).await.map_or_else(Ending::Stopped, Ending::Answered);
    }
    let mut advances = store.data().advances();
    let mut guest = pin!(drive(store, target));
    let guest = poll_fn(|cx| advances.poll(guest.as_mut(), cx));
    tokio::select! {
        // A guest that is done when its deadline comes is done.
        biased;
        answer = guest => answer.map_or_else(Ending::Stopped, Ending::Answered),
        () = cancel.cancelled() => Ending::Cancelled,
        () = patience.expired(), if !defence::is_off(Defence::Deadline) => Ending::DeadlineExceeded,
    }
}

async fn drive(store: &mut Store<CallState>, target: Target) -> wasmtime::Result<Answer> {
    match target {
        Target::Export { pre, function, arguments, result } => {
            let instance = pre.instantiate_async(&mut *store).await?;
            let function = instance
                .get_func(&mut *store, function)
                .ok_or_else(|| wasmtime::Error::msg("the export is not a function"))?;
            call_export(store, function, arguments, result).await
        }
        Target::CallTool { pre, operation, arguments } => {
            let tool = pre.instantiate_async(&mut *store).await?;
            let parts = tool.agent_host_tool_tools().call_call_tool(store, &operation, &arguments).await?;
            Ok(Answer::Parts(parts))
        }
        Target::ListTools { pre, reconciles } => {
            let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
            let misfit = |interface| move |error| Misfit { interface, difference: error_line(&error) };
            if reconciles {
                Reconciler::new(&mut *store, &instance).map_err(misfit(Own::Reconcile))?;
            }
            let tool = Tool::new(&mut *store, &instance).map_err(misfit(Own::Tools))?;
            Ok(Answer::Tools(tool.agent_host_tool_tools().call_list_tools(store).await?))
        }
        Target::Reconcile { pre, operation, arguments, write } => {
            let reconciler = pre.instantiate_async(&mut *store).await?;
            let found = reconciler.agent_host_tool_reconcile().call_reconcile(store, &operation, &arguments, &write);
            Ok(Answer::Finding(found.await?))
        }
    }
}

async fn call_export(
    store: &mut Store<CallState>,
    function: Func,
    arguments: Lowered,
    result: Option<Arc<Shape>>,
) -> wasmtime::Result<Answer> {
    let values = match arguments {
        Lowered::Plain(plain) => return plainly::call(store, function, plain).await.map(Answer::Plain),
        Lowered::Command(_) => return command::run(store, function).await.map(Answer::Exit),
        Lowered::Values(values) => values,
    };
    let mut results = if result.is_some() { vec![Val::Bool(false)] } else { Vec::new() };
    function.call_async(store, &values, &mut results).await?;
    Ok(Answer::Value(results.pop().zip(result)))
}
