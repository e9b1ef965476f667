//! Where the parser is in a script: looking ahead, blanks, comments, ends of lines and the here-documents that follow them.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use super::{Piece, Word};

/// How deep commands, substitutions and parentheses may stand in each other. Each level is a few frames of a stack of 512 KiB.
const NESTING_MAX: u32 = 100;

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: syntax error: {}", self.line, self.message)
    }
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// The parser.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    depth: u32,
    documents: Vec<Document>,
}

/// A here-document whose text has not been reached.
pub(super) struct Document {
    pub(super) delimiter: String,
    pub(super) is_literal: bool,
    pub(super) without_tabs: bool,
    pub(super) slot: Rc<OnceCell<Word>>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, depth: 0, documents: Vec::new() }
    }

    /// A parser for a text that stands within this one: its errors name this line, and it counts on in depth.
    pub(super) fn within<'b>(&self, text: &'b str) -> Scanner<'b> {
        Scanner { text, at: 0, line: self.line, depth: self.depth, documents: Vec::new() }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    /// Goes past `text` if it is next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.skip(text.len());
        }
        is_next
    }

    pub(super) fn skip(&mut self, bytes: usize) -> &'a str {
        let skipped = &self.text[self.at..self.at + bytes];
        self.line += skipped.matches('\n').count();
        self.at += bytes;
        skipped
    }

    pub(super) fn position(&self) -> (usize, usize) {
        (self.at, self.line)
    }

    pub(super) fn go_back(&mut self, position: (usize, usize)) {
        (self.at, self.line) = position;
    }

    pub(super) fn problem<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { line: self.line, message: message.into() })
    }

    /// Goes one level deeper for the time of `inner`.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == NESTING_MAX {
            return self.problem(format!("more than {NESTING_MAX} levels stand in each other"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Goes past blanks, joined lines and a comment, but not past the end of the line.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'\\', b'\n') => {
                    self.skip(2);
                }
                (b'#', _) => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                    return;
                }
                (_, _) => return,
            }
        }
    }

    /// Goes past blanks, comments and ends of lines.
    pub(super) fn skip_lines(&mut self) -> Parsed<()> {
        self.skip_blanks();
        while self.byte(0) == b'\n' {
            self.end_line()?;
            self.skip_blanks();
        }
        Ok(())
    }

    /// Goes past one end of a line, and past the texts of the here-documents that the line named.
    pub(super) fn end_line(&mut self) -> Parsed<()> {
        self.next();
        for document in std::mem::take(&mut self.documents) {
            let word = self.document(&document)?;
            // A slot is filled once: each document is in the list once.
            let _ = document.slot.set(word);
        }
        Ok(())
    }

    pub(super) fn expect_document(&mut self, document: Document) {
        self.documents.push(document);
    }

    /// The script ends here: everything was read, and every here-document has its text.
    pub(super) fn end(&mut self) -> Parsed<()> {
        self.skip_lines()?;
        if let Some(document) = self.documents.first() {
            let message = format!("the here-document that ends with `{}` has no text", document.delimiter);
            return self.problem(message);
        }
        if self.is_at_end() { Ok(()) } else { self.unexpected() }
    }

    fn document(&mut self, document: &Document) -> Parsed<Word> {
        let mut text = String::new();
        let line = self.line;
        loop {
            if self.is_at_end() {
                let message = format!("the here-document has no line `{}` that ends it", document.delimiter);
                return Err(SyntaxError { line, message });
            }
            let length = self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
            let whole = self.skip(length);
            let kept = if document.without_tabs { whole.trim_start_matches('\t') } else { whole };
            if kept.strip_suffix('\n').unwrap_or(kept) == document.delimiter {
                break;
            }
            text.push_str(kept);
        }
        if document.is_literal {
            return Ok(Word { pieces: vec![Piece::Quoted(text)] });
        }
        let mut inner = self.within(&text);
        inner.line = line;
        inner.document_word()
    }
}
