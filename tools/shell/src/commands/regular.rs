//! Regular expressions as `grep`, `sed`, `expr` and `[[ =~ ]]` have them, for the engine of the `regex` crate: linear in time, the leftmost match
//! and of several ways the first, where POSIX takes the longest.

use regex::bytes::{Regex, RegexBuilder};

use super::characters;
use crate::stop::{Outcome, Stop};

/// How much memory one compiled expression may take.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Whose expressions: basic ones need a backslash for `(`, `{`, `|`, `+` and `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Basic,
    Extended,
    /// Not an expression but a text.
    Fixed,
}

/// Whose escapes for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// `\t` and `\n` outside of sets; in a set, a backslash is a letter.
    Usual,
    /// All of [`characters`], and in sets too.
    OfSed,
}

/// Whether letters of another case match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    Exact,
    AnyCase,
}

pub(crate) fn compile(expression: &str, syntax: Syntax, letters: Letters) -> Outcome<Regex> {
    compile_translated(&translated(expression, syntax)?, expression, letters)
}

/// [`compile`] with the escapes that `sed` has for characters.
pub(super) fn compile_for_sed(expression: &str, syntax: Syntax, letters: Letters) -> Outcome<Regex> {
    compile_translated(&translated_with(expression, syntax, Escapes::OfSed)?, expression, letters)
}

/// Compiles what [`translated`] gave, or a combination of it.
pub(super) fn compile_translated(translated: &str, shown: &str, letters: Letters) -> Outcome<Regex> {
    RegexBuilder::new(translated)
        .case_insensitive(letters == Letters::AnyCase)
        .dot_matches_new_line(true)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Stop::usage(format!("`{shown}` is not a regular expression: {why}"))
        })
}

/// The expression as the engine writes it.
pub(super) fn translated(expression: &str, syntax: Syntax) -> Outcome<String> {
    translated_with(expression, syntax, Escapes::Usual)
}

fn translated_with(expression: &str, syntax: Syntax, escapes: Escapes) -> Outcome<String> {
    if syntax == Syntax::Fixed {
        return Ok(regex::escape(expression));
    }
    let mut translator = Translator {
        expression,
        rest: expression,
        out: String::new(),
        atom: None,
        open: Vec::new(),
        repeated: false,
        syntax,
        escapes,
    };
    translator.all()?;
    Ok(translator.out)
}

struct Translator<'a> {
    expression: &'a str,
    rest: &'a str,
    out: String,
    /// Where the last thing begins that a `*` would repeat. None at a beginning, where `*` is a star.
    atom: Option<usize>,
    /// Where the groups begin that are open.
    open: Vec<usize>,
    /// Whether the last thing is repeated already: `a*?` repeats it once more, and is not the engine's own `*?`.
    repeated: bool,
    syntax: Syntax,
    escapes: Escapes,
}

impl Translator<'_> {
    fn problem<T>(&self, message: &str) -> Outcome<T> {
        Err(Stop::usage(format!("`{}` is not a regular expression: {message}", self.expression)))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn all(&mut self) -> Outcome<()> {
        while let Some(next) = self.next() {
            self.one(next)?;
        }
        if self.open.is_empty() { Ok(()) } else { self.problem("a `(` has no `)`") }
    }

    fn one(&mut self, next: char) -> Outcome<()> {
        let is_basic = self.syntax == Syntax::Basic;
        match next {
            '\\' => return self.escape(),
            '[' => return self.set(),
            '*' => self.repeat("*"),
            '+' | '?' if !is_basic => self.repeat(next.encode_utf8(&mut [0; 4])),
            '{' if !is_basic => return self.interval("}"),
            '(' if !is_basic => self.open(),
            ')' if !is_basic && !self.open.is_empty() => return self.close(),
            '|' if !is_basic => self.alternative(),
            '^' if !is_basic || self.atom.is_none() => self.out.push('^'),
            '$' if !is_basic || self.is_at_an_end() => self.out.push('$'),
            '.' => self.push_atom("."),
            other => self.literal(other),
        }
        Ok(())
    }

    fn is_at_an_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with("\\)") || self.rest.starts_with("\\|")
    }

    fn push_atom(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.repeated = false;
        self.out.push_str(text);
    }

    fn literal(&mut self, letter: char) {
        let escaped = regex::escape(letter.encode_utf8(&mut [0; 4]));
        self.push_atom(&escaped);
    }

    fn escape(&mut self) -> Outcome<()> {
        let Some(next) = self.next() else { return self.problem("it ends with a backslash") };
        let is_basic = self.syntax == Syntax::Basic;
        match next {
            '(' if is_basic => self.open(),
            ')' if is_basic => return self.close(),
            '{' if is_basic => return self.interval("\\}"),
            '|' if is_basic => self.alternative(),
            '+' if is_basic => self.repeat("+"),
            '?' if is_basic => self.repeat("?"),
            '<' => self.out.push_str(r"\b{start}"),
            '>' => self.out.push_str(r"\b{end}"),
            'b' => self.out.push_str(r"\b"),
            'B' => self.out.push_str(r"\B"),
            '`' => self.out.push_str(r"\A"),
            '\'' => self.out.push_str(r"\z"),
            'w' | 'W' | 's' | 'S' => self.push_atom(&format!("\\{next}")),
            '1'..='9' => {
                return self
                    .problem("this engine has no back-references in a pattern (`\\1` works in what replaces it)");
            }
            letter if letter.is_ascii_alphanumeric() => return self.character(letter),
            other => self.literal(other),
        }
        Ok(())
    }

    /// A letter after a backslash: a character that is written so. A letter that has no such meaning is never that letter, for
    /// whoever wrote it meant something else.
    fn character(&mut self, letter: char) -> Outcome<()> {
        match (self.escapes, letter) {
            (Escapes::Usual, 'n') => self.literal('\n'),
            (Escapes::Usual, 't') => self.literal('\t'),
            (Escapes::OfSed, _) => {
                let escape = format!("{letter}{}", self.rest);
                let Some((byte, length)) = characters::one(&escape) else { return self.no_such(letter) };
                self.rest = &self.rest[length - 1..];
                if byte.is_ascii() {
                    // GNU's `\x2e` is a `.` that matches anything.
                    return self.one(char::from(byte));
                } else {
                    self.push_atom(&format!("(?-u:\\x{byte:02X})"));
                }
            }
            (Escapes::Usual, _) => return self.no_such(letter),
        }
        Ok(())
    }

    fn no_such<T>(&self, letter: char) -> Outcome<T> {
        let cure = match letter {
            'd' => ": digits are `[0-9]`",
            'D' => ": what is no digit is `[^0-9]`",
            _ => "",
        };
        self.problem(&format!("`\\{letter}` has no meaning here{cure}"))
    }

    fn open(&mut self) {
        self.open.push(self.out.len());
        self.out.push('(');
        self.atom = None;
    }

    fn close(&mut self) -> Outcome<()> {
        let Some(start) = self.open.pop() else { return self.problem("a `)` has no `(`") };
        self.out.push(')');
        self.atom = Some(start);
        self.repeated = false;
        Ok(())
    }

    fn alternative(&mut self) {
        self.out.push('|');
        self.atom = None;
    }

    fn repeat(&mut self, operator: &str) {
        let Some(atom) = self.atom else {
            self.literal(operator.chars().next().unwrap_or('*'));
            return;
        };
        if self.repeated {
            self.out.insert_str(atom, "(?:");
            self.out.push(')');
        }
        self.out.push_str(operator);
        self.repeated = true;
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`
    fn interval(&mut self, end: &str) -> Outcome<()> {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let found = self.rest.split_once(end).filter(|(inside, _)| {
            let (from, to) = inside.split_once(',').unwrap_or((inside, "0"));
            is_number(from) && is_number(to) && !inside.is_empty()
        });
        let (Some((inside, rest)), Some(_)) = (found, self.atom) else {
            if self.syntax == Syntax::Extended {
                self.literal('{');
                return Ok(());
            }
            return self.problem("`\\{` wants numbers, as in `\\{2,3\\}`");
        };
        self.rest = rest;
        let inside = if inside.starts_with(',') { format!("0{inside}") } else { inside.to_owned() };
        self.repeat(&format!("{{{inside}}}"));
        Ok(())
    }

    /// `[…]`: a backslash is a letter in it, but for the characters of `sed`.
    fn set(&mut self) -> Outcome<()> {
        let mut set = "[".to_owned();
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            set.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(next) = self.next() else { return self.problem("a `[` has no `]`") };
            match next {
                ']' if !is_first => break,
                '[' if self.rest.starts_with(':') => self.class(&mut set)?,
                '[' if self.rest.starts_with(['.', '=']) => {
                    return self.problem("there are no collating elements, as `[.x.]` would be");
                }
                letter => {
                    let letter = self.letter_of_set(letter)?;
                    push_in_set(&mut set, letter);
                    self.range(&mut set)?;
                }
            }
            is_first = false;
        }
        set.push(']');
        self.push_atom(&set);
        Ok(())
    }

    fn letter_of_set(&mut self, letter: char) -> Outcome<char> {
        let is_escape = letter == '\\' && self.escapes == Escapes::OfSed;
        let Some((byte, length)) = Some(self.rest).filter(|_| is_escape).and_then(characters::one) else {
            return Ok(letter);
        };
        if !byte.is_ascii() {
            return self.problem("a byte above 127 cannot stand in a set: write the character itself");
        }
        self.rest = &self.rest[length..];
        Ok(char::from(byte))
    }

    fn range(&mut self, set: &mut String) -> Outcome<()> {
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('-')
            && let Some(to) = ahead.next()
            && to != ']'
        {
            self.rest = &self.rest[1 + to.len_utf8()..];
            set.push('-');
            let to = self.letter_of_set(to)?;
            push_in_set(set, to);
        }
        Ok(())
    }

    fn class(&mut self, set: &mut String) -> Outcome<()> {
        // Of ASCII only: a component that carries the tables of Unicode is larger by a third.
        const CLASSES: [&str; 12] = [
            "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl", "xdigit",
        ];
        let Some((name, rest)) = self.rest[1..].split_once(":]").filter(|(name, _)| CLASSES.contains(name)) else {
            return self.problem("a class is written as `[[:digit:]]`");
        };
        self.rest = rest;
        set.push_str(&format!("[:{name}:]"));
        Ok(())
    }
}

fn push_in_set(set: &mut String, letter: char) {
    if matches!(letter, '\\' | '[' | ']' | '^' | '-' | '&' | '~') {
        set.push('\\');
    }
    set.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_syntaxes_mean_what_they_say() {
        for (expression, syntax, expected) in [
            (r"a\(b\)*", Syntax::Basic, "a(b)*"),
            ("a(b)+", Syntax::Basic, r"a\(b\)\+"),
            ("a(b)+", Syntax::Extended, "a(b)+"),
            ("*a", Syntax::Basic, r"\*a"),
            ("^*a", Syntax::Basic, r"^\*a"),
            ("a^b$c", Syntax::Basic, r"a\^b\$c"),
            ("^a$", Syntax::Basic, "^a$"),
            (r"x\{2,3\}", Syntax::Basic, "x{2,3}"),
            ("x{,3}", Syntax::Extended, "x{0,3}"),
            ("x{", Syntax::Extended, r"x\{"),
            ("a+?", Syntax::Extended, "(?:a+)?"),
            (r"[\n]", Syntax::Basic, r"[\\n]"),
            ("[]a-c]", Syntax::Basic, r"[\]a-c]"),
            ("[^[:digit:]-]", Syntax::Basic, r"[^[:digit:]\-]"),
            ("a.b", Syntax::Fixed, r"a\.b"),
            (r"\<a\>", Syntax::Basic, r"\b{start}a\b{end}"),
        ] {
            assert_eq!(translated(expression, syntax), Ok(expected.to_owned()), "{expression}");
            assert!(compile(expression, syntax, Letters::Exact).is_ok(), "{expression}");
        }
        for expression in [r"\(a\)\1", "[a", r"\(a", "a\\", r"[[:digi:]]", r"\d", r"\q", r"\x41"] {
            assert!(compile(expression, Syntax::Basic, Letters::Exact).is_err(), "{expression}");
        }
    }

    #[test]
    fn sed_has_characters_by_their_names_and_numbers() {
        for (expression, text, expected) in [
            (r"^[ \t]*$", "\t ", true),
            (r"^[ \t]*$", "t", false),
            (r"[^\n]", "\n", false),
            (r"\r$", "a\r", true),
            (r"\r$", "ar", false),
            (r"^\x2e$", ".", true),
            (r"^\x2e$", "a", true),
            (r"^\x5c.$", "a", false),
            (r"^[\x41-\x43\]$", "B", true),
            (r"^[\.]$", "\\", true),
            (r"^\o101\d066*$", "ABB", true),
            (r"^\xc3\xa9$", "é", true),
        ] {
            let regex = compile_for_sed(expression, Syntax::Basic, Letters::Exact);
            assert_eq!(regex.map(|regex| regex.is_match(text.as_bytes())), Ok(expected), "{expression} {text:?}");
        }
        for expression in [r"\q", r"\d", r"\cA", r"[\xe9]"] {
            assert!(compile_for_sed(expression, Syntax::Basic, Letters::Exact).is_err(), "{expression}");
        }
    }
}
