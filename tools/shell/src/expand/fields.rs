//! The words that an expansion makes, while they are being made: split by IFS, and each with the pattern that it may be.

use std::rc::Rc;

use super::WORDS_MAX;
use crate::stop::{Outcome, Stop};

/// Most bytes that the words of one expansion have together.
const BYTES_MAX: usize = 4 << 20;

/// Whether values are split into several words.
pub(super) enum Splitting {
    /// At the characters of IFS; at blanks and ends of lines where it is unset.
    ByIfs(Option<Rc<str>>),
    Never,
}

/// What a word is a pattern of, where some of it was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaping {
    /// Of names of files and the like: only what is not quoted has a meaning.
    Pattern,
    /// A regular expression: a backslash out of a variable has its meaning, too.
    Expression,
}

/// A word that was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// The word as a pattern, if it can be one: what was quoted is escaped in it. Or as the regular expression that it is.
    pub(super) pattern: Option<String>,
}

#[derive(Default)]
struct Growing {
    text: String,
    pattern: String,
    is_pattern: bool,
}

pub(super) struct Fields {
    splitting: Splitting,
    escaping: Escaping,
    done: Vec<Field>,
    current: Option<Growing>,
    /// A blank has ended the last word: a `:` that follows is the same gap.
    is_after_blank: bool,
    bytes: usize,
}

impl Fields {
    pub(super) fn new(splitting: Splitting) -> Self {
        let escaping = Escaping::Pattern;
        Self { splitting, escaping, done: Vec::new(), current: None, is_after_blank: false, bytes: 0 }
    }

    /// For the one word of a regular expression.
    pub(super) fn of_expression() -> Self {
        Self { escaping: Escaping::Expression, ..Self::new(Splitting::Never) }
    }

    /// Text that stands in the script without quotes: not split, but `*` in it is a pattern.
    pub(super) fn push_bare(&mut self, text: &str) {
        let current = self.current();
        current.text.push_str(text);
        current.pattern.push_str(text);
        current.is_pattern |= text.contains(['*', '?', '[']);
        self.bytes += text.len();
    }

    /// Text in quotes: it makes a word even where it is empty.
    pub(super) fn push_quoted(&mut self, text: &str) {
        let escaping = self.escaping;
        let current = self.current();
        current.text.push_str(text);
        match escaping {
            Escaping::Pattern => text.chars().for_each(|c| push_escaped(&mut current.pattern, c)),
            Escaping::Expression => push_in_expression(&mut current.pattern, text),
        }
        self.bytes += text.len();
    }

    /// A value without quotes.
    pub(super) fn split(&mut self, value: &str) -> Outcome<()> {
        let ifs = match &self.splitting {
            Splitting::Never => {
                self.push_value(value);
                return Ok(());
            }
            Splitting::ByIfs(ifs) => ifs.clone().unwrap_or_else(|| Rc::from(" \t\n")),
        };
        self.is_after_blank = false;
        for c in value.chars() {
            if !ifs.contains(c) {
                self.push_value(c.encode_utf8(&mut [0; 4]));
            } else if c.is_ascii_whitespace() {
                self.is_after_blank |= self.end_word();
            } else if !self.end_word() && !std::mem::take(&mut self.is_after_blank) {
                self.done.push(Field::default());
            }
            self.check()?;
        }
        Ok(())
    }

    /// Ends the word that is growing, if one is.
    pub(super) fn end_word(&mut self) -> bool {
        let Some(grown) = self.current.take() else { return false };
        let is_pattern = grown.is_pattern || self.escaping == Escaping::Expression;
        let pattern = is_pattern.then_some(grown.pattern);
        self.done.push(Field { text: grown.text, pattern });
        true
    }

    pub(super) fn check(&self) -> Outcome<()> {
        if self.bytes > BYTES_MAX {
            return Err(Stop::Limit(format!("an expansion has more than {BYTES_MAX} bytes")));
        }
        if self.done.len() > WORDS_MAX {
            return Err(Stop::Limit(format!("an expansion makes more than {WORDS_MAX} words")));
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<Field> {
        self.end_word();
        self.done
    }

    /// The one word that was made, where nothing was split.
    pub(super) fn joined(self) -> Field {
        let fields = self.finish();
        let is_pattern = fields.iter().any(|field| field.pattern.is_some());
        let texts: Vec<&str> = fields.iter().map(|field| field.text.as_str()).collect();
        let patterns: Vec<String> =
            fields.iter().map(|field| field.pattern.clone().unwrap_or_else(|| escaped(&field.text))).collect();
        Field { text: texts.join(" "), pattern: is_pattern.then(|| patterns.join(" ")) }
    }

    fn push_value(&mut self, value: &str) {
        let escaping = self.escaping;
        let current = self.current();
        current.text.push_str(value);
        for c in value.chars() {
            // A backslash that came out of a variable is one, and escapes nothing.
            if c == '\\' && escaping == Escaping::Pattern {
                current.pattern.push('\\');
            }
            current.pattern.push(c);
        }
        current.is_pattern |= value.contains(['*', '?', '[']);
        self.bytes += value.len();
    }

    fn current(&mut self) -> &mut Growing {
        self.is_after_blank = false;
        self.current.get_or_insert_with(Growing::default)
    }
}

fn push_escaped(pattern: &mut String, c: char) {
    // A `/` means the same with and without quotes, and parts a pattern of paths where it stands.
    if !c.is_alphanumeric() && c != '/' {
        pattern.push('\\');
    }
    pattern.push(c);
}

fn push_in_expression(expression: &mut String, text: &str) {
    // In a set, a backslash would be one of its letters.
    let is_in_set = ends_in_a_set(expression);
    for c in text.chars() {
        if !is_in_set && "\\.[]()*+?{}|^$".contains(c) {
            expression.push('\\');
        }
        expression.push(c);
    }
}

/// Whether a set that was begun, as in `[a-`, has not ended.
fn ends_in_a_set(expression: &str) -> bool {
    let mut letters = expression.chars().peekable();
    let (mut is_in_set, mut is_first) = (false, false);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !is_in_set => {
                letters.next();
            }
            '[' if !is_in_set => {
                (is_in_set, is_first) = (true, true);
                letters.next_if_eq(&'^');
                continue;
            }
            '[' if letters.peek() == Some(&':') => {
                letters.by_ref().find(|letter| *letter == ']');
            }
            ']' if !is_first => is_in_set = false,
            _ => {}
        }
        is_first = false;
    }
    is_in_set
}

fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        push_escaped(&mut pattern, c);
    }
    pattern
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn check(ifs: &str, value: &str, expected: &[&str]) {
        let mut fields = Fields::new(Splitting::ByIfs(Some(Rc::from(ifs))));
        fields.split(value).unwrap();
        let words: Vec<String> = fields.finish().into_iter().map(|field| field.text).collect();
        assert_eq!(words, expected, "{value:?}");
    }

    #[test]
    fn blanks_are_one_gap_and_other_separators_one_each() {
        check(" \t\n", "  a  b\n\tc ", &["a", "b", "c"]);
        check(":", "a::b:", &["a", "", "b"]);
        check(" :", "a : b:  c", &["a", "b", "c"]);
        check(":", ":a", &["", "a"]);
        check("", "a b", &["a b"]);
        check(" ", "", &[]);
    }

    #[test]
    fn what_is_quoted_is_no_pattern() {
        let mut fields = Fields::new(Splitting::Never);
        fields.push_quoted("*");
        fields.push_bare("*");
        assert_eq!(fields.joined(), Field { text: "**".to_owned(), pattern: Some("\\**".to_owned()) });
    }

    #[test]
    fn a_slash_in_quotes_parts_a_pattern_of_paths() {
        let mut fields = Fields::new(Splitting::Never);
        fields.push_quoted("a-b/c");
        fields.push_bare("/*");
        assert_eq!(fields.joined().pattern.as_deref(), Some("a\\-b/c/*"));
    }

    #[test]
    fn what_is_quoted_in_an_expression_is_literal() {
        for (bare, quoted, expected) in [
            ("^", ".b*", "^\\.b\\*"),
            ("[", ".-", "[.-"),
            ("[^]", ".", "[^]."),
            ("[[:digit:]", "+", "[[:digit:]+"),
            ("[a]", "+", "[a]\\+"),
        ] {
            let mut fields = Fields::of_expression();
            fields.push_bare(bare);
            fields.push_quoted(quoted);
            assert_eq!(fields.joined().pattern.as_deref(), Some(expected), "{bare} {quoted}");
        }
        let mut fields = Fields::of_expression();
        fields.split("\\.a").unwrap();
        assert_eq!(fields.joined().pattern.as_deref(), Some("\\.a"));
    }
}
