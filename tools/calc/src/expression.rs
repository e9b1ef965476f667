//! Reads an expression and calculates it on the way: recursive descent with a bounded depth.
//!
//! ```text
//! sum     = product (("+" | "-") product)*
//! product = signed (("*" | "/" | "%") signed)*
//! signed  = ("-" | "+") signed | power
//! power   = atom ("^" signed)?
//! atom    = number | "(" sum ")" | name "(" sum ("," sum)* ")"
//! ```

use crate::function;
use crate::number::{NoNumber, Number};

/// Longest expression. With [`crate::number::BITS_MAX`] it bounds the work.
const EXPRESSION_BYTES_MAX: usize = 4_096;
/// Deepest nesting of parentheses, signs and powers; each level takes a few frames of the stack.
const DEPTH_MAX: usize = 64;
/// Most digits in one number that is written out.
const DIGITS_MAX: usize = 1_000;

/// Calculates an expression. Errors name the character, counted from 1.
pub(crate) fn evaluate(text: &str) -> Result<Number, String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("the expression is too long: {} bytes of at most {EXPRESSION_BYTES_MAX}", text.len()));
    }
    let characters: Vec<char> = text.chars().map(plain).collect();
    let mut reader = Reader { characters, at: 0, depth: 0 };
    if reader.peek().is_none() {
        return Err("the expression is empty".to_owned());
    }
    let number = reader.sum()?;
    match reader.peek() {
        None => Ok(number),
        Some(other) => {
            let hint = if other == ',' { " (write numbers without thousands separators)" } else { "" };
            Err(reader.problem(reader.at, &format!("expected an operator, found `{other}`{hint}")))
        }
    }
}

/// The signs that people and models copy from elsewhere.
fn plain(character: char) -> char {
    match character {
        '×' | '·' => '*',
        '÷' => '/',
        '−' | '–' => '-',
        other => other,
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    depth: usize,
}

type Operation = fn(&Number, &Number) -> Result<Number, NoNumber>;

impl Reader {
    fn sum(&mut self) -> Result<Number, String> {
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            let operation: Operation = if sign == '+' { Number::add } else { Number::subtract };
            left = self.binary(&left, operation, Self::product)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut left = self.signed()?;
        while let Some(sign @ ('*' | '/' | '%')) = self.peek() {
            let operation: Operation = match sign {
                '*' => Number::multiply,
                '/' => Number::divide,
                _ => Number::remainder,
            };
            left = self.binary(&left, operation, Self::signed)?;
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Number, String> {
        let Some(sign @ ('-' | '+')) = self.peek() else { return self.power() };
        self.at += 1;
        let number = self.deeper(Self::signed)?;
        Ok(if sign == '-' { number.negated() } else { number })
    }

    fn power(&mut self) -> Result<Number, String> {
        let base = self.atom()?;
        if self.peek() != Some('^') {
            return Ok(base);
        }
        self.binary(&base, Number::power, |reader| reader.deeper(Self::signed))
    }

    fn atom(&mut self) -> Result<Number, String> {
        match self.peek() {
            None => Err("the expression ends where a number is expected".to_owned()),
            Some('(') => {
                self.at += 1;
                let inner = self.deeper(Self::sum)?;
                self.expect(')')?;
                Ok(inner)
            }
            Some(character) if character.is_ascii_digit() || character == '.' => self.number(),
            Some(character) if character.is_alphabetic() => self.call(),
            Some(other) => Err(self.problem(self.at, &format!("expected a number, found `{other}`"))),
        }
    }

    fn call(&mut self) -> Result<Number, String> {
        let begin = self.at;
        let name = self.take_while(|character| character.is_alphanumeric() || character == '_');
        if self.peek() != Some('(') {
            return Err(self.problem(begin, &format!("there is nothing called `{name}`: only numbers and functions")));
        }
        self.at += 1;
        let mut arguments = vec![self.deeper(Self::sum)?];
        while self.peek() == Some(',') {
            self.at += 1;
            arguments.push(self.deeper(Self::sum)?);
        }
        self.expect(')')?;
        function::call(&name, &arguments).map_err(|problem| self.problem(begin, &problem))
    }

    /// Digits with at most one point, and an exponent.
    fn number(&mut self) -> Result<Number, String> {
        let begin = self.at;
        let whole = self.digits();
        let fraction = if self.characters.get(self.at) == Some(&'.') {
            self.at += 1;
            self.digits()
        } else {
            String::new()
        };
        let exponent = self.exponent();
        let digits = whole + &fraction;
        if digits.is_empty() {
            return Err(self.problem(begin, "expected a number, found `.`"));
        }
        if digits.len() > DIGITS_MAX {
            return Err(self.problem(begin, &format!("the number is too long: more than {DIGITS_MAX} digits")));
        }
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        Number::from_digits(&digits, exponent).map_err(|problem| self.problem(begin, &problem.to_string()))
    }

    /// The exponent of `1.5e-3`; nothing is taken if no digit follows the `e`.
    fn exponent(&mut self) -> i64 {
        let begin = self.at;
        if !matches!(self.characters.get(self.at), Some('e' | 'E')) {
            return 0;
        }
        self.at += 1;
        let negative = self.characters.get(self.at) == Some(&'-');
        if matches!(self.characters.get(self.at), Some('+' | '-')) {
            self.at += 1;
        }
        let digits = self.digits();
        if digits.is_empty() {
            self.at = begin;
            return 0;
        }
        // An exponent with too many digits is too large in any case.
        let size: i64 = digits.parse().unwrap_or(i64::from(u32::MAX));
        if negative { -size } else { size }
    }

    fn digits(&mut self) -> String {
        self.take_while(|character| character.is_ascii_digit() || character == '_').replace('_', "")
    }

    fn binary(
        &mut self,
        left: &Number,
        operation: Operation,
        right: impl FnOnce(&mut Self) -> Result<Number, String>,
    ) -> Result<Number, String> {
        let begin = self.at;
        self.at += 1;
        let right = right(self)?;
        operation(left, &right).map_err(|problem| self.problem(begin, &problem.to_string()))
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Number, String>) -> Result<Number, String> {
        if self.depth == DEPTH_MAX {
            return Err(self.problem(self.at, &format!("nested too deep: more than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let number = read(self)?;
        self.depth -= 1;
        Ok(number)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(found) => Err(self.problem(self.at, &format!("expected `{wanted}`, found `{found}`"))),
            None => Err(format!("the expression ends where `{wanted}` is expected")),
        }
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        while self.characters.get(self.at).is_some_and(|character| character.is_whitespace()) {
            self.at += 1;
        }
        self.characters.get(self.at).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let begin = self.at;
        while self.characters.get(self.at).is_some_and(|&character| wanted(character)) {
            self.at += 1;
        }
        self.characters[begin..self.at].iter().collect()
    }

    fn problem(&self, at: usize, what: &str) -> String {
        format!("character {}: {what}", at + 1)
    }
}
