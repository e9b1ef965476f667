//! How people write quantities in files and flags: `5T` of fuel, `64MiB`, `20s`, `200_000`. Always whole numbers; bytes and
//! times always with their unit, so that nobody has to know which one a bare number means.

use std::str::FromStr;

use crate::units::{Bytes, Fuel, Millis};

/// Largest quantity. TOML and JSON tools agree on integers up to here, and no call or run reaches it.
pub const QUANTITY_MAX: u64 = i64::MAX.cast_unsigned();

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Below zero.
    #[error("a quantity is not negative")]
    Negative,
    /// `∞`, `inf`, `unlimited`, …
    #[error("there is no unlimited: write a number")]
    Unlimited,
    /// No digits where the number should be, a fraction, an exponent.
    #[error("`{0}` does not begin with a whole number such as `20` or `200_000`")]
    NotANumber(String),
    /// More than [`QUANTITY_MAX`].
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// No unit where one is needed, or an unknown one.
    #[error("`{text}` needs one of the units {units}, for instance `{example}`")]
    Unit {
        /// What was written.
        text: String,
        /// The units that are known.
        units: &'static str,
        /// How it could be written.
        example: &'static str,
    },
}

/// The units of one kind of quantity.
struct Units {
    factors: &'static [(&'static str, u64)],
    names: &'static str,
    example: &'static str,
}

const COUNTS: Units = Units {
    factors: &[("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)],
    names: "`k`, `M`, `G`, `T`, or none",
    example: "200k",
};
const BYTES: Units = Units {
    factors: &[
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ],
    names: "`B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`",
    example: "64MiB",
};
const TIMES: Units = Units {
    factors: &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)],
    names: "`ms`, `s`, `m`, `h`",
    example: "20s",
};

/// Reads a number without unit or with `k`, `M`, `G`, `T`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_count(text: &str) -> Result<u64, InvalidQuantity> {
    parse(text, &COUNTS)
}

impl FromStr for Fuel {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text, &COUNTS).map(Self)
    }
}

impl FromStr for Bytes {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text, &BYTES).map(Self)
    }
}

impl FromStr for Millis {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text, &TIMES).map(Self)
    }
}

fn parse(text: &str, units: &Units) -> Result<u64, InvalidQuantity> {
    let shown = || super::problem::shown(text);
    refuse_impossible(text)?;
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let digits: String = number.chars().filter(|c| *c != '_').collect();
    let separated = number.starts_with('_') || number.ends_with('_') || number.contains("__");
    if digits.is_empty() || separated || is_exponent(unit) {
        return Err(InvalidQuantity::NotANumber(shown()));
    }
    let Some((_, factor)) = units.factors.iter().find(|(name, _)| *name == unit.trim_start_matches(' ')) else {
        return Err(InvalidQuantity::Unit { text: shown(), units: units.names, example: units.example });
    };
    let value = digits.parse().ok().and_then(|number: u64| number.checked_mul(*factor));
    value.filter(|value| *value <= QUANTITY_MAX).ok_or_else(|| InvalidQuantity::TooLarge(shown()))
}

fn refuse_impossible(text: &str) -> Result<(), InvalidQuantity> {
    if text.starts_with(['-', '−']) {
        return Err(InvalidQuantity::Negative);
    }
    let unlimited = ["∞", "inf", "+inf", "infinity", "infinite", "unlimited", "none", "max"];
    if unlimited.contains(&text.to_lowercase().as_str()) {
        return Err(InvalidQuantity::Unlimited);
    }
    Ok(())
}

/// What follows the digits of `1e30` or `1.5`.
fn is_exponent(rest: &str) -> bool {
    rest.strip_prefix(['e', 'E', '.', ',']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, count) in [("0", 0), ("7", 7), ("200_000", 200_000), ("5T", 5_000_000_000_000), ("1 k", 1_000)] {
            assert_eq!(text.parse(), Ok(Fuel(count)), "{text}");
        }
        for (text, count) in [("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("1kB", 1_000), ("0B", 0), ("4GiB", 4 << 30)] {
            assert_eq!(text.parse(), Ok(Bytes(count)), "{text}");
        }
        for (text, count) in [("500ms", 500), ("20s", 20_000), ("10m", 600_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse(), Ok(Millis(count)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_says_why() {
        let of_fuel = |text: &str| text.parse::<Fuel>().map_err(|error| error.to_string());
        let cases = [
            ("-1", "a quantity is not negative"),
            ("∞", "there is no unlimited: write a number"),
            ("inf", "there is no unlimited: write a number"),
            ("", "`` does not begin with a whole number such as `20` or `200_000`"),
            ("1e30", "`1e30` does not begin with a whole number such as `20` or `200_000`"),
            ("1.5T", "`1.5T` does not begin with a whole number such as `20` or `200_000`"),
            ("_1", "`_1` does not begin with a whole number such as `20` or `200_000`"),
            ("١", "`١` does not begin with a whole number such as `20` or `200_000`"),
            ("9223372036854775808", "`9223372036854775808` is too large"),
            ("99999999999999999999999", "`99999999999999999999999` is too large"),
            ("10000000T", "`10000000T` is too large"),
            ("5t", "`5t` needs one of the units `k`, `M`, `G`, `T`, or none, for instance `200k`"),
        ];
        for (text, message) in cases {
            assert_eq!(of_fuel(text), Err(message.to_owned()), "{text}");
        }
        for text in ["64", "64Mib", "64M", "64 m", "0x40MiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["20", "20 sec", "1d", "20S", "20s 5ms"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_in_range(text in "[0-9_]{1,22} ?([KMG]i?B|T|s)?|\\PC{0,8}") {
            prop_assert!(!text.parse::<Bytes>().is_ok_and(|bytes| bytes.0 > QUANTITY_MAX));
            prop_assert!(!text.parse::<Fuel>().is_ok_and(|fuel| fuel.0 > QUANTITY_MAX));
        }

        #[test]
        fn a_whole_number_reads_as_itself(count in 0..=QUANTITY_MAX) {
            prop_assert_eq!(parse_count(&count.to_string()), Ok(count));
        }
    }
}
