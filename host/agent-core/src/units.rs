//! Quantities with their units in the type: fuel, bytes, milliseconds, and how people write them (`5T`, `64MiB`, `20s`).
//! Used by limits, budgets and metering.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The sum, or the largest value if it would not fit.
            #[must_use]
            pub fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or zero if it would be negative.
            #[must_use]
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
    };
}

quantity! {
    /// An allowance of guest instructions, as wasmtime counts them. About 10 million make a millisecond of arithmetic.
    Fuel
}
quantity! {
    /// A number of bytes.
    Bytes
}
quantity! {
    /// A duration in milliseconds.
    Millis
}
quantity! {
    /// A point in time: milliseconds since 1970-01-01T00:00:00Z.
    UnixMillis
}

impl Millis {
    /// The same duration for the standard library.
    #[must_use]
    pub fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl UnixMillis {
    /// The time from `earlier` until here; zero if the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Fuel {
    /// At most three digits and a unit: `1.28 M`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(u64, &str); 4] =
            [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
        write_scaled(f, self.0, &STEPS, "")
    }
}

impl fmt::Display for Bytes {
    /// At most three digits and a unit: `1.28 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        write_scaled(f, self.0, &STEPS, " B")
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ 0..1_000 => write!(f, "{ms} ms"),
            ms @ 1_000..60_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
            ms => write!(f, "{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        }
    }
}

fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, steps: &[(u64, &str)], plain: &str) -> fmt::Result {
    let Some((step, unit)) = steps.iter().find(|(step, _)| value >= *step) else {
        return write!(f, "{value}{plain}");
    };
    let hundredths = u128::from(value) * 100 / u128::from(*step);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => write!(f, "{whole}.{rest:02} {unit}"),
        10..100 => write!(f, "{whole}.{} {unit}", rest / 10),
        _ => write!(f, "{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        let shown = [Fuel(999).to_string(), Fuel(1_284_000).to_string(), Fuel(200_000_000_000).to_string()];
        assert_eq!(shown, ["999", "1.28 M", "200 G"]);
        let shown = [Bytes(12).to_string(), Bytes(64 << 20).to_string(), Bytes(1536).to_string()];
        assert_eq!(shown, ["12 B", "64.0 MiB", "1.50 KiB"]);
        let shown = [Millis(41).to_string(), Millis(1_250).to_string(), Millis(61_000).to_string()];
        assert_eq!(shown, ["41 ms", "1.2 s", "1 min 1 s"]);
    }
}
