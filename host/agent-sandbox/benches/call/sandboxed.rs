//! The side that is measured: a call as the driver makes it, behind a gate that allows everything and records nothing.

use std::sync::Arc;

use agent_core::effect::{Decision, Effect, EffectRequest, Ruling};
use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::{Call, CallReport};
use agent_sandbox::component::Component;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::NoStores;
use agent_sandbox::mount::Mount;
use agent_sandbox::sandbox::SandboxOptions;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::guests::Guest;
use crate::side::Side;

/// One guest, loaded.
pub(crate) struct Sandboxed {
    sandbox: Sandbox,
    component: Arc<Component>,
    operation: &'static str,
    arguments: &'static str,
    mounts: Vec<Mount>,
    cancel: CancellationToken,
}

impl Sandboxed {
    pub(crate) fn new(guest: &Guest) -> Self {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let component = sandbox.load(&"guest".parse().unwrap(), &guest.bytes).unwrap();
        let (operation, arguments) = (guest.operation, guest.arguments);
        Self { sandbox, component, operation, arguments, mounts: Vec::new(), cancel: CancellationToken::new() }
    }

    /// The same with a folder to read.
    pub(crate) fn with_folder(guest: &Guest, folder: &std::path::Path) -> Self {
        let host = folder.canonicalize().unwrap().display().to_string();
        let source = RuleSource("the benchmark".to_owned());
        let grant = FsGrant {
            host: host.parse().unwrap(),
            mount: "/data".parse().unwrap(),
            access: Access::Read,
            recovery: Recovery::Undo,
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            source,
        };
        Self { mounts: vec![Mount::open(&grant).unwrap()], ..Self::new(guest) }
    }

    /// One call, whatever its outcome.
    pub(crate) async fn report(&self) -> CallReport {
        let call = Call {
            operation: self.operation.parse().unwrap(),
            arguments: JsonText::parse(self.arguments).unwrap(),
            mounts: self.mounts.clone(),
            stores: Arc::new(NoStores),
            env: Vec::new(),
            secrets: Default::default(),
            limits: Limits::STANDARD,
            seed: [7; 32],
            clock_start: UnixMillis(0),
            gate: Arc::new(OpenGate),
            replay: None,
            cancel: self.cancel.clone(),
        };
        self.sandbox.call(&self.component, call).await.unwrap()
    }

    /// Ends all calls.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Side for Sandboxed {
    async fn call(&self) {
        let report = self.report().await;
        assert!(report.outcome.is_success(), "{:?}", report.outcome);
    }
}

/// Allows everything.
struct OpenGate;

#[async_trait]
impl EffectGate for OpenGate {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let decision = Decision::Allow { rule: RuleSource("the benchmark".to_owned()) };
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
