//! Characters that are not what they look like: those that a terminal obeys, that reorder what is read, or that nobody sees.
//! One table for everything that shows text to a person, records that a text holds such characters, or keeps some from a
//! model.

use std::borrow::Cow;
use std::ops::Range;

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

/// As [`count`], for a JSON text: as its reader finds them, however they are written.
#[must_use]
pub fn count_in_json(json: &str) -> u64 {
    read_of_json(json).filter(|(c, _)| is_hidden(*c) && !matches!(c, '\n' | '\r' | '\t')).count() as u64
}

/// The JSON text `json` without tags in its strings, whether they stand there or are written as escapes: who reads it and writes
/// it anew would put them out plainly.
#[must_use]
pub fn json_without_tags(json: &str) -> Cow<'_, str> {
    let tags: Vec<Range<usize>> = read_of_json(json).filter(|(c, _)| is_tag(*c)).map(|(_, at)| at).collect();
    if tags.is_empty() {
        return Cow::Borrowed(json);
    }
    let (mut kept, mut end) = (String::with_capacity(json.len()), 0);
    for tag in tags {
        kept.push_str(&json[end..tag.start]);
        end = tag.end;
    }
    kept.push_str(&json[end..]);
    Cow::Owned(kept)
}

/// The characters of a JSON text as its reader gets them, each with where it is written. Outside strings there are no escapes.
fn read_of_json(json: &str) -> impl Iterator<Item = (char, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &json[at..];
        let first = rest.chars().next()?;
        let (c, bytes) = if first == '\\' { escaped(rest) } else { (first, first.len_utf8()) };
        let written = at..at + bytes;
        at = written.end;
        Some((c, written))
    })
}

/// The character of the escape at the beginning of `text`, and how many bytes that takes.
fn escaped(text: &str) -> (char, usize) {
    /// `\uXXXX`
    const UNIT_BYTES: usize = 6;
    let unit = |at: usize| {
        let digits = text.get(at..at + UNIT_BYTES)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        // A backslash, a quote, or a letter that stands for a control character of one line.
        let named = text[1..].chars().next().unwrap_or('\\');
        let c = match named {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            itself => itself,
        };
        return (c, (1 + named.len_utf8()).min(text.len()));
    };
    match char::decode_utf16([Some(first), unit(UNIT_BYTES)].into_iter().flatten()).next() {
        Some(Ok(c)) => (c, UNIT_BYTES * c.len_utf16()),
        // Half a character means nothing.
        Some(Err(_)) | None => (char::REPLACEMENT_CHARACTER, UNIT_BYTES),
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

    /// A component of our own world returns JSON as it wrote it.
    #[test]
    fn what_is_escaped_in_json_is_found_too() {
        let cases = [
            (r#"{"a":"\udb40\udc69\uDB40\uDC6f"}"#, r#"{"a":""}"#, 2),
            (r#"["a\udb43\udffFb", "\u202e\u001b\n"]"#, r#"["ab", "\u202e\u001b\n"]"#, 3),
            // A backslash that is escaped itself begins nothing.
            (r#"["\\udb40\\udc69"]"#, r#"["\\udb40\\udc69"]"#, 0),
            (r#"["\\\udb40\udc69"]"#, r#"["\\"]"#, 1),
            // Halves, and a pair of another alphabet.
            (r#"["\udb40","\udb40x","\udc69","\ud83c\udf88"]"#, r#"["\udb40","\udb40x","\udc69","\ud83c\udf88"]"#, 0),
            ("[\"a\u{e0041}\"]", "[\"a\"]", 1),
            ("[7, null]", "[7, null]", 0),
        ];
        for (json, without, hidden) in cases {
            assert_eq!(json_without_tags(json), without, "{json}");
            assert_eq!(count_in_json(json), hidden, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn json_is_read_as_a_reader_of_json_does(text in proptest::prelude::any::<String>(), escape in proptest::prelude::any::<bool>()) {
            let mut json = serde_json::Value::String(text.clone()).to_string();
            if escape {
                json = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                json = format!("\"{json}\"");
            }
            let read: String = read_of_json(&json).map(|(c, _)| c).collect();
            proptest::prop_assert_eq!(read, format!("\"{text}\""));
            let without: String = serde_json::from_str(&json_without_tags(&json)).unwrap_or_default();
            proptest::prop_assert_eq!(without, without_tags(&text));
        }
    }
}
