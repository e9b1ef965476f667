//! The file of a scripted model, read and checked as a whole, so that a slip is told before anything runs. The format is
//! described in `docs/models.md`. Played by `scripted`.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use agent_core::model::ModelFailureKind;
use agent_core::name::ToolName;
use serde::Deserialize;
use serde_json::Value;

use super::template::{Source, Template, check_label};

/// The version of the format that is understood.
const VERSION: i64 = 1;

/// Largest script. It is written by hand.
const SCRIPT_BYTES_MAX: u64 = 1024 * 1024;

/// Longest pause before a reply: a test waits, a person does not.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// A checked script.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) replies: Vec<ScriptedReply>,
    /// Where a label's call is: the reply's and the call's index.
    pub(super) labels: HashMap<String, (usize, usize)>,
}

#[derive(Debug)]
pub(super) struct ScriptedReply {
    pub(super) text: Template,
    pub(super) calls: Vec<ScriptedCall>,
    pub(super) usage: ScriptedUsage,
    /// What the last message of the user must contain.
    pub(super) expect: Option<String>,
    pub(super) delay: Duration,
    pub(super) error: Option<ScriptedError>,
}

#[derive(Debug)]
pub(super) struct ScriptedCall {
    /// The wire name, or what was written where that is no tool name.
    pub(super) tool: String,
    pub(super) arguments: ScriptedArguments,
}

#[derive(Debug)]
pub(super) enum ScriptedArguments {
    /// An object whose texts may quote.
    Object(Vec<(String, ScriptedValue)>),
    /// A text that is sent as it is, JSON or not.
    Verbatim(String),
}

#[derive(Debug)]
pub(super) enum ScriptedValue {
    Text(Template),
    List(Vec<ScriptedValue>),
    Object(Vec<(String, ScriptedValue)>),
    Other(Value),
}

/// Tokens that a reply claims to cost.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedUsage {
    #[serde(default)]
    pub(super) input: u64,
    #[serde(default)]
    pub(super) output: u64,
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

/// A failure before the reply is played.
#[derive(Debug)]
pub(super) struct ScriptedError {
    pub(super) kind: ModelFailureKind,
    pub(super) message: String,
    /// How many requests fail so.
    pub(super) times: u32,
    pub(super) retry_after: Option<Duration>,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script `{file}`")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML of the right form.
    #[error("the script `{file}` is not valid: {reason}")]
    Form {
        /// The file.
        file: String,
        /// What and where.
        reason: String,
    },
    /// A reply says something that cannot be.
    #[error("reply {reply} of the script `{file}`: {reason}")]
    Reply {
        /// The file.
        file: String,
        /// The reply's number, from 1.
        reply: usize,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    version: i64,
    #[serde(default)]
    reply: Vec<ReplyForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyForm {
    #[serde(default)]
    text: String,
    #[serde(default)]
    calls: Vec<CallForm>,
    #[serde(default)]
    usage: ScriptedUsage,
    expect: Option<String>,
    delay: Option<String>,
    error: Option<ErrorForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallForm {
    tool: String,
    #[serde(rename = "as")]
    label: Option<String>,
    #[serde(default = "no_arguments")]
    arguments: toml::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorForm {
    kind: ModelFailureKind,
    message: String,
    #[serde(default = "once")]
    times: u32,
    retry_after: Option<String>,
}

fn no_arguments() -> toml::Value {
    toml::Value::Table(toml::Table::new())
}

fn once() -> u32 {
    1
}

impl Script {
    pub(super) fn read(path: &Path) -> Result<Self, ScriptError> {
        let file = path.display().to_string();
        let read = |source| ScriptError::Read { file: file.clone(), source };
        let mut text = String::new();
        let opened = crate::input::open(path).map_err(read)?;
        opened.take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > SCRIPT_BYTES_MAX {
            return Err(ScriptError::Form { file, reason: "it is larger than 1 MiB".to_owned() });
        }
        Self::parse(&file, &text)
    }

    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let form_error = |reason: String| ScriptError::Form { file: file.to_owned(), reason };
        let form: FileForm = toml::from_str(text).map_err(|error| form_error(error.to_string()))?;
        if form.version != VERSION {
            return Err(form_error(format!(
                "version {} is not known; this program reads version {VERSION}",
                form.version
            )));
        }
        if form.reply.is_empty() {
            return Err(form_error("it has no `[[reply]]`".to_owned()));
        }
        let mut script = Self { replies: Vec::new(), labels: HashMap::new() };
        for (index, reply) in form.reply.into_iter().enumerate() {
            script.add(reply).map_err(|reason| ScriptError::Reply {
                file: file.to_owned(),
                reply: index + 1,
                reason,
            })?;
        }
        Ok(script)
    }

    fn add(&mut self, form: ReplyForm) -> Result<(), String> {
        if form.text.is_empty() && form.calls.is_empty() {
            return Err("it has neither `text` nor `calls`".to_owned());
        }
        let labels: Vec<Option<String>> = form.calls.iter().map(|call| call.label.clone()).collect();
        let reply = ScriptedReply {
            text: Template::parse(&form.text)?,
            calls: form.calls.into_iter().map(scripted_call).collect::<Result<_, _>>()?,
            usage: form.usage,
            expect: form.expect,
            delay: form.delay.map_or(Ok(Duration::ZERO), |text| parse_duration(&text))?,
            error: form.error.map(scripted_error).transpose()?,
        };
        self.check_sources(&reply)?;
        for (call, label) in labels.into_iter().enumerate() {
            let Some(label) = label else { continue };
            check_label(&label)?;
            if self.labels.insert(label.clone(), (self.replies.len(), call)).is_some() {
                return Err(format!("two calls are called `{label}`"));
            }
        }
        self.replies.push(reply);
        Ok(())
    }

    /// A reply may quote results of earlier replies only: those of its own calls do not exist yet.
    fn check_sources(&self, reply: &ScriptedReply) -> Result<(), String> {
        let calls_before: usize = self.replies.iter().map(|reply| reply.calls.len()).sum();
        let mut templates = vec![&reply.text];
        reply.calls.iter().for_each(|call| call.arguments.templates(&mut templates));
        for placeholder in templates.into_iter().flat_map(Template::placeholders) {
            let is_known = match &placeholder.source {
                Source::Number(number) => *number < calls_before,
                Source::Label(label) => self.labels.contains_key(label),
            };
            if !is_known {
                return Err(format!("`{placeholder}` quotes no call of an earlier reply: there are {calls_before}"));
            }
        }
        Ok(())
    }
}

impl ScriptedArguments {
    fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Object(fields) => fields.iter().for_each(|(_, value)| value.templates(found)),
            Self::Verbatim(_) => {}
        }
    }
}

impl ScriptedValue {
    fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Text(template) => found.push(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, value)| value.templates(found)),
            Self::Other(_) => {}
        }
    }
}

fn scripted_call(form: CallForm) -> Result<ScriptedCall, String> {
    let tool = form.tool.parse::<ToolName>().map_or(form.tool, |name| name.wire());
    let arguments = match form.arguments {
        toml::Value::Table(table) => ScriptedArguments::Object(scripted_fields(table)?),
        toml::Value::String(text) => ScriptedArguments::Verbatim(text),
        _ => return Err("`arguments` is neither a table nor a text".to_owned()),
    };
    Ok(ScriptedCall { tool, arguments })
}

fn scripted_fields(table: toml::Table) -> Result<Vec<(String, ScriptedValue)>, String> {
    table.into_iter().map(|(name, value)| Ok((name, scripted_value(value)?))).collect()
}

fn scripted_value(value: toml::Value) -> Result<ScriptedValue, String> {
    Ok(match value {
        toml::Value::String(text) => ScriptedValue::Text(Template::parse(&text)?),
        toml::Value::Integer(number) => ScriptedValue::Other(number.into()),
        toml::Value::Float(number) if number.is_finite() => ScriptedValue::Other(number.into()),
        toml::Value::Float(number) => return Err(format!("JSON has no `{number}`")),
        toml::Value::Boolean(flag) => ScriptedValue::Other(flag.into()),
        toml::Value::Datetime(date) => ScriptedValue::Other(date.to_string().into()),
        toml::Value::Array(items) => {
            ScriptedValue::List(items.into_iter().map(scripted_value).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => ScriptedValue::Object(scripted_fields(table)?),
    })
}

fn scripted_error(form: ErrorForm) -> Result<ScriptedError, String> {
    let retry_after = form.retry_after.map(|text| parse_duration(&text)).transpose()?;
    Ok(ScriptedError { kind: form.kind, message: form.message, times: form.times, retry_after })
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let milliseconds = text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
    let seconds = || text.strip_suffix('s').and_then(|number| number.parse().ok()).map(Duration::from_secs);
    match milliseconds.or_else(seconds) {
        Some(duration) if duration <= DELAY_MAX => Ok(duration),
        _ => Err(format!("`{text}` is not a time up to {} s: write `50ms` or `2s`", DELAY_MAX.as_secs())),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_with_their_place() {
        let call = "version = 1\n[[reply]]\ncalls = [{ tool = \"calc.evaluate\", as = \"sum\" }]\n";
        for (text, expected) in [
            ("version = 2".to_owned(), "version 2 is not known"),
            ("version = 1".to_owned(), "no `[[reply]]`"),
            ("version = 1\n[[reply]]\ntxt = \"x\"".to_owned(), "unknown field `txt`"),
            ("version = 1\n[[reply]]".to_owned(), "reply 1 of the script `s.toml`: it has neither"),
            (
                "version = 1\n[[reply]]\ntext = \"{{ call[0] }}\"".to_owned(),
                "`call[0]` quotes no call of an earlier reply: there are 0",
            ),
            (
                format!("{call}[[reply]]\ntext = \"{{{{ som/x }}}}\""),
                "reply 2 of the script `s.toml`: `som/x` quotes no call",
            ),
            (
                format!("{call}[[reply]]\ntext = \"{{{{ call[1] }}}}\""),
                "`call[1]` quotes no call of an earlier reply: there are 1",
            ),
            (format!("{call}{}", call.trim_start_matches("version = 1\n")), "two calls are called `sum`"),
            ("version = 1\n[[reply]]\ntext = \"x\"\ndelay = \"1h\"".to_owned(), "`1h` is not a time"),
            (
                "version = 1\n[[reply]]\ntext = \"x\"\nerror = { kind = \"odd\", message = \"\" }".to_owned(),
                "unknown variant `odd`",
            ),
            (
                "version = 1\n[[reply]]\ncalls = [{ tool = \"a.b\", arguments = { x = nan } }]".to_owned(),
                "JSON has no `NaN`",
            ),
        ] {
            let error = Script::parse("s.toml", &text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
