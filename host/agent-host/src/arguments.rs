//! Checks a tool's arguments against its schema before the tool is started. Used for calls of the model and of the operator.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::json::JsonText;
use agent_core::name::ToolName;
use agent_core::tool::ToolDescriptor;
use agent_sandbox::component::Component;
use agent_sandbox::defence::{self, Defence};
use agent_sandbox::describe::Door;
use agent_sandbox::sandbox::check_arguments;
use anyhow::{Context, ensure};
use jsonschema::{PatternOptions, Validator};

/// Longest arguments in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Problems that are listed at most: the model needs the first few, not all of a thousand.
const PROBLEMS_MAX: usize = 8;
/// Characters of a problem, and of the place where it is.
const PROBLEM_CHARS_MAX: usize = 200;

/// The word by which arguments are read from standard input: a command line holds 128 KiB of them at most.
const FROM_STDIN: &str = "-";

/// The arguments that a person gave as a word of the command line.
///
/// # Errors
/// Where they are on standard input, and too long or no text.
pub fn given(word: String) -> anyhow::Result<String> {
    if word != FROM_STDIN {
        return Ok(word);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
    ensure!(bytes.len() <= BYTES_MAX, "the arguments on standard input are longer than {BYTES_MAX} bytes");
    String::from_utf8(bytes).context("the arguments on standard input are not UTF-8 text")
}

/// The compiled schemas of a run's tools, each made at its first use: to make one takes longer than to check by it.
#[derive(Default)]
pub struct Schemas {
    compiled: Mutex<HashMap<ToolName, Arc<Validator>>>,
    results: Mutex<HashMap<ToolName, Arc<Validator>>>,
}

impl Schemas {
    /// As [`check_for`], for a tool whose schema stays the same.
    ///
    /// # Errors
    /// See [`check`].
    pub fn check_for(&self, component: &Component, text: &str, tool: &ToolDescriptor) -> Result<JsonText, String> {
        match component.door {
            Door::Exports => check_exactly(component, text, tool),
            Door::World => self.check(text, tool),
        }
    }

    fn check(&self, text: &str, tool: &ToolDescriptor) -> Result<JsonText, String> {
        check_by(&*kept(&self.compiled, &tool.name, &tool.input_schema)?, text)
    }

    /// The checker of what a tool returns, where it says that; or why its schema cannot be used.
    pub fn of_result(&self, tool: &ToolDescriptor) -> Option<Result<Arc<Validator>, String>> {
        let schema = tool.output_schema.as_ref()?;
        Some(kept(&self.results, &tool.name, schema))
    }
}

fn kept(
    compiled: &Mutex<HashMap<ToolName, Arc<Validator>>>,
    tool: &ToolName,
    schema: &JsonText,
) -> Result<Arc<Validator>, String> {
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match compiled.get(tool) {
        Some(known) => Arc::clone(known),
        None => Arc::clone(compiled.entry(tool.clone()).or_insert(Arc::new(compile(schema)?))),
    })
}

/// The arguments as checked JSON, or what is wrong with them in words that the model can act on. The types of an exported
/// function know more than a schema can say, and take what is certain to be meant; where a component wrote a schema of its own, that
/// decides.
///
/// # Errors
/// Where `text` is too long, no JSON object, or not what the tool takes.
pub fn check_for(component: &Component, text: &str, tool: &ToolDescriptor) -> Result<JsonText, String> {
    match component.door {
        Door::Exports => check_exactly(component, text, tool),
        Door::World => check(text, &tool.input_schema),
    }
}

fn check_exactly(component: &Component, text: &str, tool: &ToolDescriptor) -> Result<JsonText, String> {
    let arguments = read(text)?;
    if !defence::is_off(Defence::Arguments) {
        let checked = component.check_arguments(&tool.name.operation, arguments.as_str());
        checked.map_err(|problem| format!("the arguments do not fit: {problem}"))?;
    }
    Ok(arguments)
}

/// The arguments as JSON checked by this schema.
///
/// # Errors
/// Where `text` is too long, no JSON object, or breaks the schema.
pub fn check(text: &str, schema: &JsonText) -> Result<JsonText, String> {
    check_by(&compile(schema)?, text)
}

/// The checker of a schema. Its patterns run on an engine that takes linear time, and there is nothing that could fetch.
///
/// # Errors
/// Where the schema cannot be used.
pub fn compile(schema: &JsonText) -> Result<Validator, String> {
    /// Largest compiled pattern.
    const PATTERN_BYTES_MAX: usize = 1 << 20;
    let schema = schema.to_value().map_err(|error| format!("the tool's schema is not usable: {error}"))?;
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    let compiled = jsonschema::draft202012::options().with_pattern_options(patterns).build(&schema);
    compiled.map_err(|error| format!("the tool's schema is not usable: {error}"))
}

fn read(text: &str) -> Result<JsonText, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the arguments are longer than {BYTES_MAX} bytes"));
    }
    // Providers send nothing at all for a tool without parameters.
    let text = if text.trim().is_empty() { "{}" } else { text };
    JsonText::parse(text).map_err(|error| format!("the arguments are not JSON: {error}"))
}

fn check_by(validator: &Validator, text: &str) -> Result<JsonText, String> {
    let arguments = read(text)?;
    let value = arguments.to_value().map_err(|error| format!("the arguments are not usable: {error}"))?;
    if !value.is_object() {
        return Err("the arguments must be a JSON object".to_owned());
    }
    if defence::is_off(Defence::Arguments) {
        return Ok(arguments);
    }
    // A stranger wrote the schema, and nothing counts what checking by it takes: not one value more than any call may have.
    check_arguments(arguments.as_str())?;
    let problems: Vec<_> = validator.iter_errors(&value).take(PROBLEMS_MAX).map(|error| problem(&error)).collect();
    if problems.is_empty() { Ok(arguments) } else { Err(format!("the arguments do not fit: {}", problems.join("; "))) }
}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    // It quotes the value that does not fit, all of it.
    let shown = cut(&error.to_string());
    match error.instance_path().to_string().as_str() {
        "" => shown,
        path => format!("{}: {shown}", cut(path)),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(PROBLEM_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<String, String> {
        let schema = serde_json::json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
            "additionalProperties": false,
        });
        check(text, &JsonText::from_value(&schema)).map(|json| json.to_string())
    }

    #[test]
    fn arguments_that_do_not_fit_say_why() {
        assert_eq!(checked(r#"{"expression":"1"}"#), Ok(r#"{"expression":"1"}"#.to_owned()));
        for (text, why) in [
            ("{", "not JSON"),
            ("[1]", "must be a JSON object"),
            ("", "\"expression\" is a required property"),
            (r#"{"expression":1}"#, "/expression: 1 is not of type \"string\""),
            (r#"{"expression":"1","x":2}"#, "'x' was unexpected"),
        ] {
            let message = checked(text).err().unwrap_or_default();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    /// However many values a schema is applied to, and however long they are.
    #[test]
    fn arguments_are_bounded_before_they_are_checked() {
        let parts: Vec<_> = (0..400).map(|number| serde_json::json!({"not": {"const": number + 1}})).collect();
        let schema = JsonText::from_value(&serde_json::json!({"properties": {"a": {"items": {"allOf": parts}}}}));
        let started = std::time::Instant::now();
        let many = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(400_000));
        let message = check(&many, &schema).err().unwrap_or_default();
        assert!(message.contains("more than 10000 values"), "{message}");
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
        let long = format!(r#"{{"expression":["{}"]}}"#, "x".repeat(500_000));
        let message = checked(&long).err().unwrap_or_default();
        assert!(message.contains("is not of type") || message.ends_with('…'), "{message}");
        assert!(message.len() < 4 << 10, "{}", message.len());
    }
}
