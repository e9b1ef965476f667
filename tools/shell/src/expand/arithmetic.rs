//! The value of arithmetic, and what it assigns.

use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::syntax::{Arithmetic, Assigned, Binary, Expression, Unary, parse_arithmetic};

/// Expands and computes `$((…))`.
pub(crate) async fn value(shell: &mut Shell, arithmetic: &Arithmetic) -> Outcome<i64> {
    match arithmetic {
        Arithmetic::Read(expression) => evaluate(shell, expression),
        Arithmetic::Expand(word) => {
            let text = super::text(shell, word).await?;
            evaluate(shell, &parse_arithmetic(&text).map_err(|message| problem(&message))?)
        }
    }
}

/// What a text comes to, as each side of `-eq` in `[[`. Nothing is 0.
pub(crate) fn computed(shell: &mut Shell, text: &str) -> Outcome<i64> {
    let text = if text.trim().is_empty() { "0" } else { text };
    // A condition that cannot be computed does not hold, and the script goes on.
    let failed = |message: String| Stop::failed(format!("arithmetic: {message}"));
    evaluate(shell, &parse_arithmetic(text).map_err(failed)?)
}

fn problem(message: &str) -> Stop {
    Stop::Fatal { status: 2, message: format!("arithmetic: {message}") }
}

fn evaluate(shell: &mut Shell, expression: &Expression) -> Outcome<i64> {
    Ok(match expression {
        Expression::Number(number) => *number,
        Expression::Variable(name) => variable(shell, name)?,
        Expression::Unary(unary, operand) => {
            let operand = evaluate(shell, operand)?;
            match unary {
                Unary::Minus => operand.wrapping_neg(),
                Unary::Plus => operand,
                Unary::Not => i64::from(operand == 0),
                Unary::Complement => !operand,
            }
        }
        Expression::Binary(binary, left, right) => {
            let left = evaluate(shell, left)?;
            let right = evaluate(shell, right)?;
            operate(*binary, left, right)?
        }
        Expression::And(left, right) => i64::from(evaluate(shell, left)? != 0 && evaluate(shell, right)? != 0),
        Expression::Or(left, right) => i64::from(evaluate(shell, left)? != 0 || evaluate(shell, right)? != 0),
        Expression::Choice(condition, first, second) => {
            let chosen = if evaluate(shell, condition)? != 0 { first } else { second };
            evaluate(shell, chosen)?
        }
        Expression::Assign(name, operator, operand) => {
            let operand = evaluate(shell, operand)?;
            let value = match operator {
                Some(binary) => operate(*binary, variable(shell, name)?, operand)?,
                None => operand,
            };
            shell.assign(name, &value.to_string())?;
            value
        }
        Expression::Step(name, step, given) => {
            let before = variable(shell, name)?;
            let after = before.wrapping_add(*step);
            shell.assign(name, &after.to_string())?;
            match given {
                Assigned::Before => before,
                Assigned::After => after,
            }
        }
        Expression::Sequence(first, second) => {
            evaluate(shell, first)?;
            evaluate(shell, second)?
        }
    })
}

fn variable(shell: &Shell, name: &str) -> Outcome<i64> {
    let value = match shell.variables.get(name) {
        Some(value) => value,
        None if shell.options.nounset => {
            return Err(Stop::Fatal { status: 2, message: format!("{name}: parameter not set") });
        }
        None => return Ok(0),
    };
    number(&value).map_err(|message| problem(&format!("{name}: {message}")))
}

/// The number that a text is, with blanks and a sign.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(0);
    }
    if let Ok(number) = trimmed.parse::<i64>()
        && !trimmed.trim_start_matches(['-', '+']).starts_with('0')
    {
        return Ok(number);
    }
    let (digits, is_negative) = match trimmed.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (trimmed.strip_prefix('+').unwrap_or(trimmed), false),
    };
    match parse_arithmetic(digits) {
        Ok(Expression::Number(number)) => Ok(if is_negative { number.wrapping_neg() } else { number }),
        _ => Err(format!("`{trimmed}` is not a number")),
    }
}

fn operate(binary: Binary, left: i64, right: i64) -> Outcome<i64> {
    let shift = || u32::try_from(right & 63).unwrap_or(0);
    Ok(match binary {
        Binary::Power => {
            let exponent = u32::try_from(right).map_err(|_| problem(&format!("`{right}` is not an exponent")))?;
            left.wrapping_pow(exponent)
        }
        Binary::Times => left.wrapping_mul(right),
        Binary::Divide | Binary::Remainder if right == 0 => return Err(problem("division by zero")),
        Binary::Divide => left.wrapping_div(right),
        Binary::Remainder => left.wrapping_rem(right),
        Binary::Plus => left.wrapping_add(right),
        Binary::Minus => left.wrapping_sub(right),
        Binary::ShiftLeft => left.wrapping_shl(shift()),
        Binary::ShiftRight => left.wrapping_shr(shift()),
        Binary::Less => i64::from(left < right),
        Binary::LessOrEqual => i64::from(left <= right),
        Binary::Greater => i64::from(left > right),
        Binary::GreaterOrEqual => i64::from(left >= right),
        Binary::Equal => i64::from(left == right),
        Binary::Unequal => i64::from(left != right),
        Binary::BitAnd => left & right,
        Binary::BitXor => left ^ right,
        Binary::BitOr => left | right,
    })
}
