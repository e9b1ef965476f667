//! Any value of any shape survives the trip to JSON and back, and any JSON that is accepted says what it said.

use proptest::prelude::*;
use wasmtime::component::Val;

use super::json::Json;
use super::shape::{Case, Field, Integer, Key, Shape};
use super::{Path, lift, lower};
use crate::describe::schema;

fn leaf() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Bool),
        prop::sample::select(&Integer::ALL[..]).prop_map(Shape::Integer),
        Just(Shape::Bytes),
        Just(Shape::Float32),
        Just(Shape::Float64),
        Just(Shape::Char),
        Just(Shape::String),
        (1_usize..5).prop_map(|count| Shape::Enum(names(count))),
        (1_usize..5).prop_map(|count| Shape::Flags(names(count))),
    ]
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index}")).collect()
}

fn shape() -> impl Strategy<Value = Shape> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let payload = prop::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(|item| match item {
                Shape::Integer(Integer::U8) => Shape::Bytes,
                item => Shape::List(Box::new(item)),
            }),
            inner.clone().prop_map(|item| Shape::Option(Box::new(item))),
            (key(), inner.clone()).prop_map(|(key, value)| Shape::Map { key, value: Box::new(value) }),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            prop::collection::vec(inner, 1..4).prop_map(record),
            prop::collection::vec(payload.clone(), 1..4).prop_map(variant),
            (payload.clone(), payload)
                .prop_map(|(ok, err)| Shape::Result { ok: ok.map(Box::new), err: err.map(Box::new) }),
        ]
    })
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Bool),
        Just(Key::Char),
        Just(Key::String),
        prop::sample::select(&Integer::ALL[..]).prop_map(Key::Integer),
    ]
}

fn record(shapes: Vec<Shape>) -> Shape {
    Shape::Record(names(shapes.len()).into_iter().zip(shapes).map(|(name, shape)| Field { name, shape }).collect())
}

fn variant(payloads: Vec<Option<Shape>>) -> Shape {
    Shape::Variant(
        names(payloads.len()).into_iter().zip(payloads).map(|(name, payload)| Case { name, payload }).collect(),
    )
}

fn value(shape: &Shape) -> BoxedStrategy<Val> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::Integer(integer) => integer_value(*integer),
        // The only NaN that a component may see: a value is compared with what it was.
        Shape::Float32 => any::<f32>().prop_map(|f| Val::Float32(if f.is_nan() { f32::NAN } else { f })).boxed(),
        Shape::Float64 => any::<f64>().prop_map(|f| Val::Float64(if f.is_nan() { f64::NAN } else { f })).boxed(),
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => prop::collection::vec(any::<u8>().prop_map(Val::U8), 0..9).prop_map(Val::List).boxed(),
        Shape::Map { key, value: item } => prop::collection::vec((key_value(*key), value(item)), 0..4)
            .prop_map(|mut entries| {
                let mut seen = std::collections::HashSet::new();
                entries.retain(|(key, _)| seen.insert(lift::key_text(key)));
                Val::Map(entries)
            })
            .boxed(),
        Shape::List(item) => prop::collection::vec(value(item), 0..4).prop_map(Val::List).boxed(),
        Shape::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
            let values: Vec<_> = fields.iter().map(|field| value(&field.shape)).collect();
            values.prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect())).boxed()
        }
        Shape::Tuple(items) => items.iter().map(value).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Shape::Variant(cases) => prop::sample::select(cases.clone())
            .prop_flat_map(|case| {
                let payload = case.payload.as_ref().map_or(Just(None).boxed(), some);
                payload.prop_map(move |payload| Val::Variant(case.name.clone(), payload))
            })
            .boxed(),
        Shape::Enum(names) => prop::sample::select(names.clone()).prop_map(Val::Enum).boxed(),
        Shape::Flags(names) => prop::sample::subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed(),
        Shape::Option(inner) => prop_oneof![Just(None).boxed(), some(inner)].prop_map(Val::Option).boxed(),
        Shape::Result { ok, err } => {
            let side = |shape: &Option<Box<Shape>>| shape.as_deref().map_or(Just(None).boxed(), some);
            prop_oneof![side(ok).prop_map(Ok), side(err).prop_map(Err)].prop_map(Val::Result).boxed()
        }
    }
}

fn key_value(key: Key) -> BoxedStrategy<Val> {
    value(&match key {
        Key::Bool => Shape::Bool,
        Key::Integer(integer) => Shape::Integer(integer),
        Key::Char => Shape::Char,
        Key::String => Shape::String,
    })
}

fn some(shape: &Shape) -> BoxedStrategy<Option<Box<Val>>> {
    value(shape).prop_map(|value| Some(Box::new(value))).boxed()
}

fn integer_value(integer: Integer) -> BoxedStrategy<Val> {
    (integer.min()..=integer.max())
        .prop_map(move |value| integer.val(value).unwrap_or_else(|| unreachable!("the value is in range")))
        .boxed()
}

proptest! {
    #[test]
    fn every_value_survives_the_trip_to_json_and_back(
        (shape, val) in shape().prop_flat_map(|shape| (Just(shape.clone()), value(&shape)))
    ) {
        let text = lift::lift(&val, &shape, 1 << 20).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let json = Json::parse(&text, "result").map_err(|error| TestCaseError::fail(error.to_string()))?;
        let back = lower::lower(&json, &shape, &Path::root("result"));
        // By their words, in which a NaN is a NaN.
        prop_assert_eq!(format!("{:?}", back), format!("{:?}", Ok::<_, super::Mismatch>(&val)), "{} as {}", text, shape);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    /// Programs rely on the schema: another's reader of it finds nothing wrong with any value.
    #[test]
    fn every_result_is_what_its_schema_says(
        (shape, val) in shape().prop_flat_map(|shape| (Just(shape.clone()), value(&shape)))
    ) {
        // A result within the outermost one is written out; of the outermost one only the value is returned.
        let is_result = matches!(shape, Shape::Result { .. });
        if let Some(schema) = schema::result(&shape, &schema::Notes::new()).filter(|_| !is_result) {
            let text = lift::lift(&val, &shape, 1 << 20).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let returned = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let validator = jsonschema::draft202012::new(&schema);
            let validator = validator.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let problems: Vec<_> = validator.iter_errors(&returned).map(|error| error.to_string()).collect();
            prop_assert!(problems.is_empty(), "{} of {}: {:?}", text, schema, problems);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = Json::parse(&text, "arguments");
        let _ = super::json::exact_integer(&text);
    }

    #[test]
    fn integers_agree_with_the_standard_library(value in any::<i64>()) {
        prop_assert_eq!(super::json::exact_integer(&value.to_string()), Some(value.into()));
    }
}
