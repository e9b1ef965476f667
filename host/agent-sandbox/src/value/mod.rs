//! Values between JSON and WIT: what the model writes becomes what a component's function takes, and back.
//!
//! [`shape`] is a WIT type as we need it, [`json`] reads a text into a bounded tree whose numbers stay text, [`lower`] makes
//! arguments of it and [`lift`] writes results. What one writes the other reads as the same value, whatever the type; numbers are
//! exact or refused, never silently changed. `describe` derives shapes when a component is loaded; `invoke` and `report` use
//! them in every call.

use std::fmt;

pub(crate) mod json;
pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod shape;

#[cfg(test)]
mod round_trip;

/// Deepest nesting of a value, in arguments and in results. People do not write deeper, and our own recursion stays small.
pub(crate) const DEPTH_MAX: usize = 64;

/// Most bytes of a `list<u8>` among the arguments of a function that also takes other things than bytes and texts: each byte is
/// a value of forty bytes on its way. Functions of bytes and texts alone take as much as arguments may have.
pub(crate) const MIXED_BYTES_MAX: usize = 256 << 10;

/// Largest integer that every reader of JSON holds: beyond it, floats have gaps.
pub(crate) const INTEGER_SAFE_MAX: i128 = (1 << 53) - 1;

/// Names the value of an option whose own value may be null, as `{"some": null}`.
pub(crate) const SOME: &str = "some";

/// Floats for which JSON has no number.
pub(crate) const NOT_A_NUMBER: &str = "NaN";
pub(crate) const INFINITE: &str = "Infinity";
pub(crate) const INFINITE_BELOW: &str = "-Infinity";

/// Most values (each scalar, list and object counts as one) in arguments and in results.
pub(crate) const NODES_MAX: usize = 10_000;

/// A value is not what its type wants. The text names the place: `arguments.items[3].price: expected …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct Mismatch {
    path: String,
    problem: String,
}

/// A place inside a value, as a chain that lives on the stack: nothing is allocated unless something is wrong.
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root(&'a str),
    Field(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Root(name) }
    }

    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Item(index) }
    }

    pub(crate) fn mismatch(&self, problem: impl Into<String>) -> Mismatch {
        Mismatch { path: self.to_string(), problem: problem.into() }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Root(name) => f.write_str(&excerpt(name)),
            Step::Field(name) => write!(f, ".{}", excerpt(name)),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

/// Enough of a text to recognise it in a message.
const EXCERPT_CHARS_MAX: usize = 60;

/// The beginning of a text that somebody else wrote, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    crate::plain_text::one_line(text, EXCERPT_CHARS_MAX)
}
