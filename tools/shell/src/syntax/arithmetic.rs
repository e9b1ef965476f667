//! Reads arithmetic expressions: the operators of C on 64-bit integers, as POSIX has them, with bash's `**`.

/// How deep parentheses and operators may stand in each other.
const NESTING_MAX: u32 = 100;

/// Most operators of one expression.
const OPERATORS_MAX: u32 = 300;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(i64),
    Variable(String),
    Unary(Unary, Box<Expression>),
    Binary(Binary, Box<Expression>, Box<Expression>),
    /// `a && b`, `a || b`: the second is looked at only where it matters.
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `x = 1`, and with an operator `x += 1`.
    Assign(String, Option<Binary>, Box<Expression>),
    /// `x++` and the like: what is added, and which value is given.
    Step(String, i64, Assigned),
    Sequence(Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Minus,
    Plus,
    Not,
    Complement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Power,
    Times,
    Divide,
    Remainder,
    Plus,
    Minus,
    ShiftLeft,
    ShiftRight,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
    BitAnd,
    BitXor,
    BitOr,
}

/// Whether a step gives the value before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assigned {
    Before,
    After,
}

/// Operators between two operands, each with how strongly it binds. The longer ones first.
const OPERATORS: [(&str, u8, Operator); 20] = [
    ("**", 12, Operator::Of(Binary::Power)),
    ("<<", 9, Operator::Of(Binary::ShiftLeft)),
    (">>", 9, Operator::Of(Binary::ShiftRight)),
    ("<=", 8, Operator::Of(Binary::LessOrEqual)),
    (">=", 8, Operator::Of(Binary::GreaterOrEqual)),
    ("==", 7, Operator::Of(Binary::Equal)),
    ("!=", 7, Operator::Of(Binary::Unequal)),
    ("&&", 3, Operator::And),
    ("||", 2, Operator::Or),
    ("*", 11, Operator::Of(Binary::Times)),
    ("/", 11, Operator::Of(Binary::Divide)),
    ("%", 11, Operator::Of(Binary::Remainder)),
    ("+", 10, Operator::Of(Binary::Plus)),
    ("-", 10, Operator::Of(Binary::Minus)),
    ("<", 8, Operator::Of(Binary::Less)),
    (">", 8, Operator::Of(Binary::Greater)),
    ("&", 6, Operator::Of(Binary::BitAnd)),
    ("^", 5, Operator::Of(Binary::BitXor)),
    ("|", 4, Operator::Of(Binary::BitOr)),
    ("?", 1, Operator::Choice),
];

#[derive(Debug, Clone, Copy)]
enum Operator {
    Of(Binary),
    And,
    Or,
    Choice,
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    depth: u32,
    operators: u32,
}

/// Reads an expression whose expansions were made.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { text, rest: text, depth: 0, operators: 0 };
    reader.blanks();
    if reader.rest.is_empty() {
        return Ok(Expression::Number(0));
    }
    let expression = reader.sequence()?;
    if reader.rest.is_empty() { Ok(expression) } else { reader.problem() }
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn problem<T>(&self) -> Result<T, String> {
        let text = self.text.trim();
        match self.rest.chars().next() {
            Some(next) => Err(format!("`{text}` is not arithmetic: `{next}` is not expected there")),
            None => Err(format!("`{text}` is not arithmetic: something is missing at its end")),
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        self.blanks();
        true
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth == NESTING_MAX {
            return Err(format!("more than {NESTING_MAX} levels of an arithmetic expression stand in each other"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// `1+1+1+…` makes a tree that is as deep as it is long.
    fn count_operator(&mut self) -> Result<(), String> {
        self.operators += 1;
        if self.operators <= OPERATORS_MAX {
            return Ok(());
        }
        Err(format!("an arithmetic expression has more than {OPERATORS_MAX} operators"))
    }

    fn sequence(&mut self) -> Result<Expression, String> {
        let mut expression = self.assignment()?;
        while self.eat(",") {
            self.count_operator()?;
            expression = Expression::Sequence(Box::new(expression), Box::new(self.assignment()?));
        }
        Ok(expression)
    }

    fn assignment(&mut self) -> Result<Expression, String> {
        let start = self.rest;
        if let Some(name) = self.name() {
            if let Some(operator) = self.assignment_operator() {
                let value = self.deeper(Self::assignment)?;
                return Ok(Expression::Assign(name.to_owned(), operator, Box::new(value)));
            }
            self.rest = start;
        }
        self.deeper(|inner| inner.binary(1))
    }

    fn assignment_operator(&mut self) -> Option<Option<Binary>> {
        if self.rest.starts_with('=') && !self.rest.starts_with("==") {
            self.eat("=");
            return Some(None);
        }
        for (text, _, operator) in OPERATORS {
            let Operator::Of(binary) = operator else { continue };
            let assigns =
                self.rest.strip_prefix(text).is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="));
            if assigns && !matches!(text, "<" | ">" | "<=" | ">=" | "==" | "!=" | "**") {
                self.rest = &self.rest[text.len() + 1..];
                self.blanks();
                return Some(Some(binary));
            }
        }
        None
    }

    /// Operands and operators that bind at least as strongly as `least`.
    fn binary(&mut self, least: u8) -> Result<Expression, String> {
        let mut left = self.unary()?;
        while let Some((text, binding, operator)) =
            OPERATORS.into_iter().find(|(text, _, _)| self.rest.starts_with(text))
        {
            if binding < least {
                break;
            }
            self.eat(text);
            self.count_operator()?;
            left = match operator {
                // Bind to the right: `2 ** 3 ** 2` is `2 ** 9`.
                Operator::Of(Binary::Power) => {
                    let right = self.deeper(|inner| inner.binary(binding))?;
                    Expression::Binary(Binary::Power, Box::new(left), Box::new(right))
                }
                Operator::Choice => self.choice(left)?,
                Operator::Of(binary) => Expression::Binary(
                    binary,
                    Box::new(left),
                    Box::new(self.deeper(|inner| inner.binary(binding + 1))?),
                ),
                Operator::And => {
                    Expression::And(Box::new(left), Box::new(self.deeper(|inner| inner.binary(binding + 1))?))
                }
                Operator::Or => {
                    Expression::Or(Box::new(left), Box::new(self.deeper(|inner| inner.binary(binding + 1))?))
                }
            };
        }
        Ok(left)
    }

    fn choice(&mut self, condition: Expression) -> Result<Expression, String> {
        let first = self.deeper(Self::sequence)?;
        if !self.eat(":") {
            return self.problem();
        }
        let second = self.deeper(Self::assignment)?;
        Ok(Expression::Choice(Box::new(condition), Box::new(first), Box::new(second)))
    }

    fn unary(&mut self) -> Result<Expression, String> {
        for (text, step) in [("++", 1), ("--", -1)] {
            let start = self.rest;
            if self.eat(text) {
                if let Some(name) = self.name() {
                    return Ok(Expression::Step(name.to_owned(), step, Assigned::After));
                }
                self.rest = start;
            }
        }
        for (text, unary) in [("-", Unary::Minus), ("+", Unary::Plus), ("!", Unary::Not), ("~", Unary::Complement)] {
            if self.eat(text) {
                return Ok(Expression::Unary(unary, Box::new(self.deeper(Self::unary)?)));
            }
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<Expression, String> {
        if self.eat("(") {
            let inner = self.deeper(Self::sequence)?;
            return if self.eat(")") { Ok(inner) } else { self.problem() };
        }
        if let Some(name) = self.name() {
            for (text, step) in [("++", 1), ("--", -1)] {
                if self.eat(text) {
                    return Ok(Expression::Step(name.to_owned(), step, Assigned::Before));
                }
            }
            return Ok(Expression::Variable(name.to_owned()));
        }
        let length = self.rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').count();
        if length == 0 {
            return self.problem();
        }
        let number = number(&self.rest[..length])?;
        self.rest = &self.rest[length..];
        self.blanks();
        Ok(Expression::Number(number))
    }

    fn name(&mut self) -> Option<&'a str> {
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let length = self.rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, rest) = self.rest.split_at(length);
        if name.is_empty() {
            return None;
        }
        self.rest = rest;
        self.blanks();
        Some(name)
    }
}

/// A constant: decimal, `0x1f`, `017`, or bash's `2#101`.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    let (digits, base) = if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (digits, 16)
    } else if let Some((base, digits)) = text.split_once('#') {
        (digits, base.parse().ok().filter(|base| (2..=36).contains(base)).ok_or_else(|| not_a_number(text))?)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], 8)
    } else {
        (text, 10)
    };
    i64::from_str_radix(digits, base).map_err(|_| not_a_number(text))
}

fn not_a_number(text: &str) -> String {
    format!("`{text}` is not a number of 64 bits")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_arithmetic_is_said() {
        for (text, message) in [
            ("1 +", "`1 +` is not arithmetic: something is missing at its end"),
            ("1 2", "`1 2` is not arithmetic: `2` is not expected there"),
            ("a b", "`a b` is not arithmetic: `b` is not expected there"),
            ("09", "`09` is not a number of 64 bits"),
            ("99999999999999999999", "`99999999999999999999` is not a number of 64 bits"),
            ("(1", "`(1` is not arithmetic: something is missing at its end"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()));
        }
        for open in ["(", "-", "1+(", "x=", "1?", "~!", "2**"] {
            let error = parse(&open.repeat(10_000)).unwrap_err();
            assert!(error.contains("stand in each other"), "{open}: {error}");
        }
    }
}
