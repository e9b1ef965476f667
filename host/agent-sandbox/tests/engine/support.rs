//! One sandbox for all tests of a process, components from text, and calls in one line.

use std::sync::{Arc, LazyLock};

use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::outcome::{Content, Fault, ToolOutcome};
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::{Call, CallReport};
use agent_sandbox::component::Component;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::NoStores;
use agent_sandbox::sandbox::SandboxOptions;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

/// Grants nothing.
pub struct ClosedGate;

#[async_trait]
impl EffectGate for ClosedGate {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let decision = Decision::Deny { refusal: Refusal::FsDenied, rule: "nothing is granted".into(), hint: None };
        Ruling::plain(decision, request.class(false))
    }

    async fn intend_change(&self, _: ChangeIntent) -> Result<(), GateClosed> {
        Ok(())
    }

    async fn intend_send(&self, _: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Ok(None)
    }

    async fn done(&self, _: &Effect) -> Result<(), GateClosed> {
        Ok(())
    }

    fn progress(&self, _: Progress) {}
}

/// The sandbox of this process.
pub static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(options()).unwrap());

/// Few slots: a process for each test reserves address space anew.
pub fn options() -> SandboxOptions {
    SandboxOptions { calls_max: 4, ..SandboxOptions::default() }
}

pub fn load(text: &str) -> Arc<Component> {
    load_bytes(&wat::parse_str(text).unwrap())
}

pub fn load_bytes(bytes: &[u8]) -> Arc<Component> {
    SANDBOX.load(&"guest".parse().unwrap(), bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// The message of the error that loading ends with.
pub fn load_error(bytes: &[u8]) -> String {
    match SANDBOX.load(&"guest".parse().unwrap(), bytes) {
        Ok(_) => "loaded".to_owned(),
        Err(error) => format!("{}: {error}", error.name()),
    }
}

pub fn request(operation: &str, arguments: &str, limits: Limits) -> Call {
    Call {
        operation: operation.parse().unwrap(),
        arguments: JsonText::parse(arguments).unwrap(),
        mounts: Vec::new(),
        stores: Arc::new(NoStores),
        env: Vec::new(),
        secrets: Default::default(),
        limits,
        seed: [7; 32],
        clock_start: UnixMillis(1_700_000_000_000),
        gate: Arc::new(ClosedGate),
        replay: None,
        cancel: CancellationToken::new(),
    }
}

pub async fn call(component: &Arc<Component>, operation: &str, arguments: &str) -> CallReport {
    call_within(component, operation, arguments, Limits::STANDARD).await
}

pub async fn call_within(component: &Arc<Component>, operation: &str, arguments: &str, limits: Limits) -> CallReport {
    SANDBOX.call(component, request(operation, arguments, limits)).await.unwrap()
}

/// The outcome in one line: `returned …`, `failed …`, or the name of the fault or refusal with its message.
pub fn shown(outcome: &ToolOutcome) -> String {
    match outcome {
        ToolOutcome::Returned { content } => {
            let parts = content.iter().map(|part| match part {
                Content::Text(text) => format!("{text:?}"),
                Content::Json(json) => json.to_string(),
                other => format!("{other:?}"),
            });
            format!("returned {}", parts.collect::<Vec<_>>().join(" "))
        }
        ToolOutcome::Failed { message } => format!("failed {message}"),
        ToolOutcome::Refused { reason, message } => format!("{reason}: {message}"),
        ToolOutcome::Faulted { fault, message } => format!("{fault}: {message}"),
    }
}

pub fn fault(report: &CallReport) -> Option<Fault> {
    match report.outcome {
        ToolOutcome::Faulted { fault, .. } => Some(fault),
        ToolOutcome::Returned { .. } | ToolOutcome::Failed { .. } | ToolOutcome::Refused { .. } => None,
    }
}

/// A component with one function `run` without parameters, whose core function has this body, in a module with these
/// definitions.
pub fn guest(definitions: &str, body: &str) -> String {
    format!(
        r#"(component
            (core module $m
                {definitions}
                (func (export "run") {body}))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

/// A component whose function takes and returns the same type, in memory: what it is given it gives back.
pub fn echo(types: &str, parameter: &str) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.get $free)
                    (global.set $free (i32.add (global.get $free) (local.get 3))))
                (func (export "echo") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            {types}
            (func (export "echo") (param "value" {parameter}) (result {parameter})
                (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    )
}
