//! Reads `[[ … ]]`, as bash has it.

use super::scanner::{Parsed, Scanner};
use super::words::{Until, is_metacharacter};
use super::{Kind, Piece, Quotes, Test, Word};

/// What stands between two words. `<` and `>` compare texts here, and are not redirections.
const BINARY: [&str; 15] =
    ["==", "=~", "=", "!=", "<=", ">=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt"];

/// Most tests that are joined by one kind of operator: each stands in the one before it.
const JOINED_MAX: usize = 100;

impl Scanner<'_> {
    pub(super) fn test(&mut self) -> Parsed<Kind> {
        self.expect_reserved("[[", "[[")?;
        let test = self.test_or()?;
        self.skip_lines()?;
        self.expect_reserved("]]", "[[")?;
        Ok(Kind::Test(test))
    }

    fn test_or(&mut self) -> Parsed<Test> {
        let mut test = self.test_and()?;
        self.skip_lines()?;
        let mut count = 0;
        while self.eat("||") {
            count += 1;
            self.bound(count)?;
            test = Test::Or(Box::new(test), Box::new(self.test_and()?));
            self.skip_lines()?;
        }
        Ok(test)
    }

    fn bound(&self, count: usize) -> Parsed<()> {
        if count <= JOINED_MAX {
            Ok(())
        } else {
            self.problem(format!("more than {JOINED_MAX} tests are joined in `[[`"))
        }
    }

    fn test_and(&mut self) -> Parsed<Test> {
        let mut test = self.test_not()?;
        self.skip_lines()?;
        let mut count = 0;
        while self.eat("&&") {
            count += 1;
            self.bound(count)?;
            test = Test::And(Box::new(test), Box::new(self.test_not()?));
            self.skip_lines()?;
        }
        Ok(test)
    }

    fn test_not(&mut self) -> Parsed<Test> {
        self.skip_lines()?;
        if self.eat_reserved("!") {
            return Ok(Test::Not(Box::new(self.nested(Self::test_not)?)));
        }
        if self.eat("(") {
            let test = self.nested(Self::test_or)?;
            if !self.eat(")") {
                return self.problem("`(` in `[[` has no `)`");
            }
            return Ok(test);
        }
        self.test_of_words()
    }

    fn test_of_words(&mut self) -> Parsed<Test> {
        let Some(first) = self.word()? else { return self.problem("`[[` wants a word here") };
        self.skip_blanks();
        if let [Piece::Bare(operator)] = &first.pieces[..]
            && operator.len() == 2
            && operator.starts_with('-')
            && !self.is_after_operand()
            && let Some(operand) = self.word()?
        {
            return Ok(Test::Unary(operator.clone(), operand));
        }
        let Some(operator) = BINARY.iter().find(|operator| self.rest().starts_with(**operator)) else {
            return Ok(Test::Unary("-n".to_owned(), first));
        };
        self.skip(operator.len());
        self.skip_blanks();
        let second = if *operator == "=~" { self.expression_word()? } else { self.word()? };
        let Some(second) = second else { return self.problem(format!("`[[` wants a word after `{operator}`")) };
        Ok(Test::Binary(first, (*operator).to_owned(), second))
    }

    fn is_after_operand(&self) -> bool {
        let rest = self.rest();
        rest.starts_with("]]") || rest.starts_with("&&") || rest.starts_with("||") || rest.starts_with(')')
    }

    /// The regular expression of `=~`: it goes up to a blank, and parentheses are part of it.
    fn expression_word(&mut self) -> Parsed<Option<Word>> {
        let mut word = Word::default();
        while let Some(next) = self.peek() {
            match next {
                '(' | ')' | '|' | '<' | '>' | '&' | ';' => {
                    self.next();
                    word.push_bare(next);
                }
                blank if is_metacharacter(blank) => break,
                _ => self.pieces(&mut word, Until::Blank, Quotes::None)?,
            }
        }
        Ok(Some(word).filter(|word| !word.pieces.is_empty()))
    }
}
