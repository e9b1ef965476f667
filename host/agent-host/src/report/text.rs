//! Texts that others wrote (models, tools, pages, agent files) made safe to show to a person. Every path to a terminal goes
//! through here: a text cannot move the cursor, set the title, write to the clipboard, reverse what is read, or hide words.
//!
//! This is for eyes only. What the model is sent and what the journal keeps is never changed here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use agent_core::hidden::is_hidden;
use agent_core::units::Bytes;
use agent_sandbox::defence::{self, Defence};

/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// `text` on one line, at most `chars_max` characters of it. Line breaks become `\n`.
#[must_use]
pub fn line(text: &str, chars_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max.saturating_mul(4)));
    for (index, c) in text.chars().enumerate() {
        if index == chars_max {
            shown.push(CUT);
            break;
        }
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push(' '),
            c => push(&mut shown, c),
        }
    }
    shown
}

/// The lines of `text`, at most `lines_max` of them, each at most `chars_max` characters long. A last line says how many
/// are left out.
#[must_use]
pub fn block(text: &str, lines_max: usize, chars_max: usize) -> Vec<String> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let mut shown: Vec<String> = lines.iter().take(lines_max).map(|one| line(one, chars_max)).collect();
    let left = lines.len().saturating_sub(lines_max);
    if left > 0 {
        shown.push(format!("{CUT} {}", counted(left, "more line")));
    }
    shown
}

/// So many of something: `1 run`, `2 runs`.
#[must_use]
pub fn counted(number: usize, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {one}{ending}")
}

/// What was dropped from the end of a journal.
#[must_use]
pub fn cut_off(bytes: Bytes) -> String {
    format!(
        "the journal ended in a write that was not finished, which was dropped ({bytes}); everything before it is there"
    )
}

/// All of `text` on one line. Line breaks become `\n`.
#[must_use]
pub fn whole(text: &str) -> String {
    line(text, usize::MAX)
}

/// All of `text`, its line breaks and tabs kept.
#[must_use]
pub fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { shown.push(c) } else { push(&mut shown, c) }
    }
    shown
}

/// Writes `text` and a line break to standard output: as [`lines`] shows it where a person reads it, exactly as it is where a
/// program does. Not through `anstream`, which would take out of the latter what looks like a command to a terminal.
///
/// # Errors
/// Where nothing can be written there.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = if out.is_terminal() { Cow::Owned(lines(text)) } else { Cow::Borrowed(text) };
    writeln!(out, "{text}")
}

/// The JSON text `json` with every hidden character inside its strings escaped. It stays the same JSON value.
#[must_use]
pub fn json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && !c.is_ascii_whitespace() && !defence::is_off(Defence::Neutralising) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

fn push(shown: &mut String, c: char) {
    if is_hidden(c) && !defence::is_off(Defence::Neutralising) {
        shown.extend(c.escape_unicode());
    } else {
        shown.push(c);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_texts_are_shown_and_do_nothing() {
        let cases = [
            ("plain text, naïve, 日本語, 🎈", "plain text, naïve, 日本語, 🎈"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{1b}]52;c;cm0gLXJm\u{1b}\\", "\\u{1b}]52;c;cm0gLXJm\\u{1b}\\"),
            ("\u{9b}31mred", "\\u{9b}31mred"),
            ("safe\rrm -rf", "safe\\u{d}rm -rf"),
            ("back\u{8}\u{8}space\u{7f}", "back\\u{8}\\u{8}space\\u{7f}"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("tags\u{e0041}\u{e007f}", "tags\\u{e0041}\\u{e007f}"),
            ("a selector\u{fe01} or\u{e0100}", "a selector\\u{fe01} or\\u{e0100}"),
            ("a heart ❤\u{fe0f}", "a heart ❤\u{fe0f}"),
            ("one\n2026-01-01 INFO forged", "one\\n2026-01-01 INFO forged"),
            ("col\tumn", "col umn"),
        ];
        for (text, shown) in cases {
            assert_eq!(line(text, 100), shown);
        }
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!([line("abcdef", 6), line("abcdefg", 6)], ["abcdef", "abcdef…"]);
        assert_eq!(block("one\ntwo\nthree\n", 2, 10), ["one", "two", "… 1 more line"]);
        assert_eq!(block("one\r\n\ntwo", 9, 2), ["on…", "", "tw…"]);
    }

    proptest! {
        #[test]
        fn nothing_hidden_passes(text in any::<String>()) {
            prop_assert!(!line(&text, 1_000).chars().any(is_hidden));
            prop_assert!(!block(&text, 10, 1_000).iter().any(|line| line.chars().any(is_hidden)));
        }

        #[test]
        fn escaped_json_is_the_same_value(text in any::<String>()) {
            let plain = serde_json::to_string(&[&text]).unwrap();
            let escaped = json(&plain);
            prop_assert!(!escaped.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&escaped).unwrap(), [text]);
        }
    }
}
