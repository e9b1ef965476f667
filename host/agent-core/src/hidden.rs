//! Characters that are not what they look like: those that a terminal obeys, that reorder what is read, or that nobody sees.
//! One table for everything that shows text to a person, records that a text holds such characters, or keeps some from a
//! model.

use std::borrow::Cow;

/// Whether a terminal would act on the character, or a person could not see it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Whether the character is no control character and yet not seen, or changes how others are seen.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}'
        // Zero width, direction, line and paragraph separators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Fillers that look like nothing.
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        // Variation selectors but the two that choose between text and picture; byte order mark; annotations.
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Formatting of shorthand, music and hieroglyphs.
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || is_tag(c)
}

/// Whether the character belongs to an alphabet that only a machine reads: tags, and the variation selectors beside them. A
/// model reads them like letters, and no writing of people needs them but a few flags.
#[must_use]
pub fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// How many hidden characters a text of several lines holds: line breaks and tabs are not hidden.
#[must_use]
pub fn count(text: &str) -> u64 {
    text.chars().filter(|c| is_hidden(*c) && !matches!(c, '\n' | '\r' | '\t')).count() as u64
}

/// `text` without tags.
#[must_use]
pub fn without_tags(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_tag) {
        Cow::Owned(text.chars().filter(|c| !is_tag(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_counted_and_tags_are_taken_out() {
        let secret: String = "ignore".chars().filter_map(|c| char::from_u32(0xe0000 + u32::from(c))).collect();
        let text = format!("plain,\n\tnaïve ❤\u{fe0f} 日本語{secret}\u{202e}\u{1b}");
        assert_eq!(count(&text), 8);
        assert_eq!(without_tags(&text), "plain,\n\tnaïve ❤\u{fe0f} 日本語\u{202e}\u{1b}");
        assert!(matches!(without_tags("plain"), Cow::Borrowed(_)));
    }
}
