//! A JSON text laid out for a person, and nothing of it changed on the way: numbers stay as they are written, members in their
//! order, a key that comes twice comes twice. Strings are decoded, so that nobody hides letters behind `\u0061`. Whoever
//! approves arguments sees what the tool gets.

use serde_json::value::RawValue;

/// Spaces of one level.
const INDENT: usize = 2;
/// Deepest level that is set in: arguments have no more than 64, and what is set in further is off every screen.
const LEVELS_MAX: usize = 64;

/// `json`, a member or an element to a line. As it is, where it is no JSON.
#[must_use]
pub fn json(json: &str) -> String {
    if serde_json::from_str::<&RawValue>(json).is_err() {
        return json.to_owned();
    }
    let mut layout = Layout { out: String::with_capacity(json.len() * 2), depth: 0 };
    let mut rest = json.trim_ascii();
    while let Some(first) = rest.bytes().next() {
        let length = token(rest, first);
        layout.write(&rest[..length], rest[length..].trim_ascii_start().bytes().next());
        rest = rest[length..].trim_ascii_start();
    }
    layout.out
}

/// How long the token is that `rest` begins with.
fn token(rest: &str, first: u8) -> usize {
    match first {
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        b'"' => {
            let mut escaped = false;
            let ends = |(at, byte): (usize, u8)| match byte {
                _ if at == 0 => None,
                _ if escaped => {
                    escaped = false;
                    None
                }
                b'\\' => {
                    escaped = true;
                    None
                }
                b'"' => Some(at + 1),
                _ => None,
            };
            rest.bytes().enumerate().find_map(ends).unwrap_or(rest.len())
        }
        _ => rest.find([',', '}', ']', ':', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
    }
}

struct Layout {
    out: String,
    depth: usize,
}

impl Layout {
    fn write(&mut self, token: &str, next: Option<u8>) {
        match token {
            "{" | "[" => {
                self.out.push_str(token);
                self.depth += 1;
                if !matches!(next, Some(b'}' | b']')) {
                    self.line();
                }
            }
            "}" | "]" => {
                self.depth = self.depth.saturating_sub(1);
                if !self.out.ends_with(['{', '[']) {
                    self.line();
                }
                self.out.push_str(token);
            }
            "," => {
                self.out.push(',');
                self.line();
            }
            ":" => self.out.push_str(": "),
            string if string.starts_with('"') => {
                let decoded = serde_json::from_str::<String>(string).ok();
                let again = decoded.and_then(|text| serde_json::to_string(&text).ok());
                self.out.push_str(&again.unwrap_or_else(|| string.to_owned()));
            }
            scalar => self.out.push_str(scalar),
        }
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', INDENT * self.depth.min(LEVELS_MAX)));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_written_is_what_is_shown() {
        let text = r#" {"z": 12345678901234567890123, "a":[ ],"z":1.50,"s":"\u0061\"\n{,", "o":{"e":{}} } "#;
        let shown = "{\n  \"z\": 12345678901234567890123,\n  \"a\": [],\n  \"z\": 1.50,\n  \"s\": \"a\\\"\\n{,\",\n  \
                     \"o\": {\n    \"e\": {}\n  }\n}";
        assert_eq!(json(text), shown);
        assert_eq!(["7", "\"x\"", "[1,2]", "no JSON"].map(json), ["7", "\"x\"", "[\n  1,\n  2\n]", "no JSON"]);
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(json(&deep).len() < 3_000_000);
    }

    proptest! {
        #[test]
        fn it_stays_the_same_value(texts in prop::collection::vec((any::<String>(), any::<f64>()), 0..5)) {
            let value = Value::Array(texts.iter().map(|(text, number)| {
                serde_json::json!({ text.as_str(): [number, text, { "n": null }] })
            }).collect());
            let shown = json(&value.to_string());
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value.clone());
            prop_assert_eq!(shown, serde_json::to_string_pretty(&value).unwrap());
        }
    }
}
