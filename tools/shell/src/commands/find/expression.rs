//! Reads what `find` is asked.

use std::cmp::Ordering;
use std::time::SystemTime;

use crate::commands::tree::Kind;
use crate::expand::Pattern;
use crate::files::failed;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};

/// How deep `(` and `!` may stand in each other.
const NESTING_MAX: u32 = 40;

/// Most tests and actions: each stands in the one before it.
const TESTS_MAX: u32 = 150;

const KNOWN: &str = "-name -iname -path -wholename -type -size -empty -newer -mtime -mmin -true -false -prune -maxdepth -mindepth \
                     -depth -print -print0 -printf -delete -quit -exec … \\; -exec … + ! -not -a -o , ( )";

pub(super) enum Expression {
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Then(Box<Expression>, Box<Expression>),
    Always(bool),
    Name(Pattern),
    NameAnyCase(Pattern),
    Path(Pattern),
    Type(Vec<Kind>),
    Size(Compared),
    Empty,
    Newer(SystemTime),
    Age(Compared),
    Prune,
    Act(Action),
}

/// `+3k`: a number in some unit, and whether more or less is meant.
pub(super) struct Compared {
    pub(super) how: Ordering,
    pub(super) number: u64,
    pub(super) unit: u64,
}

pub(super) enum Action {
    Print,
    PrintWithZero,
    Formatted(String),
    Delete,
    Quit,
    Run(Vec<String>),
    /// `-exec … +`, by its number.
    Batch {
        number: usize,
        words: Vec<String>,
    },
}

pub(super) struct Search {
    pub(super) roots: Vec<String>,
    pub(super) expression: Expression,
    pub(super) depth_min: usize,
    pub(super) depth_max: usize,
    pub(super) contents_first: bool,
    pub(super) batches: usize,
}

impl Search {
    /// The commands of `-exec … +`, by their numbers.
    pub(super) fn commands(&self) -> Vec<(usize, &[String])> {
        let mut commands = Vec::new();
        collect(&self.expression, &mut commands);
        commands
    }
}

fn collect<'a>(expression: &'a Expression, commands: &mut Vec<(usize, &'a [String])>) {
    match expression {
        Expression::Not(inner) => collect(inner, commands),
        Expression::And(left, right) | Expression::Or(left, right) | Expression::Then(left, right) => {
            collect(left, commands);
            collect(right, commands);
        }
        Expression::Act(Action::Batch { number, words }) => commands.push((*number, words)),
        Expression::Always(_)
        | Expression::Name(_)
        | Expression::NameAnyCase(_)
        | Expression::Path(_)
        | Expression::Type(_)
        | Expression::Size(_)
        | Expression::Empty
        | Expression::Newer(_)
        | Expression::Age(_)
        | Expression::Prune
        | Expression::Act(_) => {}
    }
}

struct Reader<'a> {
    shell: &'a Shell,
    rest: &'a [String],
    depth: u32,
    tests: u32,
    depth_min: usize,
    depth_max: usize,
    contents_first: bool,
    has_action: bool,
    deletes: bool,
    prunes: bool,
    batches: usize,
}

pub(super) fn read(shell: &Shell, arguments: &[String]) -> Outcome<Search> {
    let is_expression =
        |word: &String| (word.starts_with('-') && word.len() > 1) || matches!(word.as_str(), "!" | "(" | ")" | ",");
    let first = arguments.iter().position(is_expression).unwrap_or(arguments.len());
    let roots = if first == 0 { vec![".".to_owned()] } else { arguments[..first].to_vec() };
    let mut reader = Reader {
        shell,
        rest: &arguments[first..],
        depth: 0,
        tests: 0,
        depth_min: 0,
        depth_max: usize::MAX,
        contents_first: false,
        has_action: false,
        deletes: false,
        prunes: false,
        batches: 0,
    };
    let mut expression = if reader.rest.is_empty() { Expression::Always(true) } else { reader.list()? };
    if let Some(word) = reader.rest.first() {
        return Err(Stop::failed(format!("`{word}` is not expected here")));
    }
    if reader.deletes && reader.prunes && !reader.contents_first {
        return Err(Stop::failed(
            "`-delete` looks at what is in a folder before the folder, and then `-prune` leaves nothing out: leave folders out with \
             `! -path './x/*'`, or write `-depth` if this is meant",
        ));
    }
    if !reader.has_action {
        expression = Expression::And(Box::new(expression), Box::new(Expression::Act(Action::Print)));
    }
    let Reader { depth_min, depth_max, contents_first, deletes, batches, .. } = reader;
    let contents_first = contents_first || deletes;
    Ok(Search { roots, expression, depth_min, depth_max, contents_first, batches })
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn next_is(&mut self, words: &[&str]) -> bool {
        let is_next = self.rest.first().is_some_and(|next| words.contains(&next.as_str()));
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn value(&mut self, of: &str) -> Outcome<&'a str> {
        self.next().ok_or_else(|| Stop::failed(format!("`{of}` wants a value")))
    }

    fn list(&mut self) -> Outcome<Expression> {
        let mut expression = self.or()?;
        while self.next_is(&[","]) {
            expression = Expression::Then(Box::new(expression), Box::new(self.or()?));
        }
        Ok(expression)
    }

    fn or(&mut self) -> Outcome<Expression> {
        let mut expression = self.and()?;
        while self.next_is(&["-o", "-or"]) {
            expression = Expression::Or(Box::new(expression), Box::new(self.and()?));
        }
        Ok(expression)
    }

    fn and(&mut self) -> Outcome<Expression> {
        let mut expression = self.not()?;
        loop {
            let is_joined = self.next_is(&["-a", "-and"]);
            let ends = self.rest.first().is_none_or(|next| matches!(next.as_str(), "-o" | "-or" | ")" | ","));
            if ends && !is_joined {
                return Ok(expression);
            }
            expression = Expression::And(Box::new(expression), Box::new(self.not()?));
        }
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Outcome<Expression>) -> Outcome<Expression> {
        if self.depth == NESTING_MAX {
            return Err(Stop::failed(format!("more than {NESTING_MAX} of `!` and `(` stand in each other")));
        }
        self.depth += 1;
        let expression = inner(self);
        self.depth -= 1;
        expression
    }

    fn not(&mut self) -> Outcome<Expression> {
        if self.next_is(&["!", "-not"]) {
            return Ok(Expression::Not(Box::new(self.deeper(Self::not)?)));
        }
        if self.next_is(&["("]) {
            let expression = self.deeper(Self::list)?;
            return if self.next_is(&[")"]) { Ok(expression) } else { Err(Stop::failed("a `(` has no `)`")) };
        }
        self.primary()
    }

    fn primary(&mut self) -> Outcome<Expression> {
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return Err(Stop::failed(format!("more than {TESTS_MAX} tests and actions are asked for")));
        }
        let word = self.next().ok_or_else(|| Stop::failed("something is missing at the end"))?;
        Ok(match word {
            "-name" => Expression::Name(Pattern::new(self.value(word)?)),
            "-iname" => Expression::NameAnyCase(Pattern::without_case(self.value(word)?)),
            "-path" | "-wholename" => Expression::Path(Pattern::new(self.value(word)?)),
            "-type" => Expression::Type(kinds(self.value(word)?)?),
            "-size" => Expression::Size(size(self.value(word)?)?),
            "-empty" => Expression::Empty,
            "-newer" => {
                let name = self.value(word)?;
                let found = self.shell.metadata(name).and_then(|found| found.modified());
                Expression::Newer(found.map_err(|error| failed(name, &error))?)
            }
            "-mtime" => Expression::Age(compared(self.value(word)?, 24 * 60 * 60)?),
            "-mmin" => Expression::Age(compared(self.value(word)?, 60)?),
            "-true" => Expression::Always(true),
            "-false" => Expression::Always(false),
            "-prune" => {
                self.prunes = true;
                Expression::Prune
            }
            "-maxdepth" => {
                self.depth_max = number(self.value(word)?)?;
                Expression::Always(true)
            }
            "-mindepth" => {
                self.depth_min = number(self.value(word)?)?;
                Expression::Always(true)
            }
            "-depth" => {
                self.contents_first = true;
                Expression::Always(true)
            }
            _ => return self.action(word),
        })
    }

    fn action(&mut self, word: &str) -> Outcome<Expression> {
        self.has_action = true;
        Ok(Expression::Act(match word {
            "-print" => Action::Print,
            "-print0" => Action::PrintWithZero,
            "-printf" => Action::Formatted(self.value(word)?.to_owned()),
            "-quit" => Action::Quit,
            "-delete" => {
                self.deletes = true;
                Action::Delete
            }
            "-exec" => self.command()?,
            _ => return Err(Stop::failed(format!("`{word}` is not known; there are {KNOWN}"))),
        }))
    }

    fn command(&mut self) -> Outcome<Action> {
        let ends = |at: &usize| self.rest[*at] == ";" || (self.rest[*at] == "+" && self.rest[*at - 1] == "{}");
        let Some(end) = (1..self.rest.len()).find(ends) else {
            return Err(Stop::failed("`-exec` wants a command that ends with `\\;` or `+`"));
        };
        let words = self.rest[..end].to_vec();
        let is_batch = self.rest[end] == "+";
        self.rest = &self.rest[end + 1..];
        if !is_batch {
            return Ok(Action::Run(words));
        }
        let [words @ .., _] = &words[..] else { return Err(Stop::failed("`-exec` wants a command")) };
        if words.is_empty() || words.iter().any(|word| word.contains("{}")) {
            return Err(Stop::failed("`-exec … {} +` wants a command, and one `{}`, as its last word"));
        }
        self.batches += 1;
        Ok(Action::Batch { number: self.batches - 1, words: words.to_vec() })
    }
}

fn kinds(text: &str) -> Outcome<Vec<Kind>> {
    text.split(',')
        .map(|letter| match letter {
            "f" => Ok(Kind::File),
            "d" => Ok(Kind::Folder),
            "l" => Ok(Kind::Link),
            other => Err(Stop::failed(format!("`-type {other}` is not known; there are f d l"))),
        })
        .collect()
}

fn size(text: &str) -> Outcome<Compared> {
    let (digits, unit) = match text.chars().last() {
        Some('c') => (&text[..text.len() - 1], 1),
        Some('w') => (&text[..text.len() - 1], 2),
        Some('b') => (&text[..text.len() - 1], 512),
        Some('k') => (&text[..text.len() - 1], 1 << 10),
        Some('M') => (&text[..text.len() - 1], 1 << 20),
        Some('G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 512),
    };
    compared(digits, unit)
}

fn compared(text: &str, unit: u64) -> Outcome<Compared> {
    let (how, digits) = if let Some(digits) = text.strip_prefix('+') {
        (Ordering::Greater, digits)
    } else if let Some(digits) = text.strip_prefix('-') {
        (Ordering::Less, digits)
    } else {
        (Ordering::Equal, text)
    };
    let number = digits.parse().map_err(|_| Stop::failed(format!("`{text}` is not a number, as in `+3` or `-3`")))?;
    Ok(Compared { how, number, unit })
}

fn number(text: &str) -> Outcome<usize> {
    text.parse().map_err(|_| Stop::failed(format!("`{text}` is not a number")))
}
