//! Options that name one of a few, and what each is recorded as.

use agent_core::run_events::{Durability, Record, ToolMode};
use clap::ValueEnum;

/// How tool calls are asked for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ToolModeArg {
    /// By the provider's own tool calls.
    Native,
    /// By one JSON Schema that covers all tools and the answer.
    Json,
    /// The same, but the first reply must be a call: for small models, which tend to answer without looking.
    #[value(alias = "json_call_first")]
    JsonCallFirst,
}

/// How much of each call is kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RecordArg {
    /// What it did, and what it was told before each write that cannot be undone.
    Effects,
    /// All that it was told.
    Full,
}

/// How much of the journal survives what.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DurabilityArg {
    /// A power loss and a killed process.
    Strict,
    /// The same, by syncs that the runs of one process share: each waits up to 5 ms for the others.
    Group,
    /// A killed process.
    Relaxed,
}

impl From<ToolModeArg> for ToolMode {
    fn from(arg: ToolModeArg) -> Self {
        match arg {
            ToolModeArg::Native => Self::Native,
            ToolModeArg::Json => Self::Json,
            ToolModeArg::JsonCallFirst => Self::JsonCallFirst,
        }
    }
}

impl From<RecordArg> for Record {
    fn from(arg: RecordArg) -> Self {
        match arg {
            RecordArg::Effects => Self::Effects,
            RecordArg::Full => Self::Full,
        }
    }
}

impl From<DurabilityArg> for Durability {
    fn from(arg: DurabilityArg) -> Self {
        match arg {
            DurabilityArg::Strict => Self::Strict,
            DurabilityArg::Group => Self::Group,
            DurabilityArg::Relaxed => Self::Relaxed,
        }
    }
}
