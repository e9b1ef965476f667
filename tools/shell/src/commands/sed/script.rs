//! Reads a script of `sed`.

use std::rc::Rc;

use regex::bytes::Regex;

use super::replacement::{Part, parts};
use crate::commands::characters;
use crate::commands::regular::{Letters, Syntax, compile_for_sed};
use crate::stop::{Outcome, Stop};

/// Most commands of one script.
const COMMANDS_MAX: usize = 10_000;

pub(super) struct Command {
    pub(super) lines: Lines,
    /// `!`: for all other lines.
    pub(super) is_negated: bool,
    pub(super) act: Act,
}

/// The lines that a command is for.
pub(super) enum Lines {
    All,
    At(Address),
    Between(Address, RangeEnd),
}

pub(super) enum Address {
    Line(u64),
    Last,
    /// None: the last expression that was used.
    Matching(Option<Rc<Regex>>),
    /// `first~step`
    Every {
        first: u64,
        step: u64,
    },
}

pub(super) enum RangeEnd {
    At(Address),
    /// `+3`
    After(u64),
    /// `~4`: up to a line whose number is a multiple.
    Multiple(u64),
}

pub(super) enum Act {
    /// `{`: where its `}` is.
    Block {
        end: usize,
    },
    EndOfBlock,
    Substitute(Box<Substitution>),
    Transliterate(Vec<(char, char)>),
    Append(Vec<u8>),
    Insert(Vec<u8>),
    Change(Vec<u8>),
    Print,
    PrintFirstLine,
    Delete,
    DeleteFirstLine,
    Next,
    AppendNext,
    Hold,
    HoldAppend,
    Get,
    GetAppend,
    Exchange,
    Number,
    Unambiguous,
    Label,
    Branch(Option<usize>),
    BranchIfSubstituted(Option<usize>),
    BranchUnlessSubstituted(Option<usize>),
    Read(String),
    Write(String),
    Quit {
        status: u8,
        prints: bool,
    },
}

pub(super) struct Substitution {
    /// None: the last expression that was used.
    pub(super) regex: Option<Rc<Regex>>,
    pub(super) replacement: Vec<Part>,
    /// Which match is the first to be replaced.
    pub(super) from: u64,
    pub(super) is_global: bool,
    pub(super) prints: bool,
    pub(super) writes: Option<String>,
}

struct Reader<'a> {
    rest: &'a str,
    /// Whether there was an expression that an empty one can mean.
    has_expression: bool,
    syntax: Syntax,
    commands: Vec<Command>,
    open: Vec<usize>,
    labels: Vec<(String, usize)>,
    /// Branches, and the labels that they go to.
    branches: Vec<(usize, String)>,
}

/// Reads a whole script: labels and braces are resolved to places in it.
pub(super) fn read(text: &str, is_extended: bool) -> Outcome<Vec<Command>> {
    let syntax = if is_extended { Syntax::Extended } else { Syntax::Basic };
    let mut reader = Reader {
        rest: text,
        has_expression: false,
        syntax,
        commands: Vec::new(),
        open: Vec::new(),
        labels: Vec::new(),
        branches: Vec::new(),
    };
    while reader.command()? {
        if reader.commands.len() > COMMANDS_MAX {
            return Err(Stop::Limit(format!("a script of sed has more than {COMMANDS_MAX} commands")));
        }
    }
    if !reader.open.is_empty() {
        return Err(problem("a `{` has no `}`"));
    }
    for (at, label) in std::mem::take(&mut reader.branches) {
        let found = reader.labels.iter().find(|(known, _)| *known == label).map(|(_, at)| *at);
        let to = Some(found.ok_or_else(|| problem(&format!("there is no label `{label}`")))?);
        reader.commands[at].act = match reader.commands[at].act {
            Act::BranchIfSubstituted(_) => Act::BranchIfSubstituted(to),
            Act::BranchUnlessSubstituted(_) => Act::BranchUnlessSubstituted(to),
            _ => Act::Branch(to),
        };
    }
    Ok(reader.commands)
}

fn problem(message: &str) -> Stop {
    Stop::failed(format!("script: {message}"))
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// One command. False at the end.
    fn command(&mut self) -> Outcome<bool> {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if self.rest.starts_with('#') {
            self.line();
            return Ok(true);
        }
        let lines = self.lines()?;
        self.blanks();
        let mut is_negated = false;
        while self.peek() == Some('!') {
            self.next();
            self.blanks();
            is_negated = true;
        }
        let Some(letter) = self.next() else {
            return if matches!(lines, Lines::All) { Ok(false) } else { Err(problem("an address has no command")) };
        };
        let act = self.act(letter)?;
        if let Act::EndOfBlock = act {
            let Some(open) = self.open.pop() else { return Err(problem("a `}` has no `{`")) };
            self.commands[open].act = Act::Block { end: self.commands.len() };
        }
        self.commands.push(Command { lines, is_negated, act });
        Ok(true)
    }

    fn line(&mut self) -> &str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        line
    }

    fn lines(&mut self) -> Outcome<Lines> {
        let Some(first) = self.address()? else { return Ok(Lines::All) };
        self.blanks();
        if self.peek() != Some(',') {
            return Ok(Lines::At(first));
        }
        self.next();
        self.blanks();
        let end = match self.peek() {
            Some('+') => {
                self.next();
                RangeEnd::After(self.number()?)
            }
            Some('~') => {
                self.next();
                RangeEnd::Multiple(self.number()?)
            }
            _ => RangeEnd::At(self.address()?.ok_or_else(|| problem("an address is expected after `,`"))?),
        };
        Ok(Lines::Between(first, end))
    }

    fn number(&mut self) -> Outcome<u64> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest[..digits].parse().map_err(|_| problem("a number is expected"))?;
        self.rest = &self.rest[digits..];
        Ok(number)
    }

    fn address(&mut self) -> Outcome<Option<Address>> {
        Ok(Some(match self.peek() {
            Some('0'..='9') => {
                let first = self.number()?;
                if self.peek() != Some('~') {
                    return Ok(Some(Address::Line(first)));
                }
                self.next();
                Address::Every { first, step: self.number()? }
            }
            Some('$') => {
                self.next();
                Address::Last
            }
            Some('/') => {
                self.next();
                self.matching('/')?
            }
            Some('\\') => {
                self.next();
                let delimiter = self.next().ok_or_else(|| problem("an expression is expected after `\\`"))?;
                self.matching(delimiter)?
            }
            _ => return Ok(None),
        }))
    }

    fn matching(&mut self, delimiter: char) -> Outcome<Address> {
        let expression = self.until(delimiter, Kept::Expression)?;
        let mut letters = Letters::Exact;
        while let Some(flag @ ('I' | 'M')) = self.peek() {
            self.next();
            match flag {
                'I' => letters = Letters::AnyCase,
                _ => return Err(problem("the flag `M` is not here")),
            }
        }
        self.regex(&expression, letters).map(Address::Matching)
    }

    fn regex(&mut self, expression: &str, letters: Letters) -> Outcome<Option<Rc<Regex>>> {
        if expression.is_empty() {
            return if self.has_expression {
                Ok(None)
            } else {
                Err(problem("there is no earlier expression for `//`"))
            };
        }
        self.has_expression = true;
        compile_for_sed(expression, self.syntax, letters).map(|regex| Some(Rc::new(regex)))
    }

    /// The text up to a delimiter that no backslash hides.
    fn until(&mut self, delimiter: char, kept: Kept) -> Outcome<String> {
        let mut text = String::new();
        let mut in_set = false;
        loop {
            match self.next() {
                None => return Err(problem(&format!("`{delimiter}` is missing at the end"))),
                Some(next) if next == delimiter && !in_set => return Ok(text),
                // In a set it is a letter, and hides nothing but a delimiter.
                Some('\\') if in_set && self.peek() != Some(delimiter) => text.push('\\'),
                Some('\\') => match self.next() {
                    // An escaped delimiter is the letter itself, or what it means in an expression.
                    Some(next) if next == delimiter && next != '&' => text.push(next),
                    Some(next) => text.extend(['\\', next]),
                    None => return Err(problem("it ends with a backslash")),
                },
                Some(next) => {
                    if kept == Kept::Expression {
                        match next {
                            '[' if !in_set => {
                                in_set = true;
                                text.push(next);
                                // `]` first in a set, or after `^`, is a letter of it.
                                for letter in ['^', ']'] {
                                    if self.peek() == Some(letter) {
                                        text.extend(self.next());
                                    }
                                }
                                continue;
                            }
                            '[' if self.rest.starts_with(':') => {
                                if let Some(end) = self.rest.find(":]") {
                                    text.push(next);
                                    text.push_str(&self.rest[..end + 2]);
                                    self.rest = &self.rest[end + 2..];
                                    continue;
                                }
                            }
                            ']' => in_set = false,
                            _ => {}
                        }
                    }
                    text.push(next);
                }
            }
        }
    }

    fn act(&mut self, letter: char) -> Outcome<Act> {
        Ok(match letter {
            '{' => {
                self.open.push(self.commands.len());
                Act::Block { end: 0 }
            }
            '}' => Act::EndOfBlock,
            's' => Act::Substitute(Box::new(self.substitution()?)),
            'y' => self.transliteration()?,
            'a' => Act::Append(self.text()?),
            'i' => Act::Insert(self.text()?),
            'c' => Act::Change(self.text()?),
            'p' => Act::Print,
            'P' => Act::PrintFirstLine,
            'd' => Act::Delete,
            'D' => Act::DeleteFirstLine,
            'n' => Act::Next,
            'N' => Act::AppendNext,
            'h' => Act::Hold,
            'H' => Act::HoldAppend,
            'g' => Act::Get,
            'G' => Act::GetAppend,
            'x' => Act::Exchange,
            '=' => Act::Number,
            'l' => Act::Unambiguous,
            ':' => {
                let label = self.word();
                if label.is_empty() {
                    return Err(problem("`:` wants a label"));
                }
                self.labels.push((label, self.commands.len()));
                Act::Label
            }
            'b' | 't' | 'T' => {
                let label = self.word();
                if !label.is_empty() {
                    self.branches.push((self.commands.len(), label));
                }
                match letter {
                    'b' => Act::Branch(None),
                    't' => Act::BranchIfSubstituted(None),
                    _ => Act::BranchUnlessSubstituted(None),
                }
            }
            'r' => Act::Read(self.file()),
            'w' => Act::Write(self.file()),
            'q' | 'Q' => {
                self.blanks();
                let has_status = self.peek().is_some_and(|c| c.is_ascii_digit());
                let status = if has_status { u8::try_from(self.number()? & 255).unwrap_or(0) } else { 0 };
                Act::Quit { status, prints: letter == 'q' }
            }
            other => {
                let known = "{ } s y a i c p P d D n N h H g G x = l : b t T r w q Q";
                return Err(problem(&format!("the command `{other}` is not known; there are {known}")));
            }
        })
    }

    /// A label: up to a blank, `;` or `}`.
    fn word(&mut self) -> String {
        self.blanks();
        let length = self.rest.find(|c: char| c.is_whitespace() || c == ';' || c == '}').unwrap_or(self.rest.len());
        let word = self.rest[..length].to_owned();
        self.rest = &self.rest[length..];
        word
    }

    /// A name of a file: up to the end of the line.
    fn file(&mut self) -> String {
        self.blanks();
        self.line().to_owned()
    }

    /// The text of `a`, `i` and `c`: after a backslash and the end of the line, or on the same one as GNU has it.
    fn text(&mut self) -> Outcome<Vec<u8>> {
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix('\\') {
            let after = rest.trim_start_matches([' ', '\t']);
            self.rest = after.strip_prefix('\n').unwrap_or(rest);
            // `$a\` and nothing more: no line, but the end of the last one.
            if after.is_empty() || after == "\n" {
                self.rest = "";
                return Ok(Vec::new());
            }
        }
        if self.rest.is_empty() {
            return Err(problem("`a`, `i` and `c` want a text"));
        }
        let mut text = Vec::new();
        loop {
            match self.next() {
                None | Some('\n') => break,
                Some('\\') => match characters::one(self.rest) {
                    Some((byte, length)) => {
                        text.push(byte);
                        self.rest = &self.rest[length..];
                    }
                    None => match self.next() {
                        None => break,
                        Some(hidden) => text.extend_from_slice(hidden.encode_utf8(&mut [0; 4]).as_bytes()),
                    },
                },
                Some(other) => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        text.push(b'\n');
        Ok(text)
    }

    fn substitution(&mut self) -> Outcome<Substitution> {
        let delimiter = self.next().filter(|delimiter| !matches!(delimiter, '\\' | '\n'));
        let delimiter = delimiter.ok_or_else(|| problem("`s` wants an expression, as in `s/a/b/`"))?;
        let expression = self.until(delimiter, Kept::Expression)?;
        let replacement = self.until(delimiter, Kept::Replacement)?;
        let mut substitution = Substitution {
            regex: None,
            replacement: parts(&replacement)?,
            from: 1,
            is_global: false,
            prints: false,
            writes: None,
        };
        let mut letters = Letters::Exact;
        loop {
            match self.peek() {
                Some('g') => substitution.is_global = true,
                Some('p') => substitution.prints = true,
                Some('i' | 'I') => letters = Letters::AnyCase,
                Some('0'..='9') => {
                    substitution.from = self.number()?.max(1);
                    continue;
                }
                Some('w') => {
                    self.next();
                    substitution.writes = Some(self.file());
                    break;
                }
                Some(other @ ('m' | 'M' | 'e')) => {
                    return Err(problem(&format!(
                        "the flag `{other}` of `s` is not here; there are g p i I w and a number"
                    )));
                }
                _ => break,
            }
            self.next();
        }
        substitution.regex = self.regex(&expression, letters)?;
        let groups = substitution.regex.as_ref().map_or(10, |regex| regex.captures_len());
        let most = substitution
            .replacement
            .iter()
            .filter_map(|part| if let Part::Group(group) = part { Some(*group) } else { None })
            .max();
        if most.is_some_and(|most| most >= groups) {
            return Err(problem(&format!("`\\{}` is not a group of `{expression}`", most.unwrap_or(0))));
        }
        Ok(substitution)
    }

    fn transliteration(&mut self) -> Outcome<Act> {
        let delimiter = self.next().ok_or_else(|| problem("`y` wants letters, as in `y/ab/xy/`"))?;
        let letters = |text: String| characters::plain(&text).map_err(|message| problem(&message));
        let from = letters(self.until(delimiter, Kept::Letters)?)?;
        let to = letters(self.until(delimiter, Kept::Letters)?)?;
        if from.len() != to.len() {
            return Err(problem("the two texts of `y` must have the same length"));
        }
        Ok(Act::Transliterate(from.into_iter().zip(to).collect()))
    }
}

/// What a text between delimiters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// A delimiter in `[…]` does not end it.
    Expression,
    Replacement,
    Letters,
}
