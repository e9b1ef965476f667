//! A table file as a stream of rows. CSV and its relatives, a JSON array of objects, and JSON lines all become the same: cells
//! of text, or missing.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use agent_host_tool::{path, progress};
use csv_core::ReadRecordResult;

use crate::json_rows;

/// Longest row, in bytes of its cells.
const ROW_BYTES_MAX: usize = 1 << 20;
/// Most columns.
pub(crate) const COLUMNS_MAX: usize = 1_000;
/// How often the person who waits hears of it, in rows.
const ROWS_PER_PROGRESS: u64 = 200_000;

/// The cells of one row, in the order of the table's columns.
pub(crate) type Cells<'a> = Vec<Option<Cow<'a, str>>>;

/// One row; its cells are in the order of the table's columns.
pub(crate) struct Row<'a> {
    /// From 1, without the header.
    pub(crate) number: u64,
    pub(crate) cells: &'a [Option<Cow<'a, str>>],
}

/// A table file and its columns.
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) format: Format,
    place: PathBuf,
    shown: String,
    missing: Vec<String>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Separated { by: u8 },
    JsonArray,
    JsonLines,
}

impl Table {
    /// Opens a file and learns its columns: from the header, or from all objects of a JSON file. `missing` are texts that stand
    /// for a missing value, beside the empty one.
    pub(crate) fn open(shown: &str, missing: Vec<String>) -> Result<Self, String> {
        let place = path::resolve(shown);
        if fs::metadata(&place).map_err(|error| path::problem(&error, shown))?.is_dir() {
            return Err(format!("`{shown}` is a folder, not a table"));
        }
        let mut table =
            Self { columns: Vec::new(), format: Format::JsonLines, place, shown: shown.to_owned(), missing };
        table.format = format(table.reader()?.fill_buf().map_err(|error| path::problem(&error, shown))?, shown)?;
        table.columns = match table.format {
            Format::Separated { by } => table.header(by)?,
            Format::JsonArray => json_rows::array_columns(table.reader()?, &table.shown)?,
            Format::JsonLines => json_rows::line_columns(table.reader()?, &table.shown)?,
        };
        if table.columns.is_empty() { Err(format!("`{shown}` has no columns")) } else { Ok(table) }
    }

    /// Calls `each` with every row in order, until it fails.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Row<'_>) -> Result<(), String>) -> Result<(), String> {
        let mut number = 0;
        let mut each = |mut cells: Cells<'_>| {
            number += 1;
            if number % ROWS_PER_PROGRESS == 0 {
                progress(&format!("read {number} rows"), None);
            }
            for cell in &mut cells {
                if cell
                    .as_deref()
                    .is_some_and(|text| text.is_empty() || self.missing.iter().any(|missing| missing == text))
                {
                    *cell = None;
                }
            }
            each(&Row { number, cells: &cells })
        };
        match self.format {
            Format::Separated { by } => self.separated_rows(by, &mut each),
            Format::JsonArray => json_rows::array_rows(self.reader()?, &self.shown, &self.columns, &mut each),
            Format::JsonLines => json_rows::line_rows(self.reader()?, &self.shown, &self.columns, &mut each),
        }
    }

    fn reader(&self) -> Result<BufReader<File>, String> {
        let file = File::open(&self.place).map_err(|error| path::problem(&error, &self.shown))?;
        Ok(BufReader::with_capacity(64 * 1024, file))
    }

    fn header(&self, by: u8) -> Result<Vec<String>, String> {
        let mut records = Records::new(self.reader()?, by, &self.shown);
        let Some(header) = records.next_record()? else { return Err(format!("`{}` is empty", self.shown)) };
        let mut columns: Vec<String> = Vec::with_capacity(header.len());
        for (index, cell) in header.iter().enumerate() {
            let name = cell.trim_start_matches('\u{feff}').trim();
            let name = if name.is_empty() { format!("column_{}", index + 1) } else { name.to_owned() };
            let taken = columns.contains(&name);
            columns.push(if taken { format!("{name}_{}", index + 1) } else { name });
        }
        Ok(columns)
    }

    fn separated_rows(&self, by: u8, each: &mut dyn FnMut(Cells<'_>) -> Result<(), String>) -> Result<(), String> {
        let mut records = Records::new(self.reader()?, by, &self.shown);
        records.next_record()?;
        let mut number = 0;
        while let Some(record) = records.next_record()? {
            number += 1;
            if record.len() > self.columns.len() {
                let (found, header) = (record.len(), self.columns.len());
                return Err(format!("row {number} of `{}` has {found} fields, but the header {header}", self.shown));
            }
            let mut cells: Cells<'_> = record
                .into_iter()
                .map(|cell| match cell {
                    Cow::Borrowed(text) => Some(Cow::Borrowed(text.trim())),
                    Cow::Owned(text) => Some(Cow::Owned(text.trim().to_owned())),
                })
                .collect();
            cells.resize(self.columns.len(), None);
            each(cells)?;
        }
        Ok(())
    }
}

impl Format {
    /// What people call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Separated { by: b',' } => "csv".to_owned(),
            Self::Separated { by: b'\t' } => "tsv".to_owned(),
            Self::Separated { by } => format!("csv separated by `{}`", char::from(by)),
            Self::JsonArray => "json".to_owned(),
            Self::JsonLines => "json lines".to_owned(),
        }
    }
}

/// By the first character, unless the name says that it is CSV.
fn format(beginning: &[u8], shown: &str) -> Result<Format, String> {
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let said_to_be_csv = [".csv", ".tsv"].iter().any(|end| shown.to_ascii_lowercase().ends_with(end));
    match first {
        None => Err(format!("`{shown}` is empty")),
        Some(_) if text.contains(&0) => Err(format!("`{shown}` is binary, not a table of text")),
        Some(b'[') if !said_to_be_csv => Ok(Format::JsonArray),
        Some(b'{') if !said_to_be_csv => Ok(Format::JsonLines),
        Some(_) => Ok(Format::Separated { by: separator(text) }),
    }
}

/// The separator that the first line has most often.
fn separator(text: &[u8]) -> u8 {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    // The last of equals is taken, so the comma stands last.
    [b'|', b';', b'\t', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

/// Records of a separated file, in buffers of fixed size.
struct Records<'a> {
    reader: BufReader<File>,
    parser: csv_core::Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
    shown: &'a str,
}

impl<'a> Records<'a> {
    fn new(reader: BufReader<File>, by: u8, shown: &'a str) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(by).build();
        Self { reader, parser, cells: vec![0; ROW_BYTES_MAX], ends: vec![0; COLUMNS_MAX + 1], shown }
    }

    fn next_record(&mut self) -> Result<Option<Vec<Cow<'_, str>>>, String> {
        let (mut written, mut fields) = (0, 0);
        loop {
            let input = self.reader.fill_buf().map_err(|error| path::problem(&error, self.shown))?;
            let (result, read, wrote, ended) =
                self.parser.read_record(input, &mut self.cells[written..], &mut self.ends[fields..]);
            self.reader.consume(read);
            (written, fields) = (written + wrote, fields + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => return Ok(Some(self.cells(fields))),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::OutputFull => {
                    let problem = "a row is longer than 1 MiB: perhaps a quotation mark is not closed";
                    return Err(format!("`{}`, line {}: {problem}", self.shown, self.parser.line()));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(format!("`{}` has more than {COLUMNS_MAX} columns", self.shown));
                }
            }
        }
    }

    fn cells(&self, fields: usize) -> Vec<Cow<'_, str>> {
        let mut begin = 0;
        self.ends[..fields]
            .iter()
            .map(|&end| {
                let cell = String::from_utf8_lossy(&self.cells[begin..end]);
                begin = end;
                cell
            })
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn check(name: &str, content: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let shown = file.to_str().unwrap();
        let read = || {
            let table = Table::open(shown, vec!["NA".to_owned()])?;
            let mut rows = Vec::new();
            table.for_each(|row| {
                let cells: Vec<&str> = row.cells.iter().map(|cell| cell.as_deref().unwrap_or("·")).collect();
                rows.push(format!("{} {}", row.number, cells.join("|")));
                Ok(())
            })?;
            Ok((table.columns, rows))
        };
        read().map_err(|error: String| error.replace(shown, name))
    }

    fn table(columns: &[&str], rows: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Ok((texts(columns), texts(rows)))
    }

    #[test]
    fn separated_files_are_read() {
        let expected = table(&["a", "b"], &["1 1|x, y", "2 ·|·", "3 3|·"]);
        assert_eq!(check("t.csv", "a,b\r\n1,\"x, y\"\r\n , NA \n3\n"), expected);
        assert_eq!(check("t.txt", "\u{feff}a;b\n1;x, y\n;\n3;\n"), expected);
        assert_eq!(check("t.tsv", "a\tb\n1\tx, y\n\tNA\n3\t"), expected);
        assert_eq!(check("t.csv", "a,,a\n1,2,3"), table(&["a", "column_2", "a_3"], &["1 1|2|3"]));
    }

    #[test]
    fn json_files_are_read() {
        let expected = table(&["a", "b", "c"], &["1 1.50|x|·", "2 ·|true|[1,2]"]);
        assert_eq!(check("t.json", r#"[{"a": 1.50, "b": "x"}, {"b": true, "a": null, "c": [1,2]}]"#), expected);
        assert_eq!(check("t.jsonl", "{\"a\": 1.50, \"b\": \"x\"}\n\n{\"b\": true, \"c\": [1,2]}\n"), expected);
    }

    #[test]
    fn what_is_no_table_is_explained() {
        let cases = [
            ("t.csv", "", "`t.csv` is empty"),
            ("t.csv", "a,b\n1,2,3\n", "row 1 of `t.csv` has 3 fields, but the header 2"),
            ("t.json", "[1, 2]", "`t.json`, row 1: invalid type: integer `1`, expected an object"),
            ("t.json", "[{\"a\": 1}", "`t.json`: EOF while parsing a list"),
            ("t.jsonl", "{\"a\": 1}\n{\"a\": }\n", "`t.jsonl`, line 2: expected value"),
            ("t.csv", "a\0b", "`t.csv` is binary"),
            ("t.json", "[]", "`t.json` has no columns"),
        ];
        for (name, content, expected) in cases {
            let said = check(name, content).unwrap_err();
            assert!(said.starts_with(expected), "{name}: {said}");
        }
    }
}
