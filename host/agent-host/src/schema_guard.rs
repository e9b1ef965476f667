//! Looks at the schema that a component wrote for its own tool, before any arguments are checked by it. Checking runs in the
//! host, where no fuel counts: what a stranger wrote must not decide how long it takes. `toolset` asks at load.

use agent_core::json::JsonText;
use serde_json::{Map, Value};

use crate::arguments;

/// Most subschemas that one look at arguments may meet, references followed. A large honest one has some hundreds; each may be
/// met once for each of ten thousand values.
const SUBSCHEMAS_MAX: usize = 2_000;

/// Most patterns among them: each may be looked for in a mebibyte of text.
const PATTERNS_MAX: usize = 100;

/// Most references followed one from another.
const REFERENCES_MAX: usize = 32;

/// Refuses a schema that refers to itself or to another document, that grows without measure when its references are
/// followed, or that cannot be used at all.
///
/// # Errors
/// What is wrong with it.
pub fn check(schema: &JsonText) -> Result<(), String> {
    let value = schema.to_value().map_err(|error| error.to_string())?;
    let mut walk = Walk { root: &value, met: 0, patterns: 0, followed: Vec::new() };
    walk.schema(&value)?;
    arguments::compile(schema).map(|_| ())
}

struct Walk<'s> {
    root: &'s Value,
    met: usize,
    patterns: usize,
    /// The references that led here.
    followed: Vec<&'s str>,
}

impl<'s> Walk<'s> {
    fn schema(&mut self, schema: &'s Value) -> Result<(), String> {
        self.met += 1;
        if self.met > SUBSCHEMAS_MAX {
            return Err(format!("it has more than {SUBSCHEMAS_MAX} parts when its references are followed"));
        }
        match schema {
            Value::Object(keywords) => keywords.iter().try_for_each(|(keyword, value)| self.keyword(keyword, value)),
            // `true`, `false`, or no schema.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(()),
        }
    }

    fn keyword(&mut self, keyword: &'s str, value: &'s Value) -> Result<(), String> {
        match (keyword, value) {
            // Data, or schemas that count where they are referred to.
            ("const" | "enum" | "default" | "examples" | "$defs" | "definitions", _) => Ok(()),
            ("patternProperties", Value::Object(named)) => {
                self.count_patterns(named.len())?;
                self.each(named)
            }
            ("properties" | "dependentSchemas", Value::Object(named)) => self.each(named),
            ("pattern", Value::String(_)) => self.count_patterns(1),
            ("$ref", Value::String(reference)) => self.follow(reference),
            ("$dynamicRef" | "$recursiveRef", _) => {
                Err(format!("it uses `{keyword}`, which this host does not follow"))
            }
            ("$id", _) if !self.followed.is_empty() || self.met > 1 => {
                Err("it holds a document of its own (`$id`) inside".to_owned())
            }
            (_, Value::Object(_)) => self.schema(value),
            (_, Value::Array(schemas)) => schemas.iter().try_for_each(|schema| self.schema(schema)),
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(()),
        }
    }

    fn count_patterns(&mut self, more: usize) -> Result<(), String> {
        self.patterns += more;
        if self.patterns > PATTERNS_MAX {
            return Err(format!("it has more than {PATTERNS_MAX} patterns when its references are followed"));
        }
        Ok(())
    }

    fn each(&mut self, named: &'s Map<String, Value>) -> Result<(), String> {
        named.values().try_for_each(|schema| self.schema(schema))
    }

    fn follow(&mut self, reference: &'s str) -> Result<(), String> {
        let Some(pointer) = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Err("it refers to something outside itself, and nothing is fetched".to_owned());
        };
        if pointer.is_empty() || self.followed.contains(&reference) {
            return Err("it refers to itself, so it has no end".to_owned());
        }
        if self.followed.len() == REFERENCES_MAX {
            return Err(format!("it follows more than {REFERENCES_MAX} references one from another"));
        }
        let target = self.root.pointer(pointer).ok_or("it refers to a part that it does not have")?;
        self.followed.push(reference);
        self.schema(target)?;
        self.followed.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn said(schema: &str) -> String {
        let schema = JsonText::parse(schema).map_err(|error| error.to_string());
        schema.and_then(|schema| check(&schema)).err().unwrap_or_else(|| "fine".to_owned())
    }

    #[test]
    fn honest_schemas_are_fine() {
        assert_eq!(said(r#"{"type":"object"}"#), "fine");
        let shared = r##"{"type":"object","properties":{"from":{"$ref":"#/$defs/place"},"to":{"$ref":"#/$defs/place"},
            "$ref":{"type":"string"},"kind":{"enum":[{"$ref":"x"}]}},"$defs":{"place":{"type":"string","pattern":"^[a-z]+$"}}}"##;
        assert_eq!(said(shared), "fine");
    }

    #[test]
    fn schemas_without_end_or_from_elsewhere_are_refused() {
        assert!(said(r##"{"type":"object","$ref":"#"}"##).contains("refers to itself"));
        let round =
            r##"{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}"##;
        assert!(said(round).contains("refers to itself"));
        for elsewhere in ["https://example.org/schema", "file:///etc/passwd", "other.json", "#anchor"] {
            assert!(said(&format!(r#"{{"$ref":"{elsewhere}"}}"#)).contains("outside itself"), "{elsewhere}");
        }
        assert!(said(r##"{"$dynamicRef":"#x"}"##).contains("$dynamicRef"));
        assert!(said(r#"{"properties":{"a":{"$id":"https://example.org/"}}}"#).contains("$id"));
        assert!(said(r##"{"$ref":"#/$defs/none"}"##).contains("does not have"));
    }

    #[test]
    fn schemas_that_grow_without_measure_are_refused() {
        let mut bomb = r##"{"$ref":"#/$defs/d0","$defs":{"##.to_owned();
        for level in 0..30 {
            let next = level + 1;
            let _ = write!(
                bomb,
                r##""d{level}":{{"allOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}},"##
            );
        }
        bomb.push_str(r#""d30":true}}"#);
        assert!(said(&bomb).contains("more than 2000 parts"));
    }

    #[test]
    fn patterns_are_few() {
        let patterns = |count: usize| {
            let parts: Vec<_> = (0..count).map(|number| format!(r#"{{"pattern":"a{number}"}}"#)).collect();
            said(&format!(r#"{{"allOf":[{}]}}"#, parts.join(",")))
        };
        assert_eq!(patterns(PATTERNS_MAX), "fine");
        assert!(patterns(PATTERNS_MAX + 1).contains("more than 100 patterns"));
        assert_eq!(said(r#"{"properties":{"pattern":{"type":"string"}}}"#), "fine", "a property of that name is none");
    }

    #[test]
    fn patterns_take_linear_time() {
        assert!(said(r#"{"properties":{"a":{"pattern":"(a)\\1"}}}"#).contains("not usable"));
        assert!(said(r#"{"properties":{"a":{"pattern":"((((a{100}){100}){100}){100})"}}}"#).contains("not usable"));
        let schema =
            JsonText::parse(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#).map_err(|error| error.to_string());
        let text = format!(r#"{{"a":"{}!"}}"#, "a".repeat(50_000));
        let started = std::time::Instant::now();
        let checked = schema.and_then(|schema| arguments::check(&text, &schema));
        assert!(checked.is_err() && started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }
}
