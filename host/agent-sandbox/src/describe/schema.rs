//! JSON Schema 2020-12 of a function's arguments and of its result, from their shapes. `value::lower` takes all that this
//! describes, and decides: it is the more exact of the two. What `value::lift` writes is always what this describes.
//!
//! Only keywords that model providers accept, also where they hold a model to the schema: `anyOf` but not `oneOf`, no
//! `prefixItems`, no lengths of strings. What that leaves unsaid is said in a description.

use std::collections::BTreeMap;

use agent_tool_docs::stored::RETURNED;
use serde_json::{Map, Value, json};

use crate::value::shape::{Case, Field, Integer, Key, Shape};
use crate::value::{INFINITE, INFINITE_BELOW, NOT_A_NUMBER, SOME};

/// Documentation of places in a function's parameters and result: `agent_tool_docs::stored` says how they are written.
pub(crate) type Notes = BTreeMap<String, String>;

/// The schema of an object with these fields, which are at `place` in the function's parameters. Whatever is no option is
/// required, and nothing else is allowed.
pub(crate) fn object(fields: &[Field], place: &str, notes: &Notes) -> Value {
    Writer { notes, side: Side::Arguments }.object(fields, place)
}

/// The schema of the JSON value that a function of this result returns where it succeeds; `None` where it returns a text or
/// nothing.
pub(crate) fn result(shape: &Shape, notes: &Notes) -> Option<Value> {
    let returned = match shape {
        Shape::Result { ok, .. } => ok.as_deref()?,
        returned => returned,
    };
    (*returned != Shape::String).then(|| Writer { notes, side: Side::Result }.of(returned, RETURNED))
}

struct Writer<'n> {
    notes: &'n Notes,
    side: Side,
}

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Arguments,
    Result,
}

/// A schema, and what has to be said beside it.
struct Told {
    schema: Value,
    hint: Option<String>,
}

impl From<Value> for Told {
    fn from(schema: Value) -> Self {
        Self { schema, hint: None }
    }
}

impl Writer<'_> {
    fn object(&self, fields: &[Field], place: &str) -> Value {
        let property = |field: &Field| (field.name.clone(), self.of(&field.shape, &inside(place, &field.name)));
        let properties: Map<_, _> = fields.iter().map(property).collect();
        let required = fields.iter().filter(|field| !field.shape.may_be_null());
        let required: Vec<_> = required.map(|field| field.name.as_str()).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    /// The schema with all that is to be said of it.
    fn of(&self, shape: &Shape, place: &str) -> Value {
        let Told { mut schema, hint } = self.bare(shape, place);
        let note = self.notes.get(place).cloned();
        let said: Vec<String> = note.into_iter().chain(hint).collect();
        if let (false, Some(members)) = (said.is_empty(), schema.as_object_mut()) {
            members.insert("description".to_owned(), said.join("\n").into());
        }
        schema
    }

    fn bare(&self, shape: &Shape, place: &str) -> Told {
        match shape {
            Shape::Bool => json!({ "type": "boolean" }).into(),
            Shape::Integer(integer) => of_integer(*integer),
            Shape::Float32 | Shape::Float64 => self.float(),
            Shape::Char => {
                Told { schema: json!({ "type": "string" }), hint: Some("Exactly one character.".to_owned()) }
            }
            Shape::String => json!({ "type": "string" }).into(),
            Shape::Bytes => Told { schema: json!({ "type": "string" }), hint: Some("Bytes, as base64.".to_owned()) },
            Shape::List(item) => json!({ "type": "array", "items": self.of(item, &format!("{place}[]")) }).into(),
            Shape::Map { key, value } => self.map(*key, value, place),
            Shape::Record(fields) => self.object(fields, place).into(),
            Shape::Tuple(items) => self.tuple(items, place),
            Shape::Variant(cases) => self.variant(cases, place),
            Shape::Enum(names) => {
                Told { schema: json!({ "type": "string", "enum": names }), hint: self.names(names, place) }
            }
            Shape::Option(inner) => self.option(inner, place),
            Shape::Result { ok, err } => {
                let cases = [("ok", ok.as_deref()), ("err", err.as_deref())];
                json!({ "anyOf": self.cases(cases.into_iter(), place) }).into()
            }
            Shape::Flags(names) => {
                let schema = json!({ "type": "array", "items": { "type": "string", "enum": names } });
                let each = self.names(names, place).map(|names| format!("\n{names}")).unwrap_or_default();
                Told { schema, hint: Some(format!("Each at most once.{each}")) }
            }
        }
    }

    /// No model is told of the words for what is no number: a tool that gets one should have been asked otherwise.
    fn float(&self) -> Told {
        let number = json!({ "type": "number" });
        match self.side {
            Side::Arguments => number.into(),
            Side::Result => {
                let words = json!({ "type": "string", "enum": [NOT_A_NUMBER, INFINITE, INFINITE_BELOW] });
                json!({ "anyOf": [number, words] }).into()
            }
        }
    }

    /// Null is one more alternative, beside those that the inner schema may have itself.
    fn option(&self, inner: &Shape, place: &str) -> Told {
        let absent = json!({ "type": "null" });
        if inner.may_be_null() {
            let inner = single(SOME, self.of(inner, &inside(place, SOME)));
            return json!({ "anyOf": [inner, absent] }).into();
        }
        let Told { schema, hint } = self.bare(inner, place);
        let mut alternatives = match schema {
            Value::Object(mut only) if only.len() == 1 && only.contains_key("anyOf") => match only.remove("anyOf") {
                Some(Value::Array(alternatives)) => alternatives,
                _ => unreachable!("this file writes arrays there"),
            },
            schema => vec![schema],
        };
        alternatives.push(absent);
        Told { schema: json!({ "anyOf": alternatives }), hint }
    }

    fn map(&self, key: Key, value: &Shape, place: &str) -> Told {
        let schema = json!({ "type": "object", "additionalProperties": self.of(value, &format!("{place}{{}}")) });
        let hint = match key {
            Key::String => None,
            Key::Char => Some("Each key is exactly one character.".to_owned()),
            Key::Bool => Some("The keys are `true` and `false`.".to_owned()),
            Key::Integer(integer) => {
                Some(format!("Each key is an integer from {} to {}.", integer.min(), integer.max()))
            }
        };
        Told { schema, hint }
    }

    /// An array whose elements are each one of the tuple's, and words for their order: no provider takes `prefixItems`.
    fn tuple(&self, items: &[Shape], place: &str) -> Told {
        let mut schemas: Vec<Value> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let schema = self.of(item, &format!("{place}[{index}]"));
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
        let hint = (schemas.len() > 1).then(|| {
            let order: Vec<_> = items.iter().map(Shape::to_string).collect();
            format!("In this order: {}.", order.join(", "))
        });
        let item = match <[Value; 1]>::try_from(schemas) {
            Ok([only]) => only,
            Err(several) => json!({ "anyOf": several }),
        };
        let count = items.len();
        Told { schema: json!({ "type": "array", "items": item, "minItems": count, "maxItems": count }), hint }
    }

    /// `{"case": value}`, and the bare name for a case without value.
    fn variant(&self, cases: &[Case], place: &str) -> Told {
        let bare: Vec<_> = cases.iter().filter(|case| case.payload.is_none()).map(|case| case.name.clone()).collect();
        let pairs = cases.iter().map(|Case { name, payload }| (name.as_str(), payload.as_ref()));
        Told { schema: json!({ "anyOf": self.cases(pairs, place) }), hint: self.names(&bare, place) }
    }

    fn cases<'s>(&self, cases: impl Iterator<Item = (&'s str, Option<&'s Shape>)>, place: &str) -> Vec<Value> {
        let (with, without): (Vec<_>, Vec<_>) = cases.partition(|(_, payload)| payload.is_some());
        let mut alternatives = Vec::new();
        if !without.is_empty() {
            let names: Vec<_> = without.into_iter().map(|(name, _)| name).collect();
            alternatives.push(json!({ "type": "string", "enum": names }));
        }
        alternatives.extend(
            with.into_iter().filter_map(|(name, payload)| Some(single(name, self.of(payload?, &inside(place, name))))),
        );
        alternatives
    }

    /// What is said of each of these names.
    fn names(&self, names: &[String], place: &str) -> Option<String> {
        let said = names.iter().filter_map(|name| Some((name, self.notes.get(&inside(place, name))?)));
        let lines: Vec<_> = said.map(|(name, note)| format!("- `{name}`: {}", note.replace('\n', " "))).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn inside(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// A 64-bit integer may be a string of digits, since many writers of JSON have only floats.
fn of_integer(integer: Integer) -> Told {
    // Every bound is within 64 bits.
    let bound = |value: i128| i64::try_from(value).map_or_else(|_| json!(value as u64), |value| json!(value));
    let number = json!({ "type": "integer", "minimum": bound(integer.min()), "maximum": bound(integer.max()) });
    let pattern = match integer {
        Integer::S64 => "^-?[0-9]{1,19}$",
        Integer::U64 => "^[0-9]{1,20}$",
        Integer::S8 | Integer::U8 | Integer::S16 | Integer::U16 | Integer::S32 | Integer::U32 => return number.into(),
    };
    json!({ "anyOf": [number, { "type": "string", "pattern": pattern }] }).into()
}

/// An object with exactly this one member.
fn single(name: &str, schema: Value) -> Value {
    let properties: Map<_, _> = [(name.to_owned(), schema)].into_iter().collect();
    json!({ "type": "object", "properties": properties, "required": [name], "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &Shape, notes: &[(&str, &str)], expected: &Value) {
        let notes = notes.iter().map(|(place, note)| ((*place).to_owned(), (*note).to_owned())).collect();
        assert_eq!(Writer { notes: &notes, side: Side::Arguments }.of(shape, "x"), *expected, "{shape}");
    }

    fn option(inner: Shape) -> Shape {
        Shape::Option(Box::new(inner))
    }

    fn case(name: &str, payload: Option<Shape>) -> Case {
        Case { name: name.into(), payload }
    }

    #[test]
    fn records_and_options() {
        let note = Field { name: "note".into(), shape: option(Shape::String) };
        let count = Field { name: "count".into(), shape: Shape::Integer(Integer::U8) };
        check(
            &Shape::Record(vec![count, note]),
            &[("x.note", "For people."), ("x", "An order.")],
            &json!({
                "type": "object",
                "properties": {
                    "count": { "type": "integer", "minimum": 0, "maximum": 255 },
                    "note": { "anyOf": [{ "type": "string" }, { "type": "null" }], "description": "For people." },
                },
                "required": ["count"],
                "additionalProperties": false,
                "description": "An order.",
            }),
        );
        let digits = json!({ "type": "string", "pattern": "^[0-9]{1,20}$" });
        let number = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
        let big = option(Shape::Integer(Integer::U64));
        check(&big, &[], &json!({ "anyOf": [number, digits, { "type": "null" }] }));
        check(
            &option(option(Shape::Bool)),
            &[],
            &json!({ "anyOf": [
                {
                    "type": "object",
                    "properties": { "some": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] } },
                    "required": ["some"],
                    "additionalProperties": false,
                },
                { "type": "null" },
            ] }),
        );
    }

    #[test]
    fn a_result_is_what_is_returned_where_all_is_well() {
        let returned = |ok: Option<Shape>| {
            let err = Some(Box::new(Shape::String));
            result(&Shape::Result { ok: ok.map(Box::new), err }, &Notes::new())
        };
        assert_eq!(returned(Some(Shape::Bool)), Some(json!({ "type": "boolean" })));
        assert_eq!(
            (returned(None), returned(Some(Shape::String)), result(&Shape::String, &Notes::new())),
            (None, None, None)
        );
        let words = json!({ "type": "string", "enum": ["NaN", "Infinity", "-Infinity"] });
        assert_eq!(result(&Shape::Float32, &Notes::new()), Some(json!({ "anyOf": [{ "type": "number" }, words] })));
    }

    #[test]
    fn a_result_is_described_as_arguments_are() {
        let size = Field { name: "bytes".into(), shape: Shape::Integer(Integer::U8) };
        let all = Shape::List(Box::new(Shape::Record(vec![size])));
        let notes = [("->", "All files."), ("->[].bytes", "Its size."), ("[].bytes", "Not this one.")];
        let notes = notes.map(|(place, note)| (place.to_owned(), note.to_owned())).into();
        let returned = result(&Shape::Result { ok: Some(Box::new(all)), err: None }, &notes).unwrap_or_default();
        assert_eq!(returned["description"], "All files.");
        let size = json!({ "type": "integer", "minimum": 0, "maximum": 255, "description": "Its size." });
        assert_eq!(returned["items"]["properties"]["bytes"], size);
    }

    #[test]
    fn choices_are_described_where_they_are_made() {
        check(
            &Shape::Variant(vec![case("none", None), case("some", Some(Shape::Bool)), case("all", None)]),
            &[("x.none", "Not\none."), ("x.some", "A few.")],
            &json!({
                "anyOf": [
                    { "type": "string", "enum": ["none", "all"] },
                    {
                        "type": "object",
                        "properties": { "some": { "type": "boolean", "description": "A few." } },
                        "required": ["some"],
                        "additionalProperties": false,
                    },
                ],
                "description": "- `none`: Not one.",
            }),
        );
        let names = || vec!["red".to_owned(), "green".to_owned()];
        check(
            &Shape::Enum(names()),
            &[("x", "A colour."), ("x.red", "As roses."), ("x.green", "As grass.")],
            &json!({
                "type": "string",
                "enum": ["red", "green"],
                "description": "A colour.\n- `red`: As roses.\n- `green`: As grass.",
            }),
        );
        check(
            &Shape::Flags(names()),
            &[],
            &json!({
                "type": "array",
                "items": { "type": "string", "enum": ["red", "green"] },
                "description": "Each at most once.",
            }),
        );
    }

    #[test]
    fn lists_tuples_and_maps() {
        check(
            &Shape::Tuple(vec![Shape::Char, Shape::Bool]),
            &[("x[1]", "Whether.")],
            &json!({
                "type": "array",
                "items": { "anyOf": [
                    { "type": "string", "description": "Exactly one character." },
                    { "type": "boolean", "description": "Whether." },
                ] },
                "minItems": 2,
                "maxItems": 2,
                "description": "In this order: char, bool.",
            }),
        );
        let pair = json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 });
        check(&Shape::Tuple(vec![Shape::Float64, Shape::Float64]), &[], &pair);
        check(
            &Shape::List(Box::new(Shape::Bytes)),
            &[("x[]", "A page.")],
            &json!({ "type": "array", "items": { "type": "string", "description": "A page.\nBytes, as base64." } }),
        );
        check(
            &Shape::Map { key: Key::Bool, value: Box::new(Shape::String) },
            &[("x{}", "A word.")],
            &json!({
                "type": "object",
                "additionalProperties": { "type": "string", "description": "A word." },
                "description": "The keys are `true` and `false`.",
            }),
        );
    }
}
