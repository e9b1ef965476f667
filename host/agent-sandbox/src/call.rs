//! One tool call: what the caller hands over and what it gets back.

use std::sync::Arc;

use agent_core::effect::Effect;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::name::Name;
use agent_core::outcome::{Metering, ToolOutcome};
use agent_core::units::{Bytes, UnixMillis};
use tokio_util::sync::CancellationToken;

use crate::gate::EffectGate;
use crate::kv::{KvChange, Stores};
use crate::mount::Mount;
use crate::secrets::CallSecrets;
use crate::transcript::Transcript;

/// Everything that one call may know and use.
#[derive(Clone)]
pub struct Call {
    /// The operation of the component.
    pub operation: Name,
    /// The arguments: a JSON object, already checked against the operation's schema.
    pub arguments: JsonText,
    /// The directories that were granted, opened.
    pub mounts: Vec<Mount>,
    /// The component's key-value stores.
    pub stores: Arc<dyn Stores>,
    /// The environment that was granted, with values.
    pub env: Vec<(String, String)>,
    /// The secrets that its requests may carry, and what takes them out of what comes back.
    pub secrets: CallSecrets,
    /// The ceilings.
    pub limits: Limits,
    /// Seeds the guest's random numbers.
    pub seed: [u8; 32],
    /// What the guest's clock says when the call begins.
    pub clock_start: UnixMillis,
    /// What every effect passes.
    pub gate: Arc<dyn EffectGate>,
    /// Ends the call as `Cancelled`.
    pub cancel: CancellationToken,
}

/// What came of a call.
#[derive(Debug)]
pub struct CallReport {
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What it used.
    pub metering: Metering,
    /// What it did, in order.
    pub effects: Vec<Effect>,
    /// What it wants changed in its stores, to be made durable with the record of the call. Nothing where the call was
    /// stopped.
    pub kv: Vec<KvChange>,
    /// What it printed.
    pub output: Output,
    /// What it logged, the kept part.
    pub log: Vec<LogRecord>,
    /// Every answer the guest had: what a replay feeds back.
    pub transcript: Transcript,
}

/// Standard output and standard error of a call, the kept part.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Bytes beyond the bound, counted and dropped.
    pub dropped: Bytes,
}

/// One record of the guest's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// How serious.
    pub level: LogLevel,
    /// The text. Not yet neutralised for a terminal.
    pub message: String,
}

/// How serious a log record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}
