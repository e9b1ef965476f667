//! Reads lists, pipelines and simple commands.

use std::rc::Rc;

use super::scanner::{Parsed, Scanner};
use super::words::is_metacharacter;
use super::{AndOr, Assignment, Command, Connector, Kind, List, Pipeline, Word, is_name};

/// Words that end a list where a command could begin.
const CLOSING: [&str; 8] = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];

impl<'a> Scanner<'a> {
    /// Commands up to what cannot begin one: the end, `)`, `;;`, or a closing word.
    pub(super) fn list(&mut self) -> Parsed<List> {
        let mut list = List::new();
        loop {
            self.skip_lines()?;
            if self.is_at_end() || self.byte(0) == b')' || self.is_end_of_arm() || self.is_closing() {
                return Ok(list);
            }
            list.push(self.and_or()?);
            self.skip_blanks();
            match self.byte(0) {
                b';' if !self.is_end_of_arm() => {
                    self.skip(1);
                }
                b'&' => {
                    return self
                        .problem("there are no background jobs here: leave `&` out, commands run one after the other");
                }
                b'\n' => {}
                _ if self.is_at_end() || self.byte(0) == b')' || self.is_end_of_arm() => {}
                _ => return self.unexpected(),
            }
        }
    }

    /// [`Self::list`] where there must be something, as between `if` and `then`.
    pub(super) fn some_list(&mut self, after: &str) -> Parsed<List> {
        let list = self.nested(Self::list)?;
        if list.is_empty() {
            return self.problem(format!("a command is expected after `{after}`"));
        }
        Ok(list)
    }

    fn is_closing(&self) -> bool {
        CLOSING.contains(&self.reserved())
    }

    fn is_end_of_arm(&self) -> bool {
        self.byte(0) == b';' && matches!(self.byte(1), b';' | b'&')
    }

    /// The word that is next if it has no quotes in it: where a command begins, it may be a reserved one.
    pub(super) fn reserved(&self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(is_metacharacter).unwrap_or(rest.len());
        &rest[..length]
    }

    pub(super) fn eat_reserved(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let is_next = self.reserved() == word;
        if is_next {
            self.skip(word.len());
        }
        is_next
    }

    pub(super) fn expect_reserved(&mut self, word: &str, of: &str) -> Parsed<()> {
        if self.eat_reserved(word) {
            return Ok(());
        }
        if self.is_at_end() {
            return self.problem(format!("`{of}` has no `{word}`"));
        }
        self.problem(format!("`{of}` wants `{word}` here, not {}", self.shown_next()))
    }

    fn shown_next(&self) -> String {
        match (self.reserved(), self.peek()) {
            ("", None) => "the end of the script".to_owned(),
            ("", Some('\n')) => "the end of the line".to_owned(),
            ("", Some(next)) => format!("`{next}`"),
            (word, _) => format!("`{word}`"),
        }
    }

    pub(super) fn unexpected<T>(&self) -> Parsed<T> {
        self.problem(format!("{} is not expected here", self.shown_next()))
    }

    fn and_or(&mut self) -> Parsed<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.skip_blanks();
            let connector = match (self.byte(0), self.byte(1)) {
                (b'&', b'&') => Connector::And,
                (b'|', b'|') => Connector::Or,
                (_, _) => return Ok(AndOr { first, rest }),
            };
            self.skip(2);
            self.skip_lines()?;
            rest.push((connector, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut is_negated = false;
        while self.eat_reserved("!") {
            is_negated = !is_negated;
        }
        let mut stages = vec![self.command()?];
        loop {
            self.skip_blanks();
            if self.byte(0) != b'|' || self.byte(1) == b'|' {
                return Ok(Pipeline { is_negated, stages });
            }
            self.skip(1);
            if self.eat("&") {
                let last = stages.len() - 1;
                stages[last].redirections.push(super::redirections::errors_into_output());
            }
            self.skip_lines()?;
            stages.push(self.command()?);
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        self.skip_blanks();
        if let Some(kind) = self.nested(Self::compound)? {
            let redirections = self.redirections()?;
            return Ok(Command { kind, redirections });
        }
        if self.is_at_end() || self.is_closing() || self.byte(0) == b'\n' {
            return self.unexpected();
        }
        self.simple()
    }

    fn simple(&mut self) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirections) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.skip_blanks();
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            if words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                assignments.push(assignment);
                continue;
            }
            if words.is_empty() && assignments.is_empty() && redirections.is_empty() {
                let name = self.reserved();
                if let Some(function) = self.function(name)? {
                    return Ok(function);
                }
            }
            match self.word()? {
                Some(word) => words.extend(word.braces_expanded().map_err(|message| self.at_line(message))?),
                None => break,
            }
        }
        if assignments.is_empty() && words.is_empty() && redirections.is_empty() {
            return self.unexpected();
        }
        Ok(Command { kind: Kind::Simple { assignments, words }, redirections })
    }

    pub(super) fn at_line(&self, message: String) -> super::SyntaxError {
        super::SyntaxError { line: self.position().1, message }
    }

    /// `name () command`
    fn function(&mut self, name: &str) -> Parsed<Option<Command>> {
        let start = self.position();
        let is_function_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if !is_function_name {
            return Ok(None);
        }
        self.skip(name.len());
        self.skip_blanks();
        if self.byte(0) != b'(' {
            self.go_back(start);
            return Ok(None);
        }
        self.skip(1);
        self.skip_blanks();
        if !self.eat(")") {
            return self.problem(format!("`)` is expected after `{name}(`"));
        }
        self.function_body(name).map(Some)
    }

    pub(super) fn function_body(&mut self, name: &str) -> Parsed<Command> {
        if !is_name(name) && name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.problem(format!("`{name}` is not a name for a function"));
        }
        self.skip_lines()?;
        let Some(kind) = self.nested(Self::compound)? else {
            return self.problem(format!("the body of the function `{name}` is expected, as in `{{ … }}`"));
        };
        let redirections = self.redirections()?;
        let body = Rc::new(Command { kind, redirections });
        Ok(Command { kind: Kind::Function { name: name.to_owned(), body }, redirections: Vec::new() })
    }

    fn assignment(&mut self) -> Parsed<Option<Assignment>> {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let name = &rest[..length];
        let (is_appended, equals) = match (self.byte(length), self.byte(length + 1)) {
            (b'=', _) => (false, 1),
            (b'+', b'=') => (true, 2),
            (b'[', _) if is_name(name) && rest[length..].contains("]=") => return self.arrays(),
            (_, _) => return Ok(None),
        };
        if !is_name(name) {
            return Ok(None);
        }
        self.skip(length + equals);
        if self.byte(0) == b'(' {
            return self.arrays();
        }
        let value = self.word()?.unwrap_or_else(Word::default);
        Ok(Some(Assignment { name: name.to_owned(), is_appended, value }))
    }

    pub(super) fn arrays<T>(&self) -> Parsed<T> {
        self.problem(
            "there are no arrays here: use `set -- a b c` and `\"$@\"`, or a variable with one item on each line",
        )
    }
}
