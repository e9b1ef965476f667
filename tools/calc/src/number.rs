//! Exact numbers: a fraction of two whole numbers of any size up to a bound, and how they are written.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Pow, Signed, Zero};

/// Largest numerator and denominator: some 3,000 decimal digits. Keeps every operation to some
/// ten milliseconds, and the worst expression to a few seconds.
pub(crate) const BITS_MAX: u64 = 10_000;
/// Decimal places up to which a result is written exactly.
const PLACES_EXACT_MAX: u32 = 100;
/// Significant digits of a result that is not.
const DIGITS_ROUNDED: u32 = 30;

/// A fraction in lowest terms. `exact` is false once a root was rounded on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    numerator: BigInt,
    /// Positive.
    denominator: BigInt,
    exact: bool,
}

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoNumber {
    DivisionByZero,
    TooLarge,
    FractionalPower,
    NegativeRoot,
}

impl Number {
    /// `digits` are decimal digits; the number is `digits` · 10^`exponent`.
    pub(crate) fn from_digits(digits: &str, exponent: i64) -> Result<Self, NoNumber> {
        let digits = digits.parse::<BigInt>().map_err(|_| NoNumber::TooLarge)?;
        let power = ten_to(u32::try_from(exponent.unsigned_abs()).map_err(|_| NoNumber::TooLarge)?)?;
        if exponent < 0 {
            Self::fraction(digits, power, true)
        } else {
            Self::fraction(digits * power, BigInt::one(), true)
        }
    }

    pub(crate) fn from_count(count: usize) -> Self {
        Self { numerator: BigInt::from(count), denominator: BigInt::one(), exact: true }
    }

    fn fraction(numerator: BigInt, denominator: BigInt, exact: bool) -> Result<Self, NoNumber> {
        if denominator.is_zero() {
            return Err(NoNumber::DivisionByZero);
        }
        let common = numerator.gcd(&denominator);
        let common = if denominator.is_negative() { -common } else { common };
        let (numerator, denominator) = (numerator / &common, denominator / &common);
        if numerator.bits().max(denominator.bits()) > BITS_MAX {
            return Err(NoNumber::TooLarge);
        }
        Ok(Self { numerator, denominator, exact })
    }

    pub(crate) fn add(&self, other: &Self) -> Result<Self, NoNumber> {
        let numerator = &self.numerator * &other.denominator + &other.numerator * &self.denominator;
        Self::fraction(numerator, &self.denominator * &other.denominator, self.exact && other.exact)
    }

    pub(crate) fn subtract(&self, other: &Self) -> Result<Self, NoNumber> {
        self.add(&other.negated())
    }

    pub(crate) fn multiply(&self, other: &Self) -> Result<Self, NoNumber> {
        let numerator = &self.numerator * &other.numerator;
        Self::fraction(numerator, &self.denominator * &other.denominator, self.exact && other.exact)
    }

    pub(crate) fn divide(&self, other: &Self) -> Result<Self, NoNumber> {
        let numerator = &self.numerator * &other.denominator;
        Self::fraction(numerator, &self.denominator * &other.numerator, self.exact && other.exact)
    }

    /// What remains of a division whose quotient is whole; it has the sign of the dividend.
    pub(crate) fn remainder(&self, other: &Self) -> Result<Self, NoNumber> {
        let whole = self.divide(other)?.truncated();
        self.subtract(&other.multiply(&whole)?)
    }

    pub(crate) fn power(&self, exponent: &Self) -> Result<Self, NoNumber> {
        if !exponent.denominator.is_one() {
            return Err(NoNumber::FractionalPower);
        }
        if exponent.numerator.is_negative() && self.numerator.is_zero() {
            return Err(NoNumber::DivisionByZero);
        }
        let base_bits = self.numerator.bits().max(self.denominator.bits());
        let exponent_abs = exponent.numerator.magnitude();
        // A base of 0, 1 or -1 has one bit, and only the parity of its exponent matters.
        let times = if base_bits <= 1 && !exponent_abs.is_zero() {
            if exponent_abs.is_even() { 2 } else { 1 }
        } else {
            u32::try_from(exponent_abs).map_err(|_| NoNumber::TooLarge)?
        };
        if base_bits > 1 && (base_bits - 1).saturating_mul(u64::from(times)) > BITS_MAX {
            return Err(NoNumber::TooLarge);
        }
        let (numerator, denominator) = (Pow::pow(&self.numerator, times), Pow::pow(&self.denominator, times));
        let exact = self.exact && exponent.exact;
        if exponent.numerator.is_negative() {
            Self::fraction(denominator, numerator, exact)
        } else {
            Self::fraction(numerator, denominator, exact)
        }
    }

    /// Exact for a fraction of two squares, else rounded to some digits more than are shown.
    pub(crate) fn root(&self) -> Result<Self, NoNumber> {
        if self.numerator.is_negative() {
            return Err(NoNumber::NegativeRoot);
        }
        let (top, bottom) = (self.numerator.sqrt(), self.denominator.sqrt());
        if &top * &top == self.numerator && &bottom * &bottom == self.denominator {
            return Self::fraction(top, bottom, self.exact);
        }
        // The whole part of a root has half as many digits as its square; a fraction below 1 loses as many.
        let lost = self.denominator.bits().saturating_sub(self.numerator.bits()) / 6;
        let places = DIGITS_ROUNDED + 10 + u32::try_from(lost).map_err(|_| NoNumber::TooLarge)?;
        let scale = ten_to(places)?;
        let scaled = &self.numerator * &scale * &scale / &self.denominator;
        Self::fraction(scaled.sqrt(), scale, false)
    }

    pub(crate) fn negated(&self) -> Self {
        Self { numerator: -&self.numerator, ..self.clone() }
    }

    pub(crate) fn absolute(&self) -> Self {
        Self { numerator: self.numerator.abs(), ..self.clone() }
    }

    pub(crate) fn truncated(&self) -> Self {
        self.whole(&self.numerator / &self.denominator)
    }

    pub(crate) fn floored(&self) -> Self {
        self.whole(self.numerator.div_floor(&self.denominator))
    }

    pub(crate) fn ceiled(&self) -> Self {
        self.whole(self.numerator.div_ceil(&self.denominator))
    }

    /// A rounded number is exactly what it is, even if it was rounded from something that was not.
    fn whole(&self, numerator: BigInt) -> Self {
        Self { numerator, denominator: BigInt::one(), exact: true }
    }

    /// Rounds to that many decimal places, halves away from zero.
    pub(crate) fn rounded(&self, places: i32) -> Result<Self, NoNumber> {
        let scale = ten_to(places.unsigned_abs())?;
        if places < 0 {
            let units = rounded_quotient(&self.numerator, &(&self.denominator * &scale));
            return Self::fraction(units * scale, BigInt::one(), true);
        }
        let units = rounded_quotient(&(&self.numerator * &scale), &self.denominator);
        Self::fraction(units, scale, true)
    }

    /// The number as a small whole one, if it is that.
    pub(crate) fn to_i32(&self) -> Option<i32> {
        if self.denominator.is_one() { i32::try_from(&self.numerator).ok() } else { None }
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        (&self.numerator * &other.denominator).cmp(&(&other.numerator * &self.denominator))
    }

    /// How many decimal places write the number exactly; `None` if that needs more than are shown.
    fn places(&self) -> Option<u32> {
        let mut power = BigInt::one();
        for places in 0..=PLACES_EXACT_MAX {
            if power.is_multiple_of(&self.denominator) {
                return Some(places);
            }
            power *= 10;
        }
        None
    }

    /// The power of ten of the first significant digit: 2 for 123, -3 for 0.0012.
    fn magnitude(&self) -> i64 {
        let (top, bottom) = (self.numerator.magnitude(), self.denominator.magnitude());
        let estimate = digits(&top.to_string()) - digits(&bottom.to_string());
        let power = |exponent: i64| BigInt::from(10).pow(exponent.unsigned_abs());
        let reaches = if estimate >= 0 {
            BigInt::from(top.clone()) >= power(estimate) * BigInt::from(bottom.clone())
        } else {
            BigInt::from(top.clone()) * power(estimate) >= BigInt::from(bottom.clone())
        };
        if reaches { estimate } else { estimate - 1 }
    }
}

fn digits(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn ten_to(exponent: u32) -> Result<BigInt, NoNumber> {
    // Ten has a little more than three bits.
    if u64::from(exponent) * 3 > BITS_MAX { Err(NoNumber::TooLarge) } else { Ok(BigInt::from(10).pow(exponent)) }
}

fn rounded_quotient(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let half_up = (numerator.magnitude() * 2_u32 + denominator.magnitude()) / (denominator.magnitude() * 2_u32);
    let sign = if half_up.is_zero() { Sign::NoSign } else { numerator.sign() };
    BigInt::from_biguint(sign, half_up)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, Some(places)) = (self.exact, self.places()) {
            return f.write_str(&decimal(&self.numerator, &self.denominator, i64::from(places)));
        }
        if self.numerator.is_zero() {
            return f.write_str("≈ 0");
        }
        let places = i64::from(DIGITS_ROUNDED) - 1 - self.magnitude();
        let text = decimal(&self.numerator, &self.denominator, places.max(0));
        let text = if self.exact { &text } else { without_trailing_zeros(&text) };
        write!(f, "≈ {text}")
    }
}

fn decimal(numerator: &BigInt, denominator: &BigInt, places: i64) -> String {
    let places = usize::try_from(places).unwrap_or(0);
    let scale = BigInt::from(10).pow(places);
    let units = rounded_quotient(&(numerator * scale), denominator);
    let sign = if units.is_negative() { "-" } else { "" };
    let digits = format!("{:0>width$}", units.magnitude().to_string(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DivisionByZero => "division by zero",
            Self::TooLarge => "the result is too large: more than 3000 digits",
            Self::FractionalPower => "a power must be a whole number (for roots there is `sqrt`)",
            Self::NegativeRoot => "`sqrt` of a negative number",
        })
    }
}
