//! Placeholders in a script: `{{ call[0]/rows/0/month }}`, `{{ wettest/mm | round 1 }}`. Parsed when the script is read,
//! filled when a reply is played. Arithmetic is left out on purpose: that is what tools are for.

use std::fmt;

use serde_json::Value;

/// Most decimals of `round`.
const DECIMALS_MAX: u8 = 9;

/// A text with placeholders. `{{{{` stands for a literal `{{`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    Placeholder(Placeholder),
}

/// One quotation of an earlier result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placeholder {
    pub(super) source: Source,
    /// A JSON pointer (RFC 6901); empty for the whole result.
    pub(super) pointer: String,
    format: Format,
}

/// Whose result is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The n-th call of the conversation, from 0.
    Number(usize),
    /// The call that the script calls so.
    Label(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    AsIs,
    Round(u8),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("{{") {
            if let Some(after) = after.strip_prefix("{{") {
                pieces.push(Piece::Literal(format!("{literal}{{{{")));
                rest = after;
                continue;
            }
            let (inside, after) =
                after.split_once("}}").ok_or_else(|| format!("a placeholder is not closed: `{{{{{after}`"))?;
            pieces.push(Piece::Literal(literal.to_owned()));
            pieces.push(Piece::Placeholder(Placeholder::parse(inside.trim())?));
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Literal(text) if text.is_empty()));
        Ok(Self { pieces })
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Literal(_) => None,
        })
    }

    /// The text, with what `look_up` finds in place of each placeholder.
    pub(super) fn fill(
        &self,
        look_up: &mut dyn FnMut(&Placeholder) -> Result<Value, String>,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Placeholder(placeholder) => out.push_str(&placeholder.text(&look_up(placeholder)?)?),
            }
        }
        Ok(out)
    }

    /// Like `fill`, but a text that is one placeholder and nothing else keeps the JSON type of what it quotes.
    pub(super) fn fill_value(
        &self,
        look_up: &mut dyn FnMut(&Placeholder) -> Result<Value, String>,
    ) -> Result<Value, String> {
        match self.pieces.as_slice() {
            [Piece::Placeholder(placeholder)] => placeholder.value(look_up(placeholder)?),
            _ => self.fill(look_up).map(Value::String),
        }
    }
}

impl Placeholder {
    fn parse(text: &str) -> Result<Self, String> {
        let (reference, format) = match text.split_once('|') {
            Some((reference, filter)) => (reference.trim_end(), Format::parse(filter.trim())?),
            None => (text, Format::AsIs),
        };
        let (source, pointer) = reference.split_at(reference.find('/').unwrap_or(reference.len()));
        Ok(Self { source: Source::parse(source)?, pointer: pointer.to_owned(), format })
    }

    fn text(&self, value: &Value) -> Result<String, String> {
        match (self.format, value) {
            (Format::Round(decimals), value) => rounded(value, decimals),
            (Format::AsIs, Value::String(text)) => Ok(text.clone()),
            (Format::AsIs, value) => Ok(value.to_string()),
        }
    }

    fn value(&self, value: Value) -> Result<Value, String> {
        match self.format {
            Format::AsIs => Ok(value),
            Format::Round(decimals) => {
                serde_json::from_str(&rounded(&value, decimals)?).map_err(|error| error.to_string())
            }
        }
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("call[").and_then(|rest| rest.strip_suffix(']'));
        if let Some(number) = number {
            return number
                .parse()
                .map(Self::Number)
                .map_err(|_| format!("`{text}` has no number from 0 in its brackets"));
        }
        check_label(text)?;
        Ok(Self::Label(text.to_owned()))
    }
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        let decimals = text.strip_prefix("round ").and_then(|decimals| decimals.trim().parse().ok());
        match decimals {
            Some(decimals) if decimals <= DECIMALS_MAX => Ok(Self::Round(decimals)),
            _ => Err(format!("`| {text}` is not a format: the only one is `| round N`, N up to {DECIMALS_MAX}")),
        }
    }
}

/// What a call may be called: a lower-case letter, then lower-case letters, digits and `_`; never `call`.
pub(super) fn check_label(text: &str) -> Result<(), String> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    let good = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts_well && good && text != "call" {
        return Ok(());
    }
    Err(format!(
        "`{text}` refers to no result: write `call[0]` or the label of a call (a-z, 0-9, `_`), then a JSON pointer"
    ))
}

fn rounded(value: &Value, decimals: u8) -> Result<String, String> {
    let number = value.as_f64().ok_or_else(|| format!("`round` needs a number, and this is {value}"))?;
    Ok(format!("{number:.*}", usize::from(decimals)))
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Number(number) => write!(f, "call[{number}]{}", self.pointer),
            Source::Label(label) => write!(f, "{label}{}", self.pointer),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(text: &str) -> Result<Value, String> {
        let results =
            json!({ "call[0]": { "rows": [{ "month": "May", "mm": 93.25 }], "a/b": true, "": 1 }, "wettest": 7 });
        Template::parse(text)?.fill_value(&mut |placeholder| {
            let source = match &placeholder.source {
                Source::Number(number) => format!("call[{number}]"),
                Source::Label(label) => label.clone(),
            };
            results[source].pointer(&placeholder.pointer).cloned().ok_or_else(|| format!("nothing at {placeholder}"))
        })
    }

    #[test]
    fn placeholders_are_filled() {
        for (text, expected) in [
            ("plain", json!("plain")),
            ("", json!("")),
            ("in {{ call[0]/rows/0/month }}: {{call[0]/rows/0/mm|round 1}} mm", json!("in May: 93.2 mm")),
            ("{{ call[0]/rows }}", json!([{ "month": "May", "mm": 93.25 }])),
            ("all: {{ call[0]/rows }}", json!("all: [{\"month\":\"May\",\"mm\":93.25}]")),
            ("{{ call[0]/rows/0/mm | round 0 }}", json!(93)),
            ("{{ call[0]/a~1b }}", json!(true)),
            ("{{ call[0]/ }}", json!(1)),
            ("{{ wettest }}", json!(7)),
            ("{{{{ literal }} and {{ wettest }}", json!("{{ literal }} and 7")),
        ] {
            assert_eq!(fill(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_placeholder_is_refused() {
        for (text, expected) in [
            ("{{ call[0]", "not closed"),
            ("{{ }}", "refers to no result"),
            ("{{ call[x] }}", "no number"),
            ("{{ call }}", "refers to no result"),
            ("{{ Wettest/mm }}", "refers to no result"),
            ("{{ wettest | upper }}", "not a format"),
            ("{{ wettest | round 99 }}", "not a format"),
            ("{{ call[0]/rows | round 1 }}", "needs a number"),
            ("{{ call[0]/rows/9 }}", "nothing at call[0]/rows/9"),
        ] {
            let error = fill(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
