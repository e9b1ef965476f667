//! Reads redirections: `> file`, `2>&1`, `<<END`, …

use std::cell::OnceCell;
use std::rc::Rc;

use super::scanner::{Document, Parsed, Scanner};
use super::{Piece, Redirection, Target, Word};

/// What `|&` means: `2>&1 |`.
pub(super) fn errors_into_output() -> Redirection {
    Redirection { number: 2, target: Target::Duplicate(Word { pieces: vec![Piece::Bare("1".to_owned())] }) }
}

impl Scanner<'_> {
    pub(super) fn redirections(&mut self) -> Parsed<Vec<Redirection>> {
        let mut redirections = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirection()? {
                Some(redirection) => redirections.push(redirection),
                None => return Ok(redirections),
            }
        }
    }

    /// The redirection that is next, if one is.
    pub(super) fn redirection(&mut self) -> Parsed<Option<Redirection>> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if self.rest().starts_with("&>") {
            self.skip(2);
            let is_appended = self.eat(">");
            let word = self.target()?;
            return Ok(Some(Redirection { number: 1, target: Target::BothInto { word, is_appended } }));
        }
        if !matches!(self.byte(digits), b'<' | b'>') {
            return Ok(None);
        }
        let number = self.skip(digits).parse().ok();
        self.after_number(number).map(Some)
    }

    fn after_number(&mut self, number: Option<u32>) -> Parsed<Redirection> {
        if matches!(self.byte(1), b'(') {
            return self.problem("there is no process substitution here: write into a file, or use a pipe");
        }
        let redirection = |usual: u32, target| Redirection { number: number.unwrap_or(usual), target };
        // The longest operator first.
        if self.eat("<<<") {
            return Ok(redirection(0, Target::Text(self.target()?)));
        }
        if self.eat("<<-") {
            return Ok(redirection(0, self.here_document(true)?));
        }
        if self.eat("<<") {
            return Ok(redirection(0, self.here_document(false)?));
        }
        if self.eat("<>") {
            return Ok(redirection(0, Target::ReadWrite(self.target()?)));
        }
        if self.eat("<&") {
            return Ok(redirection(0, Target::Duplicate(self.target()?)));
        }
        if self.eat("<") {
            return Ok(redirection(0, Target::Read(self.target()?)));
        }
        if self.eat(">>") {
            return Ok(redirection(1, Target::Append(self.target()?)));
        }
        if self.eat(">|") {
            return Ok(redirection(1, Target::Overwrite(self.target()?)));
        }
        if self.eat(">&") {
            return Ok(redirection(1, Target::Duplicate(self.target()?)));
        }
        self.skip(1);
        Ok(redirection(1, Target::Write(self.target()?)))
    }

    fn target(&mut self) -> Parsed<Word> {
        self.skip_blanks();
        match self.word()? {
            Some(word) => Ok(word),
            None => self.problem("a redirection wants a file, as in `> out.txt`"),
        }
    }

    fn here_document(&mut self, without_tabs: bool) -> Parsed<Target> {
        self.skip_blanks();
        let Some(word) = self.word()? else {
            return self.problem("`<<` wants the word that ends the text, as in `<<END`");
        };
        let (mut delimiter, mut is_literal) = (String::new(), false);
        for piece in &word.pieces {
            match piece {
                Piece::Bare(text) => delimiter.push_str(text),
                Piece::Quoted(text) => {
                    delimiter.push_str(text);
                    is_literal = true;
                }
                Piece::Home | Piece::Parameter { .. } | Piece::Substitution { .. } | Piece::Arithmetic { .. } => {
                    return self.problem("the word after `<<` must be plain, as in `<<END`");
                }
            }
        }
        let slot = Rc::new(OnceCell::new());
        self.expect_document(Document { delimiter, is_literal, without_tabs, slot: Rc::clone(&slot) });
        Ok(Target::Document(slot))
    }
}
