//! Reads compound commands: groups, subshells, `if`, loops, `case`, `((…))` and functions with the word before them.

use super::scanner::{Parsed, Scanner};
use super::{AfterArm, Arm, GoesOn, Kind, List, Word, is_name};

impl Scanner<'_> {
    /// The compound command that is next, if one is.
    pub(super) fn compound(&mut self) -> Parsed<Option<Kind>> {
        if self.byte(0) == b'(' {
            return self.parenthesis().map(Some);
        }
        let kind = match self.reserved() {
            "{" => self.group()?,
            "if" => self.conditional()?,
            "while" => self.repeated("while", GoesOn::WhileTrue)?,
            "until" => self.repeated("until", GoesOn::UntilTrue)?,
            "for" => self.for_each()?,
            "case" => self.case()?,
            "[[" => self.test()?,
            "function" => return self.function_with_word().map(Some),
            word @ ("select" | "coproc" | "time") => {
                return self.problem(format!("`{word}` is not part of this shell"));
            }
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    fn parenthesis(&mut self) -> Parsed<Kind> {
        if self.byte(1) == b'(' {
            let start = self.position();
            self.skip(2);
            // What is not arithmetic is a subshell in a subshell.
            if let Some(Ok(expression)) = self.arithmetic_text().map(|text| self.arithmetic(text)) {
                return Ok(Kind::Arithmetic(expression));
            }
            self.go_back(start);
        }
        self.skip(1);
        let list = self.some_list("(")?;
        if !self.eat(")") {
            return self.problem("`(` has no `)`");
        }
        Ok(Kind::Subshell(list))
    }

    fn group(&mut self) -> Parsed<Kind> {
        self.expect_reserved("{", "{")?;
        let list = self.some_list("{")?;
        self.expect_reserved("}", "{")?;
        Ok(Kind::Group(list))
    }

    fn conditional(&mut self) -> Parsed<Kind> {
        self.expect_reserved("if", "if")?;
        let mut branches = Vec::new();
        let mut otherwise = None;
        loop {
            let condition = self.some_list("if")?;
            self.expect_reserved("then", "if")?;
            branches.push((condition, self.some_list("then")?));
            if self.eat_reserved("elif") {
                continue;
            }
            if self.eat_reserved("else") {
                otherwise = Some(self.some_list("else")?);
            }
            self.expect_reserved("fi", "if")?;
            return Ok(Kind::If { branches, otherwise });
        }
    }

    fn repeated(&mut self, word: &str, goes_on: GoesOn) -> Parsed<Kind> {
        self.expect_reserved(word, word)?;
        let condition = self.some_list(word)?;
        let body = self.body(word)?;
        Ok(Kind::Loop { goes_on, condition, body })
    }

    fn body(&mut self, of: &str) -> Parsed<List> {
        self.expect_reserved("do", of)?;
        let body = self.some_list("do")?;
        self.expect_reserved("done", of)?;
        Ok(body)
    }

    fn for_each(&mut self) -> Parsed<Kind> {
        self.expect_reserved("for", "for")?;
        self.skip_blanks();
        if self.rest().starts_with("((") {
            return self.counting();
        }
        let name = self.reserved().to_owned();
        if !is_name(&name) {
            return self.problem(format!("`for` wants the name of a variable, not `{name}`"));
        }
        self.skip(name.len());
        self.skip_lines()?;
        let words = if self.eat_reserved("in") { Some(self.words_of_for()?) } else { None };
        self.skip_blanks();
        self.eat(";");
        self.skip_lines()?;
        let body = self.body("for")?;
        Ok(Kind::For { name, words, body })
    }

    fn words_of_for(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            match self.word()? {
                Some(word) => words.extend(word.braces_expanded().map_err(|message| self.at_line(message))?),
                None => return Ok(words),
            }
        }
    }

    /// `for ((i = 0; i < 3; i++))`, as bash has it.
    fn counting(&mut self) -> Parsed<Kind> {
        self.skip(2);
        let Some(text) = self.arithmetic_text() else { return self.problem("`for ((` has no `))`") };
        let parts: Vec<&str> = text.split(';').collect();
        let [start, condition, step] = parts[..] else {
            return self.problem("`for ((` wants three parts, as in `for ((i = 0; i < 3; i++))`");
        };
        let condition = if condition.trim().is_empty() { "1" } else { condition };
        let (start, condition, step) = (self.arithmetic(start)?, self.arithmetic(condition)?, self.arithmetic(step)?);
        self.skip_blanks();
        self.eat(";");
        self.skip_lines()?;
        let body = self.body("for")?;
        Ok(Kind::Counting { start, condition, step, body })
    }

    fn case(&mut self) -> Parsed<Kind> {
        self.expect_reserved("case", "case")?;
        self.skip_blanks();
        let Some(word) = self.word()? else { return self.problem("`case` wants a word") };
        self.skip_lines()?;
        self.expect_reserved("in", "case")?;
        let mut arms = Vec::new();
        loop {
            self.skip_lines()?;
            if self.eat_reserved("esac") {
                return Ok(Kind::Case { word, arms });
            }
            if self.is_at_end() {
                return self.problem("`case` has no `esac`");
            }
            arms.push(self.arm()?);
        }
    }

    fn arm(&mut self) -> Parsed<Arm> {
        self.eat("(");
        let mut patterns = Vec::new();
        loop {
            self.skip_blanks();
            match self.word()? {
                Some(word) => patterns.push(word),
                None => return self.problem("a pattern is expected, as in `*.txt)`"),
            }
            self.skip_blanks();
            if self.eat(")") {
                break;
            }
            if !self.eat("|") {
                return self.problem("`)` is expected after the patterns of a `case`");
            }
        }
        let body = self.nested(Self::list)?;
        self.skip_lines()?;
        let then = if self.eat(";;&") {
            AfterArm::TryOthers
        } else if self.eat(";;") {
            AfterArm::End
        } else if self.eat(";&") {
            AfterArm::FallThrough
        } else if self.reserved() == "esac" {
            AfterArm::End
        } else {
            return self.problem("`;;` or `esac` is expected after the commands of a pattern");
        };
        Ok(Arm { patterns, body, then })
    }

    /// `function name { … }`, as bash has it.
    fn function_with_word(&mut self) -> Parsed<Kind> {
        self.expect_reserved("function", "function")?;
        self.skip_blanks();
        let name = self.reserved().to_owned();
        self.skip(name.len());
        self.skip_blanks();
        if self.eat("(") {
            self.skip_blanks();
            self.eat(")");
        }
        Ok(self.function_body(&name)?.kind)
    }
}
