//! Reads `$x` and `${…}`.

use super::scanner::{Parsed, Scanner};
use super::words::Until;
use super::{Case, Change, End, Extent, Name, Parameter, Piece, Quotes, When, Which};

impl Scanner<'_> {
    /// After `$`, without a brace. None: the `$` is just that.
    pub(super) fn plain_parameter(&mut self) -> Parsed<Option<Parameter>> {
        let digit = self.byte(0);
        if digit.is_ascii_digit() {
            self.skip(1);
            return Ok(Some(plain(positional(usize::from(digit - b'0')))));
        }
        if let Some(name) = self.special() {
            return name.map(|name| Some(plain(name)));
        }
        Ok(self.variable().map(plain))
    }

    /// After `${`, up to and with the `}`.
    pub(super) fn braced_parameter(&mut self, quotes: Quotes) -> Parsed<Parameter> {
        if self.byte(0) == b'#' && self.byte(1) != b'}' && !matches!(self.byte(1), b':' | b'-' | b'%' | b'#') {
            self.skip(1);
            let name = self.name()?;
            self.close()?;
            return Ok(Parameter { name, change: Change::Length });
        }
        if self.byte(0) == b'!' && self.byte(1) != b'}' {
            return self.problem("there is no `${!x}` here: use `eval`");
        }
        let name = self.name()?;
        if self.byte(0) == b'[' {
            return self.arrays();
        }
        let change = self.change(quotes)?;
        self.close()?;
        Ok(Parameter { name, change })
    }

    fn close(&mut self) -> Parsed<()> {
        if self.eat("}") {
            return Ok(());
        }
        match self.peek() {
            None => self.problem("`${` has no `}`"),
            Some(next) => self.problem(format!("`{next}` is not expected in `${{…}}`")),
        }
    }

    fn name(&mut self) -> Parsed<Name> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            return match self.skip(digits).parse() {
                Ok(number) => Ok(positional(number)),
                Err(_) => self.problem("the number in `${…}` is too large"),
            };
        }
        if let Some(special) = self.special() {
            return special;
        }
        match self.variable() {
            Some(name) => Ok(name),
            None => self.problem("`${` wants the name of a variable"),
        }
    }

    fn variable(&mut self) -> Option<Name> {
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        (length > 0).then(|| Name::Variable(self.skip(length).to_owned()))
    }

    fn special(&mut self) -> Option<Parsed<Name>> {
        let name = match self.byte(0) {
            b'@' => Name::Each,
            b'*' => Name::Joined,
            b'#' => Name::Count,
            b'?' => Name::Status,
            b'-' => Name::Flags,
            b'$' => Name::Process,
            b'!' => return Some(self.problem("there are no background jobs here, so that `$!` is nothing")),
            _ => return None,
        };
        self.skip(1);
        Some(Ok(name))
    }

    fn change(&mut self, quotes: Quotes) -> Parsed<Change> {
        let (first, second) = (self.byte(0), self.byte(1));
        let when = if first == b':' { When::UnsetOrEmpty } else { When::Unset };
        let operator = if first == b':' { second } else { first };
        if matches!(operator, b'-' | b'=' | b'?' | b'+') {
            self.skip(if first == b':' { 2 } else { 1 });
            let word = self.inner_word(Until::Brace, quotes)?;
            return Ok(match operator {
                b'-' => Change::Default { when, word },
                b'=' => Change::Assign { when, word },
                b'?' => Change::Demand { when, word },
                _ => Change::Alternative { when, word },
            });
        }
        match first {
            b'%' | b'#' => self.trim(),
            b'/' => self.replacement(quotes),
            b':' => self.slice(),
            b'^' | b',' => self.letters(),
            b'@' => self.problem("there is no `${x@…}` here"),
            _ => Ok(Change::None),
        }
    }

    fn trim(&mut self) -> Parsed<Change> {
        let end = if self.byte(0) == b'%' { End::Back } else { End::Front };
        let extent = self.extent();
        let pattern = self.inner_word(Until::Brace, Quotes::None)?;
        Ok(Change::Trim { end, extent, pattern })
    }

    /// One or two of the operator's character.
    fn extent(&mut self) -> Extent {
        let is_double = self.byte(0) == self.byte(1);
        self.skip(if is_double { 2 } else { 1 });
        if is_double { Extent::Longest } else { Extent::Shortest }
    }

    fn replacement(&mut self, quotes: Quotes) -> Parsed<Change> {
        self.skip(1);
        let which = match self.byte(0) {
            b'/' => Which::All,
            b'#' => Which::Front,
            b'%' => Which::Back,
            _ => Which::First,
        };
        if which != Which::First {
            self.skip(1);
        }
        // `${x////_}`: right after the operator, a `/` does not end the pattern.
        let slash = which == Which::All && self.byte(0) == b'/' && self.rest()[1..].starts_with('/');
        self.skip(usize::from(slash));
        let mut pattern = self.inner_word(Until::SlashOrBrace, Quotes::None)?;
        if slash {
            pattern.pieces.insert(0, Piece::Quoted("/".to_owned()));
        }
        let with = if self.eat("/") { self.inner_word(Until::Brace, quotes)? } else { super::Word::default() };
        Ok(Change::Replace { which, pattern, with })
    }

    /// `${x:offset:length}`
    fn slice(&mut self) -> Parsed<Change> {
        self.skip(1);
        let offset = self.slice_part(|c| c == ':' || c == '}')?;
        let length = if self.eat(":") { Some(self.slice_part(|c| c == '}')?) } else { None };
        Ok(Change::Slice { offset, length })
    }

    fn slice_part(&mut self, is_end: impl Fn(char) -> bool) -> Parsed<super::Arithmetic> {
        let rest = self.rest();
        let (mut open, mut length) = (0_u32, rest.len());
        for (at, c) in rest.char_indices() {
            if open == 0 && is_end(c) {
                length = at;
                break;
            }
            match c {
                '{' | '(' => open += 1,
                '}' | ')' => open = open.saturating_sub(1),
                _ => {}
            }
        }
        let text = self.skip(length);
        self.arithmetic(text)
    }

    fn letters(&mut self) -> Parsed<Change> {
        let case = if self.byte(0) == b'^' { Case::Upper } else { Case::Lower };
        let extent = self.extent();
        Ok(Change::Letters { case, extent })
    }
}

fn plain(name: Name) -> Parameter {
    Parameter { name, change: Change::None }
}

fn positional(number: usize) -> Name {
    if number == 0 { Name::Script } else { Name::Positional(number) }
}
