//! The side that is measured: a call as the driver makes it, behind a gate that grants nothing.

use std::sync::Arc;

use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::Call;
use agent_sandbox::component::Component;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::NoStores;
use agent_sandbox::sandbox::SandboxOptions;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::Side;
use crate::guests::Guest;

/// One guest, loaded.
pub(crate) struct Sandboxed {
    sandbox: Sandbox,
    component: Arc<Component>,
    operation: &'static str,
    arguments: &'static str,
}

impl Sandboxed {
    pub(crate) fn new(guest: &Guest) -> Self {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let component = sandbox.load(&"guest".parse().unwrap(), &guest.bytes).unwrap();
        Self { sandbox, component, operation: guest.operation, arguments: guest.arguments }
    }
}

impl Side for Sandboxed {
    async fn call(&self) {
        let call = Call {
            operation: self.operation.parse().unwrap(),
            arguments: JsonText::parse(self.arguments).unwrap(),
            mounts: Vec::new(),
            stores: Arc::new(NoStores),
            env: Vec::new(),
            secrets: Default::default(),
            limits: Limits::STANDARD,
            seed: [7; 32],
            clock_start: UnixMillis(0),
            gate: Arc::new(ClosedGate),
            cancel: CancellationToken::new(),
        };
        let report = self.sandbox.call(&self.component, call).await.unwrap();
        assert!(report.outcome.is_success(), "{:?}", report.outcome);
    }
}

/// Grants nothing.
struct ClosedGate;

#[async_trait]
impl EffectGate for ClosedGate {
    async fn decide(&self, request: &EffectRequest) -> Ruling {
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
