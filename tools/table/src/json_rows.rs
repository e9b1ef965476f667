//! Rows of JSON files, one object at a time. Values keep their digits: they are taken as text, never as floats.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, Read};

use agent_host_tool::path;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::source::{COLUMNS_MAX, Cells};

/// Longest line of a JSON lines file.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What is done with each object.
trait Objects {
    fn visit<'de, A: MapAccess<'de>>(&mut self, object: A) -> Result<(), A::Error>;
}

/// The columns of a JSON array, in the order in which they first appear.
pub(crate) fn array_columns(reader: impl Read, shown: &str) -> Result<Vec<String>, String> {
    let mut columns = Columns::default();
    read_array(reader, shown, &mut columns)?;
    Ok(columns.names)
}

/// The columns of a JSON lines file.
pub(crate) fn line_columns(reader: impl BufRead, shown: &str) -> Result<Vec<String>, String> {
    let mut columns = Columns::default();
    read_lines(reader, shown, &mut columns)?;
    Ok(columns.names)
}

/// The rows of a JSON array.
pub(crate) fn array_rows(
    reader: impl Read,
    shown: &str,
    columns: &[String],
    each: &mut dyn FnMut(Cells<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rows = Rows::new(columns, each);
    let outcome = read_array(reader, shown, &mut rows);
    rows.stopped.map_or(outcome, Err)
}

/// The rows of a JSON lines file.
pub(crate) fn line_rows(
    reader: impl BufRead,
    shown: &str,
    columns: &[String],
    each: &mut dyn FnMut(Cells<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rows = Rows::new(columns, each);
    let outcome = read_lines(reader, shown, &mut rows);
    rows.stopped.map_or(outcome, Err)
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    known: HashMap<String, ()>,
}

impl Objects for Columns {
    fn visit<'de, A: MapAccess<'de>>(&mut self, mut object: A) -> Result<(), A::Error> {
        while let Some((name, IgnoredAny)) = object.next_entry::<String, IgnoredAny>()? {
            if self.known.contains_key(&name) {
                continue;
            }
            if self.names.len() == COLUMNS_MAX {
                return Err(A::Error::custom(format!("there are more than {COLUMNS_MAX} columns")));
            }
            self.known.insert(name.clone(), ());
            self.names.push(name);
        }
        Ok(())
    }
}

struct Rows<'a> {
    places: HashMap<&'a str, usize>,
    each: &'a mut dyn FnMut(Cells<'_>) -> Result<(), String>,
    /// Why the receiver of the rows wants no more.
    stopped: Option<String>,
}

impl<'a> Rows<'a> {
    fn new(columns: &'a [String], each: &'a mut dyn FnMut(Cells<'_>) -> Result<(), String>) -> Self {
        let places = columns.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        Self { places, each, stopped: None }
    }
}

impl Objects for Rows<'_> {
    fn visit<'de, A: MapAccess<'de>>(&mut self, mut object: A) -> Result<(), A::Error> {
        let mut cells: Cells<'_> = vec![None; self.places.len()];
        while let Some((name, value)) = object.next_entry::<String, Box<RawValue>>()? {
            if let Some(&place) = self.places.get(name.as_str()) {
                cells[place] = cell(&value).map_err(A::Error::custom)?;
            }
        }
        (self.each)(cells).map_err(|problem| {
            self.stopped = Some(problem);
            A::Error::custom("stopped")
        })
    }
}

fn cell(value: &RawValue) -> Result<Option<Cow<'static, str>>, serde_json::Error> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(text).map(|text| Some(Cow::Owned(text))),
        Some(b'n') => Ok(None),
        _ => Ok(Some(Cow::Owned(text.to_owned()))),
    }
}

fn read_array(reader: impl Read, shown: &str, objects: &mut impl Objects) -> Result<(), String> {
    let mut row = 0;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    deserializer
        .deserialize_seq(ArrayVisitor { objects, row: &mut row })
        .and_then(|()| deserializer.end())
        .map_err(|error| if row == 0 { format!("`{shown}`: {error}") } else { problem(shown, row, &error) })
}

fn problem(shown: &str, row: u64, error: &serde_json::Error) -> String {
    if error.is_data() { format!("`{shown}`, row {row}: {error}") } else { format!("`{shown}`: {error}") }
}

fn read_lines(mut reader: impl BufRead, shown: &str, objects: &mut impl Objects) -> Result<(), String> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let limited = &mut Read::by_ref(&mut reader).take(LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut line).map_err(|error| path::problem(&error, shown))?;
        number += 1;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() as u64 == LINE_BYTES_MAX {
            return Err(format!(
                "`{shown}`, line {number}: longer than 1 MiB: the file is neither JSON lines nor a JSON array"
            ));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&line);
        ObjectSeed(objects)
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| format!("`{shown}`, line {number}: {}", without_line(&error)))?;
    }
}

/// The line that serde_json knows is always 1 here.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

struct ArrayVisitor<'a, O> {
    objects: &'a mut O,
    row: &'a mut u64,
}

impl<'de, O: Objects> Visitor<'de> for ArrayVisitor<'_, O> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        *self.row = 1;
        while array.next_element_seed(ObjectSeed(self.objects))?.is_some() {
            *self.row += 1;
        }
        Ok(())
    }
}

struct ObjectSeed<'a, O>(&'a mut O);

impl<'de, O: Objects> DeserializeSeed<'de> for ObjectSeed<'_, O> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, O: Objects> Visitor<'de> for ObjectSeed<'_, O> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.0.visit(object)
    }
}
