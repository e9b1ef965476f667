//! What a script says, as a tree. `parse` makes it from text; `run` walks it; nothing below ever sees the text again.
//!
//! Why no crate: of the parsers of shell language that the registry has, `yash-syntax` is under the GPL, `conch-parser` was left in
//! 2019, `deno_task_shell` has neither `if` nor loops, and `brush-parser` reads by backtracking with unbounded recursion, panics on a
//! number beyond 64 bits, and brings a test library along. A hostile script would be a trap instead of an error.

mod arithmetic;
mod braces;
mod commands;
mod compound;
mod parameters;
mod redirections;
mod scanner;
mod tests_of_strings;
mod words;

use std::cell::OnceCell;
use std::rc::Rc;

pub(crate) use arithmetic::{Assigned, Binary, Expression, Unary, parse as parse_arithmetic};
pub(crate) use scanner::SyntaxError;

use scanner::Scanner;

/// Longest script. What is longer is a program, and belongs into a file of another language.
const SCRIPT_BYTES_MAX: usize = 256 * 1024;

/// Commands one after the other.
pub(crate) type List = Vec<AndOr>;

/// Pipelines joined by `&&` and `||`.
pub(crate) struct AndOr {
    pub(crate) first: Pipeline,
    pub(crate) rest: Vec<(Connector, Pipeline)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connector {
    And,
    Or,
}

/// One command, or several whose output is the next one's input.
pub(crate) struct Pipeline {
    /// Begun with `!`.
    pub(crate) is_negated: bool,
    pub(crate) stages: Vec<Command>,
}

pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) redirections: Vec<Redirection>,
}

pub(crate) enum Kind {
    Simple { assignments: Vec<Assignment>, words: Vec<Word> },
    Group(List),
    Subshell(List),
    If { branches: Vec<(List, List)>, otherwise: Option<List> },
    Loop { goes_on: GoesOn, condition: List, body: List },
    For { name: String, words: Option<Vec<Word>>, body: List },
    Counting { start: Arithmetic, condition: Arithmetic, step: Arithmetic, body: List },
    Case { word: Word, arms: Vec<Arm> },
    Arithmetic(Arithmetic),
    Test(Test),
    Function { name: String, body: Rc<Command> },
}

/// When a loop goes on: `while` its condition succeeds, or `until` it does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoesOn {
    WhileTrue,
    UntilTrue,
}

/// One arm of a `case`.
pub(crate) struct Arm {
    pub(crate) patterns: Vec<Word>,
    pub(crate) body: List,
    pub(crate) then: AfterArm,
}

/// What follows an arm: `;;`, or bash's `;&` and `;;&`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterArm {
    End,
    FallThrough,
    TryOthers,
}

pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) is_appended: bool,
    pub(crate) value: Word,
}

pub(crate) struct Redirection {
    pub(crate) number: u32,
    pub(crate) target: Target,
}

pub(crate) enum Target {
    Read(Word),
    Write(Word),
    /// `>|` although `set -C`.
    Overwrite(Word),
    Append(Word),
    ReadWrite(Word),
    /// `2>&1`, `>&-`
    Duplicate(Word),
    /// `&>`: both outputs into one file.
    BothInto {
        word: Word,
        is_appended: bool,
    },
    /// A here-document. Its text stands after the line that names it, and is filled in when that line ends.
    Document(Rc<OnceCell<Word>>),
    /// `<<<`
    Text(Word),
}

/// A word before its expansion.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Word {
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Clone)]
pub(crate) enum Piece {
    /// Text without quotes: `*` in it is a pattern.
    Bare(String),
    /// Text in quotes, or after a backslash.
    Quoted(String),
    /// `~`
    Home,
    Parameter {
        parameter: Rc<Parameter>,
        quotes: Quotes,
    },
    Substitution {
        script: Rc<List>,
        quotes: Quotes,
    },
    Arithmetic {
        expression: Arithmetic,
        quotes: Quotes,
    },
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bare(text) => write!(f, "Bare({text:?})"),
            Self::Quoted(text) => write!(f, "Quoted({text:?})"),
            Self::Home => f.write_str("Home"),
            Self::Parameter { .. } => f.write_str("Parameter"),
            Self::Substitution { .. } => f.write_str("Substitution"),
            Self::Arithmetic { .. } => f.write_str("Arithmetic"),
        }
    }
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bare(a), Self::Bare(b)) | (Self::Quoted(a), Self::Quoted(b)) => a == b,
            (Self::Home, Self::Home) => true,
            (_, _) => false,
        }
    }
}

/// Whether an expansion stands in double quotes: then its value is neither split nor a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    None,
    Double,
}

/// `$x`, `${x:-y}`, …
pub(crate) struct Parameter {
    pub(crate) name: Name,
    pub(crate) change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Variable(String),
    /// `$1`, counted from 1.
    Positional(usize),
    /// `$@`
    Each,
    /// `$*`
    Joined,
    /// `$#`
    Count,
    /// `$?`
    Status,
    /// `$-`
    Flags,
    /// `$$`
    Process,
    /// `$0`
    Script,
}

/// What becomes of a parameter's value.
pub(crate) enum Change {
    None,
    Length,
    Default { when: When, word: Word },
    Assign { when: When, word: Word },
    Demand { when: When, word: Word },
    Alternative { when: When, word: Word },
    Trim { end: End, extent: Extent, pattern: Word },
    Replace { which: Which, pattern: Word, with: Word },
    Slice { offset: Arithmetic, length: Option<Arithmetic> },
    Letters { case: Case, extent: Extent },
}

/// `:-` looks at empty values too, `-` at unset ones only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Unset,
    UnsetOrEmpty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Shortest,
    Longest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    All,
    Front,
    Back,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
}

/// The text of an arithmetic expression: read at once, unless what it says is known only when its expansions are.
#[derive(Clone)]
pub(crate) enum Arithmetic {
    Read(Rc<Expression>),
    Expand(Rc<Word>),
}

/// `[[ … ]]`
pub(crate) enum Test {
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Unary(String, Word),
    Binary(Word, String, Word),
}

/// Reads a whole script.
pub(crate) fn parse(text: &str) -> Result<List, SyntaxError> {
    if text.len() > SCRIPT_BYTES_MAX {
        let message = format!("the script has {} bytes: at most {SCRIPT_BYTES_MAX} are read", text.len());
        return Err(SyntaxError { line: 1, message });
    }
    let mut scanner = Scanner::new(text);
    let list = scanner.list()?;
    scanner.end()?;
    Ok(list)
}

/// A name as variables and functions have it.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
