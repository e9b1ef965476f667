//! One order for all cells, used by sorting, `min`, `max` and `describe`: numbers by value, then texts by their characters,
//! and missing cells last whatever the direction.

use std::cmp::Ordering;

use crate::decimal::Decimal;

/// What a cell is in the order: parsed once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Number(Decimal),
    Text(String),
}

impl Rank {
    pub(crate) fn of(cell: &str) -> Self {
        number(cell).map_or_else(|| Self::Text(cell.to_owned()), Self::Number)
    }
}

/// The cell as a number, if it is written as JSON writes numbers. `007` is a name, not a number.
pub(crate) fn number(cell: &str) -> Option<Decimal> {
    if is_json_number(cell) { Decimal::parse(cell) } else { None }
}

fn is_json_number(cell: &str) -> bool {
    let unsigned = cell.strip_prefix('-').unwrap_or(cell).as_bytes();
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, unsigned.get(digits)) {
        (0, _) => false,
        (1, None | Some(b'e' | b'E')) => true,
        (_, None | Some(b'e' | b'E')) => unsigned[0] != b'0',
        // A point needs a digit after it.
        (_, Some(b'.')) => {
            (digits == 1 || unsigned[0] != b'0') && unsigned.get(digits + 1).is_some_and(u8::is_ascii_digit)
        }
        (_, Some(_)) => false,
    }
}

/// A direction of sorting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

pub(crate) fn compare(left: Option<&str>, right: Option<&str>, direction: Direction) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => match direction {
            Direction::Ascending => Rank::of(left).cmp(&Rank::of(right)),
            Direction::Descending => Rank::of(right).cmp(&Rank::of(left)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_cells_are_last_in_both_directions() {
        let mut cells = [Some("b"), None, Some("10"), Some("9"), Some("a")];
        cells.sort_by(|left, right| compare(*left, *right, Direction::Ascending));
        assert_eq!(cells, [Some("9"), Some("10"), Some("a"), Some("b"), None]);
        cells.sort_by(|left, right| compare(*left, *right, Direction::Descending));
        assert_eq!(cells, [Some("b"), Some("a"), Some("10"), Some("9"), None]);
    }

    #[test]
    fn only_what_json_writes_is_a_number() {
        for text in ["0", "-1.50", "10", "1e5", "0.5", "0e1"] {
            assert!(number(text).is_some(), "{text}");
        }
        for text in ["", "-", "007", "+1", ".5", "1.", "01.5", "1_0", "NaN", "1e", "2012-01-01"] {
            assert!(number(text).is_none(), "{text}");
        }
    }
}
