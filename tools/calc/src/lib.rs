//! The `calc` tool: exact arithmetic on one expression. Written without the SDK, to show that any component is a tool: the
//! host derives name, description and schema from `wit/calc.wit`.

mod expression;
mod function;
mod number;

/// Calculates an expression; the text of the result, or what is wrong.
///
/// # Errors
/// The expression cannot be read, has no value, or is too large; the text says which and where.
pub fn evaluate(expression: &str) -> Result<String, String> {
    expression::evaluate(expression).map(|number| number.to_string())
}

#[cfg(target_family = "wasm")]
mod component {
    #![allow(unsafe_code, missing_docs, unused_qualifications, reason = "generated code")]

    wit_bindgen::generate!({ path: "wit", world: "calc" });

    struct Calc;

    impl Guest for Calc {
        fn evaluate(expression: String) -> Result<String, String> {
            super::evaluate(&expression)
        }
    }

    export!(Calc);
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    fn check(cases: &[(&str, &str)]) {
        for (expression, expected) in cases {
            assert_eq!(evaluate(expression).as_deref(), Ok(*expected), "{expression}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        check(&[
            ("0.1 + 0.2", "0.3"),
            ("1.10 * 3", "3.3"),
            ("2^10", "1024"),
            ("2^-2", "0.25"),
            ("1/3*3", "1"),
            ("1e3 + 1_000", "2000"),
            ("-2^2", "-4"),
            ("(-2)^2", "4"),
            ("2^3^2", "512"),
            ("10 - 4 - 3", "3"),
            ("7 % 3 + -7 % 3", "0"),
            ("7.5 % 2", "1.5"),
            ("2 × 3 ÷ 4 − 1", "0.5"),
            ("0^0", "1"),
            ("1^999999999999", "1"),
            ("(-1)^999999999999", "-1"),
        ]);
    }

    #[test]
    fn what_has_no_short_decimal_is_marked() {
        check(&[
            ("1/3", "≈ 0.333333333333333333333333333333"),
            ("-2/3", "≈ -0.666666666666666666666666666667"),
            ("200/3", "≈ 66.6666666666666666666666666667"),
            ("1/3/10^20", "≈ 0.00000000000000000000333333333333333333333333333333"),
            ("sqrt(2)", "≈ 1.41421356237309504880168872421"),
            ("sqrt(2)^2", "≈ 2"),
            ("round(1/3, 2)", "0.33"),
        ]);
    }

    #[test]
    fn functions_are_known() {
        check(&[
            ("round(2.5)", "3"),
            ("round(-2.5)", "-3"),
            ("round(1234.5678, 2)", "1234.57"),
            ("round(1234, -2)", "1200"),
            ("floor(-1.5) + ceil(-1.5) + trunc(-1.5)", "-4"),
            ("min(3, 1, 2) + max(3, 1, 2)", "4"),
            ("sum(1, 2, 3.5) + mean(1, 2)", "8"),
            ("abs(-0.5)", "0.5"),
            ("sqrt(6.25)", "2.5"),
            ("sqrt(0)", "0"),
        ]);
    }

    #[test]
    fn the_readme_is_right() {
        let rows = include_str!("../README.md").lines().filter(|line| line.starts_with("| `") && line.ends_with("` |"));
        let cells: Vec<Vec<&str>> = rows.map(|row| row.split('`').collect()).collect();
        let examples: Vec<(&str, &str)> =
            cells.iter().filter(|cells| cells.len() == 5).map(|cells| (cells[1], cells[3])).collect();
        assert_eq!(examples.len(), 7);
        check(&examples);
    }

    #[test]
    fn errors_say_what_and_where() {
        let cases = [
            ("", "the expression is empty"),
            ("1 +", "the expression ends where a number is expected"),
            ("1 2", "character 3: expected an operator, found `2`"),
            ("(1", "the expression ends where `)` is expected"),
            ("1 / (2 - 2)", "character 3: division by zero"),
            ("5 % 0", "character 3: division by zero"),
            ("2^0.5", "character 2: a power must be a whole number (for roots there is `sqrt`)"),
            ("0^-1", "character 2: division by zero"),
            ("sqrt(-1)", "character 1: `sqrt` of a negative number"),
            (
                "sine(1)",
                "character 1: there is no function `sine`: abs, ceil, floor, max, mean, min, round, sqrt, sum, trunc",
            ),
            ("abs(1, 2)", "character 1: `abs` takes 1 argument, not 2"),
            ("max()", "character 5: expected a number, found `)`"),
            ("1,000", "character 2: expected an operator, found `,` (write numbers without thousands separators)"),
            ("x + 1", "character 1: there is nothing called `x`: only numbers and functions"),
        ];
        for (expression, expected) in cases {
            assert_eq!(evaluate(expression), Err(expected.to_owned()), "{expression}");
        }
    }

    #[test]
    fn what_would_not_end_is_refused() {
        let nested = "(".repeat(5_000);
        let negative = "-".repeat(2_000) + "1";
        let powers = "2^".repeat(1_000) + "1";
        for expression in ["2^1000000000", "9^9^9", "10^3010 * 10^3010", "1e99999", &nested, &negative, &powers] {
            let said = evaluate(expression).err().unwrap_or_default();
            assert!(["too large", "too deep", "too long"].iter().any(|why| said.contains(why)), "{expression}: {said}");
        }
    }
}
