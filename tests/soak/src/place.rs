//! Where the calls are made: one sandbox with both guests, one folder to write to, and a gate that allows what attacks need to
//! have something to hoard.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};
use agent_core::json::JsonText;
use agent_core::outcome::ToolOutcome;
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::Call;
use agent_sandbox::component::Component;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::NoStores;
use agent_sandbox::mount::Mount;
use agent_sandbox::sandbox::SandboxOptions;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::work::{Folder, Guest, SERVER, Work};

/// The sandbox and what is in it.
pub(crate) struct Place {
    sandbox: Sandbox,
    guests: HashMap<&'static str, Arc<Component>>,
    mount: Mount,
    /// What stands for [`SERVER`].
    server: String,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(guests: &Path, server: SocketAddr) -> Self {
        let sandbox = Sandbox::new(SandboxOptions::default()).expect("a sandbox");
        let load = |name: &'static str| {
            let bytes = std::fs::read(guests.join(format!("{name}.wasm"))).expect("a built guest: `cargo xtask tools`");
            (name, sandbox.load(&name.parse().expect("a name"), &bytes).expect("a component"))
        };
        let guests = ["hostile", "polite"].into_iter().map(load).collect();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.txt"), "a line\n").expect("a file");
        let mount = Mount::open(&grant(folder.path())).expect("a mount");
        Self { sandbox, guests, mount, server: format!("http://{server}"), _folder: folder }
    }

    /// Makes a call and says how it ended.
    pub(crate) async fn call(&self, work: &Work) -> String {
        let guest = match work.guest {
            Guest::Hostile => "hostile",
            Guest::Polite => "polite",
        };
        let mounts = match work.folder {
            Folder::No => Vec::new(),
            Folder::ToWrite => vec![self.mount.clone()],
        };
        let call = Call {
            operation: work.operation.parse().expect("a name"),
            arguments: JsonText::parse(&work.arguments.replace(SERVER, &self.server)).expect("JSON"),
            mounts,
            stores: Arc::new(NoStores),
            env: Vec::new(),
            secrets: Default::default(),
            limits: work.limits(),
            seed: [7; 32],
            clock_start: UnixMillis(0),
            replay: None,
            gate: Arc::new(HoardsOnly),
            cancel: CancellationToken::new(),
        };
        let report = self.sandbox.call(&self.guests[guest], call).await.expect("a report");
        match report.outcome {
            ToolOutcome::Returned { .. } => "returned".to_owned(),
            ToolOutcome::Failed { message } => format!("failed: {message}"),
            ToolOutcome::Refused { reason, .. } => reason.name().to_owned(),
            ToolOutcome::Faulted { fault, .. } => fault.name().to_owned(),
        }
    }
}

fn grant(folder: &Path) -> FsGrant {
    let host = folder.canonicalize().expect("a folder").display().to_string().parse().expect("a path");
    let mount = "/data".parse().expect("a mount");
    let (access, recovery, source) = (Access::Write, Recovery::Undo, RuleSource("the soak".to_owned()));
    FsGrant { host, mount, access, recovery, unchanging: Vec::new(), unmoved: Vec::new(), linked: Vec::new(), source }
}

/// Allows files, stores and requests, and nothing else; remembers nothing.
struct HoardsOnly;

#[async_trait]
impl EffectGate for HoardsOnly {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let decision = match request {
            EffectRequest::File { .. } | EffectRequest::Kv { .. } | EffectRequest::Http { .. } => {
                Decision::Allow { rule: RuleSource("the soak".to_owned()) }
            }
            EffectRequest::Env { .. } | EffectRequest::Socket { .. } => {
                Decision::Deny { refusal: Refusal::NetDenied, rule: "nothing else is granted".to_owned(), hint: None }
            }
        };
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
