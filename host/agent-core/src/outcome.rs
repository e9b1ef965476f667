//! How a tool call ended, as data that the model can react to, and what the call used.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hidden;
use crate::json::JsonText;
use crate::units::{Bytes, Fuel, Millis};

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolOutcome {
    /// The tool answered.
    Returned {
        /// What it answered.
        content: Vec<Content>,
    },
    /// The tool says that it could not do it.
    Failed {
        /// Its own words.
        message: String,
    },
    /// The call was not started: the arguments, the name, the policy or the budget do not allow it.
    Refused {
        /// Why.
        reason: RefusedCall,
        /// What the model is told.
        message: String,
    },
    /// The sandbox stopped the call.
    Faulted {
        /// Why.
        fault: Fault,
        /// What happened, with the limit that was met.
        message: String,
    },
}

/// One piece of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// Text for the model to read.
    Text(String),
    /// One JSON value.
    Json(JsonText),
    /// A picture.
    Image(Media),
    /// A sound.
    Audio(Media),
    /// A named text that the model may refer to later.
    Resource {
        /// Its name.
        uri: String,
        /// For instance `text/plain`.
        mime_type: Option<String>,
        /// The text, or base64 of the bytes.
        body: ResourceBody,
    },
}

/// Bytes of a media type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// For instance `image/png`.
    pub mime_type: String,
    /// The bytes in base64 (RFC 4648, with padding).
    pub base64: String,
}

/// The body of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes in base64 (RFC 4648, with padding).
    Base64(String),
}

/// Why a call was not started. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCall {
    /// The model named a tool that this run does not have.
    UnknownTool,
    /// The arguments are not JSON or break the tool's schema.
    ArgsInvalid,
    /// A person said no.
    ApprovalDenied,
    /// The run may not make this many calls.
    RunBudget,
    /// Every slot is taken; try again.
    Overloaded,
}

/// Why the sandbox stopped a call. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The instruction allowance is used up.
    FuelExhausted,
    /// The wall-clock time is used up.
    DeadlineExceeded,
    /// The guest's stack overflowed.
    StackOverflow,
    /// More memory than allowed.
    MemoryLimit,
    /// More table elements than allowed.
    TableLimit,
    /// More core instances than allowed.
    InstanceLimit,
    /// More resource handles than allowed.
    HandleLimit,
    /// One host call copied more than allowed.
    CopyLimit,
    /// More host calls than allowed.
    HostcallLimit,
    /// The result is too large, too deep, not JSON, or breaks its type.
    ResultInvalid,
    /// The guest trapped: unreachable, division by zero, an exit, a bad handle.
    GuestTrap,
    /// The run was cancelled while the call was going on.
    Cancelled,
    /// The host was killed during each of the attempts.
    Interrupted,
    /// Nobody knows whether the call had its effect, and the run goes on all the same.
    InDoubt,
    /// A call that is done again along its record does not do what it did.
    ReplayDiverged,
}

/// What a call said beside its result, for people: the part that was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Its standard output.
    pub stdout: Printed,
    /// Its standard error.
    pub stderr: Printed,
    /// Its log.
    pub log: Vec<LogRecord>,
}

/// Printed bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printed {
    /// As text; what is not UTF-8 is replaced.
    pub text: String,
    /// The bytes in base64, where the text is not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// One record of a tool's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRecord {
    /// How serious.
    pub level: LogLevel,
    /// The text. Not neutralised for a terminal.
    pub message: String,
}

/// How serious a log record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What a call used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metering {
    /// Guest instructions.
    pub fuel: MeteredFuel,
    /// Highest sum of linear memory.
    pub memory_peak: Bytes,
    /// Wall-clock time, without the time for which a person was waited for.
    pub duration: Millis,
    /// Host calls, weighted; also each making and growth of a memory or table.
    pub host_calls: u64,
    /// Bytes of standard output and standard error that were dropped.
    pub output_dropped: Bytes,
    /// Looks and refusals that are not among the recorded effects: there were too many.
    pub effects_dropped: u64,
    /// Log records that were dropped.
    pub log_dropped: u64,
    /// Bytes of the log that were dropped: of these records, and what was cut off longer ones.
    pub log_bytes_dropped: Bytes,
}

/// How well the fuel is known: after a trap wasmtime's counter is only a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeteredFuel {
    /// Exactly this much; deterministic.
    Exact(Fuel),
    /// At least this much. The run's budget is charged the whole limit.
    AtLeast(Fuel),
}

impl Fault {
    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FuelExhausted => "fuel_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::StackOverflow => "stack_overflow",
            Self::MemoryLimit => "memory_limit",
            Self::TableLimit => "table_limit",
            Self::InstanceLimit => "instance_limit",
            Self::HandleLimit => "handle_limit",
            Self::CopyLimit => "copy_limit",
            Self::HostcallLimit => "hostcall_limit",
            Self::ResultInvalid => "result_invalid",
            Self::GuestTrap => "guest_trap",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::InDoubt => "in_doubt",
            Self::ReplayDiverged => "replay_diverged",
        }
    }
}

impl RefusedCall {
    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::ArgsInvalid => "args_invalid",
            Self::ApprovalDenied => "approval_denied",
            Self::RunBudget => "run_budget",
            Self::Overloaded => "overloaded",
        }
    }
}

impl ToolOutcome {
    /// Whether the tool did what was asked.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Returned { .. })
    }

    /// Hidden characters in what it says: such as a terminal would obey, or nobody sees.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        match self {
            Self::Returned { content } => content.iter().map(Content::hidden).sum(),
            Self::Failed { message } | Self::Refused { message, .. } | Self::Faulted { message, .. } => {
                hidden::count(message)
            }
        }
    }

    /// One stable word for listings: `returned`, `failed`, or the name of the refusal or fault.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Returned { .. } => "returned",
            Self::Failed { .. } => "failed",
            Self::Refused { reason, .. } => reason.name(),
            Self::Faulted { fault, .. } => fault.name(),
        }
    }
}

impl Content {
    fn hidden(&self) -> u64 {
        match self {
            Self::Text(text) => hidden::count(text),
            Self::Json(json) => hidden::count_in_json(json.as_str()),
            Self::Image(_) | Self::Audio(_) => 0,
            Self::Resource { uri, body: ResourceBody::Text(text), .. } => hidden::count(uri) + hidden::count(text),
            Self::Resource { uri, body: ResourceBody::Base64(_), .. } => hidden::count(uri),
        }
    }
}

impl MeteredFuel {
    /// What was counted, exact or not.
    #[must_use]
    pub fn counted(self) -> Fuel {
        match self {
            Self::Exact(fuel) | Self::AtLeast(fuel) => fuel,
        }
    }
}

impl Metering {
    /// A call that did not start.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            fuel: MeteredFuel::Exact(Fuel(0)),
            memory_peak: Bytes(0),
            duration: Millis(0),
            host_calls: 0,
            output_dropped: Bytes(0),
            effects_dropped: 0,
            log_dropped: 0,
            log_bytes_dropped: Bytes(0),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RefusedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
