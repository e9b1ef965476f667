//! JSON whose numbers a program may hold in 64 bits and still have what was written. What a tool returns is kept as text; whoever
//! hands it on as values looks here first.

use serde_json::Value;

/// The value of a JSON text; `None` where a number in it would not come through unchanged.
#[must_use]
pub fn read(json: &str) -> Option<Value> {
    let value = serde_json::from_str(json).ok()?;
    numbers(json).all(is_exact).then_some(value)
}

/// The numbers in a JSON text.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let (mut in_string, mut escaped) = (false, false);
    let mut is_number = move |c: char| {
        let was_in_string = in_string;
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        !was_in_string && (c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
    };
    json.split(move |c| !is_number(c)).filter(|piece| piece.contains(|c: char| c.is_ascii_digit()))
}

/// Whether a program that reads a number into 64 bits has what is written.
fn is_exact(number: &str) -> bool {
    /// Digits that every float keeps.
    const DIGITS_KEPT: usize = 15;
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let float = number.parse::<f64>().ok().filter(|float| float.is_finite());
    number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
        || float.is_some_and(|float| (digits <= DIGITS_KEPT && !vanished(float, mantissa)) || shortest(float) == number)
}

/// Whether something became nothing: too small for a float.
fn vanished(float: f64, mantissa: &str) -> bool {
    float == 0.0 && mantissa.contains(|c: char| matches!(c, '1'..='9'))
}

/// A float as JSON has it.
fn shortest(float: f64) -> String {
    serde_json::to_string(&float).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_become_another_number_is_noticed() {
        for (text, is_kept) in [("1e-400", false), ("0e-400", true), ("[0.10]", true), ("1e400", false)] {
            assert_eq!(read(text).is_some(), is_kept, "{text}");
        }
    }

    proptest! {
        /// All that the sandbox writes of a component's own values.
        #[test]
        fn a_float_that_was_written_comes_through(wide in any::<f64>(), narrow in any::<f32>()) {
            prop_assume!(wide.is_finite() && narrow.is_finite());
            for text in [serde_json::to_string(&wide)?, serde_json::to_string(&narrow)?] {
                prop_assert!(read(&text).is_some(), "{text}");
            }
        }
    }
}
