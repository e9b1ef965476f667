//! A JSON text as a bounded tree. Numbers keep their text, so that the type decides how to read them; a key that occurs
//! twice is an error, since two readers of it might disagree.
//!
//! `serde_json` does all the lexing: each level borrows its children as raw text. So a level's text is read once for each
//! level above it, which [`DEPTH_MAX`] bounds, and no depth of nesting can overflow the stack.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, Mismatch, NODES_MAX, Path};

/// One JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// In the order written; no key twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads `text`, which `root` names in errors.
    pub(crate) fn parse(text: &'a str, root: &str) -> Result<Self, Mismatch> {
        let path = Path::root(root);
        let raw = serde_json::from_str::<&RawValue>(text).map_err(|error| path.mismatch(error.to_string()))?;
        Reader { nodes_left: NODES_MAX }.read(raw.get(), &path, DEPTH_MAX)
    }

    /// What it is, for messages: `a string`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

struct Reader {
    nodes_left: usize,
}

impl Reader {
    fn read<'a>(&mut self, text: &'a str, path: &Path<'_>, depth_left: usize) -> Result<Json<'a>, Mismatch> {
        self.nodes_left =
            self.nodes_left.checked_sub(1).ok_or_else(|| path.mismatch(format!("more than {NODES_MAX} values")))?;
        match text.as_bytes().first() {
            Some(b'{') => self.read_object(text, path, deeper(depth_left, path)?),
            Some(b'[') => self.read_array(text, path, deeper(depth_left, path)?),
            Some(b'"') => Ok(Json::String(leaf::<Text<'a>>(text, path)?.0)),
            Some(b't' | b'f') => Ok(Json::Bool(leaf(text, path)?)),
            Some(b'n') => Ok(Json::Null),
            _ => Ok(Json::Number(text)),
        }
    }

    fn read_array<'a>(&mut self, text: &'a str, path: &Path<'_>, depth_left: usize) -> Result<Json<'a>, Mismatch> {
        let items = leaf::<Vec<&RawValue>>(text, path)?;
        let read = |(index, item): (usize, &&'a RawValue)| self.read(item.get(), &path.item(index), depth_left);
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Json::Array)
    }

    fn read_object<'a>(&mut self, text: &'a str, path: &Path<'_>, depth_left: usize) -> Result<Json<'a>, Mismatch> {
        let Entries(entries) = leaf(text, path)?;
        let mut fields = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let value = self.read(value.get(), &path.field(&key), depth_left)?;
            fields.push((key, value));
        }
        Ok(Json::Object(fields))
    }
}

fn deeper(depth_left: usize, path: &Path<'_>) -> Result<usize, Mismatch> {
    depth_left.checked_sub(1).ok_or_else(|| path.mismatch(format!("nested deeper than {DEPTH_MAX}")))
}

fn leaf<'a, T: Deserialize<'a>>(text: &'a str, path: &Path<'_>) -> Result<T, Mismatch> {
    serde_json::from_str(text).map_err(|error| path.mismatch(error.to_string()))
}

/// A string, borrowed where it holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of one object in order, their values unread.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let (mut entries, mut seen) = (Vec::new(), HashSet::new());
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key `{}` occurs twice", super::excerpt(&key))));
                    }
                    if entries.len() == NODES_MAX {
                        return Err(A::Error::custom(format!("more than {NODES_MAX} values")));
                    }
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The integer that a JSON number denotes, whatever its notation (`5`, `5.0`, `5e0`), or nothing if it is none or needs more
/// than 38 digits. Exact: no float is involved.
pub(crate) fn exact_integer(number: &str) -> Option<i128> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |digits| (true, digits));
    let digits = format!("{whole}{fraction}");
    let (leading, digits) = (digits.len(), digits.trim_start_matches('0'));
    if leading == 0 || !number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
        return None;
    }
    if digits.is_empty() {
        return Some(0);
    }
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let scale = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros)?;
    let scale = u32::try_from(scale).ok().filter(|scale| *scale <= INTEGER_DIGITS_MAX)?;
    (significant.len() <= INTEGER_DIGITS_MAX as usize).then_some(())?;
    let magnitude = significant.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(scale)?)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// Digits that surely fit into an `i128`, and more than any WIT integer has.
const INTEGER_DIGITS_MAX: u32 = 38;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Json::parse(text, "arguments").map_or_else(|error| error.to_string(), |json| format!("parsed: {json:?}"))
    }

    #[test]
    fn a_tree_keeps_numbers_as_written_and_order() {
        let parsed = Json::parse(r#" {"b": [1e400, null], "a": "\u0041é"} "#, "arguments");
        let expected = Json::Object(vec![
            ("b".into(), Json::Array(vec![Json::Number("1e400"), Json::Null])),
            ("a".into(), Json::String("Aé".into())),
        ]);
        assert_eq!(parsed, Ok(expected));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        assert!(error(r#"{"a":{"x":1,"x":2}}"#).starts_with("arguments.a: the key `x` occurs twice"));
        assert!(error("{\"a\":01}").starts_with("arguments: "));
        assert!(error("").starts_with("arguments: "));
        assert!(error("\u{a0}{}").starts_with("arguments: "), "no whitespace of JSON's");
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(error(&deep).ends_with("nested deeper than 64"), "{}", error(&deep));
        let at_the_bound = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(error(&at_the_bound).starts_with("parsed"));
        let many = format!("[{}0]", "0,".repeat(NODES_MAX));
        assert!(error(&many).ends_with("more than 10000 values"), "{}", error(&many));
    }

    #[test]
    fn integers_are_exact_in_every_notation() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.0e99", Some(0)),
            ("5.0", Some(5)),
            ("-5e2", Some(-500)),
            ("12.50e1", Some(125)),
            ("1200e-2", Some(12)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("4503599627370496.3", None),
            ("1e39", None),
            ("1e99999999999999999999", None),
            ("5.5", None),
        ];
        for (text, expected) in cases {
            assert_eq!(exact_integer(text), expected, "{text}");
        }
        assert_eq!(exact_integer(&"9".repeat(10_000)), None);
    }
}
