//! Results: component values become JSON text, within bounds. What is written is what `lower` takes back as the same value, and
//! what any reader of JSON holds exactly: an integer that a float cannot hold is a string of its digits.

use std::fmt::Write as _;

use wasmtime::component::Val;

use super::shape::{Case, Field, Integer, Shape};
use super::{DEPTH_MAX, INTEGER_SAFE_MAX, Mismatch, NODES_MAX, Path, SOME};
use crate::base64;

/// The JSON text of `val`, which is of this shape, at most `bytes_max` long.
pub(crate) fn lift(val: &Val, shape: &Shape, bytes_max: usize) -> Result<String, Mismatch> {
    let mut writer = Writer { out: String::new(), bytes_max, nodes_left: NODES_MAX, depth: 0 };
    writer.value(val, shape, &Path::root("result"))?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    bytes_max: usize,
    nodes_left: usize,
    depth: usize,
}

impl Writer {
    fn value(&mut self, val: &Val, shape: &Shape, path: &Path<'_>) -> Result<(), Mismatch> {
        self.count(path)?;
        match (shape, val) {
            (Shape::Bool, Val::Bool(value)) => self.plain(value),
            (Shape::Integer(integer), val) => self.integer(val, *integer, path)?,
            (Shape::Float32, Val::Float32(value)) => self.float(serde_json::to_string(value), (*value).into()),
            (Shape::Float64, Val::Float64(value)) => self.float(serde_json::to_string(value), *value),
            (Shape::Char, Val::Char(value)) => self.string(value.encode_utf8(&mut [0; 4])),
            (Shape::String, Val::String(value)) | (Shape::Enum(_), Val::Enum(value)) => self.string(value),
            (Shape::Bytes, Val::List(items)) => self.bytes(items, path)?,
            (Shape::List(shape), Val::List(items)) => {
                self.array(items.iter().map(|item| (item, shape.as_ref())), path)?;
            }
            (Shape::Tuple(shapes), Val::Tuple(items)) => self.array(items.iter().zip(shapes), path)?,
            (Shape::Map { value: shape, .. }, Val::Map(entries)) => self.map(entries, shape, path)?,
            (Shape::Record(shapes), Val::Record(fields)) => self.record(fields, shapes, path)?,
            (Shape::Variant(cases), Val::Variant(name, payload)) => {
                let shape = cases.iter().find(|case| case.name == *name).and_then(|case: &Case| case.payload.as_ref());
                self.case(name, payload.as_deref().zip(shape), path)?;
            }
            (Shape::Result { ok, .. }, Val::Result(Ok(payload))) => {
                self.case("ok", payload.as_deref().zip(ok.as_deref()), path)?;
            }
            (Shape::Result { err, .. }, Val::Result(Err(payload))) => {
                self.case("err", payload.as_deref().zip(err.as_deref()), path)?;
            }
            (Shape::Option(_), Val::Option(None)) => self.out.push_str("null"),
            (Shape::Option(shape), Val::Option(Some(inner))) if shape.may_be_null() => {
                self.case(SOME, Some((inner, shape)), path)?;
            }
            (Shape::Option(shape), Val::Option(Some(inner))) => self.value(inner, shape, path)?,
            (Shape::Flags(_), Val::Flags(names)) => self.names(names),
            (shape, _) => return Err(path.mismatch(format!("a value that is no {shape}"))),
        }
        self.fits(path)
    }

    /// Counts a value before anything is written for it.
    fn count(&mut self, path: &Path<'_>) -> Result<(), Mismatch> {
        let left = self.nodes_left.checked_sub(1);
        self.nodes_left = left.ok_or_else(|| path.mismatch(format!("more than {NODES_MAX} values")))?;
        Ok(())
    }

    fn fits(&self, path: &Path<'_>) -> Result<(), Mismatch> {
        if self.out.len() <= self.bytes_max {
            return Ok(());
        }
        Err(path.mismatch(format!("the result is larger than {} bytes", self.bytes_max)))
    }

    fn nested(
        &mut self,
        path: &Path<'_>,
        inner: impl FnOnce(&mut Self) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        if self.depth == DEPTH_MAX {
            return Err(path.mismatch(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array<'v>(
        &mut self,
        items: impl Iterator<Item = (&'v Val, &'v Shape)>,
        path: &Path<'_>,
    ) -> Result<(), Mismatch> {
        self.nested(path, |writer| {
            writer.out.push('[');
            for (index, (item, shape)) in items.enumerate() {
                writer.comma(index);
                writer.value(item, shape, &path.item(index))?;
            }
            writer.out.push(']');
            Ok(())
        })
    }

    fn record(&mut self, fields: &[(String, Val)], shapes: &[Field], path: &Path<'_>) -> Result<(), Mismatch> {
        self.object(fields.iter().zip(shapes).map(|((name, val), field)| (name.as_str(), val, &field.shape)), path)
    }

    /// Of two entries with one key the later one counts, as the component model says.
    fn map(&mut self, entries: &[(Val, Val)], shape: &Shape, path: &Path<'_>) -> Result<(), Mismatch> {
        let mut members: Vec<(String, &Val)> = Vec::with_capacity(entries.len().min(NODES_MAX));
        let mut places = std::collections::HashMap::new();
        for (key, val) in entries {
            let key = key_text(key).ok_or_else(|| path.mismatch("a key that is neither number nor text"))?;
            match places.get(&key) {
                Some(place) => {
                    let (_, earlier): &mut (String, &Val) = &mut members[*place];
                    *earlier = val;
                }
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, val));
                }
            }
        }
        self.object(members.iter().map(|(key, val)| (key.as_str(), *val, shape)), path)
    }

    fn object<'v>(
        &mut self,
        members: impl Iterator<Item = (&'v str, &'v Val, &'v Shape)>,
        path: &Path<'_>,
    ) -> Result<(), Mismatch> {
        self.nested(path, |writer| {
            writer.out.push('{');
            for (index, (name, val, shape)) in members.enumerate() {
                writer.comma(index);
                writer.string(name);
                writer.out.push(':');
                writer.value(val, shape, &path.field(name))?;
            }
            writer.out.push('}');
            Ok(())
        })
    }

    fn case(&mut self, name: &str, payload: Option<(&Val, &Shape)>, path: &Path<'_>) -> Result<(), Mismatch> {
        match payload {
            Some((val, shape)) => self.object(std::iter::once((name, val, shape)), path),
            None => {
                self.string(name);
                Ok(())
            }
        }
    }

    fn names(&mut self, names: &[String]) {
        self.out.push('[');
        for (index, name) in names.iter().enumerate() {
            self.comma(index);
            self.string(name);
        }
        self.out.push(']');
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
    }

    fn plain(&mut self, value: impl std::fmt::Display) {
        let _ = write!(self.out, "{value}");
    }

    /// Many readers of JSON hold every number as a float, so that one beyond 2^53 would silently become another.
    fn integer(&mut self, val: &Val, integer: Integer, path: &Path<'_>) -> Result<(), Mismatch> {
        let value = integer.value(val).ok_or_else(|| path.mismatch(format!("a value that is no {integer}")))?;
        if value.unsigned_abs() <= INTEGER_SAFE_MAX.unsigned_abs() {
            self.plain(value);
        } else {
            self.string(&value.to_string());
        }
        Ok(())
    }

    /// JSON has no words for what is not finite: strings, as other bindings write them.
    fn float(&mut self, text: serde_json::Result<String>, value: f64) {
        match text {
            Ok(text) if value.is_finite() => self.out.push_str(&text),
            _ if value.is_nan() => self.string(super::NOT_A_NUMBER),
            _ if value > 0.0 => self.string(super::INFINITE),
            _ => self.string(super::INFINITE_BELOW),
        }
    }

    fn bytes(&mut self, items: &[Val], path: &Path<'_>) -> Result<(), Mismatch> {
        let byte = |item: &Val| if let Val::U8(byte) = item { Some(*byte) } else { None };
        let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
        let bytes = bytes.ok_or_else(|| path.mismatch("a value that is no list<u8>"))?;
        self.string(&base64::encode(&bytes));
        Ok(())
    }

    fn string(&mut self, text: &str) {
        match serde_json::to_string(text) {
            Ok(quoted) => self.out.push_str(&quoted),
            Err(error) => unreachable!("a string always has a JSON text: {error}"),
        }
    }
}

/// A key of a map as the key of an object.
pub(super) fn key_text(key: &Val) -> Option<String> {
    match key {
        Val::Bool(value) => Some(value.to_string()),
        Val::Char(value) => Some(value.to_string()),
        Val::String(value) => Some(value.clone()),
        key => Integer::ALL.iter().find_map(|integer| integer.value(key)).map(|value| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::shape::Key;

    fn check(shape: &Shape, val: &Val, expected: &str) {
        assert_eq!(lift(val, shape, 100).unwrap_or_else(|error| error.to_string()), expected);
    }

    fn integer(integer: Integer) -> Shape {
        Shape::Integer(integer)
    }

    fn option(inner: Shape) -> Shape {
        Shape::Option(Box::new(inner))
    }

    #[test]
    fn results_read_as_plain_json() {
        let fields = [
            ("id", integer(Integer::U32), Val::U32(7)),
            ("share", Shape::Float32, Val::Float32(0.1)),
            ("tags", Shape::Flags(vec!["a".into(), "b".into()]), Val::Flags(vec!["a".into()])),
            ("gone", option(Shape::String), Val::Option(None)),
            ("raw", Shape::Bytes, Val::List(vec![Val::U8(255), Val::U8(0)])),
        ];
        let shape = fields.iter().map(|(name, shape, _)| Field { name: (*name).into(), shape: shape.clone() });
        let record = fields.iter().map(|(name, _, val)| ((*name).to_owned(), val.clone()));
        let expected = r#"{"id":7,"share":0.1,"tags":["a"],"gone":null,"raw":"/wA="}"#;
        check(&Shape::Record(shape.collect()), &Val::Record(record.collect()), expected);
        let variant = Shape::Variant(vec![Case { name: "none".into(), payload: None }]);
        check(&variant, &Val::Variant("none".into(), None), r#""none""#);
        let result = Shape::Result { ok: None, err: Some(Box::new(Shape::Char)) };
        check(&result, &Val::Result(Err(Some(Box::new(Val::Char('"'))))), r#"{"err":"\""}"#);
        check(&Shape::Bytes, &Val::List(Vec::new()), r#""""#);
        check(&Shape::List(Box::new(Shape::Bool)), &Val::List(Vec::new()), "[]");
    }

    #[test]
    fn what_a_float_cannot_hold_is_a_string_of_digits() {
        for (integer, val, expected) in [
            (Integer::U64, Val::U64(1 << 53), "\"9007199254740992\""),
            (Integer::U64, Val::U64((1 << 53) - 1), "9007199254740991"),
            (Integer::S64, Val::S64(1 - (1 << 53)), "-9007199254740991"),
            (Integer::S64, Val::S64(i64::MIN), "\"-9223372036854775808\""),
        ] {
            check(&Shape::Integer(integer), &val, expected);
        }
        check(&Shape::List(Box::new(Shape::Float64)), &Val::List(vec![Val::Float64(f64::NAN)]), r#"["NaN"]"#);
        check(&Shape::Float32, &Val::Float32(f32::NEG_INFINITY), r#""-Infinity""#);
        check(&Shape::Float64, &Val::Float64(-0.0), "-0.0");
    }

    #[test]
    fn an_option_in_an_option_says_which_is_absent() {
        let nested = option(option(Shape::Bool));
        let some = |inner| Val::Option(Some(Box::new(inner)));
        check(&nested, &Val::Option(None), "null");
        check(&nested, &some(Val::Option(None)), r#"{"some":null}"#);
        check(&nested, &some(some(Val::Bool(true))), r#"{"some":true}"#);
    }

    #[test]
    fn a_map_is_an_object_whose_last_entry_counts() {
        let map = Shape::Map { key: Key::Integer(Integer::S8), value: Box::new(Shape::Bool) };
        let entry = |key, value| (Val::S8(key), Val::Bool(value));
        check(&map, &Val::Map(vec![entry(-1, true), entry(2, true), entry(-1, false)]), r#"{"-1":false,"2":true}"#);
    }

    #[test]
    fn what_is_too_much_is_an_error() {
        check(&Shape::String, &Val::String("x".repeat(100)), "result: the result is larger than 100 bytes");
        check(&Shape::Bool, &Val::U8(1), "result: a value that is no bool");
        let many = Val::List(vec![Val::Bool(true); NODES_MAX]);
        let shape = Shape::List(Box::new(Shape::Bool));
        let refused = |val: &Val, shape: &Shape| lift(val, shape, usize::MAX).err().map(|error| error.to_string());
        assert!(refused(&many, &shape).is_some_and(|error| error.ends_with("more than 10000 values")));
        let list = |(val, shape)| (Val::List(vec![val]), Shape::List(Box::new(shape)));
        let (deep, shape) = (0..=DEPTH_MAX).fold((Val::Bool(true), Shape::Bool), |inner, _| list(inner));
        assert!(refused(&deep, &shape).is_some_and(|error| error.ends_with("nested deeper than 64")));
    }
}
