//! Reads TOML values with their places. Every table knows which keys it was asked for, so that the others are reported as
//! unknown; a wrong type is reported and reading goes on, so that one look at the file finds all that is wrong with it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::Findings;
use super::problem::{PROBLEMS_MAX, Problem, did_you_mean, shown, suggestion};
use crate::grant::RuleSource;

/// Most elements of one list. No tool has this many mounts, nor a person this many rules.
const LIST_MAX: usize = 256;

/// A table and the keys that it was asked for.
pub(super) struct Table<'f> {
    findings: &'f Findings<'f>,
    entries: &'f DeTable<'f>,
    /// The header of the table, or the inline table.
    span: Range<usize>,
    asked: Vec<&'static str>,
    /// Known words that were already reported.
    refused: Vec<&'static str>,
    why_unknown: &'static str,
    /// Keys that must be there and are not, each with its hint.
    missing: Vec<(&'static str, String)>,
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Value<'f> {
    findings: &'f Findings<'f>,
    value: &'f DeValue<'f>,
    span: Range<usize>,
    /// What to call it in messages.
    key: &'f str,
}

impl<'f> Table<'f> {
    pub(super) fn new(findings: &'f Findings<'f>, entries: &'f DeTable<'f>, span: Range<usize>) -> Self {
        Self { findings, entries, span, asked: Vec::new(), refused: Vec::new(), why_unknown: "", missing: Vec::new() }
    }

    /// The value of a key that may be there.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'f>> {
        self.asked.push(key);
        self.entries.get(key).map(|entry| self.value(key, entry))
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, example: &str) -> Option<Value<'f>> {
        let value = self.get(key);
        if value.is_none() {
            self.missing.push((key, format!("write `{key} = {example}`")));
        }
        value
    }

    /// A table that may be there, read by `read`.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'f>) -> T) -> Option<T> {
        self.get(key)?.table(read)
    }

    /// The tables of a list that may be there, each read by `read`.
    pub(super) fn tables<T>(&mut self, key: &'static str, read: impl FnMut(&mut Table<'f>) -> Option<T>) -> Vec<T> {
        self.get(key).map(|value| value.tables(read)).unwrap_or_default()
    }

    /// Whether a key is there, known or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Refuses a key that is a known word here, with the reason. It is not among the suggestions for misspelled keys.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str) {
        if let Some((written, _)) = self.entries.get_key_value(key) {
            self.refused.push(key);
            self.findings.add(written.span(), format!("`{key}` {why}"));
        }
    }

    /// Says why a key that nobody asks for is refused.
    pub(super) fn explain_unknown(&mut self, why: &'static str) {
        self.why_unknown = why;
    }

    /// Reports something about the table as a whole.
    pub(super) fn problem(&self, message: String, hint: Option<String>) {
        self.findings.push(Problem { hint, ..self.findings.problem(self.span.clone(), message) });
    }

    /// Where the table stands.
    pub(super) fn source(&self) -> RuleSource {
        let (line, _) = self.findings.place(self.span.start);
        RuleSource(format!("{}:{line}", self.findings.file))
    }

    fn value(&self, key: &'f str, entry: &'f Spanned<DeValue<'f>>) -> Value<'f> {
        Value { findings: self.findings, value: entry.get_ref(), span: entry.span(), key }
    }

    /// Reports the keys that nobody asked for, and those that are missing. A misspelled key is not also a missing one.
    pub(super) fn finish(mut self) {
        let known = |key: &str| self.asked.contains(&key) || self.refused.contains(&key);
        let mut unknown: Vec<_> = self.entries.keys().filter(|key| !known(key.get_ref())).collect();
        unknown.sort_by_key(|key| key.span().start);
        unknown.truncate(PROBLEMS_MAX + 1);
        for key in unknown {
            let message = format!("unknown key `{}`{}", shown(key.get_ref()), self.why_unknown);
            let meant = did_you_mean(key.get_ref(), self.asked.iter().copied());
            self.missing.retain(|(missing, _)| meant != Some(*missing));
            let hint = suggestion(key.get_ref(), &self.asked);
            self.findings.push(Problem { hint, ..self.findings.problem(key.span(), message) });
        }
        for (key, hint) in &self.missing {
            self.problem(format!("`{key}` is missing"), Some(hint.clone()));
        }
    }
}

impl<'f> Value<'f> {
    /// A string.
    pub(super) fn string(&self) -> Option<&'f str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type("a string"),
        }
    }

    /// Whether this is a string, where a list would do as well.
    pub(super) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// True or false.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A string that reads as a `T`.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Option<T> {
        self.accept(self.string()?.parse())
    }

    /// A string that is one of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(format!("`{}` cannot be `{}`", self.key, shown(text)), suggestion(text, &known));
        }
        found
    }

    /// A string or a whole number, as decimal text.
    pub(super) fn quantity(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            DeValue::Integer(number) => {
                self.accept(u64::from_str_radix(number.as_str(), number.radix())).map(|number| number.to_string())
            }
            _ => self.wrong_type("a whole number, or a number and a unit in quotes"),
        }
    }

    /// The elements of a list: at most [`LIST_MAX`].
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(elements) = self.value else { return self.wrong_type("a list") };
        if elements.len() > LIST_MAX {
            self.problem(format!("`{}` has {} elements: at most {LIST_MAX} are read", self.key, elements.len()), None);
            return None;
        }
        let element =
            |entry: &'f Spanned<DeValue<'f>>| Self { value: entry.get_ref(), span: entry.span(), ..self.clone() };
        Some(elements.iter().map(element).collect())
    }

    /// The elements of a list, each read by `read`; those that cannot be read are reported and left out.
    pub(super) fn each<T>(&self, read: impl FnMut(Self) -> Option<T>) -> Vec<T> {
        self.list().unwrap_or_default().into_iter().filter_map(read).collect()
    }

    /// A table, read by `read`. What `read` does not ask for is a problem.
    pub(super) fn table<T>(&self, read: impl FnOnce(&mut Table<'f>) -> T) -> Option<T> {
        let DeValue::Table(entries) = self.value else { return self.wrong_type("a table") };
        let mut table = Table::new(self.findings, entries, self.span.clone());
        let value = read(&mut table);
        table.finish();
        Some(value)
    }

    /// The entries of a table whose keys are the author's own words, in their order: at most [`LIST_MAX`].
    pub(super) fn pairs(&self) -> Vec<(&'f str, Self)> {
        let DeValue::Table(entries) = self.value else {
            self.wrong_type::<()>("a table");
            return Vec::new();
        };
        if entries.len() > LIST_MAX {
            self.problem(format!("`{}` has {} entries: at most {LIST_MAX} are read", self.key, entries.len()), None);
            return Vec::new();
        }
        let pair = |(key, entry): (&'f Spanned<_>, &'f Spanned<DeValue<'f>>)| {
            let key: &'f std::borrow::Cow<'f, str> = key.get_ref();
            (&**key, Self { value: entry.get_ref(), span: entry.span(), key, ..self.clone() })
        };
        let mut pairs: Vec<_> = entries.iter().map(pair).collect();
        pairs.sort_by_key(|(_, value)| value.span.start);
        pairs
    }

    /// The value as JSON: TOML has no null, and its dates are no JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        match self.value {
            DeValue::String(text) => Some(Json::String(text.clone().into_owned())),
            DeValue::Integer(number) => {
                let text = number.as_str();
                let read = i64::from_str_radix(text, number.radix()).map(Json::from);
                self.accept(read.or_else(|_| u64::from_str_radix(text, number.radix()).map(Json::from)))
            }
            DeValue::Float(number) => {
                let read = number.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                if read.is_none() {
                    self.problem(format!("`{}` is no number of JSON", shown(number.as_str())), None);
                }
                read.map(Json::Number)
            }
            DeValue::Boolean(value) => Some(Json::Bool(*value)),
            DeValue::Datetime(_) => self.wrong_type("a value of JSON"),
            DeValue::Array(_) => self.list()?.iter().map(Self::json).collect::<Option<Vec<_>>>().map(Json::Array),
            DeValue::Table(_) => {
                let member = |(key, value): (&str, Self)| Some((key.to_owned(), value.json()?));
                self.pairs().into_iter().map(member).collect::<Option<serde_json::Map<_, _>>>().map(Json::Object)
            }
        }
    }

    /// A list of tables.
    pub(super) fn tables<T>(&self, mut read: impl FnMut(&mut Table<'f>) -> Option<T>) -> Vec<T> {
        self.each(|element| element.table(&mut read).flatten())
    }

    /// What `result` holds; an error is reported in its own words.
    pub(super) fn accept<T, E: fmt::Display>(&self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.problem(format!("`{}`: {error}", self.key), None)).ok()
    }

    /// Reports something about the value.
    pub(super) fn problem(&self, message: String, hint: Option<String>) {
        self.findings.push(Problem { hint, ..self.findings.problem(self.span.clone(), message) });
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        self.problem(format!("`{}` must be {wanted}, not {}", self.key, type_name(self.value)), None);
        None
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
