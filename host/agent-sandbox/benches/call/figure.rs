//! What was measured several times: the median, the spread, ratios, and how they are printed. Both halves of
//! `cargo xtask bench` are made of this file, the program's by its path, so that they read as one report.

#![allow(dead_code, reason = "each half uses a part")]

/// One measured quantity, a value for each repetition.
pub(crate) struct Figure {
    values: Vec<f64>,
}

/// What a figure counts, and with how many decimals it is printed.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    Mebibytes,
    Kibibytes,
    Count,
    Times,
}

/// What a figure should be, in its own unit.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn new(values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        Self { values }
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self::new(self.values.iter().copied().map(change).collect())
    }

    /// Repetition by repetition, so that a slow minute of the machine slows both sides.
    pub(crate) fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self::new(self.values.iter().zip(&other.values).map(|(own, other)| combine(*own, *other)).collect())
    }

    pub(crate) fn over(&self, other: &Self) -> Self {
        self.with(other, |own, other| own / other)
    }

    pub(crate) fn print(&self, name: &str, unit: Unit) {
        println!("{}", self.line(name, unit).trim_end());
    }

    /// The same, and whether the median is within its target.
    pub(crate) fn print_against(&self, target: Target, name: &str, unit: Unit) {
        let (is_met, words) = match target {
            Target::AtMost(most) => (self.median() <= most, format!("at most {}", unit.number(most))),
            Target::AtLeast(least) => (self.median() >= least, format!("at least {}", unit.number(least))),
        };
        println!("{} {words}: {}", self.line(name, unit), if is_met { "met" } else { "missed" });
    }

    fn line(&self, name: &str, unit: Unit) -> String {
        let lowest = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = format!("({} to {})", unit.number(lowest), unit.number(highest));
        format!("  {name:<54} {:>7} {:<3} {spread:<16}", unit.number(self.median()), unit.sign())
    }
}

impl Unit {
    fn number(self, value: f64) -> String {
        match self {
            Self::Kibibytes | Self::Count => format!("{value:.0}"),
            Self::Microseconds | Self::Milliseconds | Self::Mebibytes => format!("{value:.1}"),
            Self::Times => format!("{value:.2}"),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
            Self::Count => "",
            Self::Times => "×",
        }
    }
}
