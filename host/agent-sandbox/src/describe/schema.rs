//! JSON Schema 2020-12 of a function's arguments, from the shapes of its parameters. `value::lower` accepts what this
//! describes.

use serde_json::{Map, Value, json};

use crate::value::shape::{Case, Field, Integer, Shape};

/// The schema of an object with these fields. Whatever is no option is required, and nothing else is allowed.
pub(crate) fn object(fields: &[Field]) -> Value {
    let properties: Map<_, _> = fields.iter().map(|field| (field.name.clone(), of(&field.shape))).collect();
    let required = fields.iter().filter(|field| !matches!(field.shape, Shape::Option(_)));
    let required: Vec<_> = required.map(|field| field.name.as_str()).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer(integer) => of_integer(*integer),
        Shape::Float32 | Shape::Float64 => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::List(item) => json!({ "type": "array", "items": of(item) }),
        Shape::Record(fields) => object(fields),
        Shape::Tuple(items) => of_tuple(items),
        Shape::Variant(cases) => of_cases(cases.iter().map(|Case { name, payload }| (name.as_str(), payload.as_ref()))),
        Shape::Enum(names) => json!({ "type": "string", "enum": names }),
        Shape::Option(inner) => json!({ "anyOf": [of(inner), { "type": "null" }] }),
        Shape::Result { ok, err } => of_cases([("ok", ok.as_deref()), ("err", err.as_deref())].into_iter()),
        Shape::Flags(names) => {
            json!({ "type": "array", "items": { "type": "string", "enum": names }, "uniqueItems": true })
        }
    }
}

/// A 64-bit integer may be a string of digits, since many writers of JSON have only floats.
fn of_integer(integer: Integer) -> Value {
    // Every bound is within 64 bits.
    let bound = |value: i128| i64::try_from(value).map_or_else(|_| json!(value as u64), |value| json!(value));
    let number = json!({ "type": "integer", "minimum": bound(integer.min()), "maximum": bound(integer.max()) });
    match integer {
        Integer::S64 => json!({ "anyOf": [number, { "type": "string", "pattern": "^-?[0-9]{1,19}$" }] }),
        Integer::U64 => json!({ "anyOf": [number, { "type": "string", "pattern": "^[0-9]{1,20}$" }] }),
        Integer::S8 | Integer::U8 | Integer::S16 | Integer::U16 | Integer::S32 | Integer::U32 => number,
    }
}

fn of_tuple(items: &[Shape]) -> Value {
    let schemas: Vec<_> = items.iter().map(of).collect();
    json!({ "type": "array", "prefixItems": schemas, "items": false, "minItems": items.len(), "maxItems": items.len() })
}

/// `{"case": value}`, and the bare name for a case without value.
fn of_cases<'s>(cases: impl Iterator<Item = (&'s str, Option<&'s Shape>)>) -> Value {
    let (with, without): (Vec<_>, Vec<_>) = cases.partition(|(_, payload)| payload.is_some());
    let mut alternatives = Vec::new();
    if !without.is_empty() {
        let names: Vec<_> = without.into_iter().map(|(name, _)| name).collect();
        alternatives.push(json!({ "type": "string", "enum": names }));
    }
    alternatives.extend(with.into_iter().filter_map(|(name, payload)| {
        let field = Field { name: name.to_owned(), shape: payload?.clone() };
        Some(required_object(&field))
    }));
    json!({ "oneOf": alternatives })
}

/// An object with exactly this one member, also where its shape is an option.
fn required_object(field: &Field) -> Value {
    let schema = of(&field.shape);
    let mut properties = Map::new();
    properties.insert(field.name.clone(), schema);
    json!({ "type": "object", "properties": properties, "required": [field.name], "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &Shape, expected: &Value) {
        assert_eq!(of(shape), *expected, "{shape}");
    }

    #[test]
    fn shapes_and_their_schemas() {
        let optional = Field { name: "note".into(), shape: Shape::Option(Box::new(Shape::String)) };
        let required = Field { name: "count".into(), shape: Shape::Integer(Integer::U8) };
        check(
            &Shape::Record(vec![required, optional]),
            &json!({
                "type": "object",
                "properties": {
                    "count": { "type": "integer", "minimum": 0, "maximum": 255 },
                    "note": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                },
                "required": ["count"],
                "additionalProperties": false,
            }),
        );
        check(
            &Shape::Integer(Integer::U64),
            &json!({ "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u64::MAX },
                { "type": "string", "pattern": "^[0-9]{1,20}$" },
            ] }),
        );
        check(
            &Shape::Variant(vec![
                Case { name: "none".into(), payload: None },
                Case { name: "some".into(), payload: Some(Shape::Bool) },
            ]),
            &json!({ "oneOf": [
                { "type": "string", "enum": ["none"] },
                {
                    "type": "object",
                    "properties": { "some": { "type": "boolean" } },
                    "required": ["some"],
                    "additionalProperties": false,
                },
            ] }),
        );
        check(
            &Shape::Tuple(vec![Shape::Char]),
            &json!({
                "type": "array",
                "prefixItems": [{ "type": "string", "minLength": 1, "maxLength": 1 }],
                "items": false,
                "minItems": 1,
                "maxItems": 1,
            }),
        );
    }
}
