//! Reads words: what is quoted in them, and what is to be expanded.

use std::rc::Rc;

use super::scanner::{Parsed, Scanner};
use super::{Arithmetic, Piece, Quotes, Word};

/// What ends a word that has no quotes around it.
pub(super) fn is_metacharacter(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

/// Where a word ends, beside the end of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// At a metacharacter.
    Blank,
    /// At the `}` of `${…}`.
    Brace,
    /// At the `/` or the `}` of `${x/…/…}`.
    SlashOrBrace,
    /// At the closing `"`.
    Quote,
    /// A here-document: quotes are text.
    Document,
    /// The text of an arithmetic expression.
    Nothing,
}

impl Word {
    pub(super) fn push_bare(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Bare(text)) => text.push(c),
            _ => self.pieces.push(Piece::Bare(c.to_string())),
        }
    }

    fn push_quoted(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Quoted(text)) => text.push(c),
            _ => self.pieces.push(Piece::Quoted(c.to_string())),
        }
    }

    fn push(&mut self, c: char, quotes: Quotes) {
        match quotes {
            Quotes::None => self.push_bare(c),
            Quotes::Double => self.push_quoted(c),
        }
    }
}

impl<'a> Scanner<'a> {
    /// The word that is next, if one is.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        let mut word = Word::default();
        if self.byte(0) == b'~' && matches!(self.byte(1), b'/' | b':' | b' ' | b'\t' | b'\n' | b';' | b')' | 0) {
            self.skip(1);
            word.pieces.push(Piece::Home);
        }
        self.pieces(&mut word, Until::Blank, Quotes::None)?;
        Ok(Some(word).filter(|word| !word.pieces.is_empty()))
    }

    /// The text of a here-document whose delimiter is not quoted.
    pub(super) fn document_word(&mut self) -> Parsed<Word> {
        let mut word = Word::default();
        self.pieces(&mut word, Until::Document, Quotes::Double)?;
        Ok(word)
    }

    /// A word within `${…}`. What ends it is not consumed.
    pub(super) fn inner_word(&mut self, until: Until, quotes: Quotes) -> Parsed<Word> {
        let mut word = Word::default();
        if self.byte(0) == b'~' && quotes == Quotes::None && matches!(self.byte(1), b'/' | b'}') {
            self.skip(1);
            word.pieces.push(Piece::Home);
        }
        self.nested(|inner| inner.pieces(&mut word, until, quotes))?;
        Ok(word)
    }

    pub(super) fn pieces(&mut self, word: &mut Word, until: Until, quotes: Quotes) -> Parsed<()> {
        while let Some(next) = self.peek() {
            if is_end(next, until) {
                return Ok(());
            }
            match next {
                '\\' => self.backslash(word, until, quotes),
                '\'' if quotes == Quotes::None => self.single_quotes(word)?,
                '"' if until != Until::Document && until != Until::Nothing => self.double_quotes(word)?,
                '$' => self.dollar(word, until, quotes)?,
                '`' => self.backquotes(word, quotes)?,
                _ => {
                    self.next();
                    word.push(next, quotes);
                }
            }
        }
        Ok(())
    }

    fn backslash(&mut self, word: &mut Word, until: Until, quotes: Quotes) {
        self.next();
        let Some(next) = self.peek() else {
            word.push('\\', quotes);
            return;
        };
        let is_escape = match (quotes, until) {
            (_, _) if next == '\n' => {
                self.next();
                return;
            }
            (Quotes::None, _) => true,
            (Quotes::Double, Until::Document) => matches!(next, '$' | '`' | '\\'),
            (Quotes::Double, Until::Brace | Until::SlashOrBrace) => matches!(next, '$' | '`' | '"' | '\\' | '}'),
            (Quotes::Double, Until::Quote | Until::Blank | Until::Nothing) => matches!(next, '$' | '`' | '"' | '\\'),
        };
        if is_escape {
            self.next();
            word.push_quoted(next);
        } else {
            word.push_quoted('\\');
        }
    }

    fn single_quotes(&mut self, word: &mut Word) -> Parsed<()> {
        self.skip(1);
        let Some(length) = self.rest().find('\'') else {
            return self.problem("a `'` has no second one");
        };
        let text = self.skip(length).to_owned();
        self.skip(1);
        word.pieces.push(Piece::Quoted(text));
        Ok(())
    }

    fn double_quotes(&mut self, word: &mut Word) -> Parsed<()> {
        let line = self.position().1;
        self.skip(1);
        let before = word.pieces.len();
        self.nested(|inner| inner.pieces(word, Until::Quote, Quotes::Double))?;
        if !self.eat("\"") {
            let message = "a `\"` has no second one".to_owned();
            return Err(super::SyntaxError { line, message });
        }
        // `""` is a word, though an empty one.
        if word.pieces.len() == before {
            word.pieces.push(Piece::Quoted(String::new()));
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word, until: Until, quotes: Quotes) -> Parsed<()> {
        let start = self.position();
        self.skip(1);
        match self.byte(0) {
            b'\'' if quotes == Quotes::None && until != Until::Document => self.ansi_quotes(word),
            b'"' if quotes == Quotes::None && until != Until::Document => self.double_quotes(word),
            b'(' if self.byte(1) == b'(' => {
                self.skip(2);
                if let Some(text) = self.arithmetic_text() {
                    let expression = self.arithmetic(text)?;
                    word.pieces.push(Piece::Arithmetic { expression, quotes });
                    return Ok(());
                }
                self.go_back(start);
                self.skip(2);
                self.substitution(word, quotes)
            }
            b'(' => {
                self.skip(1);
                self.substitution(word, quotes)
            }
            b'{' => {
                self.skip(1);
                let parameter = self.nested(|inner| inner.braced_parameter(quotes))?;
                word.pieces.push(Piece::Parameter { parameter: Rc::new(parameter), quotes });
                Ok(())
            }
            _ => {
                match self.plain_parameter()? {
                    Some(parameter) => word.pieces.push(Piece::Parameter { parameter: Rc::new(parameter), quotes }),
                    None => word.push('$', quotes),
                }
                Ok(())
            }
        }
    }

    /// After `$(`.
    fn substitution(&mut self, word: &mut Word, quotes: Quotes) -> Parsed<()> {
        let script = Rc::new(self.nested(Self::list)?);
        if !self.eat(")") {
            return self.problem("`$(` has no `)`");
        }
        word.pieces.push(Piece::Substitution { script, quotes });
        Ok(())
    }

    fn backquotes(&mut self, word: &mut Word, quotes: Quotes) -> Parsed<()> {
        self.skip(1);
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.problem("a backquote has no second one"),
                Some('`') => break,
                Some('\\') if matches!(self.peek(), Some('$' | '`' | '\\')) => text.extend(self.next()),
                Some('\\') if quotes == Quotes::Double && self.peek() == Some('"') => text.extend(self.next()),
                Some(other) => text.push(other),
            }
        }
        let mut inner = self.within(&text);
        let list = inner.nested(Self::whole_list_of)?;
        word.pieces.push(Piece::Substitution { script: Rc::new(list), quotes });
        Ok(())
    }

    fn whole_list_of(inner: &mut Scanner<'_>) -> Parsed<super::List> {
        let list = inner.list()?;
        inner.end()?;
        Ok(list)
    }

    /// `$'…'`, as bash has it.
    fn ansi_quotes(&mut self, word: &mut Word) -> Parsed<()> {
        self.skip(1);
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.problem("a `$'` has no `'`"),
                Some('\'') => break,
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('a') => text.push('\u{7}'),
                    Some('b') => text.push('\u{8}'),
                    Some('e' | 'E') => text.push('\u{1b}'),
                    Some('f') => text.push('\u{c}'),
                    Some('v') => text.push('\u{b}'),
                    Some('x') => text.extend(self.coded(16, 2)),
                    Some('u') => text.extend(self.coded(16, 4)),
                    Some('U') => text.extend(self.coded(16, 8)),
                    Some('0') => text.extend(self.coded(8, 3)),
                    Some(other @ ('\\' | '\'' | '"' | '?')) => text.push(other),
                    Some(other) => text.extend(['\\', other]),
                    None => {}
                },
                Some(other) => text.push(other),
            }
        }
        word.pieces.push(Piece::Quoted(text));
        Ok(())
    }

    /// A character by its number, of at most `digits` digits.
    fn coded(&mut self, base: u32, digits: usize) -> Option<char> {
        let length = self.rest().chars().take(digits).take_while(|c| c.is_digit(base)).count();
        u32::from_str_radix(self.skip(length), base).ok().and_then(char::from_u32)
    }

    /// The text up to the `))` that closes it, which is consumed too. None if it does not close so: then it is a command.
    pub(super) fn arithmetic_text(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let (mut open, mut at) = (0_usize, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'(' => open += 1,
                b')' if open > 0 => open -= 1,
                b')' if bytes.get(at + 1) == Some(&b')') => {
                    self.skip(at + 2);
                    return Some(&rest[..at]);
                }
                b')' => return None,
                b'\\' => at += 1,
                _ => {}
            }
            at += 1;
        }
        None
    }

    pub(super) fn arithmetic(&self, text: &str) -> Parsed<Arithmetic> {
        let mut inner = self.within(text);
        let mut word = Word::default();
        inner.nested(|inner| inner.pieces(&mut word, Until::Nothing, Quotes::Double))?;
        match &word.pieces[..] {
            [] => super::parse_arithmetic("0"),
            [Piece::Quoted(plain)] => super::parse_arithmetic(plain),
            _ => return Ok(Arithmetic::Expand(Rc::new(word))),
        }
        .map(|expression| Arithmetic::Read(Rc::new(expression)))
        .map_err(|message| self.at_line(message))
    }
}

fn is_end(next: char, until: Until) -> bool {
    match until {
        Until::Blank => is_metacharacter(next),
        Until::Brace => next == '}',
        Until::SlashOrBrace => next == '}' || next == '/',
        Until::Quote => next == '"',
        Until::Document | Until::Nothing => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        Scanner::new(text).word().unwrap().unwrap().pieces
    }

    fn bare(text: &str) -> Piece {
        Piece::Bare(text.to_owned())
    }

    fn quoted(text: &str) -> Piece {
        Piece::Quoted(text.to_owned())
    }

    #[test]
    fn quotes_are_told_from_text() {
        assert_eq!(pieces("a'b c'd"), [bare("a"), quoted("b c"), bare("d")]);
        assert_eq!(pieces(r#""a\"b\c""#), [quoted("a\"b\\c")]);
        assert_eq!(pieces(r"a\ b"), [bare("a"), quoted(" "), bare("b")]);
        assert_eq!(pieces("\"\""), [quoted("")]);
        assert_eq!(pieces(r"$'a\tb\x41'"), [quoted("a\tbA")]);
        assert_eq!(pieces("~/x"), [Piece::Home, bare("/x")]);
        assert_eq!(pieces("a~"), [bare("a~")]);
        assert_eq!(pieces("$"), [bare("$")]);
    }

    #[test]
    fn what_is_not_closed_is_an_error_with_its_line() {
        for (text, message) in [
            ("echo 'a", "line 1: syntax error: a `'` has no second one"),
            ("echo \"a\n", "line 1: syntax error: a `\"` has no second one"),
            ("echo a\nif true\nthen :", "line 3: syntax error: `if` has no `fi`"),
            ("echo $(ls", "line 1: syntax error: `$(` has no `)`"),
            (
                "sleep 1 &",
                "line 1: syntax error: there are no background jobs here: leave `&` out, commands run one after the other",
            ),
            ("cat <<E\na\n", "line 2: syntax error: the here-document has no line `E` that ends it"),
            ("fi", "line 1: syntax error: `fi` is not expected here"),
            (
                "a=(1 2)",
                "line 1: syntax error: there are no arrays here: use `set -- a b c` and `\"$@\"`, or a variable with one item on each line",
            ),
        ] {
            assert_eq!(
                super::super::parse(text).err().map(|error| error.to_string()).as_deref(),
                Some(message),
                "{text}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for open in ["(", "{ ", "$(", "echo ${a:-", "if ", "echo \"$(", "while ! ", "case a in a) ", "echo $((1+("] {
            let error = super::super::parse(&open.repeat(10_000)).err().unwrap();
            assert!(error.message.contains("stand in each other") || open.contains("(("), "{open}: {error}");
        }
        let error = super::super::parse(&format!("[[ {}", "( ".repeat(10_000))).err().unwrap();
        assert!(error.message.contains("stand in each other"), "{error}");
    }
}
