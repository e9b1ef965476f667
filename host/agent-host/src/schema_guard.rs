//! Looks at the schema that a component wrote for its own tool, before any arguments are checked by it. Checking runs in the
//! host, where no fuel counts: what a stranger wrote must not decide how long it takes. `toolset` asks at load, `own_schema`
//! before it makes a checker.

use agent_core::json::JsonText;
use serde_json::{Map, Value};

use crate::own_schema;

/// Most subschemas that one look at arguments may meet, references followed. A large honest one has some hundreds; each may be
/// met once for each of ten thousand values.
const SUBSCHEMAS_MAX: usize = 2_000;

/// Most patterns among them: each is compiled, and those for names are looked for in every name. Large honest schemas have a few.
const PATTERNS_MAX: usize = 20;

/// Most bytes of the values that parts quote (`enum`, `const`, and the schema that is not to fit): a value is compared with each
/// of them, ten thousand times. A list of all time zones has 12 KiB.
const QUOTED_BYTES_MAX: usize = 256 << 10;

/// Most references followed one from another.
const REFERENCES_MAX: usize = 32;

/// Refuses a schema that refers to itself or to another document, that grows without measure when its references are
/// followed, or that cannot be used at all.
///
/// # Errors
/// What is wrong with it.
pub fn check(schema: &JsonText) -> Result<(), String> {
    let value = schema.to_value().map_err(|error| error.to_string())?;
    outline(&value)?;
    own_schema::build(&value).map(drop)
}

/// How much there is of a schema when its references are followed: what a look at a value by it may cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outline {
    /// Subschemas.
    pub parts: usize,
    /// Patterns.
    pub patterns: usize,
    /// Those of them that are looked for in names.
    pub name_patterns: usize,
    /// Bytes of what values are compared with.
    pub quoted_bytes: usize,
    /// Bytes of schemas that are not to fit: each error holds one.
    pub negated_bytes: usize,
    /// Parts of which it is enough that one fits (`anyOf`, `oneOf`): their error holds all errors of each.
    pub choices: usize,
}

/// Walks through all of a schema.
///
/// # Errors
/// As [`check`]; it is not seen whether it can be used.
pub fn outline(schema: &Value) -> Result<Outline, String> {
    let mut walk = Walk { root: schema, seen: Outline::default(), followed: Vec::new(), asked_again: false };
    walk.schema(schema)?;
    Ok(walk.seen)
}

/// Keywords by which a schema asks its parts a second time: what of the value have they looked at?
const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

struct Walk<'s> {
    root: &'s Value,
    seen: Outline,
    /// The references that led here.
    followed: Vec<&'s str>,
    /// Whether a schema above asks all that is met here a second time.
    asked_again: bool,
}

impl<'s> Walk<'s> {
    fn schema(&mut self, schema: &'s Value) -> Result<(), String> {
        self.seen.parts += 1;
        if self.seen.parts > SUBSCHEMAS_MAX {
            return Err(format!("it has more than {SUBSCHEMAS_MAX} parts when its references are followed"));
        }
        match schema {
            Value::Object(keywords) => self.keywords(keywords),
            // `true`, `false`, or no schema.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(()),
        }
    }

    /// Each level that asks its parts again doubles what all levels below it take: thirty of them would take days.
    fn keywords(&mut self, keywords: &'s Map<String, Value>) -> Result<(), String> {
        let asks = UNEVALUATED.into_iter().find(|keyword| keywords.contains_key(*keyword));
        if let Some(keyword) = asks.filter(|_| self.asked_again) {
            return Err(format!("it has `{keyword}` in a part that another `unevaluated…` asks again"));
        }
        let before = self.asked_again;
        keywords.iter().try_for_each(|(keyword, value)| {
            self.asked_again = before || (asks.is_some() && !is_asked_once(keyword));
            self.keyword(keyword, value)
        })?;
        self.asked_again = before;
        Ok(())
    }

    fn keyword(&mut self, keyword: &'s str, value: &'s Value) -> Result<(), String> {
        match (keyword, value) {
            // Data, or schemas that count where they are referred to.
            ("default" | "examples" | "$defs" | "definitions", _) => Ok(()),
            ("const" | "enum", value) => self.count_quoted(value).map(drop),
            ("patternProperties", Value::Object(named)) => {
                self.seen.name_patterns += named.len();
                self.count_patterns(named.len())?;
                self.each(named)
            }
            ("anyOf" | "oneOf", Value::Array(schemas)) => {
                self.seen.choices += schemas.len();
                schemas.iter().try_for_each(|schema| self.schema(schema))
            }
            ("not", schema) => {
                self.seen.negated_bytes += self.count_quoted(schema)?;
                self.schema(schema)
            }
            ("properties" | "dependentSchemas", Value::Object(named)) => self.each(named),
            ("pattern", Value::String(_)) => self.count_patterns(1),
            ("$ref", Value::String(reference)) => self.follow(reference),
            ("$dynamicRef" | "$recursiveRef", _) => {
                Err(format!("it uses `{keyword}`, which this host does not follow"))
            }
            ("$id", _) if !self.followed.is_empty() || self.seen.parts > 1 => {
                Err("it holds a document of its own (`$id`) inside".to_owned())
            }
            (_, Value::Object(_)) => self.schema(value),
            (_, Value::Array(schemas)) => schemas.iter().try_for_each(|schema| self.schema(schema)),
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(()),
        }
    }

    fn count_patterns(&mut self, more: usize) -> Result<(), String> {
        self.seen.patterns += more;
        if self.seen.patterns > PATTERNS_MAX {
            return Err(format!("it has more than {PATTERNS_MAX} patterns when its references are followed"));
        }
        Ok(())
    }

    fn count_quoted(&mut self, value: &Value) -> Result<usize, String> {
        let bytes = value.to_string().len();
        self.seen.quoted_bytes += bytes;
        if self.seen.quoted_bytes > QUOTED_BYTES_MAX {
            return Err(format!(
                "what it quotes (`enum`, `const`, `not`) is more than {QUOTED_BYTES_MAX} bytes when its references are followed"
            ));
        }
        Ok(bytes)
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

/// Whether what stands under a keyword is looked at once, also where `unevaluated…` stands beside it: it is for other values than
/// the schema's own, and that it is there is enough.
fn is_asked_once(keyword: &str) -> bool {
    matches!(
        keyword,
        "properties" | "patternProperties" | "additionalProperties" | "propertyNames" | "items" | "prefixItems"
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::arguments;

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
        assert!(patterns(PATTERNS_MAX + 1).contains("more than 20 patterns"));
        assert_eq!(said(r#"{"properties":{"pattern":{"type":"string"}}}"#), "fine", "a property of that name is none");
    }

    /// Thirty levels would be 2^30 looks at the innermost part, and more.
    #[test]
    fn parts_that_are_asked_twice_at_each_level_are_refused() {
        let nested = |levels: usize| {
            let mut schema = r#"{"properties":{"a":true}}"#.to_owned();
            for _ in 0..levels {
                schema = format!(r#"{{"anyOf":[{schema},false],"unevaluatedProperties":false}}"#);
            }
            schema
        };
        assert_eq!(said(&nested(1)), "fine");
        assert!(said(&nested(2)).contains("`unevaluatedProperties` in a part that another"));
        let by_values = r##"{"allOf":[{"properties":{"a":{"$ref":"#/$defs/b"}}}],"unevaluatedProperties":false,
            "$defs":{"b":{"unevaluatedItems":false}}}"##;
        assert!(said(by_values).contains("`unevaluatedItems` in a part that another"));
        let honest = r#"{"properties":{"a":{"allOf":[{"properties":{"b":true}}],"unevaluatedProperties":false}},
            "allOf":[{"required":["a"]}],"unevaluatedProperties":false}"#;
        assert_eq!(said(honest), "fine", "each is asked of another value, once");
        let schema = JsonText::parse(&nested(30)).map_err(|error| error.to_string());
        let started = std::time::Instant::now();
        assert!(schema.and_then(|schema| arguments::check(r#"{"a":1}"#, &schema)).is_err());
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn what_values_are_compared_with_is_little() {
        let numbers: Vec<String> = (0..9_000).map(|number| number.to_string()).collect();
        let listed = format!(r#"{{"enum":[{}]}}"#, numbers.join(","));
        assert_eq!(said(&listed), "fine");
        let each = [r##"{"$ref":"#/$defs/many"}"##; 10].join(",");
        let often = format!(r#"{{"allOf":[{each}],"$defs":{{"many":{listed}}}}}"#);
        assert!(said(&often).contains("more than 262144 bytes"));
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
