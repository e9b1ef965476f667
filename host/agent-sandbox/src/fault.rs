//! Why a call stopped: an error out of wasmtime becomes a named fault with the limit that was met and the cure. Called by
//! `report` for calls and by `describe` for the one question at load.

use std::fmt::Write as _;

use agent_core::limits::Limits;
use agent_core::outcome::Fault;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::gate::GateClosed;
use crate::plain_text;
use crate::state::HANDLES_FULL;
use crate::stop::Stop;

/// Longest text of a fault: the model reads it.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// Longest name of one function in a backtrace. A component's author chooses them.
const FRAME_CHARS_MAX: usize = 80;

/// Longest text of an error that is not ours.
const CAUSE_CHARS_MAX: usize = 500;

/// What an error means.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The sandbox ended the call.
    Faulted { fault: Fault, message: String },
    /// The pool had no slot after all.
    Overloaded,
    /// Nothing can be recorded any more.
    Gate(GateClosed),
}

impl Stopped {
    fn fault(fault: Fault, message: impl Into<String>) -> Self {
        Self::Faulted { fault, message: message.into() }
    }
}

/// Names the reason behind `error`.
pub(crate) fn classify(error: &wasmtime::Error, limits: &Limits) -> Stopped {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Fault { fault, message } => Stopped::fault(*fault, plain_text::one_line(message, MESSAGE_CHARS_MAX)),
            Stop::Gate(closed) => Stopped::Gate(closed.clone()),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Stopped::Overloaded;
    }
    // From a host function of wasmtime's own; ours say it as a `Stop`.
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Stopped::fault(Fault::HandleLimit, HANDLES_FULL);
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return Stopped::fault(
            Fault::GuestTrap,
            format!("the tool ended itself with exit code {} instead of returning", exit.0),
        );
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return classify_trap(*trap, error, limits);
    }
    classify_text(error, limits)
}

fn classify_trap(trap: Trap, error: &wasmtime::Error, limits: &Limits) -> Stopped {
    match trap {
        Trap::OutOfFuel => Stopped::fault(
            Fault::FuelExhausted,
            format!("the tool used up its {} of fuel; give it less to do at once, or raise `limits.fuel`", limits.fuel),
        ),
        Trap::StackOverflow => Stopped::fault(
            Fault::StackOverflow,
            format!("the tool's stack overflowed, most likely by endless recursion{}", backtrace(error)),
        ),
        // The enum is wasmtime's and open: every other trap is the guest's own doing.
        other => Stopped::fault(Fault::GuestTrap, format!("the tool crashed: {other}{}", backtrace(error))),
    }
}

/// Limits that wasmtime enforces but reports only as text. The version is pinned, and each text has a test.
fn classify_text(error: &wasmtime::Error, limits: &Limits) -> Stopped {
    let cause = error.root_cause().to_string();
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        return copied_too_much(error, limits);
    }
    if cause.contains("store handle limit exceeded") {
        let message =
            format!("the tool held more than {} resource handles at once; raise `limits.handles`", limits.handles);
        return Stopped::fault(Fault::HandleLimit, message);
    }
    if cause.starts_with("resource limit exceeded: ") {
        return Stopped::fault(Fault::InstanceLimit, format!("the tool has too many parts: {cause}"));
    }
    let cause = plain_text::one_line(&cause, CAUSE_CHARS_MAX);
    Stopped::fault(Fault::GuestTrap, format!("the tool crashed: {cause}{}", backtrace(error)))
}

/// The same bound holds for what a host call takes and for what the function returns. Wasm frames are on the stack only in
/// the first case.
fn copied_too_much(error: &wasmtime::Error, limits: &Limits) -> Stopped {
    let limit = limits.copy_bytes;
    if error.is::<WasmBacktrace>() {
        let message = format!(
            "the tool handed more than {limit} to one host call; do it in pieces, or raise `limits.copy_bytes`"
        );
        return Stopped::fault(Fault::CopyLimit, message);
    }
    Stopped::fault(
        Fault::ResultInvalid,
        format!(
            "the result is too large: copying it takes more than {limit}; ask for less, or raise `limits.copy_bytes`"
        ),
    )
}

/// The wasm functions on the stack, innermost first: names and offsets in the component, nothing of the host.
fn backtrace(error: &wasmtime::Error) -> String {
    let mut out = String::new();
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    for frame in frames {
        let name = frame.func_name().map_or_else(
            || format!("function {}", frame.func_index()),
            |name| plain_text::one_line(name, FRAME_CHARS_MAX),
        );
        // Writing into a string cannot fail.
        let _ = write!(out, "\n  at {name}");
    }
    out
}
