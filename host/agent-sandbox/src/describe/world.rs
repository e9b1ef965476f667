//! Our own world: the component is asked once for its tools. It holds nothing while it answers: no grant, no effect, little
//! time. What it says goes to the model, so every word of it is bounded and checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, Refusal, Ruling};
use agent_core::limits::Limits;
use agent_core::name::Name;
use agent_core::tool::DESCRIPTION_BYTES_MAX;
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

use crate::bindings::ToolPre;
use crate::bindings::exports::agent_host::tool::tools::ToolInfo;
use crate::describe::{Description, SCHEMA_BYTES_MAX, Unusable, refuse_hidden, refuse_hidden_in_schema};
use crate::effects::Effects;
use crate::fault::{Stopped, classify};
use crate::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use crate::hosts::clocks::ClockGrain;
use crate::invoke::{self, Answer, Ending, Misfit, Target};
use crate::kv::NoStores;
use crate::own_world::Own;
use crate::pace::Lent;
use crate::patience::Patience;
use crate::secrets::CallSecrets;
use crate::state::{CallParts, CallState};
use crate::value::json::Json;

/// Most tools of one component: each costs the model's attention.
const TOOLS_MAX: usize = 100;

/// What the one question may use. An interpreter must start within it; a tool that computes its own list needs far less.
fn question_limits() -> Limits {
    Limits {
        fuel: Fuel(1_000_000_000),
        deadline: Millis(10_000),
        host_calls: 10_000,
        copy_bytes: Bytes(1 << 20),
        output_bytes: Bytes(4 << 10),
        log_records: 100,
        ..Limits::STANDARD
    }
}

/// Why a component does not say what its tools are.
pub(crate) enum NoAnswer {
    /// It is made for another state of our world.
    Misfit(Own, String),
    /// What it says, or that it says nothing, cannot be used.
    Unusable(Unusable),
}

impl From<Unusable> for NoAnswer {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Asks for the tools of `pre`, a component that may export `reconcile` beside them. Runs guest code: only on the guests' runtime.
pub(crate) async fn ask(
    engine: &Engine,
    pre: ToolPre<CallState>,
    reconciles: bool,
) -> Result<Vec<Description>, NoAnswer> {
    let limits = question_limits();
    let finished = invoke::run(engine, Target::ListTools { pre, reconciles }, question_parts(limits.clone())).await;
    let tools = match finished.map(|finished| finished.ending) {
        Ok(Ending::Answered(Answer::Tools(tools))) => tools,
        Ok(Ending::Answered(_)) => unreachable!("the question was for tools"),
        Ok(Ending::Stopped(error)) | Err(error) => return Err(no_answer(&error, &limits)),
        Ok(Ending::DeadlineExceeded) => return Err(Unusable(format!("it took longer than {}", limits.deadline)).into()),
        Ok(Ending::Cancelled) => unreachable!("nobody holds the token"),
    };
    Ok(describe(tools)?)
}

fn no_answer(error: &wasmtime::Error, limits: &Limits) -> NoAnswer {
    match error.downcast_ref() {
        Some(Misfit { interface, difference }) => NoAnswer::Misfit(*interface, difference.clone()),
        None => Unusable(stopped(classify(error, limits))).into(),
    }
}

fn stopped(stopped: Stopped) -> String {
    match stopped {
        Stopped::Faulted { fault, message } => format!("{fault}: {message}"),
        Stopped::Overloaded => crate::report::OVERLOADED.to_owned(),
        Stopped::Gate(closed) => closed.to_string(),
    }
}

fn describe(tools: Vec<ToolInfo>) -> Result<Vec<Description>, Unusable> {
    if tools.len() > TOOLS_MAX {
        return Err(Unusable(format!("it lists more than {TOOLS_MAX} tools")));
    }
    let mut names = BTreeSet::new();
    let mut descriptions = Vec::with_capacity(tools.len());
    for tool in tools {
        let description = describe_one(tool)?;
        if !names.insert(description.operation.clone()) {
            return Err(Unusable(format!("it lists the tool `{}` twice", description.operation)));
        }
        descriptions.push(description);
    }
    Ok(descriptions)
}

fn describe_one(tool: ToolInfo) -> Result<Description, Unusable> {
    let operation: Name = tool
        .name
        .parse()
        .map_err(|_| Unusable(format!("`{}` is not a tool name", crate::value::excerpt(&tool.name))))?;
    let unusable = |problem: String| Unusable(format!("tool `{operation}`: {problem}"));
    if tool.description.len() > DESCRIPTION_BYTES_MAX {
        return Err(unusable(format!("its description is longer than {DESCRIPTION_BYTES_MAX} bytes")));
    }
    if tool.input_schema.len() > SCHEMA_BYTES_MAX {
        return Err(unusable(format!("its schema is larger than {SCHEMA_BYTES_MAX} bytes")));
    }
    refuse_hidden("its description", &tool.description).map_err(|error| unusable(error.to_string()))?;
    let input_schema = object_schema(&tool.input_schema).map_err(unusable)?;
    refuse_hidden_in_schema(&input_schema).map_err(|error| unusable(error.to_string()))?;
    let output_schema = tool.output_schema.map(|text| output_schema(&text)).transpose().map_err(unusable)?;
    Ok(Description { export: tool.name, description: tool.description, input_schema, output_schema, operation })
}

/// The schema of a result, within the same bounds as that of arguments. It may be of anything.
fn output_schema(text: &str) -> Result<serde_json::Value, String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("the schema of its result is larger than {SCHEMA_BYTES_MAX} bytes"));
    }
    Json::parse(text, "schema").map_err(|error| error.to_string())?;
    let schema: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    refuse_hidden_in_schema(&schema).map_err(|error| error.to_string())?;
    if schema.is_object() { Ok(schema) } else { Err("the schema of its result is no object".to_owned()) }
}

/// The schema, if it is a JSON object of type `object`, no deeper and no larger than arguments may be.
fn object_schema(text: &str) -> Result<serde_json::Value, String> {
    Json::parse(text, "schema").map_err(|error| error.to_string())?;
    let schema: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if schema.get("type").and_then(serde_json::Value::as_str) == Some("object") {
        return Ok(schema);
    }
    Err("its schema is not of type `object`".to_owned())
}

fn question_parts(limits: Limits) -> CallParts {
    let patience = Arc::new(Patience::start(limits.deadline.to_duration()));
    CallParts {
        mounts: Vec::new(),
        stores: Arc::new(NoStores),
        env: Vec::new(),
        secrets: CallSecrets::default(),
        limits,
        // The same question always gets the same clock and the same random numbers.
        seed: [0; 32],
        clock_start: UnixMillis(0),
        clock: ClockGrain::Millisecond,
        effects: Arc::new(Effects::new(Arc::new(NoEffects), patience.clone(), CallSecrets::default())),
        patience,
        resolver: Arc::default(),
        cancel: CancellationToken::new(),
        lent: Lent::default(),
        replay: None,
        host: tokio::runtime::Handle::current(),
    }
}

/// A component that is only asked for its tools may do nothing.
struct NoEffects;

#[async_trait]
impl EffectGate for NoEffects {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let decision = Decision::Deny {
            refusal: refusal(request),
            rule: "a component holds nothing while it lists its tools".to_owned(),
            hint: None,
        };
        Ruling::plain(decision, request.class(false))
    }

    async fn intend_change(&self, _: ChangeIntent) -> Result<(), GateClosed> {
        Err(GateClosed("no effect was allowed".to_owned()))
    }

    async fn intend_send(&self, _: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Err(GateClosed("no effect was allowed".to_owned()))
    }

    async fn done(&self, effect: &Effect) -> Result<(), GateClosed> {
        debug_assert!(effect.class <= EffectClass::Read, "nothing was allowed");
        Ok(())
    }

    fn progress(&self, _: Progress) {}
}

fn refusal(request: &EffectRequest) -> Refusal {
    match request {
        EffectRequest::File { .. } => Refusal::FsDenied,
        EffectRequest::Http { .. } | EffectRequest::Socket { .. } => Refusal::NetDenied,
        EffectRequest::Env { .. } => Refusal::EnvDenied,
        EffectRequest::Kv { .. } => Refusal::KvDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, description: &str, schema: &str) -> ToolInfo {
        ToolInfo {
            name: name.into(),
            description: description.into(),
            input_schema: schema.into(),
            output_schema: None,
        }
    }

    fn check(tools: Vec<ToolInfo>, expected: &str) {
        let answer = describe(tools).map_or_else(|error| error.to_string(), |tools| format!("{} tools", tools.len()));
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_a_component_says_of_itself_is_checked() {
        let good = || tool("grep", "Searches.", r#"{"type":"object"}"#);
        check(vec![good()], "1 tools");
        check(vec![good(), good()], "it lists the tool `grep` twice");
        check(vec![tool("Grep\n", "", "{}")], "`Grep ` is not a tool name");
        check(vec![tool("grep", &"x".repeat(2049), "{}")], "tool `grep`: its description is longer than 2048 bytes");
        let hidden = "a character that nobody sees: `\\u{202e}`";
        let said = |what: &str| format!("tool `grep`: its {what} holds {hidden}");
        check(vec![tool("grep", "a\u{202e}b", r#"{"type":"object"}"#)], &said("description"));
        let schema = "{\"type\":\"object\",\"title\":\"a\\u202eb\"}";
        check(vec![tool("grep", "", schema)], &said("schema"));
        let returning = |schema: &str| ToolInfo { output_schema: Some(schema.to_owned()), ..good() };
        check(vec![returning(r#"{"type":"array"}"#)], "1 tools");
        check(vec![returning("true")], "tool `grep`: the schema of its result is no object");
        check(
            vec![returning("{\"title\":\"a\\u202eb\"}")],
            "tool `grep`: its schema holds a character that nobody sees: `\\u{202e}`",
        );
        check(vec![tool("grep", "", "{}")], "tool `grep`: its schema is not of type `object`");
        check(vec![tool("grep", "", "[]")], "tool `grep`: its schema is not of type `object`");
        check(vec![tool("grep", "", &"[".repeat(70_000))], "tool `grep`: its schema is larger than 65536 bytes");
    }
}
