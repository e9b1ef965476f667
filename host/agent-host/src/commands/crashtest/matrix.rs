//! What a crashtest prints: for each class of effect and each moment of the kill, what became of the call.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::judge::{Class, Fate, Trial};

/// Where in its course a run was. The order is that of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    BetweenCalls,
    GuestRuns,
    BeingDecided,
    Announced,
    Answered,
    AnswerRecorded,
    BeingEnded,
    Elsewhere,
}

/// Counts by class, moment and fate.
#[derive(Default)]
pub(super) struct Matrix(BTreeMap<(Class, Moment), BTreeMap<Fate, u64>>);

impl Matrix {
    pub(super) fn add(&mut self, trial: &Trial) {
        for (class, fate) in &trial.fates {
            *self.0.entry((*class, Moment::of(&trial.moment))).or_default().entry(*fate).or_default() += 1;
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:<14} {:<28} what became of the call", "effect class", "killed when")?;
        for ((class, moment), fates) in &self.0 {
            let fates: Vec<String> = fates.iter().map(|(fate, count)| format!("{count} {}", fate.words())).collect();
            writeln!(out, "{:<14} {:<28} {}", class.words(), moment.words(), fates.join(", "))?;
        }
        Ok(())
    }
}

impl Moment {
    /// By the last point that the run had passed. A name that is not known here is of a step that came later than this list.
    fn of(point: &str) -> Self {
        match point {
            "" | "model-requested" | "model-replied" | "tool-finished" | "run-resumed" | "run-ended" => {
                Self::BetweenCalls
            }
            "tool-started" => Self::GuestRuns,
            "effect-asked" | "effect-permitted" => Self::BeingDecided,
            "change-intended" | "paths-marked" | "send-intended" => Self::Announced,
            "send-answered" => Self::Answered,
            "send-done" => Self::AnswerRecorded,
            "guest-ended" | "changes-synced" | "tool-returned" => Self::BeingEnded,
            _ => Self::Elsewhere,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::BetweenCalls => "between calls",
            Self::GuestRuns => "the guest had begun",
            Self::BeingDecided => "an effect was being decided",
            Self::Announced => "it was announced",
            Self::Answered => "the answer had come",
            Self::AnswerRecorded => "the answer was recorded",
            Self::BeingEnded => "the guest had ended",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Class {
    fn words(self) -> &'static str {
        match self {
            Self::NoCall => "no call",
            Self::PureOrRead => "pure or read",
            Self::OwnedWrite => "owned write",
            Self::KeyedWrite => "keyed write",
            Self::OpaqueWrite => "opaque write",
        }
    }
}

impl Fate {
    fn words(self) -> &'static str {
        match self {
            Self::WentOn => "went on",
            Self::NotBegun => "nothing had begun",
            Self::RunAgain => "run again",
            Self::UndoneAndRunAgain => "undone and run again",
            Self::Replayed => "replayed and continued",
            Self::ResentWithTheSameKey => "resent with the same key",
            Self::InDoubt => "in doubt",
            Self::WaitsForAPerson => "waits for a person",
            Self::GivenUp => "given up, and the model told",
        }
    }
}
