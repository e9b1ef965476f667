//! A model that plays a file: for demonstrations, examples and tests that need no key. It has no memory of its own: which
//! reply is next follows from the conversation, so a resumed run goes on where it was. Only injected errors are counted here.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use agent_core::message::{Message, Part, Role, ToolResult};
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ModelRequest, ProposedCall, TokenUsage};
use agent_core::outcome::Content;
use agent_core::units::Millis;
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::Model;
use super::failure::{failure, plain};
use super::script::{
    Script, ScriptError, ScriptedArguments, ScriptedCall, ScriptedError, ScriptedReply, ScriptedUsage, ScriptedValue,
};
use super::template::{Placeholder, Source};

/// Longest text or arguments of a filled reply. A result quoted many times grows.
const FILLED_BYTES_MAX: usize = 1024 * 1024;

/// How much of a result is quoted where a pointer leads nowhere.
const QUOTED_BYTES_MAX: usize = 300;

/// A script and its name.
pub(super) struct Scripted {
    name: String,
    file: String,
    script: Script,
    /// How often each reply's injected error was met by this process.
    errors_met: Vec<AtomicU32>,
}

impl Scripted {
    pub(super) fn open(name: &str, file: &Path) -> Result<Self, ScriptError> {
        Ok(Self::new(name, &file.display().to_string(), Script::read(file)?))
    }

    fn new(name: &str, file: &str, script: Script) -> Self {
        let errors_met = script.replies.iter().map(|_| AtomicU32::new(0)).collect();
        Self { name: name.to_owned(), file: file.to_owned(), script, errors_met }
    }
}

#[async_trait]
impl Model for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    async fn reply(&self, request: ModelRequest<'_>) -> Result<ModelReply, ModelFailure> {
        let index = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        let slip = |reason: &str| {
            failure(
                ModelFailureKind::BadRequest,
                &format!("reply {} of the script `{}`: {reason}", index + 1, self.file),
            )
        };
        let Some(reply) = self.script.replies.get(index) else {
            return Err(slip(&format!("there is none: the script ends after {}", self.script.replies.len())));
        };
        // Even a sleep of no time waits for the clock's next millisecond.
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        self.inject(index, reply)?;
        check_expected(reply, request.messages).map_err(|reason| slip(&reason))?;
        let played = Played { script: &self.script, messages: request.messages, calls: OnceCell::new() };
        let (text, calls) = played.fill(reply).map_err(|reason| slip(&reason))?;
        let ScriptedUsage { input, output, cache_read, cache_write, reasoning } = reply.usage;
        let usage = TokenUsage { input, output, cache_read, cache_write, reasoning };
        Ok(ModelReply { text, calls, usage, model: "scripted".to_owned(), id: None })
    }
}

impl Scripted {
    fn inject(&self, index: usize, reply: &ScriptedReply) -> Result<(), ModelFailure> {
        let Some(ScriptedError { kind, message, times, retry_after }) = &reply.error else { return Ok(()) };
        if self.errors_met[index].fetch_add(1, Ordering::Relaxed) >= *times {
            return Ok(());
        }
        let retry_after = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok()).map(Millis);
        Err(ModelFailure { retry_after, ..failure(*kind, message) })
    }
}

fn check_expected(reply: &ScriptedReply, messages: &[Message]) -> Result<(), String> {
    let Some(expected) = &reply.expect else { return Ok(()) };
    let last = messages.iter().rev().find(|message| message.role == Role::User);
    let texts = last.into_iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::ToolCall(_) | Part::ToolResult(_) => None,
    });
    let said: String = texts.collect::<Vec<_>>().join("\n");
    if said.contains(expected) {
        return Ok(());
    }
    Err(format!(
        "it expects the user to say `{expected}`, and the last message is `{}`",
        plain(&said, QUOTED_BYTES_MAX)
    ))
}

/// A call of the conversation: which assistant message asked for it, as which of its calls, and what came back.
struct MadeCall<'a> {
    reply: usize,
    call: usize,
    id: &'a str,
    result: Option<&'a ToolResult>,
}

/// All calls in their order. Identifiers are unique within a run only, so a result belongs to the latest call of its name.
fn calls_of(messages: &[Message]) -> Vec<MadeCall<'_>> {
    let mut calls: Vec<MadeCall<'_>> = Vec::new();
    let mut replies = 0;
    for message in messages {
        let mut call = 0;
        for part in &message.parts {
            match part {
                Part::ToolCall(made) => {
                    calls.push(MadeCall { reply: replies, call, id: &made.id, result: None });
                    call += 1;
                }
                Part::ToolResult(result) => {
                    if let Some(made) = calls.iter_mut().rev().find(|made| made.id == result.id) {
                        made.result = Some(result);
                    }
                }
                Part::Text(_) => {}
            }
        }
        replies += usize::from(message.role == Role::Assistant);
    }
    calls
}

/// The conversation so far, as a script can quote it.
struct Played<'a> {
    script: &'a Script,
    messages: &'a [Message],
    /// Read when something is quoted: a reply that quotes nothing must not get dearer with every turn.
    calls: OnceCell<Vec<MadeCall<'a>>>,
}

impl<'a> Played<'a> {
    fn fill(&self, reply: &ScriptedReply) -> Result<(String, Vec<ProposedCall>), String> {
        let mut look_up = |placeholder: &Placeholder| self.look_up(placeholder);
        let text = bounded(reply.text.fill(&mut look_up)?)?;
        let calls = reply.calls.iter().map(|call| proposed(call, &mut look_up)).collect::<Result<_, _>>()?;
        Ok((text, calls))
    }

    fn look_up(&self, placeholder: &Placeholder) -> Result<Value, String> {
        let result =
            self.result(&placeholder.source).ok_or_else(|| format!("`{placeholder}`: that call has no result here"))?;
        let content = json_content(result);
        content.pointer(&placeholder.pointer).cloned().ok_or_else(|| {
            let failed = if result.is_error { "; the call failed" } else { "" };
            format!("nothing is at `{placeholder}`{failed}; {}", described(&content))
        })
    }

    fn result(&self, source: &Source) -> Option<&'a ToolResult> {
        let calls = self.calls.get_or_init(|| calls_of(self.messages));
        match source {
            Source::Number(number) => calls.get(*number)?.result,
            Source::Label(label) => {
                let (reply, call) = self.script.labels.get(label)?;
                calls.iter().find(|made| made.reply == *reply && made.call == *call)?.result
            }
        }
    }
}

/// What a result holds as JSON: its first part that is JSON, be it a text; else all its texts as one string.
fn json_content(result: &ToolResult) -> Value {
    let json = |content: &Content| match content {
        Content::Json(json) => json.to_value().ok(),
        Content::Text(text) => serde_json::from_str(text).ok(),
        Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => None,
    };
    let text = |content: &Content| match content {
        Content::Text(text) => Some(text.clone()),
        Content::Json(_) | Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => None,
    };
    let found = result.content.iter().find_map(json);
    found.unwrap_or_else(|| Value::String(result.content.iter().filter_map(text).collect::<Vec<_>>().join("\n")))
}

/// What was there instead, to correct the pointer by.
fn described(content: &Value) -> String {
    format!("the result is {}", plain(&content.to_string(), QUOTED_BYTES_MAX))
}

type LookUp<'a> = dyn FnMut(&Placeholder) -> Result<Value, String> + 'a;

fn proposed(call: &ScriptedCall, look_up: &mut LookUp<'_>) -> Result<ProposedCall, String> {
    let arguments = match &call.arguments {
        ScriptedArguments::Object(fields) => bounded(filled_fields(fields, look_up)?.to_string())?,
        ScriptedArguments::Verbatim(text) => text.clone(),
    };
    Ok(ProposedCall { id: None, tool: call.tool.clone(), arguments })
}

fn filled(value: &ScriptedValue, look_up: &mut LookUp<'_>) -> Result<Value, String> {
    match value {
        ScriptedValue::Text(template) => template.fill_value(look_up),
        ScriptedValue::List(items) => items.iter().map(|item| filled(item, look_up)).collect(),
        ScriptedValue::Object(fields) => filled_fields(fields, look_up),
        ScriptedValue::Other(value) => Ok(value.clone()),
    }
}

fn filled_fields(fields: &[(String, ScriptedValue)], look_up: &mut LookUp<'_>) -> Result<Value, String> {
    let filled = fields.iter().map(|(name, value)| Ok((name.clone(), filled(value, look_up)?)));
    filled.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

fn bounded(text: String) -> Result<String, String> {
    if text.len() <= FILLED_BYTES_MAX { Ok(text) } else { Err("filled in, it is larger than 1 MiB".to_owned()) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use agent_core::json::JsonText;
    use agent_core::message::ToolCall;

    const WEATHER: &str = r#"
        version = 1
        [[reply]]
        expect = "wettest"
        text = "I look."
        calls = [{ tool = "table.query", as = "wettest", arguments = { sort = "rain", limit = 1, columns = ["month", "rain"] } }]
        usage = { input = 12, output = 3 }
        [[reply]]
        calls = [
            { tool = "calc.evaluate", as = "inches", arguments = { expression = "{{ wettest/rows/0/rain }} / 25.4", row = "{{ wettest/rows/0 }}" } },
            { tool = "no such tool", arguments = "{not json" },
        ]
        [[reply]]
        text = "{{ call[0]/rows/0/month }}: {{ inches | round 1 }} in."
        [[reply]]
        error = { kind = "rate_limited", message = "slow down", times = 2, retry_after = "2s" }
        text = "{{ wettest/rows/1/month }}"
    "#;

    fn asked(id: &str) -> Part {
        Part::ToolCall(ToolCall { id: id.to_owned(), tool: "t__o".to_owned(), arguments: "{}".to_owned() })
    }

    fn answered(id: &str, content: Content) -> Part {
        Part::ToolResult(ToolResult {
            id: id.to_owned(),
            tool: "t__o".to_owned(),
            content: vec![content],
            is_error: false,
        })
    }

    fn conversation() -> Vec<Message> {
        let rows = JsonText::parse(r#"{"rows":[{"month":"May","rain":93.5}]}"#).unwrap();
        vec![
            Message::from_user("Which month was wettest?"),
            Message { role: Role::Assistant, parts: vec![Part::Text("I look.".to_owned()), asked("1")] },
            Message { role: Role::Tool, parts: vec![answered("1", Content::Json(rows))] },
            Message { role: Role::Assistant, parts: vec![asked("2"), asked("3")] },
            Message {
                role: Role::Tool,
                parts: vec![
                    answered("2", Content::Text("3.6811".to_owned())),
                    answered("3", Content::Text("no".to_owned())),
                ],
            },
            Message { role: Role::Assistant, parts: vec![Part::Text("May: 3.7 in.".to_owned())] },
        ]
    }

    async fn play(model: &Scripted, messages: &[Message]) -> Result<ModelReply, ModelFailure> {
        model.reply(ModelRequest { instructions: "", messages, tools: &[] }).await
    }

    fn scripted(text: &str) -> Scripted {
        Scripted::new("scripted:s.toml", "s.toml", Script::parse("s.toml", text).unwrap())
    }

    fn call(tool: &str, arguments: &str) -> ProposedCall {
        ProposedCall { id: None, tool: tool.to_owned(), arguments: arguments.to_owned() }
    }

    #[tokio::test]
    async fn a_script_quotes_what_tools_returned() {
        let (model, messages) = (scripted(WEATHER), conversation());
        let first = play(&model, &messages[..1]).await.unwrap();
        assert_eq!(first.usage, TokenUsage::of(12, 3));
        assert_eq!(first.calls, [call("table__query", r#"{"columns":["month","rain"],"limit":1,"sort":"rain"}"#)]);
        let second = play(&model, &messages[..3]).await.unwrap();
        let inches = r#"{"expression":"93.5 / 25.4","row":{"month":"May","rain":93.5}}"#;
        assert_eq!(second.calls, [call("calc__evaluate", inches), call("no such tool", "{not json")]);
        let third = play(&model, &messages[..5]).await.unwrap();
        assert_eq!((third.text.as_str(), third.calls.len()), ("May: 3.7 in.", 0));
    }

    #[tokio::test]
    async fn a_new_process_goes_on_where_the_conversation_is() {
        let third = play(&scripted(WEATHER), &conversation()[..5]).await.unwrap();
        assert_eq!(third.text, "May: 3.7 in.");
    }

    #[tokio::test]
    async fn slips_name_the_reply_and_what_was_there() {
        let (model, mut messages) = (scripted(WEATHER), conversation());
        let wait = Some(Millis(2_000));
        for _ in 0..2 {
            let injected = play(&model, &messages).await.unwrap_err();
            assert_eq!(
                injected,
                ModelFailure {
                    kind: ModelFailureKind::RateLimited,
                    message: "slow down".to_owned(),
                    retry_after: wait
                }
            );
        }
        let missing = play(&model, &messages).await.unwrap_err();
        let expected = r#"reply 4 of the script `s.toml`: nothing is at `wettest/rows/1/month`; the result is {"rows":[{"month":"May","rain":93.5}]}"#;
        assert_eq!(missing, ModelFailure::new(ModelFailureKind::BadRequest, expected));
        messages.push(Message { role: Role::Assistant, parts: vec![] });
        let ended = play(&model, &messages).await.unwrap_err();
        assert_eq!(ended.message, "reply 5 of the script `s.toml`: there is none: the script ends after 4");
        let surprised = play(&model, &[Message::from_user("Hello")]).await.unwrap_err();
        assert_eq!(
            surprised.message,
            "reply 1 of the script `s.toml`: it expects the user to say `wettest`, and the last message is `Hello`"
        );
    }
}
