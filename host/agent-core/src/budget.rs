//! The ceilings of one run, and what of them is spent. The machine ends a run that meets one; the agent file and flags set
//! them.

use serde::{Deserialize, Serialize};

use crate::units::{Fuel, Millis};

/// What one run may use at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Model requests that were answered, or that the end of their host left open.
    pub turns: u32,
    /// Tool calls, whatever came of them.
    pub tool_calls: u32,
    /// Model tokens, in and out; `None` is no ceiling.
    pub tokens: Option<u64>,
    /// Guest instructions of all calls together.
    pub fuel: Fuel,
    /// Time in which the run was active, so not the time for which it was suspended.
    pub time: Millis,
}

/// What an attempt of a call has taken of its fuel before it says so: a fifth of a second of arithmetic. Most calls are over by then, and
/// record nothing for it; of the standard budget it is a five thousandth part.
pub const FUEL_ADVANCE: Fuel = Fuel(1_000_000_000);

impl Budget {
    /// What a run gets when nobody says otherwise.
    pub const STANDARD: Self =
        Self { turns: 30, tool_calls: 100, tokens: None, fuel: Fuel(5_000_000_000_000), time: Millis(600_000) };
}

/// What a run has used so far. Recovery never lowers it: a crash refunds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Model requests that were answered, or that the end of their host left open.
    pub turns: u32,
    /// Tool calls.
    pub tool_calls: u32,
    /// Tokens sent to models.
    pub input_tokens: u64,
    /// Tokens that models wrote.
    pub output_tokens: u64,
    /// Guest instructions. A faulted call counts with its whole limit; an attempt whose host ended, with what it had taken of it.
    pub fuel: Fuel,
    /// Active time up to the last event.
    pub time: Millis,
}

impl Spent {
    /// Tokens in both directions.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// Some ceilings of a run, as an agent file or flags state them; `None` says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetChange {
    /// Model requests that were answered, or that the end of their host left open: at least one.
    pub turns: Option<u32>,
    /// Tool calls; none is a budget too.
    pub tool_calls: Option<u32>,
    /// Model tokens, in and out: at least one.
    pub tokens: Option<u64>,
    /// Guest instructions of all calls together; none is a budget too.
    pub fuel: Option<Fuel>,
    /// Active time: at least a millisecond.
    pub time: Option<Millis>,
}

impl BudgetChange {
    /// `budget` with what this states in place of its own.
    #[must_use]
    pub fn applied_to(&self, budget: &Budget) -> Budget {
        Budget {
            turns: self.turns.unwrap_or(budget.turns),
            tool_calls: self.tool_calls.unwrap_or(budget.tool_calls),
            tokens: self.tokens.or(budget.tokens),
            fuel: self.fuel.unwrap_or(budget.fuel),
            time: self.time.unwrap_or(budget.time),
        }
    }
}
