//! Reads `[limits]` of a manifest and `limits = { … }` of a grant.

use super::problem::shown;
use super::quantity::{InvalidQuantity, parse_count};
use super::reader::{Table, Value};
use crate::limits::{Least, Limit, LimitUnit, Limits, LimitsChange};
use crate::units::{Bytes, Millis};

/// Who states the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatedBy {
    /// A manifest, which only lowers them.
    Author,
    /// A grant, which may raise them as far as the sandbox can enforce.
    Operator,
}

/// Reads a table of limits.
pub(super) fn read_limits(table: &mut Table<'_>, stated_by: StatedBy) -> LimitsChange {
    table.explain_unknown(": a limit that cannot be enforced is refused");
    let mut read = |limit: &Limit| Some((*limit, read_limit(&table.get(limit.name())?, *limit, stated_by)?));
    LimitsChange(Limit::ALL.iter().filter_map(&mut read).collect())
}

fn read_limit(value: &Value<'_>, limit: Limit, stated_by: StatedBy) -> Option<u64> {
    let text = value.quantity()?;
    let number = value.accept(parse_in(limit.unit(), &text))?;
    let written = |number| limit.unit().written(number);
    if number == 0 && limit.least() == Least::Positive {
        value.problem(format!("`{limit}` is zero: no call could run"), None);
        return None;
    }
    let (highest, why, hint) = match stated_by {
        StatedBy::Author => (
            Some(Limits::STANDARD.get(limit)),
            "a manifest can only lower it",
            Some(raised(limit, number, &shown(&text))),
        ),
        StatedBy::Operator => (limit.highest(), "no more can be enforced", None),
    };
    match highest {
        Some(highest) if number > highest => {
            value.problem(format!("`{limit}` is above `{}`: {why}", written(highest)), hint);
            None
        }
        _ => Some(number),
    }
}

/// How the operator gets what an author may not state: what is said here can be done.
fn raised(limit: Limit, wanted: u64, as_written: &str) -> String {
    let grant = |value: &str| format!("`limits = {{ {limit} = \"{value}\" }}` in a grant");
    match limit.highest().filter(|highest| wanted > *highest) {
        None => format!("only the operator raises a limit: {}", grant(as_written)),
        Some(highest) if highest == Limits::STANDARD.get(limit) => "nobody can raise it".to_owned(),
        Some(highest) => {
            format!("only the operator raises a limit, and not so far: {}", grant(&limit.unit().written(highest)))
        }
    }
}

fn parse_in(unit: LimitUnit, text: &str) -> Result<u64, InvalidQuantity> {
    match unit {
        LimitUnit::Count => parse_count(text),
        LimitUnit::Bytes => text.parse().map(|Bytes(bytes)| bytes),
        LimitUnit::Millis => text.parse().map(|Millis(millis)| millis),
    }
}
