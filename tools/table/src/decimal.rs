//! Decimal numbers that are exact or refused: a sum of prices is never a float, and never rounded unasked.

use std::cmp::Ordering;
use std::fmt;

/// Most digits before and after the point together: what an `i128` holds in any case.
const DIGITS_MAX: usize = 38;
/// Most decimal places.
const SCALE_MAX: u32 = 38;

/// `mantissa` · 10^-`scale`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    mantissa: i128,
    scale: u32,
}

/// Whether a quotient needed rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Exact,
    Rounded,
}

impl Decimal {
    pub(crate) const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// Reads `-12.50`, `+3`, `.5`, `1e-3`. `None` for what is no number, or has more digits than are kept exactly.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if digits().skip_while(|&byte| byte == b'0').count() > DIGITS_MAX {
            return None;
        }
        let units = digits().try_fold(0_i128, |sum, byte| sum.checked_mul(10)?.checked_add(i128::from(byte - b'0')))?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let mantissa = if negative { -units } else { units };
        match u32::try_from(scale) {
            Ok(scale) if scale <= SCALE_MAX => Some(Self { mantissa, scale }),
            Ok(_) => None,
            Err(_) => Some(Self { mantissa: mantissa.checked_mul(ten_to(scale.unsigned_abs())?)?, scale: 0 }),
        }
    }

    /// `None` if the sum has more digits than are kept exactly.
    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.units(scale)?.checked_add(other.units(scale)?)?;
        Some(Self { mantissa, scale })
    }

    /// Divides by a count, rounded to `places` decimal places (or as many as the number has), halves to even.
    pub(crate) fn divide(self, count: u64, places: u32) -> Option<(Self, Rounding)> {
        let divisor = i128::from(count);
        let scale = places.max(self.scale);
        let units = self.units(scale)?;
        let quotient = units.checked_div(divisor)?;
        let rest = units.checked_rem(divisor)?.unsigned_abs() * 2;
        let up = match rest.cmp(&divisor.unsigned_abs()) {
            Ordering::Less => false,
            Ordering::Equal => quotient % 2 != 0,
            Ordering::Greater => true,
        };
        let mantissa = if up { quotient + units.signum() } else { quotient };
        let rounding = if rest == 0 { Rounding::Exact } else { Rounding::Rounded };
        Some((Self { mantissa, scale }, rounding))
    }

    /// Decimal places as the number was written.
    pub(crate) fn scale(self) -> u32 {
        self.scale
    }

    fn units(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(ten_to(scale - self.scale)?)
    }
}

fn ten_to(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.units(scale), other.units(scale)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // What does not fit is larger than what does, on its side of zero. Both cannot overflow: one is not scaled.
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    /// Without zeros at the end: `3.3`, not `3.30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.scale as usize;
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_read_and_written() {
        let cases =
            [("12.50", "12.5"), ("-.5", "-0.5"), ("+007", "7"), ("1e3", "1000"), ("1.5E-3", "0.0015"), ("-0", "0")];
        for (text, expected) in cases {
            assert_eq!(number(text).to_string(), expected, "{text}");
        }
        for text in ["", "-", ".", "1,000", "0x1", "1e", "NaN", "1 2", "--1", &"9".repeat(39), "1e-40", "1e40"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn sums_are_exact_or_refused() {
        assert_eq!(number("0.1").add(number("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(number("1e37").add(number("1e-37")), None);
    }

    #[test]
    fn quotients_are_rounded_to_even() {
        let cases = [
            ("1", 3, "0.33", Rounding::Rounded),
            ("5", 4, "1.25", Rounding::Exact),
            ("0.1", 8, "0.01", Rounding::Rounded),
            ("-1", 8, "-0.12", Rounding::Rounded),
            ("3", 8, "0.38", Rounding::Rounded),
        ];
        for (text, count, expected, rounding) in cases {
            let (quotient, said) = number(text).divide(count, 2).unwrap();
            assert_eq!((quotient.to_string().as_str(), said), (expected, rounding), "{text} / {count}");
        }
    }

    #[test]
    fn numbers_are_ordered_whatever_their_scale() {
        let mut numbers = ["10", "9.5", "-1e30", "1e37", "1e-38", "0"].map(number);
        numbers.sort();
        let texts = numbers.map(|number| number.to_string());
        assert_eq!(texts[0], "-1000000000000000000000000000000");
        assert_eq!(&texts[3..5], ["9.5", "10"]);
        assert_eq!(number("1.0"), number("1"));
    }
}
