//! Checks a tool's arguments against its schema before the tool is started. Used for calls of the model and of the operator.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_core::json::JsonText;
use agent_core::name::ToolName;
use agent_core::tool::ToolDescriptor;
use agent_sandbox::component::Component;
use agent_sandbox::defence::{self, Defence};
use agent_sandbox::describe::Door;
use agent_sandbox::sandbox::check_arguments;
use anyhow::{Context, ensure};

use crate::aside;
use crate::own_schema::{Misfit, OwnSchema};

/// Longest arguments in bytes.
const BYTES_MAX: usize = 1 << 20;
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
#[derive(Default, Clone)]
pub struct Schemas {
    compiled: Kept,
    results: Kept,
}

type Kept = Arc<Mutex<HashMap<ToolName, Arc<OwnSchema>>>>;

impl Schemas {
    /// The arguments as checked JSON, or what is wrong with them in words that the model can act on. The types of an exported
    /// function know more than a schema can say, and take what is certain to be meant; where a component wrote a schema of its own,
    /// that decides, within `time`.
    ///
    /// # Errors
    /// Where `text` is too long, no JSON object, not what the tool takes, or not checked in time.
    pub async fn check_for(
        &self,
        component: &Component,
        text: &str,
        tool: &ToolDescriptor,
        time: Duration,
    ) -> Result<JsonText, String> {
        match component.door {
            Door::Exports => check_exactly(component, text, tool),
            Door::World => self.check(text, tool, time).await,
        }
    }

    async fn check(&self, text: &str, tool: &ToolDescriptor, time: Duration) -> Result<JsonText, String> {
        let kept = Arc::clone(&self.compiled);
        let (text, name, schema) = (text.to_owned(), tool.name.clone(), tool.input_schema.clone());
        let checked = aside::within(time, move || check_by(&*compiled(&kept, &name, &schema)?, &text)).await;
        checked.unwrap_or_else(|| Err("the arguments could not be checked by the tool's own schema in time".to_owned()))
    }

    /// The checker of what a tool returns, or why its schema cannot be used.
    ///
    /// # Errors
    /// Where the schema cannot be used.
    pub fn of_result(&self, tool: &ToolName, schema: &JsonText) -> Result<Arc<OwnSchema>, String> {
        compiled(&self.results, tool, schema)
    }
}

fn compiled(kept: &Kept, tool: &ToolName, schema: &JsonText) -> Result<Arc<OwnSchema>, String> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match kept.get(tool) {
        Some(known) => Arc::clone(known),
        None => Arc::clone(kept.entry(tool.clone()).or_insert(Arc::new(OwnSchema::compile(schema)?))),
    })
}

fn check_exactly(component: &Component, text: &str, tool: &ToolDescriptor) -> Result<JsonText, String> {
    let arguments = read(text)?;
    if !defence::is_off(Defence::Arguments) {
        let checked = component.check_arguments(&tool.name.operation, arguments.as_str());
        checked.map_err(|problem| format!("the arguments do not fit: {problem}"))?;
    }
    Ok(arguments)
}

/// The arguments as JSON checked by this schema, here and now.
///
/// # Errors
/// Where `text` is too long, no JSON object, or breaks the schema.
#[cfg(test)]
pub fn check(text: &str, schema: &JsonText) -> Result<JsonText, String> {
    check_by(&OwnSchema::compile(schema)?, text)
}

fn read(text: &str) -> Result<JsonText, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the arguments are longer than {BYTES_MAX} bytes"));
    }
    // Providers send nothing at all for a tool without parameters.
    let text = if text.trim().is_empty() { "{}" } else { text };
    JsonText::parse(text).map_err(|error| format!("the arguments are not JSON: {error}"))
}

fn check_by(schema: &OwnSchema, text: &str) -> Result<JsonText, String> {
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
    let problems: Vec<_> = schema.misfits(&value).iter().map(problem).collect();
    if problems.is_empty() { Ok(arguments) } else { Err(format!("the arguments do not fit: {}", problems.join("; "))) }
}

fn problem(misfit: &Misfit) -> String {
    // It quotes the value that does not fit, all of it.
    let shown = cut(&misfit.said);
    match misfit.at.as_str() {
        "" => shown,
        place => format!("{}: {shown}", cut(&format!("arguments{place}"))),
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
            (r#"{"expression":1}"#, "arguments.expression: 1 is not of type \"string\""),
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
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let long = format!(r#"{{"expression":["{}"]}}"#, "x".repeat(500_000));
        let message = checked(&long).err().unwrap_or_default();
        assert!(message.contains("is not of type") || message.ends_with('…'), "{message}");
        assert!(message.len() < 4 << 10, "{}", message.len());
    }
}
