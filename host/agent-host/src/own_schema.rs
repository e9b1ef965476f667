//! A schema that a tool's author wrote, made ready to check values by. `arguments` and `results` ask. What a stranger wrote is
//! looked at here by the host itself, without fuel: `schema_guard` bounds the schema, this the text in which its patterns are
//! looked for and what is said of what does not fit, and `aside` the time.

use std::cell::Cell;
use std::fmt::Write as _;

use agent_core::json::JsonText;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::schema_guard::{self, Outline};

/// Largest compiled pattern. It is linear in the text, but a step of it may be as many as the pattern has states: some 2,700 here.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// Memory for the table by which a pattern is looked for fast. What does not fit is looked for slowly.
const TABLE_BYTES_MAX: usize = 1 << 20;

/// Longest text in which a pattern is looked for. What is longer is no name, number or address, and does not fit.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// All text in which patterns are looked for in one check: seconds of work at the worst.
const TEXTS_BYTES_MAX: usize = 512 << 10;

/// Problems that are told at most: the model needs the first few, not all of a thousand.
const MISFITS_MAX: usize = 8;

/// Most bytes for errors: the library makes all of them before it tells the first.
const ERRORS_BYTES_MAX: usize = 64 << 20;

/// Bytes of one error, without the path that it holds.
const ERROR_BYTES: usize = 512;

/// Bytes in memory for each that a quoted schema has as text.
const BYTES_OF_QUOTED: usize = 16;

/// A checker that is made once: that takes longer than to check.
pub struct OwnSchema {
    validator: Validator,
    outline: Outline,
}

/// One thing that does not fit.
pub struct Misfit {
    /// Where, from the value on: `.where[0].op`; nothing where it is the value itself. Quotes the value.
    pub at: String,
    /// What. Quotes the value, all of it.
    pub said: String,
}

impl OwnSchema {
    /// The checker of a schema.
    ///
    /// # Errors
    /// Where the schema cannot be used, or is more than this host checks by.
    pub fn compile(schema: &JsonText) -> Result<Self, String> {
        let unusable = |problem: String| format!("the tool's schema is not usable: {problem}");
        let schema = schema.to_value().map_err(|error| unusable(error.to_string()))?;
        let outline = schema_guard::outline(&schema).map_err(unusable)?;
        Ok(Self { validator: build(&schema)?, outline })
    }

    /// The first few things in which `value`, which is within the bounds of any call, does not fit; nothing where it does.
    #[must_use]
    pub fn misfits(&self, value: &Value) -> Vec<Misfit> {
        let extent = Extent::of(value);
        if extent.name_bytes.saturating_mul(self.outline.name_patterns) > TEXTS_BYTES_MAX {
            return vec![Misfit::of_all("its names are more text than patterns are looked for in")];
        }
        let (fits, enough_looked_at) = counted(|| self.validator.is_valid(value));
        if !enough_looked_at {
            let most = format!("{TEXT_BYTES_MAX} bytes, or of {TEXTS_BYTES_MAX} together");
            return vec![Misfit::of_all(&format!("patterns are looked for in no text of more than {most}"))];
        }
        if fits { Vec::new() } else { self.told(value, extent) }
    }

    /// What does not fit of a value that does not. To find the place is bounded, too.
    fn told(&self, value: &Value, extent: Extent) -> Vec<Misfit> {
        let told = if self.bytes_of_errors(extent) <= ERRORS_BYTES_MAX {
            counted(|| self.validator.iter_errors(value).take(MISFITS_MAX).map(|error| Misfit::of(&error)).collect()).0
        } else if self.outline.choices == 0 {
            // One error is made and no more.
            counted(|| self.validator.validate(value).err().iter().map(Misfit::of).collect::<Vec<_>>()).0
        } else {
            Vec::new()
        };
        if told.is_empty() { vec![Misfit::of_all("it is too large to say where it does not fit")] } else { told }
    }

    /// The most that all errors together may have: one for each part of the schema and each value.
    fn bytes_of_errors(&self, extent: Extent) -> usize {
        let each_has = extent.values.saturating_mul(ERROR_BYTES).saturating_add(extent.path_bytes);
        let quoted = self.outline.negated_bytes.saturating_mul(BYTES_OF_QUOTED).saturating_mul(extent.values);
        each_has.saturating_mul(self.outline.parts).saturating_add(quoted)
    }
}

impl Misfit {
    fn of(error: &ValidationError<'_>) -> Self {
        Self { at: place(error.instance_path()), said: error.to_string() }
    }

    fn of_all(said: &str) -> Self {
        Self { at: String::new(), said: said.to_owned() }
    }
}

/// A place as the errors of a function's own types write it, so that a model reads of places in one way.
fn place(at: &Location) -> String {
    at.segments().fold(String::new(), |mut place, segment| {
        // To a text everything can be written.
        let _ = match segment {
            LocationSegment::Property(name) => write!(place, ".{name}"),
            LocationSegment::Index(index) => write!(place, "[{index}]"),
        };
        place
    })
}

/// The library's checker of a schema. Its patterns run on an engine that takes linear time, and there is nothing that could
/// fetch.
///
/// # Errors
/// Where the schema cannot be used.
pub fn build(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::draft202012::options().with_pattern_options(patterns()).with_keyword("pattern", bounded);
    options.build(schema).map_err(|error| format!("the tool's schema is not usable: {error}"))
}

fn patterns() -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(TABLE_BYTES_MAX)
}

/// The library's `pattern`, behind the bounds on text. A schema of its own, so that its messages and its dialect stay the library's.
fn bounded<'a>(
    _beside: &'a Map<String, Value>,
    pattern: &'a Value,
    _at: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let alone = jsonschema::draft202012::options().with_pattern_options(patterns());
    let alone = alone.build(&json!({ "pattern": pattern })).map_err(|error| error.to_owned())?;
    Ok(Box::new(Bounded(alone)))
}

struct Bounded(Validator);

impl<'i> Keyword<'i> for Bounded {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if may_look_in(value) { self.0.validate(value) } else { Err(ValidationError::custom("it is too long")) }
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        may_look_in(value) && self.0.is_valid(value)
    }
}

thread_local! {
    /// How much more text this thread's check may look in; nothing once it was too much. A checker is shared by checks at once.
    static TEXT_LEFT: Cell<Option<usize>> = const { Cell::new(Some(TEXTS_BYTES_MAX)) };
}

fn may_look_in(value: &Value) -> bool {
    let Value::String(text) = value else { return true };
    let left = TEXT_LEFT.get().filter(|_| text.len() <= TEXT_BYTES_MAX);
    TEXT_LEFT.set(left.and_then(|left| left.checked_sub(text.len())));
    TEXT_LEFT.get().is_some()
}

/// Makes one check, and says whether its patterns were looked for in all text.
fn counted<T>(check: impl FnOnce() -> T) -> (T, bool) {
    TEXT_LEFT.set(Some(TEXTS_BYTES_MAX));
    let found = check();
    (found, TEXT_LEFT.replace(Some(TEXTS_BYTES_MAX)).is_some())
}

/// How much there is of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    values: usize,
    /// Bytes of the names of its members.
    name_bytes: usize,
    /// Bytes of the paths of all its values.
    path_bytes: usize,
}

impl Extent {
    fn of(value: &Value) -> Self {
        let mut extent = Self::default();
        extent.add(value, 0);
        extent
    }

    /// As deep as the value is: values within the bounds of a call are 64 levels deep at most.
    fn add(&mut self, value: &Value, path_bytes: usize) {
        /// Bytes of the number of an item in a path.
        const NUMBER_BYTES: usize = 8;
        self.values += 1;
        self.path_bytes = self.path_bytes.saturating_add(path_bytes);
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add(item, path_bytes + NUMBER_BYTES)),
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                self.name_bytes += name.len();
                self.add(member, path_bytes + name.len() + 1);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn said(schema: &Value, value: &Value) -> Result<Vec<String>, String> {
        let schema = OwnSchema::compile(&JsonText::from_value(schema))?;
        Ok(schema.misfits(value).into_iter().map(|misfit| format!("{}: {}", misfit.at, misfit.said)).collect())
    }

    /// Each pattern has more states than fit into a table, so that each letter costs a step in each state.
    #[test]
    fn patterns_are_looked_for_in_little_text() -> Result<(), String> {
        let heavy = json!({"pattern": "(?:1|11)[01]{300}[^01]"});
        let letters: String = (0_u64..60_000).map(|n| if (n * n / 7) % 3 == 0 { '1' } else { '0' }).collect();
        let started = Instant::now();
        assert_eq!(said(&heavy, &json!("1".repeat(70_000)))?.len(), 1, "too long for any pattern");
        let many = json!({"items": {"anyOf": vec![heavy; 20]}});
        let told = said(&many, &json!(vec![letters; 16]))?;
        assert!(told[0].contains("no text of more than 65536 bytes, or of 524288 together"), "{told:?}");
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        let not_to_match = json!({"not": {"pattern": "^a"}});
        assert_eq!(said(&not_to_match, &json!("a".repeat(70_000)))?.len(), 1, "no way around it");
        assert!(said(&json!({"pattern": "(?:1|11)[01]{9000}[^01]"}), &json!("")).is_err(), "too large a pattern");
        Ok(())
    }

    #[test]
    fn patterns_in_names_are_bounded_too() -> Result<(), String> {
        let schema = json!({"patternProperties": {"^x": {"type": "integer"}, "y$": true}});
        assert_eq!(said(&schema, &json!({"x1": "no"}))?, [".x1: \"no\" is not of type \"integer\""]);
        let long = json!({"n".repeat(300_000): 1});
        assert!(said(&schema, &long)?[0].contains("its names are more text"));
        assert_eq!(said(&json!({"properties": {"a": true}}), &long)?, Vec::<String>::new());
        let each = json!({"propertyNames": {"pattern": "^a"}});
        assert_eq!((said(&each, &json!({"ab": 1}))?.len(), said(&each, &json!({"b": 1}))?.len()), (0, 1));
        assert_eq!(said(&each, &json!({"a".repeat(70_000): 1}))?.len(), 1, "too long for any pattern");
        Ok(())
    }

    #[test]
    fn an_honest_pattern_says_what_does_not_fit_and_where() -> Result<(), String> {
        let schema = json!({"properties": {"id": {"type": "string", "pattern": "^[a-z]{1,63}$", "maxLength": 63}}});
        assert_eq!(said(&schema, &json!({"id": "abc"}))?, Vec::<String>::new());
        assert_eq!(said(&schema, &json!({"id": "A"}))?, [".id: \"A\" does not match \"^[a-z]{1,63}$\""]);
        assert_eq!(said(&json!({"pattern": "^\\p{L}+$"}), &json!("Straße"))?, Vec::<String>::new());
        Ok(())
    }

    /// Twenty million errors, of which eight are told.
    #[test]
    fn errors_are_not_made_by_the_million() -> Result<(), String> {
        let many = json!(vec![0; 9_999]);
        let parts = vec![json!({"type": "string"}); 1_900];
        let started = Instant::now();
        assert_eq!(said(&json!({"items": {"allOf": parts}}), &many)?, ["[0]: 0 is not of type \"string\""]);
        let told = said(&json!({"anyOf": [{"items": {"allOf": parts}}, false]}), &many)?;
        assert_eq!(told, [": it is too large to say where it does not fit"]);
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        Ok(())
    }

    #[test]
    fn places_are_written_as_those_in_arguments() -> Result<(), String> {
        let schema = json!({"additionalProperties": {"items": {"properties": {"a b/c~": {"type": "null"}}}}});
        assert_eq!(said(&schema, &json!({"w": [{}, {"a b/c~": 1}]}))?, [".w[1].a b/c~: 1 is not of type \"null\""]);
        Ok(())
    }

    #[test]
    fn the_extent_of_a_value_counts_each_path() {
        let extent = Extent::of(&json!({"ab": [1, {"c": 2}]}));
        assert_eq!(extent, Extent { values: 5, name_bytes: 3, path_bytes: 3 + 11 + 11 + 13 });
    }
}
