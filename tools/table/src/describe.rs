//! `describe`: what is in a table, before one asks about it.

use std::collections::BTreeSet;

use agent_host_tool::{Json, args, tool};
use serde::Serialize;
use serde::ser::Serializer;

use crate::date::Date;
use crate::decimal::Decimal;
use crate::order;
use crate::output::{Cell, Kind, Rows, Written};
use crate::source::Table;

/// Rows shown as they are.
const SAMPLE_ROWS: usize = 3;
/// Different values that are counted.
const DISTINCT_MAX: usize = 1_000;
/// Different values that are listed.
const LISTED_MAX: usize = 20;
/// Longest value that is shown.
const SHOWN_CHARS_MAX: usize = 80;

#[args]
pub(crate) struct Describe {
    /// The table, a CSV, TSV, JSON (array of objects) or JSON lines file, relative to the granted folder.
    file: String,
    /// Texts that stand for a missing value, such as `NA`. An empty field always does.
    #[serde(default)]
    missing: Vec<String>,
}

/// What a table holds.
#[derive(Serialize)]
pub(crate) struct Description {
    format: String,
    rows: u64,
    columns: Vec<Column>,
    sample: Rows,
}

/// What a column holds.
#[derive(Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: ColumnType,
    missing: u64,
    min: Extreme,
    max: Extreme,
    /// How many different values; null if more than are counted.
    distinct: Option<usize>,
    /// The values, if they are few texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

/// The narrowest type that all values of a column have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ColumnType {
    Number,
    Date,
    Boolean,
    Text,
    /// There is no value.
    Empty,
}

struct Extreme {
    value: Cell,
    kind: Kind,
}

impl Serialize for Extreme {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { kind: self.kind, cell: self.value.as_deref() }.serialize(serializer)
    }
}

/// Describes a table: its columns with their types, ranges and missing values, the number of rows, and a few of them. Types
/// are number, date, boolean, text and empty. Use it before `query`.
#[tool]
pub(crate) fn describe(describe: Describe) -> Result<Json<Description>, String> {
    let table = Table::open(&describe.file, describe.missing)?;
    let mut seen: Vec<Seen> = table.columns.iter().map(|_| Seen::default()).collect();
    let mut kinds = vec![Kind::Numbers; table.columns.len()];
    let mut sample = Vec::new();
    let mut rows = 0;
    table.for_each(|row| {
        rows += 1;
        for ((seen, kind), cell) in seen.iter_mut().zip(&mut kinds).zip(row.cells) {
            seen.add(cell.as_deref());
            *kind = kind.with(cell.as_deref());
        }
        if sample.len() < SAMPLE_ROWS {
            sample.push(row.cells.iter().map(|cell| cell.as_deref().map(shortened)).collect());
        }
        Ok(())
    })?;
    let columns = seen.into_iter().zip(&table.columns).map(|(seen, name)| seen.column(name)).collect();
    let sample = Rows { columns: table.columns.clone(), kinds, rows: sample };
    Ok(Json(Description { format: table.format.name(), rows, columns, sample }))
}

/// Cut where it is long, so that a column of articles does not fill the answer.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        // A number is never that long: it would have too many digits to be one.
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What was seen of a column so far. A type is given up at the first value that is not of it.
struct Seen {
    missing: u64,
    numbers: Range<Decimal>,
    dates: Range<Date>,
    texts: Range<String>,
    booleans: bool,
    /// `None` once there are too many.
    distinct: Option<BTreeSet<String>>,
}

/// The extremes by some order, each with the text it was read from.
struct Range<T> {
    all: bool,
    extremes: Option<((T, String), (T, String))>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { all: true, extremes: None }
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            missing: 0,
            numbers: Range::default(),
            dates: Range::default(),
            texts: Range::default(),
            booleans: true,
            distinct: Some(BTreeSet::new()),
        }
    }
}

impl<T: Ord + Clone> Range<T> {
    fn add(&mut self, value: Option<T>, text: &str) {
        let Some(value) = value.filter(|_| self.all) else {
            self.all = false;
            return;
        };
        match &mut self.extremes {
            None => self.extremes = Some(((value.clone(), text.to_owned()), (value, text.to_owned()))),
            Some((least, greatest)) => {
                if value < least.0 {
                    *least = (value, text.to_owned());
                } else if value > greatest.0 {
                    *greatest = (value, text.to_owned());
                }
            }
        }
    }

    fn texts(self) -> (Cell, Cell) {
        match self.extremes {
            Some(((_, least), (_, greatest))) => (Some(shortened(&least)), Some(shortened(&greatest))),
            None => (None, None),
        }
    }
}

impl Seen {
    fn add(&mut self, cell: Option<&str>) {
        let Some(text) = cell else {
            self.missing += 1;
            return;
        };
        if self.numbers.all {
            self.numbers.add(order::number(text), text);
        }
        if self.dates.all {
            self.dates.add(Date::parse(text), text);
        }
        self.texts.add(Some(text.to_owned()), text);
        self.booleans = self.booleans && matches!(text, "true" | "false");
        if let Some(distinct) = &mut self.distinct
            && !distinct.contains(text)
        {
            distinct.insert(text.to_owned());
            if distinct.len() > DISTINCT_MAX {
                self.distinct = None;
            }
        }
    }

    fn column(self, name: &str) -> Column {
        let kind = self.kind();
        let (min, max) = match kind {
            ColumnType::Number => self.numbers.texts(),
            ColumnType::Date => self.dates.texts(),
            ColumnType::Boolean | ColumnType::Text | ColumnType::Empty => self.texts.texts(),
        };
        let written = if kind == ColumnType::Number { Kind::Numbers } else { Kind::Texts };
        let distinct = self.distinct.as_ref().map(BTreeSet::len);
        let listed = kind == ColumnType::Text && distinct.is_some_and(|count| count <= LISTED_MAX);
        let values = self.distinct.filter(|_| listed).unwrap_or_default();
        Column {
            name: name.to_owned(),
            kind,
            missing: self.missing,
            min: Extreme { value: min, kind: written },
            max: Extreme { value: max, kind: written },
            distinct,
            values: values.iter().map(|value| shortened(value)).collect(),
        }
    }

    fn kind(&self) -> ColumnType {
        match &self.texts.extremes {
            None => ColumnType::Empty,
            Some(_) if self.numbers.all => ColumnType::Number,
            Some(_) if self.dates.all => ColumnType::Date,
            Some(_) if self.booleans => ColumnType::Boolean,
            Some(_) => ColumnType::Text,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::fs;

    use agent_host_tool::serde_json::{Value, json, to_value};

    use super::*;

    fn check(content: &str) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        fs::write(&file, content).unwrap();
        let asked = Describe { file: file.to_str().unwrap().to_owned(), missing: vec!["NA".to_owned()] };
        to_value(describe(asked).unwrap().0).unwrap()
    }

    #[test]
    fn a_table_is_described() {
        let expected = json!({
            "format": "csv",
            "rows": 4,
            "columns": [
                {"name": "day", "type": "date", "missing": 0, "min": "2012-01-02", "max": "2012-10-01", "distinct": 4},
                {"name": "rain", "type": "number", "missing": 1, "min": -1.5, "max": 10, "distinct": 3},
                {"name": "ok", "type": "boolean", "missing": 0, "min": "false", "max": "true", "distinct": 2},
                {"name": "sky", "type": "text", "missing": 0, "min": "7", "max": "grey", "distinct": 3,
                 "values": ["7", "blue", "grey"]},
                {"name": "none", "type": "empty", "missing": 4, "min": null, "max": null, "distinct": 0},
            ],
            "sample": [
                {"day": "2012-01-02", "rain": 10, "ok": "true", "sky": "grey", "none": null},
                {"day": "2012-02-01", "rain": 9, "ok": "false", "sky": "blue", "none": null},
                {"day": "2012-10-01", "rain": null, "ok": "true", "sky": "7", "none": null},
            ],
        });
        let content = "day,rain,ok,sky,none\n2012-01-02,10,true,grey,\n2012-02-01,9,false,blue,\n2012-10-01,NA,true,7,\n\
                       2012-03-01,-1.5,true,grey,\n";
        assert_eq!(check(content), expected);
    }

    #[test]
    fn a_long_text_is_shortened() {
        let long = "x".repeat(100);
        let sample = check(&format!("a\n{long}\n"))["sample"][0]["a"].as_str().unwrap().to_owned();
        assert_eq!(sample, format!("{}…", "x".repeat(80)));
    }
}
