//! Folding the rows of a group into one value.

use std::collections::HashSet;

use agent_host_tool::args;

use crate::decimal::{Decimal, Rounding};
use crate::field::Field;
use crate::order::Rank;
use crate::source::Row;

/// Fewest decimal places of a mean that does not come out even; a mean has four more than its most precise value.
const MEAN_PLACES_MIN: u32 = 6;
/// Values that one query may hold for medians and distinct counts.
pub(crate) const HELD_VALUES_MAX: usize = 1_000_000;

/// One value to compute for each group, such as `{"op": "sum", "column": "precipitation", "as": "total"}`.
#[args]
pub(crate) struct Aggregate {
    op: Operation,
    /// A column, or a part of a date: `year(date)`. `count` without a column counts rows.
    column: Option<String>,
    /// The name of the value in the result. Default: `sum_precipitation` and the like, or `count`.
    #[serde(rename = "as")]
    name: Option<String>,
}

/// What to compute. Missing values are left out.
#[args]
#[serde(rename_all = "snake_case")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// How many values; without a column, how many rows.
    Count,
    /// How many different values.
    Distinct,
    /// The exact sum.
    Sum,
    /// The sum divided by the count.
    Mean,
    /// The middle value.
    Median,
    /// The least number, or the first text or date.
    Min,
    /// The greatest number, or the last text or date.
    Max,
}

/// An aggregate that was checked against the columns.
pub(crate) struct Fold {
    pub(crate) name: String,
    operation: Operation,
    field: Option<Field>,
}

/// The state of one aggregate of one group.
pub(crate) enum Accumulator {
    Count(u64),
    Distinct(HashSet<String>),
    Sum { sum: Decimal, count: u64 },
    Mean { sum: Decimal, count: u64, scale: u32 },
    Median(Vec<Decimal>),
    Min(Option<Rank>),
    Max(Option<Rank>),
}

/// A value of the result, and whether it was rounded, and to how many places.
pub(crate) struct Folded {
    pub(crate) value: Option<String>,
    pub(crate) rounded_to: Option<u32>,
}

impl Fold {
    pub(crate) fn new(aggregate: Aggregate, columns: &[String]) -> Result<Self, String> {
        let operation = aggregate.op;
        let word = format!("{operation:?}").to_lowercase();
        let field = aggregate.column.map(|column| Field::parse(&column, columns)).transpose()?;
        if field.is_none() && operation != Operation::Count {
            return Err(format!("`{word}` needs a column"));
        }
        let default = field.as_ref().map_or_else(|| word.clone(), |field| format!("{word}_{}", field.name));
        Ok(Self { name: aggregate.name.unwrap_or(default), operation, field })
    }

    pub(crate) fn begin(&self) -> Accumulator {
        match self.operation {
            Operation::Count => Accumulator::Count(0),
            Operation::Distinct => Accumulator::Distinct(HashSet::new()),
            Operation::Sum => Accumulator::Sum { sum: Decimal::ZERO, count: 0 },
            Operation::Mean => Accumulator::Mean { sum: Decimal::ZERO, count: 0, scale: 0 },
            Operation::Median => Accumulator::Median(Vec::new()),
            Operation::Min => Accumulator::Min(None),
            Operation::Max => Accumulator::Max(None),
        }
    }

    /// Adds a row. `held` counts the values that are kept.
    pub(crate) fn add(&self, to: &mut Accumulator, row: &Row<'_>, held: &mut usize) -> Result<(), String> {
        let Some(field) = &self.field else {
            if let Accumulator::Count(count) = to {
                *count += 1;
            }
            return Ok(());
        };
        let value = field.value(row)?;
        let Some(cell) = value.as_deref() else { return Ok(()) };
        let number = || self.number(cell, row.number);
        let plus = |sum: Decimal, number: Decimal| {
            sum.add(number).ok_or_else(|| format!("the sum of `{}` has more than 38 digits", field.name))
        };
        match to {
            Accumulator::Count(count) => *count += 1,
            Accumulator::Distinct(values) => {
                if !values.contains(cell) {
                    values.insert(cell.to_owned());
                    *held += 1;
                }
            }
            Accumulator::Sum { sum, count } => {
                *sum = plus(*sum, number()?)?;
                *count += 1;
            }
            Accumulator::Mean { sum, count, scale } => {
                let number = number()?;
                *sum = plus(*sum, number)?;
                *count += 1;
                *scale = (*scale).max(number.scale());
            }
            Accumulator::Median(numbers) => {
                numbers.push(number()?);
                *held += 1;
            }
            Accumulator::Min(least) => {
                let rank = Rank::of(cell);
                if least.as_ref().is_none_or(|least| rank < *least) {
                    *least = Some(rank);
                }
            }
            Accumulator::Max(greatest) => {
                let rank = Rank::of(cell);
                if greatest.as_ref().is_none_or(|greatest| rank > *greatest) {
                    *greatest = Some(rank);
                }
            }
        }
        if *held > HELD_VALUES_MAX {
            return Err(format!(
                "`{}` needs more than {HELD_VALUES_MAX} values at once: narrow it by `where`",
                self.name
            ));
        }
        Ok(())
    }

    fn number(&self, cell: &str, row: u64) -> Result<Decimal, String> {
        Decimal::parse(cell).ok_or_else(|| {
            let name = self.field.as_ref().map_or("", |field| &field.name);
            format!("row {row}: `{cell}` in `{name}` is not a number: leave it out by `where`, or name it in `missing`")
        })
    }

    pub(crate) fn end(&self, accumulator: Accumulator) -> Result<Folded, String> {
        let exact = |value: Option<String>| Folded { value, rounded_to: None };
        Ok(match accumulator {
            Accumulator::Count(count) => exact(Some(count.to_string())),
            Accumulator::Distinct(values) => exact(Some(values.len().to_string())),
            Accumulator::Sum { count: 0, .. } | Accumulator::Mean { count: 0, .. } => exact(None),
            Accumulator::Sum { sum, .. } => exact(Some(sum.to_string())),
            Accumulator::Mean { sum, count, scale } => {
                let places = (scale + 4).max(MEAN_PLACES_MIN);
                self.quotient(sum, count, places)?
            }
            Accumulator::Median(mut numbers) => {
                numbers.sort_unstable();
                match (numbers.get(numbers.len().wrapping_sub(1) / 2), numbers.get(numbers.len() / 2)) {
                    (Some(&low), Some(&high)) => {
                        let sum = low.add(high).ok_or("a median has too many digits")?;
                        self.quotient(sum, 2, sum.scale() + 1)?
                    }
                    _ => exact(None),
                }
            }
            Accumulator::Min(rank) | Accumulator::Max(rank) => exact(rank.map(|rank| match rank {
                Rank::Number(number) => number.to_string(),
                Rank::Text(text) => text,
            })),
        })
    }

    fn quotient(&self, sum: Decimal, count: u64, places: u32) -> Result<Folded, String> {
        let (value, rounding) =
            sum.divide(count, places).ok_or_else(|| format!("`{}` has more than 38 digits", self.name))?;
        let rounded_to = (rounding == Rounding::Rounded).then_some(places);
        Ok(Folded { value: Some(value.to_string()), rounded_to })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn check(op: Operation, cells: &[Option<&str>]) -> Result<Option<String>, String> {
        let columns = ["x".to_owned()];
        let fold = Fold::new(Aggregate { op, column: Some("x".to_owned()), name: None }, &columns).unwrap();
        let mut accumulator = fold.begin();
        for (index, cell) in cells.iter().enumerate() {
            let row = Row { number: index as u64 + 1, cells: &[cell.map(Cow::Borrowed)] };
            fold.add(&mut accumulator, &row, &mut 0)?;
        }
        fold.end(accumulator).map(|folded| folded.value)
    }

    #[test]
    fn values_are_folded_exactly() {
        use Operation::{Count, Distinct, Max, Mean, Median, Min, Sum};
        let cells = [Some("0.1"), None, Some("0.2"), Some("10"), Some("0.1")];
        let cases =
            [(Count, "4"), (Distinct, "3"), (Sum, "10.4"), (Mean, "2.6"), (Median, "0.15"), (Min, "0.1"), (Max, "10")];
        for (op, expected) in cases {
            assert_eq!(check(op, &cells), Ok(Some(expected.to_owned())), "{op:?}");
        }
        assert_eq!(check(Mean, &[Some("1"), Some("1"), Some("0")]), Ok(Some("0.666667".to_owned())));
        assert_eq!(check(Median, &[Some("3"), Some("1"), Some("2")]), Ok(Some("2".to_owned())));
    }

    #[test]
    fn nothing_has_no_sum() {
        for op in [Operation::Sum, Operation::Mean, Operation::Median, Operation::Min, Operation::Max] {
            assert_eq!(check(op, &[None]), Ok(None), "{op:?}");
        }
        assert_eq!(check(Operation::Count, &[None]), Ok(Some("0".to_owned())));
    }

    #[test]
    fn what_is_no_number_is_named_with_its_row() {
        let expected = "row 2: `n/a` in `x` is not a number: leave it out by `where`, or name it in `missing`";
        assert_eq!(check(Operation::Sum, &[Some("1"), Some("n/a")]), Err(expected.to_owned()));
    }
}
