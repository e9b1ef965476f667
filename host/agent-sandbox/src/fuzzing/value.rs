//! Values to JSON and back. The input's bytes choose a type and a value of it; what is left of them is read as JSON.

use serde_json::Value;
use wasmtime::component::Val;

use crate::value::json::{Json, exact_integer};
use crate::value::shape::{Case, Field, Integer, Key, Shape};
use crate::value::{Path, lift, lower};

/// Nesting of the types. Values of them stay far below the bounds on values.
const DEPTH: usize = 4;

/// Items, fields and cases of one type or value.
const WIDTH: usize = 4;

/// Room for every value of this size.
const BYTES_MAX: usize = 1 << 20;

/// Checks one value of one type, and one text against that type.
///
/// # Panics
/// Where a value is changed on its way, or a text is taken for something else than it says.
pub fn there_and_back(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let shape = shape(&mut choices, DEPTH);
    let val = value(&shape, &mut choices);
    round_trip(&shape, &val);
    if let Ok(text) = std::str::from_utf8(choices.0) {
        check_text(&shape, text);
    }
}

fn round_trip(shape: &Shape, val: &Val) {
    let text = lift::lift(val, shape, BYTES_MAX).unwrap_or_else(|error| panic!("{val:?} as {shape}: {error}"));
    let json = Json::parse(&text, "result").unwrap_or_else(|error| panic!("{text}: {error}"));
    let back = lower::lower(&json, shape, &Path::root("result"));
    assert_eq!(back.as_ref(), Ok(val), "{text} as {shape}");
    let other: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(says(&other, val, shape), "another reader of {text} finds no {val:?}");
}

fn check_text(shape: &Shape, text: &str) {
    let ours = Json::parse(text, "arguments");
    let theirs = serde_json::from_str::<Value>(text);
    match (&ours, &theirs) {
        (Err(refused), Ok(_)) => {
            let refused = refused.to_string();
            let on_purpose = ["occurs twice", "nested deeper", "more than"].iter().any(|why| refused.contains(why));
            assert!(on_purpose, "{text:?}: {refused}");
        }
        (Ok(_), Err(error)) => {
            let error = error.to_string();
            let a_bound_of_theirs = error.contains("out of range") || error.contains("recursion limit");
            assert!(a_bound_of_theirs, "{text:?}: {error}");
        }
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
    }
    if let Ok(json) = ours
        && let Ok(val) = lower::lower(&json, shape, &Path::root("arguments"))
    {
        round_trip(shape, &val);
    }
    check_integer(text);
}

/// Where the standard library reads an integer, so do we, as the same.
fn check_integer(text: &str) {
    let (ours, theirs) = (exact_integer(text), text.parse::<i128>());
    if let Ok(theirs) = theirs
        && text.len() <= 38
        && !text.starts_with('+')
    {
        assert_eq!(ours, Some(theirs), "{text}");
    }
    if let (Some(ours), Ok(float)) = (ours, text.parse::<f64>()) {
        let close = (ours as f64 - float).abs() <= float.abs() * 1e-9;
        assert!(close, "{text} is no {ours}");
    }
}

/// Whether a JSON value, read by somebody else, says the same as `val`.
fn says(json: &Value, val: &Val, shape: &Shape) -> bool {
    match (shape, val) {
        (Shape::Bool, Val::Bool(own)) => json.as_bool() == Some(*own),
        (Shape::Integer(integer), own) => says_integer(json, integer.value(own)),
        (Shape::Float32, Val::Float32(own)) if own.is_finite() => json.as_f64().is_some_and(|json| json as f32 == *own),
        // Their reader of floats is quick and not always exact in the last digit.
        (Shape::Float64, Val::Float64(own)) if own.is_finite() => json.as_f64().is_some_and(|json| near(json, *own)),
        (Shape::Float32, Val::Float32(own)) => json.as_str().is_some_and(|json| json.parse() == Ok(*own)),
        (Shape::Float64, Val::Float64(own)) => json.as_str().is_some_and(|json| json.parse() == Ok(*own)),
        (Shape::Char, Val::Char(own)) => json.as_str() == Some(own.to_string().as_str()),
        (Shape::String, Val::String(own)) | (Shape::Enum(_), Val::Enum(own)) => json.as_str() == Some(own),
        (Shape::Bytes, Val::List(own)) => json.as_str().is_some_and(|json| json.len() == own.len().div_ceil(3) * 4),
        (Shape::List(shape), Val::List(own)) => says_items(json, own.iter().map(|own| (own, &**shape)).collect()),
        (Shape::Tuple(shapes), Val::Tuple(own)) => says_items(json, own.iter().zip(shapes).collect()),
        (Shape::Map { value, .. }, Val::Map(own)) => json.as_object().is_some_and(|members| {
            // In their order: what a key says is compared by the trip back.
            members.len() == own.len() && members.values().zip(own).all(|(json, (_, own))| says(json, own, value))
        }),
        (Shape::Record(fields), Val::Record(own)) => says_members(json, own, fields),
        (Shape::Variant(cases), Val::Variant(name, payload)) => {
            let case = cases.iter().find(|case| case.name == *name).expect("a case of its own type");
            says_case(json, name, payload.as_deref().zip(case.payload.as_ref()))
        }
        (Shape::Result { ok, .. }, Val::Result(Ok(payload))) => {
            says_case(json, "ok", payload.as_deref().zip(ok.as_deref()))
        }
        (Shape::Result { err, .. }, Val::Result(Err(payload))) => {
            says_case(json, "err", payload.as_deref().zip(err.as_deref()))
        }
        (Shape::Option(_), Val::Option(None)) => json.is_null(),
        (Shape::Option(inner), Val::Option(Some(own))) if inner.may_be_null() => {
            says_case(json, "some", Some((own, inner)))
        }
        (Shape::Option(inner), Val::Option(Some(own))) => says(json, own, inner),
        (Shape::Flags(_), Val::Flags(own)) => *json == Value::from(own.clone()),
        (_, _) => false,
    }
}

/// A number where every reader holds it exactly, else digits.
fn says_integer(json: &Value, own: Option<i128>) -> bool {
    let own = own.expect("an integer of its own type");
    let number = json.as_i64().map(i128::from).filter(|number| number.abs() < 1 << 53);
    number == Some(own) || json.as_str().is_some_and(|json| own.abs() >= 1 << 53 && json.parse() == Ok(own))
}

fn near(json: f64, own: f64) -> bool {
    (json - own).abs() <= own.abs() * f64::EPSILON || (json - own).abs() < f64::MIN_POSITIVE
}

fn says_items(json: &Value, own: Vec<(&Val, &Shape)>) -> bool {
    let items = json.as_array().filter(|items| items.len() == own.len());
    items.is_some_and(|items| items.iter().zip(own).all(|(json, (own, shape))| says(json, own, shape)))
}

fn says_members(json: &Value, own: &[(String, Val)], fields: &[Field]) -> bool {
    let members = json.as_object().filter(|members| members.len() == own.len());
    members.is_some_and(|members| {
        let mut pairs = own.iter().zip(fields);
        pairs.all(|((name, own), field)| members.get(name).is_some_and(|json| says(json, own, &field.shape)))
    })
}

fn says_case(json: &Value, name: &str, payload: Option<(&Val, &Shape)>) -> bool {
    match payload {
        None => json.as_str() == Some(name),
        Some((payload, shape)) => json.as_object().is_some_and(|members| {
            members.len() == 1 && members.get(name).is_some_and(|json| says(json, payload, shape))
        }),
    }
}

/// The input as a row of choices. Where it has ended, the first of each is chosen.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.bytes::<1>()[0]) % count
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count.min(self.0.len()));
        self.0 = left;
        taken
    }
}

fn shape(choices: &mut Choices<'_>, depth_left: usize) -> Shape {
    const LEAVES: usize = 9;
    const KINDS: usize = 16;
    match choices.below(if depth_left == 0 { LEAVES } else { KINDS }) {
        0 => Shape::String,
        1 => Shape::Integer(Integer::ALL[choices.below(Integer::ALL.len())]),
        2 => Shape::Float32,
        3 => Shape::Float64,
        4 => Shape::Char,
        5 => Shape::Bool,
        6 => Shape::Enum(names(1 + choices.below(WIDTH))),
        7 => Shape::Flags(names(1 + choices.below(WIDTH))),
        8 => Shape::Bytes,
        9 => match shape(choices, depth_left - 1) {
            Shape::Integer(Integer::U8) => Shape::Bytes,
            item => Shape::List(Box::new(item)),
        },
        10 => Shape::Option(Box::new(shape(choices, depth_left - 1))),
        11 => Shape::Tuple(shapes(choices, depth_left - 1)),
        12 => record(shapes(choices, depth_left - 1)),
        13 => variant(choices, depth_left - 1),
        14 => Shape::Map { key: key(choices), value: Box::new(shape(choices, depth_left - 1)) },
        _ => Shape::Result { ok: payload(choices, depth_left - 1), err: payload(choices, depth_left - 1) },
    }
}

fn key(choices: &mut Choices<'_>) -> Key {
    match choices.below(4) {
        0 => Key::String,
        1 => Key::Integer(Integer::ALL[choices.below(Integer::ALL.len())]),
        2 => Key::Char,
        _ => Key::Bool,
    }
}

/// Keys of a map are all different: of two the same, only the later would come back.
fn map_value(key: Key, shape: &Shape, choices: &mut Choices<'_>) -> Val {
    let key_shape = match key {
        Key::Bool => Shape::Bool,
        Key::Integer(integer) => Shape::Integer(integer),
        Key::Char => Shape::Char,
        Key::String => Shape::String,
    };
    let mut entries: Vec<(Val, Val)> = Vec::new();
    for _ in 0..choices.below(WIDTH) {
        let (key, value) = (value(&key_shape, choices), value(shape, choices));
        if entries.iter().all(|(earlier, _)| *earlier != key) {
            entries.push((key, value));
        }
    }
    Val::Map(entries)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index}")).collect()
}

fn shapes(choices: &mut Choices<'_>, depth_left: usize) -> Vec<Shape> {
    (0..1 + choices.below(WIDTH)).map(|_| shape(choices, depth_left)).collect()
}

fn record(shapes: Vec<Shape>) -> Shape {
    Shape::Record(names(shapes.len()).into_iter().zip(shapes).map(|(name, shape)| Field { name, shape }).collect())
}

fn variant(choices: &mut Choices<'_>, depth_left: usize) -> Shape {
    let cases = names(1 + choices.below(WIDTH)).into_iter();
    Shape::Variant(cases.map(|name| Case { name, payload: payload(choices, depth_left).map(|shape| *shape) }).collect())
}

fn payload(choices: &mut Choices<'_>, depth_left: usize) -> Option<Box<Shape>> {
    (choices.below(2) == 1).then(|| Box::new(shape(choices, depth_left)))
}

fn value(shape: &Shape, choices: &mut Choices<'_>) -> Val {
    match shape {
        Shape::Bool => Val::Bool(choices.below(2) == 1),
        Shape::Integer(integer) => integer_value(*integer, choices),
        Shape::Float32 => {
            Val::Float32(Some(f32::from_le_bytes(choices.bytes())).filter(|f| f.is_finite()).unwrap_or(0.0))
        }
        Shape::Float64 => {
            Val::Float64(Some(f64::from_le_bytes(choices.bytes())).filter(|f| f.is_finite()).unwrap_or(0.0))
        }
        Shape::Char => Val::Char(char::from_u32(u32::from_le_bytes(choices.bytes())).unwrap_or('\u{fffd}')),
        Shape::String => {
            let length = choices.below(16);
            Val::String(String::from_utf8_lossy(choices.take(length)).into_owned())
        }
        Shape::Bytes => {
            let length = choices.below(16);
            Val::List(choices.take(length).iter().copied().map(Val::U8).collect())
        }
        Shape::Map { key, value } => map_value(*key, value, choices),
        Shape::List(item) => Val::List((0..choices.below(WIDTH)).map(|_| value(item, choices)).collect()),
        Shape::Record(fields) => {
            Val::Record(fields.iter().map(|field| (field.name.clone(), value(&field.shape, choices))).collect())
        }
        Shape::Tuple(items) => Val::Tuple(items.iter().map(|item| value(item, choices)).collect()),
        Shape::Variant(cases) => {
            let case = &cases[choices.below(cases.len())];
            Val::Variant(case.name.clone(), case.payload.as_ref().map(|shape| Box::new(value(shape, choices))))
        }
        Shape::Enum(names) => Val::Enum(names[choices.below(names.len())].clone()),
        Shape::Flags(names) => Val::Flags(names.iter().filter(|_| choices.below(2) == 1).cloned().collect()),
        Shape::Option(inner) => Val::Option((choices.below(2) == 1).then(|| Box::new(value(inner, choices)))),
        Shape::Result { ok, err } => {
            let side = |shape: &Option<Box<Shape>>, choices: &mut Choices<'_>| {
                shape.as_ref().map(|shape| Box::new(value(shape, choices)))
            };
            Val::Result(if choices.below(2) == 0 { Ok(side(ok, choices)) } else { Err(side(err, choices)) })
        }
    }
}

fn integer_value(integer: Integer, choices: &mut Choices<'_>) -> Val {
    let (min, max) = (integer.min(), integer.max());
    let any = i128::from(u64::from_le_bytes(choices.bytes()));
    integer.val(min + any % (max - min + 1)).expect("a value in range")
}
