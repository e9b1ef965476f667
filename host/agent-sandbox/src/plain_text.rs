//! Texts that a guest or a library wrote, made fit for our messages: one line, bounded, no control characters. Used by
//! every module that quotes somebody.

use agent_core::hidden::is_hidden;

/// What stands at the end of a text that was cut. `secrets` looks there for pieces of one.
pub(crate) const CUT: char = '…';

/// `text` on one line with control characters removed, cut after `chars_max` characters.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let plain = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c));
    cut(plain, chars_max)
}

/// A character of `text` that a model reads and a person does not see, if there is one.
pub(crate) fn hidden(text: &str) -> Option<char> {
    text.chars().find(|c| is_hidden(*c) && !matches!(c, '\n' | '\t'))
}

/// An error of wasmtime with its causes, on one line.
pub(crate) fn error_line(error: &wasmtime::Error) -> String {
    one_line(&format!("{error:#}"), ERROR_CHARS_MAX)
}

/// Longest text of an error that wasmtime made.
const ERROR_CHARS_MAX: usize = 500;

fn cut(chars: impl Iterator<Item = char>, chars_max: usize) -> String {
    let mut out = String::new();
    for (count, c) in chars.enumerate() {
        if count == chars_max {
            out.push(CUT);
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_cannot_break_a_line_or_hide() {
        assert_eq!(one_line("a\nb\u{1b}[31mc\u{202e}d\u{e0041}", 20), "a b[31mcd");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }
}
