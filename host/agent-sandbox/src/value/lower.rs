//! Arguments: a JSON tree becomes component values of the given shapes, or an error that names the place.

use std::borrow::Cow;
use std::collections::HashSet;

use wasmtime::component::Val;

use super::json::{Json, exact_integer};
use super::lift::key_text;
use super::shape::{Case, Field, Integer, Key, Shape};
use super::{INFINITE, INFINITE_BELOW, MIXED_BYTES_MAX, Mismatch, NOT_A_NUMBER, Path, SOME, excerpt};
use crate::base64;

/// Most absent options among arguments. Each is a value that the text does not have: a list of `{}` is short, and may stand for
/// a great many.
const ABSENT_MAX: usize = 50_000;

/// The value of `json` as a `shape`, where it stands alone.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn lower(json: &Json<'_>, shape: &Shape, path: &Path<'_>) -> Result<Val, Mismatch> {
    Lowering { absent_left: ABSENT_MAX }.value(json, shape, path)
}

/// The members of an object, in the order of `fields`. An absent option is `none`; a member that is no field is an error.
pub(crate) fn lower_fields(json: &Json<'_>, fields: &[Field], path: &Path<'_>) -> Result<Vec<(String, Val)>, Mismatch> {
    Lowering { absent_left: ABSENT_MAX }.fields(json, fields, path)
}

/// The making of one call's arguments.
struct Lowering {
    /// Options that may still be left out.
    absent_left: usize,
}

impl Lowering {
    fn value(&mut self, json: &Json<'_>, shape: &Shape, path: &Path<'_>) -> Result<Val, Mismatch> {
        match (shape, json) {
            (Shape::Bool, Json::Bool(value)) => Ok(Val::Bool(*value)),
            (Shape::Integer(integer), json) => lower_integer(json, *integer, path),
            (Shape::Float32, Json::Number(text)) => lower_float(text, path).map(Val::Float32),
            (Shape::Float64, Json::Number(text)) => lower_float(text, path).map(Val::Float64),
            (Shape::Float32, Json::String(text)) if not_finite(text).is_some() => {
                Ok(Val::Float32(not_finite(text).unwrap_or_default() as f32))
            }
            (Shape::Float64, Json::String(text)) if not_finite(text).is_some() => {
                Ok(Val::Float64(not_finite(text).unwrap_or_default()))
            }
            (Shape::Char, Json::String(text)) => lower_char(text, path),
            (Shape::String, Json::String(text)) => Ok(Val::String(text.clone().into_owned())),
            (Shape::Bytes, json) => lower_bytes(json, path).and_then(|bytes| byte_list(&bytes, path)),
            (Shape::List(item), Json::Array(items)) => self.list(items, item, path),
            (Shape::Map { key, value }, Json::Object(members)) => self.map(members, *key, value, path),
            (Shape::Record(fields), json) => self.fields(json, fields, path).map(Val::Record),
            (Shape::Tuple(shapes), Json::Array(items)) => self.tuple(items, shapes, path),
            (Shape::Variant(cases), json) => self.variant(json, cases, path),
            (Shape::Enum(names), Json::String(name)) => lower_name(name, names, path).map(Val::Enum),
            (Shape::Flags(names), Json::Array(items)) => lower_flags(items, names, path),
            (Shape::Option(_), Json::Null) => Ok(Val::Option(None)),
            (Shape::Option(inner), json) if inner.may_be_null() => self.some(json, inner, path),
            (Shape::Option(inner), json) => Ok(Val::Option(Some(Box::new(self.value(json, inner, path)?)))),
            (Shape::Result { ok, err }, json) => self.result(json, ok.as_deref(), err.as_deref(), path),
            (shape, json) => Err(expected(&wanted(shape), json, path)),
        }
    }

    fn fields(&mut self, json: &Json<'_>, fields: &[Field], path: &Path<'_>) -> Result<Vec<(String, Val)>, Mismatch> {
        let members = members(json, fields, path)?;
        fields.iter().map(|field| Ok((field.name.clone(), self.field(members, field, path)?))).collect()
    }

    fn field(&mut self, members: &Members<'_>, field: &Field, path: &Path<'_>) -> Result<Val, Mismatch> {
        let here = path.field(&field.name);
        match members.iter().find(|(key, _)| *key == field.name) {
            Some((_, json)) => self.value(json, &field.shape, &here),
            None if field.shape.may_be_null() => self.absent(&here),
            None => Err(missing(field, &here)),
        }
    }

    fn absent(&mut self, path: &Path<'_>) -> Result<Val, Mismatch> {
        let left = self.absent_left.checked_sub(1);
        self.absent_left = left.ok_or_else(|| path.mismatch(format!("more than {ABSENT_MAX} options are left out")))?;
        Ok(Val::Option(None))
    }

    fn map(&mut self, members: &Members<'_>, key: Key, shape: &Shape, path: &Path<'_>) -> Result<Val, Mismatch> {
        let (mut entries, mut seen) = (Vec::with_capacity(members.len()), HashSet::new());
        for (name, json) in members {
            let here = path.field(name);
            let key = lower_key(name, key, &here)?;
            // Two spellings of one number are two keys to JSON and one to the tool.
            if !seen.insert(key_text(&key)) {
                return Err(here.mismatch("this key occurs twice, in other words"));
            }
            entries.push((key, self.value(json, shape, &here)?));
        }
        Ok(Val::Map(entries))
    }

    /// The value of an option whose own value may be null.
    fn some(&mut self, json: &Json<'_>, inner: &Shape, path: &Path<'_>) -> Result<Val, Mismatch> {
        match json {
            Json::Object(members) if members.len() == 1 && members[0].0 == SOME => {
                let value = self.value(&members[0].1, inner, &path.field(SOME))?;
                Ok(Val::Option(Some(Box::new(value))))
            }
            _ => Err(expected(&format!("null or an object with `{SOME}`"), json, path)),
        }
    }

    fn list(&mut self, items: &[Json<'_>], shape: &Shape, path: &Path<'_>) -> Result<Val, Mismatch> {
        let lower_item = |(index, item)| self.value(item, shape, &path.item(index));
        items.iter().enumerate().map(lower_item).collect::<Result<_, _>>().map(Val::List)
    }

    fn tuple(&mut self, items: &[Json<'_>], shapes: &[Shape], path: &Path<'_>) -> Result<Val, Mismatch> {
        if items.len() != shapes.len() {
            return Err(path.mismatch(format!("expected {} items, found {}", shapes.len(), items.len())));
        }
        let pairs = items.iter().zip(shapes).enumerate();
        pairs
            .map(|(index, (item, shape))| self.value(item, shape, &path.item(index)))
            .collect::<Result<_, _>>()
            .map(Val::Tuple)
    }

    fn variant(&mut self, json: &Json<'_>, cases: &[Case], path: &Path<'_>) -> Result<Val, Mismatch> {
        let (name, payload) =
            self.case(json, cases.iter().map(|case| (case.name.as_str(), case.payload.as_ref())), path)?;
        Ok(Val::Variant(name, payload))
    }

    fn result(
        &mut self,
        json: &Json<'_>,
        ok: Option<&Shape>,
        err: Option<&Shape>,
        path: &Path<'_>,
    ) -> Result<Val, Mismatch> {
        let (name, payload) = self.case(json, [("ok", ok), ("err", err)].into_iter(), path)?;
        Ok(Val::Result(if name == "ok" { Ok(payload) } else { Err(payload) }))
    }

    /// `{"case": payload}`; a case without payload is `"case"`, or `{"case": null}`.
    fn case<'s>(
        &mut self,
        json: &Json<'_>,
        mut cases: impl Iterator<Item = (&'s str, Option<&'s Shape>)> + Clone,
        path: &Path<'_>,
    ) -> Result<(String, Option<Box<Val>>), Mismatch> {
        let all = cases.clone();
        let (name, payload) = match json {
            Json::String(name) => (name, None),
            Json::Object(members) if members.len() == 1 => (&members[0].0, Some(&members[0].1)),
            _ => return Err(expected(&wanted_case(all), json, path)),
        };
        let here = path.field(name);
        match (cases.find(|(known, _)| *known == *name), payload) {
            (None, _) => Err(here.mismatch(format!("no such case; expected {}", wanted_case(all)))),
            (Some((name, None)), None | Some(Json::Null)) => Ok((name.to_owned(), None)),
            (Some((_, None)), Some(_)) => Err(here.mismatch("this case has no value: write null, or only its name")),
            (Some((_, Some(shape))), None) => {
                Err(here.mismatch(format!("missing its value; expected {}", wanted(shape))))
            }
            (Some((name, Some(shape))), Some(json)) => {
                Ok((name.to_owned(), Some(Box::new(self.value(json, shape, &here)?))))
            }
        }
    }
}

/// The same for fields of which none is an option, each taken by `lower`.
pub(crate) fn lower_fields_as(
    json: &Json<'_>,
    fields: &[Field],
    path: &Path<'_>,
    mut lower: impl FnMut(&Json<'_>, &Shape, &Path<'_>) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let members = members(json, fields, path)?;
    fields.iter().try_for_each(|field| {
        let here = path.field(&field.name);
        let member = members.iter().find(|(key, _)| *key == field.name).ok_or_else(|| missing(field, &here))?;
        lower(&member.1, &field.shape, &here)
    })
}

/// The members of an object that has no others than `fields`.
fn members<'j, 't>(json: &'j Json<'t>, fields: &[Field], path: &Path<'_>) -> Result<&'j Members<'t>, Mismatch> {
    let Json::Object(members) = json else { return Err(expected("an object", json, path)) };
    let Some((stranger, _)) = members.iter().find(|(key, _)| fields.iter().all(|field| field.name != *key)) else {
        return Ok(members);
    };
    let known = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join("`, `");
    let hint = if known.is_empty() { "none is expected".to_owned() } else { format!("expected `{}`", excerpt(&known)) };
    Err(path.field(stranger).mismatch(format!("unknown field; {hint}")))
}

/// The members of an object, in their order.
type Members<'t> = [(Cow<'t, str>, Json<'t>)];

fn missing(field: &Field, path: &Path<'_>) -> Mismatch {
    path.mismatch(format!("missing; expected {}", wanted(&field.shape)))
}

/// A text.
pub(crate) fn lower_text(json: &Json<'_>, path: &Path<'_>) -> Result<String, Mismatch> {
    match json {
        Json::String(text) => Ok(text.clone().into_owned()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            Err(expected(&wanted(&Shape::String), json, path))
        }
    }
}

/// A 64-bit integer may also be a string of its decimal digits, for writers that have only floats.
fn lower_integer(json: &Json<'_>, integer: Integer, path: &Path<'_>) -> Result<Val, Mismatch> {
    let value = match json {
        Json::Number(text) => exact_integer(text),
        Json::String(text) if integer.exceeds_float() => exact_integer(text),
        _ => None,
    };
    value.and_then(|value| integer.val(value)).ok_or_else(|| expected(&wanted(&Shape::Integer(integer)), json, path))
}

/// The bytes that a base64 text stands for; an array of numbers is taken too.
pub(crate) fn lower_bytes(json: &Json<'_>, path: &Path<'_>) -> Result<Vec<u8>, Mismatch> {
    match json {
        Json::String(text) => base64::decode(text).map_err(|why| path.mismatch(format!("not base64: {why}"))),
        Json::Array(items) => {
            items.iter().enumerate().map(|(index, item)| lower_byte(item, &path.item(index))).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
            Err(expected(&wanted(&Shape::Bytes), json, path))
        }
    }
}

fn lower_byte(json: &Json<'_>, path: &Path<'_>) -> Result<u8, Mismatch> {
    match lower_integer(json, Integer::U8, path)? {
        Val::U8(byte) => Ok(byte),
        _ => unreachable!("a byte was asked for"),
    }
}

fn byte_list(bytes: &[u8], path: &Path<'_>) -> Result<Val, Mismatch> {
    if bytes.len() > MIXED_BYTES_MAX {
        let has = bytes.len();
        return Err(
            path.mismatch(format!("{has} bytes, more than the {MIXED_BYTES_MAX} that this function can be given"))
        );
    }
    Ok(Val::List(bytes.iter().copied().map(Val::U8).collect()))
}

fn lower_key(text: &str, key: Key, path: &Path<'_>) -> Result<Val, Mismatch> {
    match key {
        Key::String => Ok(Val::String(text.to_owned())),
        Key::Char => lower_char(text, path),
        Key::Integer(integer) => lower_integer(&Json::Number(text), integer, path),
        Key::Bool => match text {
            "true" => Ok(Val::Bool(true)),
            "false" => Ok(Val::Bool(false)),
            _ => Err(path.mismatch(format!("expected the key `true` or `false`, found `{}`", excerpt(text)))),
        },
    }
}

/// The float that one of the words for what is no number stands for.
fn not_finite(text: &str) -> Option<f64> {
    match text {
        NOT_A_NUMBER => Some(f64::NAN),
        INFINITE => Some(f64::INFINITY),
        INFINITE_BELOW => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

trait Float: std::str::FromStr {
    fn is_finite(&self) -> bool;
}

impl Float for f32 {
    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

impl Float for f64 {
    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

/// The nearest float, which is what a decimal fraction means to a float; a number beyond its range is refused.
fn lower_float<F: Float>(text: &str, path: &Path<'_>) -> Result<F, Mismatch> {
    let value = text.parse().ok().filter(F::is_finite);
    value.ok_or_else(|| path.mismatch(format!("`{}` is beyond the range of this float", excerpt(text))))
}

fn lower_char(text: &str, path: &Path<'_>) -> Result<Val, Mismatch> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Val::Char(c)),
        _ => Err(path.mismatch(format!("expected exactly one character, found `{}`", excerpt(text)))),
    }
}

fn lower_name(name: &str, names: &[String], path: &Path<'_>) -> Result<String, Mismatch> {
    let known = names.iter().find(|known| *known == name);
    known.cloned().ok_or_else(|| {
        path.mismatch(format!("expected one of `{}`, found `{}`", excerpt(&names.join("`, `")), excerpt(name)))
    })
}

fn lower_flags(items: &[Json<'_>], names: &[String], path: &Path<'_>) -> Result<Val, Mismatch> {
    let (mut flags, mut seen) = (Vec::with_capacity(items.len().min(names.len())), HashSet::new());
    for (index, item) in items.iter().enumerate() {
        let here = path.item(index);
        let Json::String(name) = item else { return Err(expected("a string", item, &here)) };
        let flag = lower_name(name, names, &here)?;
        if !seen.insert(flag.clone()) {
            return Err(here.mismatch(format!("`{flag}` occurs twice")));
        }
        flags.push(flag);
    }
    // The component's order, so that the same set is the same value.
    flags.sort_by_cached_key(|flag: &String| names.iter().position(|name| name == flag));
    Ok(Val::Flags(flags))
}

fn expected(what: &str, found: &Json<'_>, path: &Path<'_>) -> Mismatch {
    let found = match found {
        Json::Number(text) => format!("`{}`", excerpt(text)),
        Json::String(text) => format!("the string `{}`", excerpt(text)),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => found.kind().to_owned(),
    };
    path.mismatch(format!("expected {what}, found {found}"))
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer(integer) => format!("an integer from {} to {}", integer.min(), integer.max()),
        Shape::Float32 | Shape::Float64 => "a number".to_owned(),
        Shape::Char => "one character".to_owned(),
        Shape::String => "a string".to_owned(),
        Shape::Bytes => "a string of base64".to_owned(),
        Shape::List(_) | Shape::Tuple(_) => "an array".to_owned(),
        Shape::Record(_) | Shape::Map { .. } => "an object".to_owned(),
        Shape::Variant(cases) => wanted_case(cases.iter().map(|case| (case.name.as_str(), case.payload.as_ref()))),
        Shape::Enum(names) => format!("one of `{}`", excerpt(&names.join("`, `"))),
        Shape::Flags(names) => format!("an array of `{}`", excerpt(&names.join("`, `"))),
        Shape::Option(inner) => format!("{} or null", wanted(inner)),
        Shape::Result { .. } => "an object with `ok` or `err`".to_owned(),
    }
}

fn wanted_case<'s>(cases: impl Iterator<Item = (&'s str, Option<&'s Shape>)>) -> String {
    let names = cases.map(|(name, _)| name).collect::<Vec<_>>().join("`, `");
    format!("an object with one of `{}`", excerpt(&names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item_shape() -> Shape {
        let price = Field { name: "price".into(), shape: Shape::Integer(Integer::U8) };
        let note = Field { name: "note".into(), shape: Shape::Option(Box::new(Shape::String)) };
        Shape::Record(vec![price, note])
    }

    fn check(shape: Shape, text: &str, expected: &str) {
        let fields = [Field { name: "x".into(), shape }];
        let text = format!("{{\"x\": {text}}}");
        let lowered =
            Json::parse(&text, "arguments").and_then(|json| lower_fields(&json, &fields, &Path::root("arguments")));
        let shown = lowered.map_or_else(|error| error.to_string(), |fields| format!("{:?}", fields[0].1));
        assert_eq!(shown, expected);
    }

    #[test]
    fn errors_name_the_place_and_what_was_expected() {
        let list = || Shape::List(Box::new(item_shape()));
        check(
            list(),
            r#"[{"price":1},{"price":300}]"#,
            "arguments.x[1].price: expected an integer from 0 to 255, found `300`",
        );
        check(list(), r#"[{"price":1.5}]"#, "arguments.x[0].price: expected an integer from 0 to 255, found `1.5`");
        check(list(), r#"[{}]"#, "arguments.x[0].price: missing; expected an integer from 0 to 255");
        check(list(), r#"[{"price":1,"prise":2}]"#, "arguments.x[0].prise: unknown field; expected `price`, `note`");
        check(list(), r#"{}"#, "arguments.x: expected an array, found an object");
        check(Shape::Float32, "1e39", "arguments.x: `1e39` is beyond the range of this float");
        check(Shape::Char, r#""ab""#, "arguments.x: expected exactly one character, found `ab`");
        check(Shape::Enum(vec!["a".into(), "b".into()]), r#""c""#, "arguments.x: expected one of `a`, `b`, found `c`");
        check(Shape::Flags(vec!["a".into()]), r#"["a","a"]"#, "arguments.x[1]: `a` occurs twice");
        check(Shape::Tuple(vec![Shape::Bool]), "[]", "arguments.x: expected 1 items, found 0");
    }

    #[test]
    fn options_and_cases_have_two_spellings() {
        let cases =
            vec![Case { name: "none".into(), payload: None }, Case { name: "some".into(), payload: Some(Shape::Bool) }];
        check(item_shape(), r#"{"price":1,"note":null}"#, r#"Record([("price", U8(1)), ("note", Option(None))])"#);
        check(item_shape(), r#"{"price":1}"#, r#"Record([("price", U8(1)), ("note", Option(None))])"#);
        check(Shape::Variant(cases.clone()), r#""none""#, r#"Variant("none", None)"#);
        check(Shape::Variant(cases.clone()), r#"{"none":null}"#, r#"Variant("none", None)"#);
        check(Shape::Variant(cases.clone()), r#"{"some":true}"#, r#"Variant("some", Some(Bool(true)))"#);
        check(Shape::Variant(cases), r#""some""#, "arguments.x.some: missing its value; expected true or false");
    }

    #[test]
    fn bytes_are_base64_or_numbers() {
        check(Shape::Bytes, r#""/wA=""#, "List([U8(255), U8(0)])");
        check(Shape::Bytes, "[255, 0]", "List([U8(255), U8(0)])");
        check(Shape::Bytes, r#""/w!""#, "arguments.x: not base64: invalid symbol 33, offset 2");
        check(Shape::Bytes, "[256]", "arguments.x[0]: expected an integer from 0 to 255, found `256`");
        check(Shape::Bytes, "7", "arguments.x: expected a string of base64, found `7`");
        let many = format!("\"{}\"", "AAAA".repeat(100_000));
        check(Shape::Bytes, &many, "arguments.x: 300000 bytes, more than the 262144 that this function can be given");
    }

    #[test]
    fn maps_have_keys_of_their_type() {
        let map = |key| Shape::Map { key, value: Box::new(Shape::Bool) };
        check(map(Key::String), r#"{"":true}"#, r#"Map([(String(""), Bool(true))])"#);
        check(map(Key::Bool), r#"{"no":true}"#, "arguments.x.no: expected the key `true` or `false`, found `no`");
        let numbers = || map(Key::Integer(Integer::U8));
        check(numbers(), r#"{"7":false}"#, "Map([(U8(7), Bool(false))])");
        check(numbers(), r#"{"7":false,"7.0":true}"#, "arguments.x.7.0: this key occurs twice, in other words");
        check(numbers(), r#"{"x":false}"#, "arguments.x.x: expected an integer from 0 to 255, found `x`");
    }

    #[test]
    fn an_option_in_an_option_says_which_is_absent() {
        let nested = || Shape::Option(Box::new(Shape::Option(Box::new(Shape::Bool))));
        check(nested(), "null", "Option(None)");
        check(nested(), r#"{"some":null}"#, "Option(Some(Option(None)))");
        check(nested(), r#"{"some":true}"#, "Option(Some(Option(Some(Bool(true)))))");
        check(nested(), "true", "arguments.x: expected null or an object with `some`, found a boolean");
    }

    /// Each `{}` is three bytes of a text, and a thousand values of forty bytes.
    #[test]
    fn a_short_text_does_not_stand_for_ever_so_many_values() {
        let option = |index: usize| Field { name: format!("f{index}"), shape: Shape::Option(Box::new(Shape::Bool)) };
        let record = Shape::Record((0..1_000).map(option).collect());
        let empty = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
        let list = || Shape::List(Box::new(record.clone()));
        check(list(), &empty(9_000), "arguments.x[50].f0: more than 50000 options are left out");
        let json = empty(50);
        let made = Json::parse(&json, "x").and_then(|json| lower(&json, &list(), &Path::root("x")));
        assert!(made.is_ok());
    }

    #[test]
    fn only_64_bit_integers_may_be_strings() {
        check(Shape::Integer(Integer::U64), r#""18446744073709551615""#, "U64(18446744073709551615)");
        check(Shape::Integer(Integer::S64), "-9223372036854775808", "S64(-9223372036854775808)");
        check(
            Shape::Integer(Integer::U32),
            r#""1""#,
            "arguments.x: expected an integer from 0 to 4294967295, found the string `1`",
        );
    }
}
