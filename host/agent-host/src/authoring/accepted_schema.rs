//! Whether model providers accept the schema of a tool's arguments: what OpenAI and Anthropic document, the narrower where they
//! differ. One tool outside of it, and a provider refuses the whole request, with all other tools in it. Schemas that are made of WIT
//! types or by the SDK keep to it; a component may also write its own. Pure: `tool check` says what is found.

use serde_json::Value;

/// Keywords that each of them takes, also where it holds a model to the schema.
const KEYWORDS: [&str; 19] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
];
/// Keywords that none of them takes at the outermost level: arguments are one object.
const NOT_OUTERMOST: [&str; 5] = ["allOf", "anyOf", "enum", "not", "oneOf"];
/// Levels of objects and arrays in each other.
const DEPTH_MAX: usize = 10;
/// Properties of all objects together.
const PROPERTIES_MAX: usize = 5_000;
/// Values of all enums together.
const ENUM_VALUES_MAX: usize = 1_000;
/// Bytes in the name of a property.
const PROPERTY_BYTES_MAX: usize = 64;
/// Problems that are told of one schema: its author needs the first few.
const PROBLEMS_MAX: usize = 8;
/// Characters that are told of a name.
const NAME_CHARS_MAX: usize = 40;

/// What providers would refuse a schema for, in lines for a person, each with its place. Nothing where they take it.
#[must_use]
pub fn problems(schema: &Value) -> Vec<String> {
    let mut look = Look { found: Vec::new(), properties: 0, enum_values: 0 };
    if schema["type"] != "object" {
        look.say("", "it is not of type `object`");
    }
    look.at(schema, "", 0);
    if look.properties > PROPERTIES_MAX {
        look.say("", &format!("it has more than {PROPERTIES_MAX} properties"));
    }
    if look.enum_values > ENUM_VALUES_MAX {
        look.say("", &format!("its enums have more than {ENUM_VALUES_MAX} values"));
    }
    look.found
}

/// What has been seen so far.
struct Look {
    found: Vec<String>,
    properties: usize,
    enum_values: usize,
}

impl Look {
    fn say(&mut self, place: &str, problem: &str) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(if place.is_empty() { problem.to_owned() } else { format!("`{place}`: {problem}") });
        }
    }

    /// Calls itself as deep as JSON is nested that a component may give.
    fn at(&mut self, schema: &Value, place: &str, depth: usize) {
        let Value::Object(members) = schema else { return self.say(place, "it is no object") };
        if depth > DEPTH_MAX {
            return self.say(place, &format!("it is nested deeper than {DEPTH_MAX}"));
        }
        for (keyword, value) in members {
            let is_outermost = place.is_empty() && NOT_OUTERMOST.contains(&keyword.as_str());
            if is_outermost {
                self.say(place, &format!("`{keyword}` at the outermost level"));
            } else if !KEYWORDS.contains(&keyword.as_str()) {
                self.say(place, &format!("the keyword `{}`", told(keyword)));
            } else {
                self.inside(keyword, value, place, depth);
            }
        }
        let is_array =
            |kind: &Value| kind == "array" || kind.as_array().is_some_and(|kinds| kinds.contains(&"array".into()));
        if members.get("type").is_some_and(is_array) && !members.contains_key("items") {
            self.say(place, "an array without `items`");
        }
    }

    fn inside(&mut self, keyword: &str, value: &Value, place: &str, depth: usize) {
        match (keyword, value) {
            ("properties" | "$defs", Value::Object(named)) => {
                let parent = if keyword == "$defs" { below(place, keyword) } else { place.to_owned() };
                for (name, schema) in named {
                    let place = below(&parent, &told(name));
                    self.properties += 1;
                    if !is_property(name) {
                        let rule =
                            format!("its name is not of 1 to {PROPERTY_BYTES_MAX} letters, digits, `_`, `.` and `-`");
                        self.say(&place, &rule);
                    }
                    self.at(schema, &place, depth + 1);
                }
            }
            ("items", schema) => self.at(schema, &format!("{place}[]"), depth + 1),
            ("additionalProperties", schema @ Value::Object(_)) => self.at(schema, &below(place, "*"), depth + 1),
            ("anyOf", Value::Array(schemas)) => {
                for (index, schema) in schemas.iter().enumerate() {
                    self.at(schema, &below(place, &format!("anyOf[{index}]")), depth);
                }
            }
            ("enum", Value::Array(values)) => self.enum_values += values.len(),
            // The others hold no schema.
            _ => {}
        }
    }
}

fn is_property(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=PROPERTY_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain)
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// As much of a name as a line needs.
fn told(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// Arguments with one property.
    fn with(property: &Value) -> Value {
        json!({ "type": "object", "properties": { "a": property }, "required": ["a"], "additionalProperties": false })
    }

    #[test]
    fn what_providers_accept_has_no_problem() {
        let choice =
            json!({ "anyOf": [{ "type": "string", "enum": ["all"] }, { "type": "null" }], "description": "Which." });
        let list = json!({ "type": "array", "items": choice, "minItems": 1, "maxItems": 9 });
        for schema in [json!({ "type": "object" }), with(&json!({})), with(&list), with(&with(&with(&list)))] {
            assert_eq!(problems(&schema), Vec::<String>::new(), "{schema}");
        }
    }

    #[test]
    fn what_a_provider_refuses_is_told_with_its_place() {
        let name = "n".repeat(PROPERTY_BYTES_MAX + 1);
        let cut = format!("{}…", "n".repeat(NAME_CHARS_MAX));
        let rule = "its name is not of 1 to 64 letters, digits, `_`, `.` and `-`";
        for (schema, expected) in [
            (json!({ "type": "string" }), vec!["it is not of type `object`".to_owned()]),
            (json!({ "type": "object", "allOf": [] }), vec!["`allOf` at the outermost level".to_owned()]),
            (json!({ "type": "object", "if": {} }), vec!["the keyword `if`".to_owned()]),
            (with(&json!({ "oneOf": [] })), vec!["`a`: the keyword `oneOf`".to_owned()]),
            (with(&json!(true)), vec!["`a`: it is no object".to_owned()]),
            (with(&json!({ "type": "array" })), vec!["`a`: an array without `items`".to_owned()]),
            (with(&json!({ "type": ["array", "null"] })), vec!["`a`: an array without `items`".to_owned()]),
            (
                with(&json!({ "items": { "anyOf": [{}, { "not": {} }] } })),
                vec!["`a[].anyOf[1]`: the keyword `not`".to_owned()],
            ),
            (
                with(&json!({ "additionalProperties": { "uniqueItems": true } })),
                vec!["`a.*`: the keyword `uniqueItems`".to_owned()],
            ),
            (
                json!({ "type": "object", "properties": { name: {}, "a b": {}, "": {} } }),
                vec![format!("`{cut}`: {rule}"), format!("`a b`: {rule}"), rule.to_owned()],
            ),
        ] {
            assert_eq!(problems(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn what_there_is_too_much_of_is_told() {
        let deep = |levels: usize| (0..levels).fold(json!({}), |inner, _| with(&inner));
        assert_eq!(problems(&deep(DEPTH_MAX)), Vec::<String>::new());
        assert_eq!(problems(&deep(DEPTH_MAX + 1)), [format!("`{}`: it is nested deeper than 10", ["a"; 11].join("."))]);
        let properties = |count: usize| {
            let named: Map<_, _> = (0..count).map(|number| (format!("p{number}"), json!({}))).collect();
            json!({ "type": "object", "properties": named })
        };
        assert_eq!(problems(&properties(PROPERTIES_MAX)), Vec::<String>::new());
        assert_eq!(problems(&properties(PROPERTIES_MAX + 1)), ["it has more than 5000 properties"]);
        let values: Vec<_> = (0..=ENUM_VALUES_MAX).collect();
        assert_eq!(problems(&with(&json!({ "enum": values }))), ["its enums have more than 1000 values"]);
        let odd: Map<_, _> = (0..100).map(|number| (format!("x{number}"), json!({}))).collect();
        assert_eq!(problems(&with(&Value::Object(odd))).len(), PROBLEMS_MAX);
    }
}
