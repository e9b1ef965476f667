//! Why a run stopped: a closed list that is stored in the journal and decides the exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model answered.
    Completed,
    /// The model's replies could not be used, several times in a row.
    OutputInvalid,
    /// The budget's turns are used up.
    MaxTurns,
    /// The budget's tool calls are used up.
    MaxToolCalls,
    /// The budget's tokens are used up.
    TokenBudget,
    /// The budget's time is used up.
    TimeBudget,
    /// The budget's fuel is used up.
    FuelBudget,
    /// The same call gave the same result again and again.
    LoopDetected,
    /// Tool calls failed again and again.
    ToolErrors,
    /// Waits for a person's approval.
    SuspendedApproval,
    /// A write may or may not have happened: a person must say.
    SuspendedDoubt,
    /// There is no room left for the journal: paused until there is.
    StoreFull,
    /// A person or a signal ended it.
    Cancelled,
    /// The host or the model could not go on.
    Error,
}

impl StopReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Completed,
        Self::OutputInvalid,
        Self::MaxTurns,
        Self::MaxToolCalls,
        Self::TokenBudget,
        Self::TimeBudget,
        Self::FuelBudget,
        Self::LoopDetected,
        Self::ToolErrors,
        Self::SuspendedApproval,
        Self::SuspendedDoubt,
        Self::StoreFull,
        Self::Cancelled,
        Self::Error,
    ];

    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::OutputInvalid => "output-invalid",
            Self::MaxTurns => "max-turns",
            Self::MaxToolCalls => "max-tool-calls",
            Self::TokenBudget => "token-budget",
            Self::TimeBudget => "time-budget",
            Self::FuelBudget => "fuel-budget",
            Self::LoopDetected => "loop-detected",
            Self::ToolErrors => "tool-errors",
            Self::SuspendedApproval => "suspended-approval",
            Self::SuspendedDoubt => "suspended-doubt",
            Self::StoreFull => "store-full",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }

    /// The process's exit code. 1 is any error before a run began, 2 a wrong command line; each reason has its own from 10
    /// on, and an interrupted run has the 130 that shells know.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Error => 1,
            Self::OutputInvalid => 10,
            Self::MaxTurns => 11,
            Self::MaxToolCalls => 12,
            Self::TokenBudget => 13,
            Self::TimeBudget => 14,
            Self::FuelBudget => 15,
            Self::LoopDetected => 16,
            Self::ToolErrors => 17,
            Self::SuspendedApproval => 20,
            Self::SuspendedDoubt => 22,
            Self::StoreFull => 23,
            Self::Cancelled => 130,
        }
    }

    /// Whether the run may go on from here: with a larger budget, a person's word, or simply again.
    #[must_use]
    pub fn is_resumable(self) -> bool {
        !matches!(self, Self::Completed)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_reasons_share_an_exit_code_or_name() {
        let mut codes: Vec<_> = StopReason::ALL.iter().map(|reason| reason.exit_code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), StopReason::ALL.len());
        for reason in StopReason::ALL {
            assert_eq!(serde_json::json!(reason), reason.name());
        }
    }

    #[test]
    fn every_reason_is_in_the_documentation() {
        let documentation = include_str!("../../../docs/configuration.md");
        let rows = documentation.lines().filter(|line| line.starts_with("| ") && line.contains("` |"));
        let rows: Vec<&str> = rows.collect();
        for reason in StopReason::ALL {
            let row = format!("| {} | `{reason}` |", reason.exit_code());
            assert!(rows.iter().any(|line| line.starts_with(&row)), "{row}");
        }
    }
}
