//! Rows of a result as JSON: objects in the order of the columns, numbers with all their digits. A column holds numbers only if
//! every value in it is one; else all its values are texts.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::order;

/// Most bytes of rows in one answer: some 16,000 tokens.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A value of the result, or nothing.
pub(crate) type Cell = Option<String>;

/// What a column is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Numbers,
    Texts,
}

impl Kind {
    /// The kind of a column of this kind that also holds this value.
    pub(crate) fn with(self, cell: Option<&str>) -> Self {
        match cell {
            Some(text) if self == Self::Numbers && order::number(text).is_none() => Self::Texts,
            _ => self,
        }
    }
}

/// Rows that are written as objects.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Rows {
    /// Drops rows from the end until they fit into an answer; says how many were dropped.
    pub(crate) fn fit(&mut self) -> usize {
        let names: usize = self.columns.iter().map(|name| name.len() + 6).sum();
        let mut bytes = 0;
        let fitting = self.rows.iter().position(|row| {
            bytes += names + row.iter().flatten().map(String::len).sum::<usize>();
            bytes > ANSWER_BYTES_MAX
        });
        let dropped = fitting.map_or(0, |fitting| self.rows.len() - fitting);
        self.rows.truncate(self.rows.len() - dropped);
        dropped
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for cells in &self.rows {
            rows.serialize_element(&Object { of: self, cells })?;
        }
        rows.end()
    }
}

struct Object<'a> {
    of: &'a Rows,
    cells: &'a [Cell],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.cells.len()))?;
        for ((name, kind), cell) in self.of.columns.iter().zip(&self.of.kinds).zip(self.cells) {
            object.serialize_entry(name, &Written { kind: *kind, cell: cell.as_deref() })?;
        }
        object.end()
    }
}

/// A cell as its column is written.
pub(crate) struct Written<'a> {
    pub(crate) kind: Kind,
    pub(crate) cell: Option<&'a str>,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.cell, self.kind) {
            (None, _) => serializer.serialize_none(),
            (Some(text), Kind::Texts) => serializer.serialize_str(text),
            (Some(text), Kind::Numbers) => {
                // A column of numbers holds nothing but what JSON writes as one.
                let number: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                number.serialize(serializer)
            }
        }
    }
}
