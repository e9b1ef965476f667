//! Results: component values become JSON text, within bounds. What JSON cannot say (NaN, infinities) is an error.

use std::fmt::Write as _;

use wasmtime::component::Val;

use super::{DEPTH_MAX, Mismatch, NODES_MAX, Path};

/// The JSON text of `val`, at most `bytes_max` long.
pub(crate) fn lift(val: &Val, bytes_max: usize) -> Result<String, Mismatch> {
    let mut writer = Writer { out: String::new(), bytes_max, nodes_left: NODES_MAX, depth: 0 };
    writer.value(val, &Path::root("result"))?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    bytes_max: usize,
    nodes_left: usize,
    depth: usize,
}

impl Writer {
    fn value(&mut self, val: &Val, path: &Path<'_>) -> Result<(), Mismatch> {
        self.count(path)?;
        match val {
            Val::Bool(value) => self.plain(value),
            Val::S8(value) => self.plain(value),
            Val::U8(value) => self.plain(value),
            Val::S16(value) => self.plain(value),
            Val::U16(value) => self.plain(value),
            Val::S32(value) => self.plain(value),
            Val::U32(value) => self.plain(value),
            Val::S64(value) => self.plain(value),
            Val::U64(value) => self.plain(value),
            Val::Float32(value) => self.float(serde_json::to_string(value), value.is_finite(), path)?,
            Val::Float64(value) => self.float(serde_json::to_string(value), value.is_finite(), path)?,
            Val::Char(value) => self.string(value.encode_utf8(&mut [0; 4])),
            Val::String(value) | Val::Enum(value) => self.string(value),
            Val::List(items) | Val::Tuple(items) => self.array(items, path)?,
            Val::Record(fields) => self.object(fields.iter().map(|(name, val)| (name.as_str(), val)), path)?,
            Val::Variant(name, payload) => self.case(name, payload.as_deref(), path)?,
            Val::Result(Ok(payload)) => self.case("ok", payload.as_deref(), path)?,
            Val::Result(Err(payload)) => self.case("err", payload.as_deref(), path)?,
            Val::Option(None) => self.out.push_str("null"),
            Val::Option(Some(inner)) => self.value(inner, path)?,
            Val::Flags(names) => self.names(names),
            Val::Map(_)
            | Val::FixedLengthList(_)
            | Val::Resource(_)
            | Val::Future(_)
            | Val::Stream(_)
            | Val::ErrorContext(_) => {
                return Err(path.mismatch("a value that JSON cannot carry"));
            }
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

    fn array(&mut self, items: &[Val], path: &Path<'_>) -> Result<(), Mismatch> {
        self.nested(path, |writer| {
            writer.out.push('[');
            for (index, item) in items.iter().enumerate() {
                writer.comma(index);
                writer.value(item, &path.item(index))?;
            }
            writer.out.push(']');
            Ok(())
        })
    }

    fn object<'v>(
        &mut self,
        fields: impl Iterator<Item = (&'v str, &'v Val)>,
        path: &Path<'_>,
    ) -> Result<(), Mismatch> {
        self.nested(path, |writer| {
            writer.out.push('{');
            for (index, (name, val)) in fields.enumerate() {
                writer.comma(index);
                writer.string(name);
                writer.out.push(':');
                writer.value(val, &path.field(name))?;
            }
            writer.out.push('}');
            Ok(())
        })
    }

    fn case(&mut self, name: &str, payload: Option<&Val>, path: &Path<'_>) -> Result<(), Mismatch> {
        match payload {
            Some(payload) => self.object(std::iter::once((name, payload)), path),
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
        // Writing into a string cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn float(&mut self, text: serde_json::Result<String>, finite: bool, path: &Path<'_>) -> Result<(), Mismatch> {
        match text {
            Ok(text) if finite => self.out.push_str(&text),
            _ => return Err(path.mismatch("not a finite number, which JSON cannot say")),
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        match serde_json::to_string(text) {
            Ok(quoted) => self.out.push_str(&quoted),
            Err(error) => unreachable!("a string always has a JSON text: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(val: &Val, expected: &str) {
        assert_eq!(lift(val, 64).unwrap_or_else(|error| error.to_string()), expected);
    }

    #[test]
    fn results_read_as_plain_json() {
        let record = Val::Record(vec![
            ("id".into(), Val::U64(u64::MAX)),
            ("share".into(), Val::Float32(0.1)),
            ("tags".into(), Val::Flags(vec!["a".into()])),
            ("gone".into(), Val::Option(None)),
        ]);
        check(&record, r#"{"id":18446744073709551615,"share":0.1,"tags":["a"],"gone":null}"#);
        check(&Val::Variant("none".into(), None), r#""none""#);
        check(&Val::Result(Err(Some(Box::new(Val::Char('"'))))), r#"{"err":"\""}"#);
    }

    #[test]
    fn what_json_cannot_say_and_what_is_too_much_are_errors() {
        check(&Val::List(vec![Val::Float64(f64::NAN)]), "result[0]: not a finite number, which JSON cannot say");
        check(&Val::Float32(f32::INFINITY), "result: not a finite number, which JSON cannot say");
        check(&Val::String("x".repeat(100)), "result: the result is larger than 64 bytes");
        let many = Val::List(vec![Val::Bool(true); NODES_MAX]);
        assert!(lift(&many, usize::MAX).is_err_and(|error| error.to_string().ends_with("more than 10000 values")));
        let deep = (0..=DEPTH_MAX).fold(Val::Bool(true), |inner, _| Val::List(vec![inner]));
        assert!(lift(&deep, usize::MAX).is_err_and(|error| error.to_string().ends_with("nested deeper than 64")));
    }
}
