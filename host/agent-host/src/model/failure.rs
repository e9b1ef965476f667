//! Makes words of strangers fit for an error: short, one line, without control characters and without the key.
//! Called wherever an adapter turns an answer of a provider into a `ModelFailure`.

use agent_core::model::{ModelFailure, ModelFailureKind};

/// Longest message of a failure. It is stored with the run and shown on one screen.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What stands where a key stood.
const REDACTED: &str = "[key]";

/// A failure whose message may quote what a provider said.
pub(super) fn failure(kind: ModelFailureKind, message: &str) -> ModelFailure {
    ModelFailure::new(kind, plain(message, MESSAGE_BYTES_MAX))
}

/// `text` without the key, even where a provider echoes it.
pub(super) fn redact(text: &str, key: Option<&str>) -> String {
    match key {
        Some(key) if !key.is_empty() => text.replace(key, REDACTED),
        _ => text.to_owned(),
    }
}

/// `text` with white space folded and control characters escaped, cut to `bytes_max` at a character boundary.
pub(super) fn plain(text: &str, bytes_max: usize) -> String {
    const CUT: &str = "…";
    let mut out = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!out.is_empty());
        if gap == 1 {
            out.push(' ');
        }
        for c in word.chars() {
            let shown: String = if is_unfit(c) { c.escape_unicode().collect() } else { c.to_string() };
            if out.len() + shown.len() + CUT.len() > bytes_max {
                out.push_str(CUT);
                return out;
            }
            out.push_str(&shown);
        }
    }
    out
}

/// Controls, and the invisible characters that reorder text on a screen.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_and_plain() {
        assert_eq!(plain("two\n\t lines", 64), "two lines");
        assert_eq!(plain("bell \u{7} and \u{202e}turn", 64), "bell \\u{7} and \\u{202e}turn");
        let cut = plain(&"é".repeat(2_000), MESSAGE_BYTES_MAX);
        assert!(cut.len() <= MESSAGE_BYTES_MAX && cut.ends_with('…'));
    }

    #[test]
    fn a_key_never_survives() {
        assert_eq!(redact("bad key sk-1: sk-1", Some("sk-1")), "bad key [key]: [key]");
        assert_eq!(redact("no key", None), "no key");
    }
}
