//! Conditions on a row. All of a list must hold.

use std::cmp::Ordering;

use agent_host_tool::args;

use crate::date::Date;
use crate::decimal::Decimal;
use crate::field::Field;
use crate::order;
use crate::source::Row;

/// One condition, such as `{"column": "temp_max", "op": "ge", "value": 30}`.
#[args]
pub(crate) struct Where {
    /// A column, or a part of a date: `year(date)`.
    column: String,
    op: Comparison,
    /// What to compare with: a number, a text or a date as text; a list for `in` and `not_in`; nothing for `missing` and
    /// `present`.
    value: Option<Value>,
}

/// How to compare. Numbers are compared as numbers, dates as dates, else characters. A missing value satisfies `missing` only.
#[args]
#[serde(rename_all = "snake_case")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, or earlier.
    Lt,
    /// Less or equal.
    Le,
    /// Greater, or later.
    Gt,
    /// Greater or equal.
    Ge,
    /// Equal to one of a list.
    In,
    /// Equal to none of a list.
    NotIn,
    /// The text contains this one; upper and lower case are the same.
    Contains,
    /// The text begins with this one; upper and lower case are the same.
    StartsWith,
    /// There is no value.
    Missing,
    /// There is a value.
    Present,
}

/// One value or several.
#[args]
#[serde(untagged, expecting = "expected a text, a number, true, false, or a list of these")]
pub(crate) enum Value {
    Number(serde_json::Number),
    Text(String),
    Truth(bool),
    List(Vec<Scalar>),
}

/// One value.
#[args]
#[serde(untagged, expecting = "expected a text, a number, true or false")]
pub(crate) enum Scalar {
    Number(serde_json::Number),
    Text(String),
    Truth(bool),
}

/// A condition that was checked against the columns.
pub(crate) struct Condition {
    field: Field,
    op: Comparison,
    values: Vec<Literal>,
}

/// What is compared with, read once.
struct Literal {
    text: String,
    number: Option<Decimal>,
    date: Option<Date>,
}

impl Condition {
    pub(crate) fn new(condition: Where, field: impl FnOnce(&str) -> Result<Field, String>) -> Result<Self, String> {
        let (op, column) = (condition.op, condition.column);
        let values = literals(condition.value);
        let wanted = match op {
            Comparison::Missing | Comparison::Present => 0..=0,
            Comparison::In | Comparison::NotIn => 1..=usize::MAX,
            _ => 1..=1,
        };
        if !wanted.contains(&values.len()) {
            let name = format!("{op:?}").to_lowercase();
            let needs = match wanted.end() {
                0 => "no value",
                1 => "one value",
                _ => "a list with at least one value",
            };
            return Err(format!("the condition `{name}` on `{column}` needs {needs}"));
        }
        Ok(Self { field: field(&column)?, op, values })
    }

    pub(crate) fn holds(&self, row: &Row<'_>) -> Result<bool, String> {
        let value = self.field.value(row)?;
        let Some(cell) = value.as_deref() else { return Ok(self.op == Comparison::Missing) };
        let is = |wanted: &[Ordering]| self.values[0].compare(cell).is_some_and(|order| wanted.contains(&order));
        let is_one = || self.values.iter().any(|value| value.compare(cell) == Some(Ordering::Equal));
        let lower = || (cell.to_lowercase(), self.values[0].text.to_lowercase());
        Ok(match self.op {
            Comparison::Missing => false,
            Comparison::Present => true,
            Comparison::Eq => is(&[Ordering::Equal]),
            Comparison::Ne => !is(&[Ordering::Equal]),
            Comparison::Lt => is(&[Ordering::Less]),
            Comparison::Le => is(&[Ordering::Less, Ordering::Equal]),
            Comparison::Gt => is(&[Ordering::Greater]),
            Comparison::Ge => is(&[Ordering::Greater, Ordering::Equal]),
            Comparison::In => is_one(),
            Comparison::NotIn => !is_one(),
            Comparison::Contains => lower().0.contains(&lower().1),
            Comparison::StartsWith => lower().0.starts_with(&lower().1),
        })
    }
}

impl Literal {
    fn new(text: String) -> Self {
        Self { number: order::number(&text), date: Date::parse(&text), text }
    }

    /// The order of a cell relative to this value. A text has none to a number.
    fn compare(&self, cell: &str) -> Option<Ordering> {
        if let Some(number) = self.number {
            return order::number(cell).map(|cell| cell.cmp(&number)).or_else(|| self.equal_text(cell));
        }
        match (self.date, Date::parse(cell)) {
            (Some(date), Some(cell)) => Some(cell.cmp(&date)),
            _ => Some(cell.cmp(&self.text)),
        }
    }

    /// `2012` is a number, and also the beginning of dates: a text that is not equal to it is ordered by characters if it is a
    /// date.
    fn equal_text(&self, cell: &str) -> Option<Ordering> {
        Date::parse(cell).map(|_| cell.cmp(&self.text))
    }
}

fn literals(value: Option<Value>) -> Vec<Literal> {
    let scalars = match value {
        None => Vec::new(),
        Some(Value::Number(number)) => vec![Scalar::Number(number)],
        Some(Value::Text(text)) => vec![Scalar::Text(text)],
        Some(Value::Truth(truth)) => vec![Scalar::Truth(truth)],
        Some(Value::List(values)) => values,
    };
    scalars
        .into_iter()
        .map(|scalar| {
            Literal::new(match scalar {
                Scalar::Number(number) => number.to_string(),
                Scalar::Text(text) => text,
                Scalar::Truth(truth) => truth.to_string(),
            })
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::borrow::Cow;

    use agent_host_tool::arguments;
    use agent_host_tool::json;

    use super::*;

    fn check(cell: Option<&str>, op: &str, value: &serde_json::Value) -> bool {
        let condition = json!({"column": "x", "op": op, "value": value}).to_string();
        let columns = ["x".to_owned()];
        let condition =
            Condition::new(arguments::parse(&condition).unwrap(), |name| Field::parse(name, &columns)).unwrap();
        condition.holds(&Row { number: 1, cells: &[cell.map(Cow::Borrowed)] }).unwrap()
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let yes = [
            ("10", "gt", json!(9)),
            ("10.0", "eq", json!("10")),
            ("0.1", "eq", json!(0.1)),
            ("2012-05-01", "ge", json!("2012/05/01")),
            ("2012-05-01", "gt", json!("2012-04")),
            ("2012-05-01", "ge", json!("2012")),
            ("rain", "ne", json!("snow")),
            ("true", "eq", json!(true)),
            ("Drizzle", "contains", json!("ZZ")),
            ("Drizzle", "starts_with", json!("dri")),
            ("3", "in", json!([1, 3])),
            ("3", "not_in", json!(["1", "2"])),
            ("007", "ne", json!(7)),
        ];
        for (cell, op, value) in yes {
            assert!(check(Some(cell), op, &value), "{cell} {op} {value}");
        }
        for (cell, op, value) in [("abc", "gt", json!(9)), ("abc", "lt", json!(9)), ("9", "gt", json!(10))] {
            assert!(!check(Some(cell), op, &value), "{cell} {op} {value}");
        }
    }

    #[test]
    fn a_missing_value_is_only_missing() {
        assert!(check(None, "missing", &json!(null)) && check(Some("1"), "present", &json!(null)));
        for (op, value) in [("eq", json!(1)), ("ne", json!(1)), ("present", json!(null)), ("not_in", json!([1]))] {
            assert!(!check(None, op, &value), "{op}");
        }
    }

    #[test]
    fn the_number_of_values_is_checked() {
        let parse = |text| Condition::new(arguments::parse(text).unwrap(), |name| Ok(Field::column(name, 0)));
        let said = parse(r#"{"column": "x", "op": "eq"}"#).err();
        assert_eq!(said.as_deref(), Some("the condition `eq` on `x` needs one value"));
        let said = parse(r#"{"column": "x", "op": "missing", "value": 1}"#).err();
        assert_eq!(said.as_deref(), Some("the condition `missing` on `x` needs no value"));
    }
}
