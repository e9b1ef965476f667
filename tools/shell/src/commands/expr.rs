//! `expr`: arithmetic and texts, each operand a word of its own.

use super::regular::{Letters, Syntax, compile};
use crate::run::Call;
use crate::stop::{Outcome, Stop};

/// How deep parentheses may stand in each other.
const NESTING_MAX: u32 = 50;

/// Operators from those that bind least.
const OPERATORS: [&[&str]; 6] =
    [&["|"], &["&"], &["=", "==", "!=", "<", "<=", ">", ">="], &["+", "-"], &["*", "/", "%"], &[":"]];

struct Reader<'a> {
    rest: &'a [String],
    depth: u32,
}

pub(super) async fn expr(call: &mut Call<'_>) -> Outcome<u8> {
    let words = call.arguments.strip_prefix(&["--".to_owned()]).unwrap_or(call.arguments);
    let mut reader = Reader { rest: words, depth: 0 };
    let value = reader.level(0)?;
    if let Some(word) = reader.rest.first() {
        return Err(Stop::usage(format!("`{word}` is not expected here")));
    }
    let status = u8::from(is_nothing(&value));
    call.out.line(value).await?;
    Ok(status)
}

fn is_nothing(value: &str) -> bool {
    value.is_empty() || value.parse::<i64>() == Ok(0)
}

fn number(text: &str) -> Outcome<i64> {
    text.parse().map_err(|_| Stop::usage(format!("`{text}` is not a whole number")))
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Outcome<&'a str> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| Stop::usage("something is missing at the end"))?;
        self.rest = rest;
        Ok(first)
    }

    fn level(&mut self, level: usize) -> Outcome<String> {
        let Some(operators) = OPERATORS.get(level) else { return self.operand() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.rest.first().filter(|word| operators.contains(&word.as_str())) {
            self.rest = &self.rest[1..];
            let right = self.level(level + 1)?;
            left = operate(operator, &left, &right)?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Outcome<String> {
        let word = self.next()?;
        match word {
            "(" => {
                if self.depth == NESTING_MAX {
                    return Err(Stop::usage(format!("more than {NESTING_MAX} of `(` stand in each other")));
                }
                self.depth += 1;
                let value = self.level(0)?;
                self.depth -= 1;
                if self.next()? == ")" { Ok(value) } else { Err(Stop::usage("a `(` has no `)`")) }
            }
            "length" if !self.rest.is_empty() => Ok(self.next()?.chars().count().to_string()),
            "substr" if self.rest.len() >= 3 => {
                let (text, from, length) = (self.next()?, number(self.next()?)?, number(self.next()?)?);
                let from = usize::try_from(from).unwrap_or(0);
                let length = usize::try_from(length).unwrap_or(0);
                Ok(if from == 0 { String::new() } else { text.chars().skip(from - 1).take(length).collect() })
            }
            "index" if self.rest.len() >= 2 => {
                let (text, letters) = (self.next()?, self.next()?);
                Ok(text.chars().position(|c| letters.contains(c)).map_or(0, |at| at + 1).to_string())
            }
            "match" if self.rest.len() >= 2 => {
                let (text, expression) = (self.next()?, self.next()?);
                operate(":", text, expression)
            }
            "+" if !self.rest.is_empty() => Ok(self.next()?.to_owned()),
            word => Ok(word.to_owned()),
        }
    }
}

fn operate(operator: &str, left: &str, right: &str) -> Outcome<String> {
    let is = |holds: bool| u8::from(holds).to_string();
    let compared = || match (left.parse::<i64>(), right.parse::<i64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (_, _) => left.cmp(right),
    };
    Ok(match operator {
        "|" => if is_nothing(left) { if is_nothing(right) { "0" } else { right } } else { left }.to_owned(),
        "&" => if is_nothing(left) || is_nothing(right) { "0" } else { left }.to_owned(),
        "=" | "==" => is(compared().is_eq()),
        "!=" => is(compared().is_ne()),
        "<" => is(compared().is_lt()),
        "<=" => is(compared().is_le()),
        ">" => is(compared().is_gt()),
        ">=" => is(compared().is_ge()),
        ":" => matched(left, right)?,
        _ => {
            let (left, right) = (number(left)?, number(right)?);
            let value = match operator {
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                "*" => left.checked_mul(right),
                _ if right == 0 => return Err(Stop::usage("division by zero")),
                "/" => left.checked_div(right),
                _ => left.checked_rem(right),
            };
            value.ok_or_else(|| Stop::usage("the result is beyond 64 bits"))?.to_string()
        }
    })
}

/// `text : expression`: the first group, else how many characters match from the beginning.
fn matched(text: &str, expression: &str) -> Outcome<String> {
    let regex =
        compile(&format!("^{}", expression.strip_prefix('^').unwrap_or(expression)), Syntax::Basic, Letters::Exact)?;
    let has_group = regex.captures_len() > 1;
    let Some(captures) = regex.captures(text.as_bytes()) else {
        return Ok(if has_group { String::new() } else { "0".to_owned() });
    };
    let part = |group| {
        captures.get(group).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned()).unwrap_or_default()
    };
    Ok(if has_group { part(1) } else { part(0).chars().count().to_string() })
}
