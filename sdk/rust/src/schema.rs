//! The schemas of an operation, kept to what model providers accept: no references, no `oneOf`, no formats of Rust's own integer
//! types, every object closed.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The JSON Schema 2020-12 of `T`, an object that refuses unknown fields.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(root) = &mut schema {
        // What the arguments are for is the operation's description; a second one would only confuse.
        root.remove("title");
        root.remove("description");
        root.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    }
    tidy(&mut schema);
    schema
}

/// The JSON Schema 2020-12 of `T` as it is written; `None` where any value will do, which says nothing, or where it would refer
/// to itself.
#[must_use]
pub fn of_result<T: JsonSchema>() -> Option<Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    let root = schema.as_object_mut().filter(|root| !root.contains_key("$defs"))?;
    root.remove("title");
    if root.is_empty() {
        return None;
    }
    tidy(&mut schema);
    Some(schema)
}

/// Joins the lines of a paragraph, as they were broken for the width of the source. Blank lines, list items and indented
/// lines stay where they are.
#[must_use]
pub fn reflow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end) {
        let begins_its_own = line.is_empty() || line.starts_with([' ', '-', '*', '#', '|']) || line.starts_with("```");
        let joins = !begins_its_own && !out.is_empty() && !out.ends_with('\n');
        if joins {
            out.push(' ');
        } else if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
        if line.is_empty() {
            out.push('\n');
        }
    }
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out.trim_end().to_owned()
}

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => tidy_object(object),
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn tidy_object(object: &mut Map<String, Value>) {
    merge_constants(object);
    if let Some(alternatives) = object.remove("oneOf") {
        // Providers know `anyOf` only. Our alternatives exclude each other, so that it means the same.
        object.insert("anyOf".to_owned(), alternatives);
    }
    if let Some(format) = object.get("format").and_then(Value::as_str)
        && ["int", "uint", "float", "double"].iter().any(|known| format.starts_with(known))
    {
        object.remove("format");
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = reflow(description);
    }
    for (key, value) in &mut *object {
        match key.as_str() {
            // Names of fields, not keywords.
            "properties" | "$defs" => {
                if let Value::Object(fields) = value {
                    fields.values_mut().for_each(tidy);
                }
            }
            "enum" | "const" | "default" | "examples" => {}
            _ => tidy(value),
        }
    }
    flatten_alternatives(object);
    if object.get("type").and_then(Value::as_str) == Some("object") && object.contains_key("properties") {
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
}

/// An optional value that is itself one of several becomes one list of alternatives.
fn flatten_alternatives(object: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = object.get_mut("anyOf") else { return };
    let mut flat = Vec::with_capacity(alternatives.len());
    for alternative in std::mem::take(alternatives) {
        match alternative {
            Value::Object(mut inner) if inner.keys().all(|key| key == "anyOf" || key == "description") => {
                match inner.remove("anyOf") {
                    Some(Value::Array(several)) => flat.extend(several),
                    _ => flat.push(Value::Object(inner)),
                }
            }
            other => flat.push(other),
        }
    }
    *alternatives = flat;
}

/// An enum whose variants have doc comments comes as `oneOf` of constants. It becomes one `enum`, and the comments become
/// lines of its description.
fn merge_constants(object: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = object.get("oneOf") else { return };
    let mut names = Vec::new();
    let mut lines = Vec::new();
    for alternative in alternatives {
        let described = alternative.get("description").and_then(Value::as_str);
        match (alternative.get("const"), alternative.get("enum")) {
            (Some(name), None) => {
                if let (Some(text), Some(name)) = (described, name.as_str()) {
                    lines.push(format!("- `{name}`: {}", reflow(text)));
                }
                names.push(name.clone());
            }
            (None, Some(Value::Array(several))) => names.extend(several.iter().cloned()),
            _ => return,
        }
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), "string".into());
    object.insert("enum".to_owned(), Value::Array(names));
    if !lines.is_empty() {
        let head =
            object.get("description").and_then(Value::as_str).map(|text| format!("{text}\n")).unwrap_or_default();
        object.insert("description".to_owned(), format!("{head}{}", lines.join("\n")).into());
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Search {
        /// What to look for,
        /// as a regular expression.
        pattern: String,
        /// At most this many.
        limit: Option<u32>,
        order: Order,
        #[serde(default)]
        within: Vec<Place>,
        value: Option<OneOrMore>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }

    /// How to sort.
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Order {
        /// By name.
        ByName,
        /// The oldest first.
        OldestFirst,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Place {
        title: String,
    }

    #[test]
    fn a_schema_stays_inside_what_providers_accept() {
        let expected = json!({
            "type": "object",
            "properties": {
                "pattern": {"description": "What to look for, as a regular expression.", "type": "string"},
                "limit": {"description": "At most this many.", "type": ["integer", "null"], "minimum": 0},
                "order": {
                    "description": "How to sort.\n- `by_name`: By name.\n- `oldest_first`: The oldest first.",
                    "type": "string",
                    "enum": ["by_name", "oldest_first"],
                },
                "within": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"title": {"type": "string"}},
                        "required": ["title"],
                        "additionalProperties": false,
                    },
                },
                "value": {"anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "null"},
                ]},
            },
            "required": ["pattern", "order"],
            "additionalProperties": false,
        });
        assert_eq!(of::<Search>(), expected);
    }

    #[derive(serde::Serialize, JsonSchema)]
    struct Found {
        /// How many.
        count: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<Spot>,
    }

    #[derive(serde::Serialize, JsonSchema)]
    struct Spot {
        line: u32,
    }

    #[test]
    fn a_result_has_the_schema_of_what_is_written() {
        let place = json!({
            "type": ["object", "null"],
            "properties": {"line": {"type": "integer", "minimum": 0}},
            "required": ["line"],
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "count": {"description": "How many.", "type": "integer", "minimum": 0},
                "first": place,
            },
            "required": ["count"],
            "additionalProperties": false,
        });
        assert_eq!(of_result::<Found>(), Some(expected));
        assert_eq!(of_result::<Vec<bool>>(), Some(json!({"type": "array", "items": {"type": "boolean"}})));
        assert_eq!(of_result::<Value>(), None);
    }

    #[test]
    fn no_arguments_are_an_empty_closed_object() {
        let expected = json!({"type": "object", "properties": {}, "additionalProperties": false});
        assert_eq!(of::<crate::arguments::NoArgs>(), expected);
    }

    #[test]
    fn paragraphs_are_joined_and_lists_are_not() {
        let text = "One\n`two`.\n\nThree:\n- four\n- five\n  more";
        assert_eq!(reflow(text), "One `two`.\n\nThree:\n- four\n- five\n  more");
    }
}
