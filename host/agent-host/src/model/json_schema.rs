//! A tool's JSON Schema cut down to what grammar-constrained servers understand, and shown to a model in one line. The
//! result may allow more than the original, since the arguments are checked against the original before a tool starts.
//! Called by `json_mode`.

use serde_json::{Map, Value, json};

/// Deepest nesting that is kept; below, any value goes. Also ends recursive schemas.
const DEPTH_MAX: usize = 12;

/// Most parts of one tool's schema, since references can multiply. The rest allows any value.
const PARTS_MAX: usize = 500;

/// Largest repetition in a grammar: llama.cpp refuses 2000 and more, and large ones are slow.
const REPEAT_MAX: u64 = 1000;

/// Largest bound of an integer in a grammar. Wider ones are long to spell out and rule out little.
const BOUND_MAX: i64 = 1_000_000_000;

/// Longest line that shows a tool's arguments.
const SIGNATURE_BYTES_MAX: usize = 600;

/// Longest description of one argument in that line.
const NOTE_BYTES_MAX: usize = 100;

/// Most references from one place before they count as a circle.
const REFERENCES_MAX: usize = 16;

/// The part of `schema` that grammars are made of. References are written out; an optional field becomes one that may be
/// null, because strict servers want all fields required.
pub(super) fn constrained(schema: &Value) -> Value {
    Cutter { root: schema, parts: 0 }.cut(schema, 0)
}

/// `arguments` without the nulls that stand for fields left out.
pub(super) fn without_absent(arguments: Value, schema: &Value) -> Value {
    strip(arguments, schema, schema, 0)
}

/// The arguments in one line: `{"path": string (what to read), "lines": integer or null}`.
pub(super) fn signature(schema: &Value) -> String {
    super::failure::plain(&shown(&constrained_with_notes(schema)), SIGNATURE_BYTES_MAX)
}

fn constrained_with_notes(schema: &Value) -> Value {
    let mut cut = constrained(schema);
    let notes = properties(schema, schema).into_iter().flatten();
    for (name, property) in notes {
        let note = resolved(property, schema).get("description").or(property.get("description"));
        if let (Some(note), Some(target)) =
            (note.and_then(Value::as_str), cut.pointer_mut("/properties").and_then(|all| all.get_mut(name)))
        {
            target["description"] = super::failure::plain(note, NOTE_BYTES_MAX).into();
        }
    }
    cut
}

struct Cutter<'a> {
    root: &'a Value,
    parts: usize,
}

impl Cutter<'_> {
    fn cut(&mut self, schema: &Value, depth: usize) -> Value {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return json!({});
        }
        let schema = resolved(schema, self.root);
        if let Some(constant) = schema.get("const") {
            return json!({ "const": constant });
        }
        if let Some(values) = schema.get("enum") {
            return json!({ "enum": values });
        }
        if schema.get("properties").is_none() {
            if let Some(Value::Array(choices)) = schema.get("anyOf").or(schema.get("oneOf")) {
                return self.any_of(choices, depth);
            }
            if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
                return self.cut(only, depth + 1);
            }
        }
        match schema.get("type") {
            Some(Value::Array(types)) => {
                let choices: Vec<Value> = types.iter().map(|one| with_type(schema, one)).collect();
                self.any_of(&choices, depth)
            }
            Some(Value::String(one)) => self.typed(one, schema, depth),
            _ if schema.get("properties").is_some() => self.object(schema, depth),
            _ => json!({}),
        }
    }

    fn any_of(&mut self, choices: &[Value], depth: usize) -> Value {
        let choices: Vec<Value> = choices.iter().map(|choice| self.cut(choice, depth + 1)).collect();
        json!({ "anyOf": choices })
    }

    fn typed(&mut self, one: &str, schema: &Value, depth: usize) -> Value {
        match one {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => {
                with_bounds(json!({ "type": "string" }), schema, ["minLength", "maxLength"], 0, REPEAT_MAX as i64)
            }
            "integer" => {
                with_bounds(json!({ "type": "integer" }), schema, ["minimum", "maximum"], -BOUND_MAX, BOUND_MAX)
            }
            "number" | "boolean" | "null" => json!({ "type": one }),
            _ => json!({}),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(Value::Object(properties)) = schema.get("properties") else {
            let values = match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => self.cut(values, depth + 1),
                Some(Value::Bool(false)) => json!(false),
                _ => json!(true),
            };
            return json!({ "type": "object", "additionalProperties": values });
        };
        let mut kept = Map::new();
        for (name, property) in properties {
            let cut = self.cut(property, depth + 1);
            let cut = if is_required(schema, name) { cut } else { or_null(cut) };
            kept.insert(name.clone(), cut);
        }
        let names: Vec<&String> = kept.keys().collect();
        json!({ "type": "object", "properties": kept, "required": names, "additionalProperties": false })
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let mut cut = json!({ "type": "array" });
        if let Some(Value::Array(places)) = schema.get("prefixItems") {
            cut["prefixItems"] = places.iter().map(|place| self.cut(place, depth + 1)).collect();
            return cut;
        }
        cut["items"] = self.cut(schema.get("items").unwrap_or(&Value::Null), depth + 1);
        with_bounds(cut, schema, ["minItems", "maxItems"], 0, REPEAT_MAX as i64)
    }
}

fn with_type(schema: &Value, one: &Value) -> Value {
    let mut schema = schema.clone();
    schema["type"] = one.clone();
    schema
}

/// Copies the bounds that a grammar can express.
fn with_bounds(mut cut: Value, schema: &Value, keywords: [&str; 2], least: i64, most: i64) -> Value {
    for keyword in keywords {
        if let Some(bound) = schema.get(keyword).and_then(Value::as_i64).filter(|bound| (least..=most).contains(bound))
        {
            cut[keyword] = bound.into();
        }
    }
    cut
}

fn or_null(schema: Value) -> Value {
    let mut choices = match schema {
        Value::Object(mut one) if one.len() == 1 && one.get("anyOf").is_some_and(Value::is_array) => {
            match one.remove("anyOf") {
                Some(Value::Array(choices)) => choices,
                _ => unreachable!("it was an array a line ago"),
            }
        }
        schema => vec![schema],
    };
    let null = json!({ "type": "null" });
    if !choices.contains(&null) {
        choices.push(null);
    }
    json!({ "anyOf": choices })
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|one| one.as_str() == Some(name)))
}

/// What a reference within the same schema stands for.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => return &Value::Null,
        }
    }
    &Value::Null
}

fn properties<'a>(schema: &'a Value, root: &'a Value) -> Option<&'a Map<String, Value>> {
    resolved(schema, root).get("properties")?.as_object()
}

fn strip(value: Value, schema: &Value, root: &Value, depth: usize) -> Value {
    let schema = resolved(schema, root);
    match value {
        Value::Object(fields) if depth <= DEPTH_MAX => {
            let Some(properties) = properties(schema, root) else { return Value::Object(fields) };
            let is_kept = |name: &str, value: &Value| {
                !value.is_null() || !properties.contains_key(name) || is_required(schema, name)
            };
            let kept = fields.into_iter().filter(|(name, value)| is_kept(name, value));
            let inner = |name: &str| properties.get(name).unwrap_or(&Value::Null);
            kept.map(|(name, value)| {
                let value = strip(value, inner(&name), root, depth + 1);
                (name, value)
            })
            .collect()
        }
        Value::Array(items) if depth <= DEPTH_MAX => {
            let inner = schema.get("items").unwrap_or(&Value::Null);
            items.into_iter().map(|item| strip(item, inner, root, depth + 1)).collect()
        }
        value => value,
    }
}

fn shown(cut: &Value) -> String {
    let list = |items: &[Value], between: &str| items.iter().map(shown).collect::<Vec<_>>().join(between);
    if let Some(Value::Array(choices)) = cut.get("anyOf") {
        return list(choices, " or ");
    }
    if let Some(Value::Array(values)) = cut.get("enum") {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    if let Some(constant) = cut.get("const") {
        return constant.to_string();
    }
    match (cut.get("type").and_then(Value::as_str), cut.get("properties"), cut.get("prefixItems"), cut.get("items")) {
        (_, Some(Value::Object(properties)), ..) => {
            let fields: Vec<String> = properties.iter().map(|(name, field)| shown_field(name, field)).collect();
            format!("{{{}}}", fields.join(", "))
        }
        (_, _, Some(Value::Array(places)), _) => format!("[{}]", list(places, ", ")),
        (_, _, _, Some(items)) => format!("[{}, …]", shown(items)),
        (Some("object"), ..) => "{…}".to_owned(),
        (Some(one), ..) => one.to_owned(),
        (None, ..) => "any value".to_owned(),
    }
}

fn shown_field(name: &str, field: &Value) -> String {
    let note = field.get("description").and_then(Value::as_str).map_or_else(String::new, |note| format!(" ({note})"));
    format!("{}: {}{note}", json!(name), shown(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_cut_to_what_grammars_know() {
        for (schema, expected) in [
            (json!(true), json!({})),
            (
                json!({ "type": "string", "format": "uri", "pattern": "^h", "maxLength": 80 }),
                json!({ "type": "string", "maxLength": 80 }),
            ),
            (json!({ "type": "string", "maxLength": 100_000 }), json!({ "type": "string" })),
            (
                json!({ "type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_551_615_u64 }),
                json!({ "type": "integer", "minimum": 0 }),
            ),
            (json!({ "type": ["string", "null"] }), json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })),
            (json!({ "enum": ["a", 1], "description": "x" }), json!({ "enum": ["a", 1] })),
            (json!({ "type": "object" }), json!({ "type": "object", "additionalProperties": true })),
            (
                json!({ "type": "array", "prefixItems": [{ "type": "number" }] }),
                json!({ "type": "array", "prefixItems": [{ "type": "number" }] }),
            ),
            (json!({ "$ref": "https://elsewhere.example/schema" }), json!({})),
        ] {
            assert_eq!(constrained(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn optional_fields_become_null_and_are_left_out_again() {
        let schema = json!({
            "type": "object",
            "properties": { "path": { "type": "string", "description": "what to read" }, "range": { "$ref": "#/$defs/Range" } },
            "required": ["path"],
            "$defs": { "Range": { "type": "object", "properties": { "from": { "type": "integer" }, "to": { "type": "integer" } }, "required": ["from"] } }
        });
        let to = json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] });
        let range = json!({ "type": "object", "properties": { "from": { "type": "integer" }, "to": to }, "required": ["from", "to"], "additionalProperties": false });
        let expected = json!({
            "type": "object",
            "properties": { "path": { "type": "string" }, "range": { "anyOf": [range, { "type": "null" }] } },
            "required": ["path", "range"],
            "additionalProperties": false
        });
        assert_eq!(constrained(&schema), expected);
        let arguments = json!({ "path": "a", "range": { "from": 1, "to": null } });
        assert_eq!(without_absent(arguments, &schema), json!({ "path": "a", "range": { "from": 1 } }));
        assert_eq!(without_absent(json!({ "path": null, "range": null }), &schema), json!({ "path": null }));
        assert_eq!(
            signature(&schema),
            r#"{"path": string (what to read), "range": {"from": integer, "to": integer or null} or null}"#
        );
    }

    #[test]
    fn recursion_and_multiplication_end() {
        let tree = json!({ "$ref": "#/$defs/Node", "$defs": { "Node": { "type": "object", "properties": {
            "left": { "$ref": "#/$defs/Node" }, "right": { "$ref": "#/$defs/Node" } } } } });
        assert!(constrained(&tree).to_string().len() < 100_000);
        let circle =
            json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/B" }, "B": { "$ref": "#/$defs/A" } } });
        assert_eq!(constrained(&circle), json!({}));
    }
}
