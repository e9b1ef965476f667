//! A call in doubt whose run says `doubt = "reconcile"`: its component is asked what became of it, and may only look. What it
//! finds is recorded as what became of the call; where it does not know, a person is asked.

use std::sync::Arc;

use agent_core::answer_events::{DoubtResolved, Resolution, ResolvedBy};
use agent_core::config::decide::Verdict;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, HttpMethod, Refusal, Ruling};
use agent_core::event::Event;
use agent_core::grant::{Access, Grant};
use agent_core::json::JsonText;
use agent_core::name::{CallNumber, RunId, ToolName};
use agent_core::pending::CallStatus;
use agent_core::run_events::LockedTool;
use agent_core::units::Fuel;
use agent_sandbox::call::Call;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::Stores;
use agent_sandbox::reconcile::{DoubtfulWrite, Finding, Reconciled};
use anyhow::{Context, bail};
use async_trait::async_trait;

use super::call::granted_environment;
use super::ports::Ports;
use crate::clock;
use crate::failpoint;
use crate::journal::log::Durable;
use crate::stores::{CallStores, Place};

/// Asks the component of a call in doubt, and records what it found. Nothing is recorded where the run is stopped meanwhile.
///
/// # Errors
/// Where nothing can be recorded, or the sandbox itself cannot go on.
pub async fn reconcile(ports: &Arc<Ports>, number: CallNumber) -> anyhow::Result<()> {
    let inquiry = Inquiry::about(ports, number)?;
    let component = ports.components.of_tool(&inquiry.locked)?;
    let (resolution, by) = if component.reconciles() {
        let (name, write) = (inquiry.locked.descriptor.name.clone(), inquiry.write.clone());
        let found = match inquiry.call(ports).await? {
            Ok(call) => ports.sandbox.reconcile(component, call, write).await?,
            Err(why) => return leave_to_person(ports, number, &name, &why),
        };
        if ports.cancel.is_cancelled() {
            return Ok(());
        }
        let Reconciled { finding, metering, effects } = found;
        (resolution(ports, &name, finding), ResolvedBy::Component { metering, effects })
    } else {
        (Resolution::Unknown, ResolvedBy::Policy)
    };
    record(ports, number, resolution, by)
}

fn leave_to_person(ports: &Ports, number: CallNumber, tool: &ToolName, why: &str) -> anyhow::Result<()> {
    ports.reporter.note(&format!("`{tool}` could not be asked what happened: {why}"));
    record(ports, number, Resolution::Unknown, ResolvedBy::Policy)
}

fn record(ports: &Ports, call: CallNumber, resolution: Resolution, by: ResolvedBy) -> anyhow::Result<()> {
    ports.recorder.record(DoubtResolved { call, resolution, by }, Durable::Now)?;
    failpoint::hit("doubt-resolved");
    Ok(())
}

fn resolution(ports: &Ports, tool: &ToolName, finding: Finding) -> Resolution {
    match finding {
        Finding::Happened(text) => Resolution::Happened(text),
        Finding::DidNotHappen => Resolution::DidNotHappen,
        Finding::Unknown(why) => {
            ports.reporter.note(&format!("`{tool}` does not know what happened: {why}"));
            Resolution::Unknown
        }
    }
}

/// What a component is asked, and what it may look at.
struct Inquiry {
    locked: LockedTool,
    authority: ToolAuthority,
    arguments: String,
    write: DoubtfulWrite,
    fuel_left: Fuel,
}

impl Inquiry {
    fn about(ports: &Ports, number: CallNumber) -> anyhow::Result<Self> {
        let (run, request, asked, inquiry) = {
            let state = ports.recorder.state();
            let pending = state.call(number).context("the call is not pending")?;
            let index = pending.tool.context("the call names no tool")?;
            let CallStatus::InDoubt { request, .. } = &pending.status else { bail!("call {number} is not in doubt") };
            let mut authority = state.authorities[index].clone();
            authority.grant = only_looking(&authority.grant);
            let fuel_left = state.budget.fuel.saturating_sub(state.spent.fuel);
            let asked = pending.call.arguments.clone();
            (state.run.clone(), request.clone(), asked, (state.started.tools[index].clone(), authority, fuel_left))
        };
        let (locked, authority, fuel_left) = inquiry;
        let write = match &request {
            EffectRequest::Http { method, url, .. } => DoubtfulWrite::Request {
                method: method.clone(),
                url: url.clone(),
                idempotency_key: recorded_key(ports, &run, (number, &request))?,
            },
            EffectRequest::File { path, .. } => DoubtfulWrite::File(path.clone()),
            EffectRequest::Env { .. } | EffectRequest::Kv { .. } | EffectRequest::Socket { .. } => {
                unreachable!("only requests and changes of files are ever in doubt")
            }
        };
        Ok(Self { locked, authority, arguments: asked, write, fuel_left })
    }

    /// The call that asks; or why it cannot be made.
    async fn call(self, ports: &Arc<Ports>) -> anyhow::Result<Result<Call, String>> {
        let name = self.locked.descriptor.name.clone();
        let Ok(arguments) = JsonText::parse(&self.arguments) else {
            return Ok(Err("its arguments are no JSON".to_owned()));
        };
        let grant = self.authority.grant.clone();
        let mounts = match ports.mounts.open(&grant).await {
            Ok(mounts) => mounts,
            Err(error) => return Ok(Err(format!("{:#}", anyhow::Error::from(error)))),
        };
        let mut limits = grant.limits.clone();
        limits.fuel = limits.fuel.min(self.fuel_left);
        let stores = CallStores::new(name.component.clone(), Place::Run(Arc::clone(&ports.journal)));
        Ok(Ok(Call {
            operation: name.operation.clone(),
            arguments,
            mounts,
            stores: Arc::new(stores) as Arc<dyn Stores>,
            env: granted_environment(&grant),
            secrets: ports.secrets.of(&grant),
            limits,
            seed: clock::random::<32>()?,
            clock_start: clock::now(),
            replay: None,
            gate: Arc::new(LookingGate { ports: Arc::clone(ports), tool: name, authority: self.authority }),
            cancel: ports.cancel.child_token(),
        }))
    }
}

/// The key that the host sent with the last such write of a call.
fn recorded_key(
    ports: &Ports,
    run: &RunId,
    (number, request): (CallNumber, &EffectRequest),
) -> anyhow::Result<Option<String>> {
    let mut key = None;
    ports.journal.read_into(run, &mut |recorded| key_of(&mut key, recorded.event, (number, request)))?;
    Ok(key)
}

/// Follows the key of the last announcement of a request of a call.
fn key_of(key: &mut Option<String>, event: Event, (number, request): (CallNumber, &EffectRequest)) {
    if let Event::EffectIntended(intended) = event
        && intended.call == number
        && intended.request == *request
    {
        *key = intended.idempotency_key;
    }
}

/// What is left of a grant where nothing may be changed.
fn only_looking(grant: &Grant) -> Grant {
    let mut looking = grant.clone();
    looking.fs.iter_mut().for_each(|fs| fs.access = Access::Read);
    looking.kv.iter_mut().for_each(|kv| kv.access = Access::Read);
    looking.http.iter_mut().for_each(|http| http.methods.retain(|method| *method == HttpMethod::Get));
    looking.http.retain(|http| !http.methods.is_empty());
    looking
}

/// Lets pass what only looks, and nothing else whatever the grants say.
struct LookingGate {
    ports: Arc<Ports>,
    tool: ToolName,
    authority: ToolAuthority,
}

#[async_trait]
impl EffectGate for LookingGate {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let refused = |refusal: Refusal, rule: &str| {
            let decision = Decision::Deny { refusal, rule: rule.to_owned(), hint: None };
            Ruling::plain(decision, request.class(false))
        };
        match self.authority.decide(request) {
            Verdict::Allow(permit) if permit.class <= EffectClass::Read => Ruling {
                decision: Decision::Allow { rule: permit.rule },
                class: permit.class,
                idempotency_header: None,
                secrets: permit.secrets,
            },
            Verdict::Allow(_) => refused(Refusal::NetDenied, "who finds out what happened may only look"),
            Verdict::Ask { .. } => {
                refused(Refusal::ApprovalDenied, "nobody is asked while it is found out what happened")
            }
            Verdict::Deny(denial) => Ruling::plain(denial.into(), request.class(false)),
        }
    }

    async fn intend_change(&self, _intent: ChangeIntent) -> Result<(), GateClosed> {
        Err(GateClosed("who finds out what happened may only look".to_owned()))
    }

    async fn intend_send(&self, _intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Err(GateClosed("who finds out what happened may only look".to_owned()))
    }

    async fn done(&self, _effect: &Effect) -> Result<(), GateClosed> {
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        self.ports.reporter.guest_progress(&self.tool, &progress.message, progress.fraction);
    }
}
