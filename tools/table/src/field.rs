//! A field: a column, or a part of the date in a column, under a name. `date`, `month(date)`, `month(date) as m`.

use std::borrow::Cow;

use crate::date::{Date, DatePart};
use crate::source::Row;

/// Names that are this alike are worth suggesting.
const LIKENESS_MIN: f64 = 0.75;
/// How many columns an error lists.
const LISTED_MAX: usize = 30;

/// What a row is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The column in the result: the name after `as`, else the part's, else the column's.
    pub(crate) name: String,
    column: usize,
    part: Option<DatePart>,
}

impl Field {
    /// Reads a field as it is written in a request. A column whose name looks like a part or has an ` as ` in it comes first.
    pub(crate) fn parse(text: &str, columns: &[String]) -> Result<Self, String> {
        let text = text.trim();
        if let Some(column) = columns.iter().position(|name| name == text) {
            return Ok(Self { name: text.to_owned(), column, part: None });
        }
        let (expression, name) = match text.rsplit_once(" as ") {
            Some((expression, name)) => (expression.trim(), Some(name.trim())),
            None => (text, None),
        };
        let (part, column) = match expression.strip_suffix(')').and_then(|call| call.split_once('(')) {
            Some((part, column)) if !columns.iter().any(|name| name == expression) => {
                let part = part.trim();
                let known = DatePart::from_name(part).ok_or_else(|| unknown_part(part))?;
                (Some((known, part)), column.trim())
            }
            _ => (None, expression),
        };
        let default = part.map_or(column, |(_, name)| name);
        let name = name.unwrap_or(default).to_owned();
        Ok(Self { name, column: position(column, columns, "column")?, part: part.map(|(part, _)| part) })
    }

    /// A column of a result, by its place.
    pub(crate) fn column(name: &str, column: usize) -> Self {
        Self { name: name.to_owned(), column, part: None }
    }

    /// The value in a row. `None` if it is missing; an error if a date is wanted and there is none.
    pub(crate) fn value<'r>(&self, row: &'r Row<'_>) -> Result<Option<Cow<'r, str>>, String> {
        let Some(cell) = row.cells[self.column].as_deref() else { return Ok(None) };
        let Some(part) = self.part else { return Ok(Some(Cow::Borrowed(cell))) };
        match Date::parse(cell) {
            Some(date) => Ok(Some(Cow::Owned(date.part(part)))),
            None => {
                Err(format!("row {}: `{cell}` is not a date that can be read (write dates as 2012-01-31)", row.number))
            }
        }
    }
}

/// The place of a column, or an error that suggests the nearest name.
pub(crate) fn position(wanted: &str, names: &[String], what: &str) -> Result<usize, String> {
    names.iter().position(|name| name == wanted).ok_or_else(|| {
        let likeness = |name: &String| strsim::jaro_winkler(&name.to_lowercase(), &wanted.to_lowercase());
        let nearest = names.iter().max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
        match nearest.filter(|name| likeness(name) >= LIKENESS_MIN) {
            Some(name) => format!("there is no {what} `{wanted}`: did you mean `{name}`?"),
            None => format!("there is no {what} `{wanted}`: there are {}", listed(names)),
        }
    })
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn unknown_part(part: &str) -> String {
    format!("there is no part `{part}` of a date: {}", DatePart::NAMES.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(String, Option<String>), String> {
        let columns = ["date", "temp_max", "year(x)"].map(str::to_owned);
        let field = Field::parse(text, &columns)?;
        let cells = ["2012-03-04", "12.8", "7"].map(|cell| Some(Cow::Borrowed(cell)));
        let row = Row { number: 3, cells: &cells };
        let value = field.value(&row)?;
        Ok((field.name.clone(), value.map(Cow::into_owned)))
    }

    #[test]
    fn a_field_is_a_column_or_a_part_of_a_date() {
        let cases = [
            ("temp_max", "temp_max", "12.8"),
            ("temp_max as high", "high", "12.8"),
            ("month(date)", "month", "3"),
            ("year_month( date ) as when", "when", "2012-03"),
            ("year(x)", "year(x)", "7"),
        ];
        for (text, name, value) in cases {
            assert_eq!(check(text), Ok((name.to_owned(), Some(value.to_owned()))), "{text}");
        }
    }

    #[test]
    fn mistakes_are_met_with_suggestions() {
        let cases = [
            ("tempmax", "there is no column `tempmax`: did you mean `temp_max`?"),
            ("Date", "there is no column `Date`: did you mean `date`?"),
            ("q", "there is no column `q`: there are `date`, `temp_max`, `year(x)`"),
            (
                "week(date)",
                "there is no part `week` of a date: year, quarter, month, year_month, date, weekday, day, hour",
            ),
            ("month(temp_max)", "row 3: `12.8` is not a date that can be read (write dates as 2012-01-31)"),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text), Err(expected.to_owned()), "{text}");
        }
    }
}
