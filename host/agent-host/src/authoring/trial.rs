//! One call of an operation in the surroundings of a case: a folder with its files, its variables, the hosts that the operator allows
//! it, and nothing of what he granted elsewhere. Clock, random numbers and empty stores are the same each time. Nothing is journaled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::config::authority::{Authority, GrantRule};
use agent_core::config::cases::Case;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::grant::EnvGrant;
use agent_core::name::{CallNumber, ToolName};
use agent_core::outcome::{Metering, RefusedCall, Said, ToolOutcome};
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::{Call, Variable};
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::kv::NoStores;
use anyhow::{Context, anyhow};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::outside::Outside;
use crate::arguments::Schemas;
use crate::driver::mounts::Mounts;
use crate::keyring::Keyring;
use crate::results;
use crate::secret_values::SecretValues;
use crate::toolset::{self, Loaded};

/// What every case's clock says when its call begins: 2026-01-01, midnight UTC.
const CLOCK_START: UnixMillis = UnixMillis(1_767_225_600_000);
/// What every case's random numbers come from.
const SEED: [u8; 32] = [26; 32];
/// Where cases may be told apart by the keys of their requests, and need not.
const RUN: &str = "trial";

/// What came of a case.
#[derive(Debug)]
pub enum Trial {
    /// Its call was made, or its arguments refused.
    Made(Box<Tried>),
    /// It was not called, and why not.
    NotAllowed(String),
}

/// What came of a case's call.
#[derive(Debug)]
pub struct Tried {
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What it did, in order.
    pub effects: Vec<Effect>,
    /// What it used.
    pub metering: Metering,
    /// What it printed and logged.
    pub said: Said,
    /// How long it took, all of it.
    pub took: Duration,
}

/// Makes the folder of a case, which its tool is granted, below `parent`.
///
/// # Errors
/// Where it cannot be made.
pub fn make_folder(parent: &Path, number: usize, case: &Case) -> anyhow::Result<PathBuf> {
    let folder = parent.join(format!("case-{}", number + 1));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for (path, text) in &case.files {
        let file = folder.join(path);
        let made = std::fs::create_dir_all(file.parent().unwrap_or(&folder)).and_then(|()| std::fs::write(&file, text));
        made.with_context(|| format!("cannot make the file `{path}` of {}", case.source))?;
    }
    Ok(folder)
}

/// Makes the call of a case, if `outside` lets it. `folder` is the case's own.
///
/// # Errors
/// Where the call cannot be made at all: what comes of it is no error.
pub async fn call(
    sandbox: &Sandbox,
    loaded: &Loaded,
    case: &Case,
    folder: &Path,
    outside: &Outside,
) -> anyhow::Result<Trial> {
    let tools = &loaded.component.tools;
    let Some(tool) = tools.iter().find(|tool| tool.name.operation == case.call) else {
        let known: Vec<_> = tools.iter().map(|tool| tool.name.operation.to_string()).collect();
        return Err(anyhow!("{}: there is no operation `{}`; there are: {}", case.source, case.call, known.join(", ")));
    };
    if let Some(why) = outside.refusal(case) {
        return Ok(Trial::NotAllowed(why));
    }
    let authority = authority(loaded, &tool.name, (case, folder), outside)?;
    if let Some(rule) = authority.forbidden_by() {
        return Ok(Trial::NotAllowed(format!("`{}` may not be called: {rule}", tool.name)));
    }
    if let (Some(rule), false) = (authority.asks_before_call(), case.net.is_empty()) {
        return Ok(Trial::NotAllowed(format!(
            "a person is asked before `{}` is called, and there is none: {rule}",
            tool.name
        )));
    }
    let (grant, schemas) = (authority.grant.clone(), Schemas::default());
    let deadline = grant.limits.deadline;
    let time = deadline.to_duration();
    let arguments = match schemas.check_for(&loaded.component, case.arguments.as_str(), tool, time).await {
        Ok(arguments) => arguments,
        Err(message) => return Ok(Trial::Made(Box::new(refused(message)))),
    };
    let call = Call {
        operation: case.call.clone(),
        arguments,
        mounts: Mounts::default().open(&grant).await?,
        stores: Arc::new(NoStores),
        env: grant.env.iter().filter_map(|env| variable(env, case)).collect(),
        secrets: SecretValues::read([&grant], &Keyring::default())?.of(&grant),
        limits: grant.limits,
        seed: SEED,
        clock_start: CLOCK_START,
        replay: None,
        gate: Arc::new(TrialGate(authority)),
        cancel: CancellationToken::new(),
    };
    let started = Instant::now();
    let report = sandbox.call(&loaded.component, call).await?;
    let report = results::held(report, &loaded.component, tool, &schemas, deadline).await;
    let took = started.elapsed();
    let (outcome, effects, metering, said) = (report.outcome, report.effects, report.metering, report.said);
    Ok(Trial::Made(Box::new(Tried { outcome, effects, metering, said, took })))
}

fn refused(message: String) -> Tried {
    Tried {
        outcome: ToolOutcome::Refused { reason: RefusedCall::ArgsInvalid, message },
        effects: Vec::new(),
        metering: Metering::nothing(),
        said: Said::default(),
        took: Duration::ZERO,
    }
}

/// What the case has, within the tool's ceiling and what the operator forbids.
fn authority(
    loaded: &Loaded,
    tool: &ToolName,
    (case, folder): (&Case, &Path),
    outside: &Outside,
) -> anyhow::Result<ToolAuthority> {
    let own = Authority { grants: grants(&loaded.ceiling, tool, case, folder)?, ..Authority::nothing() };
    toolset::authority(loaded, tool, &[own, outside.rules().clone()])
}

fn grants(ceiling: &Ceiling, tool: &ToolName, case: &Case, folder: &Path) -> anyhow::Result<Vec<GrantRule>> {
    let source = || case.source.clone();
    let mut grants = Vec::new();
    if let Some(access) = ceiling.fs.most() {
        let path = folder.to_str().with_context(|| format!("the path is not UTF-8: `{}`", folder.display()))?;
        let host = HostPath::join("/", path).map_err(|error| anyhow!("{error}"))?;
        grants.push(GrantRule::directory(host, access, source()));
    }
    grants.extend(case.env.iter().map(|(name, _)| GrantRule::variable(name.clone(), source())));
    for url in &case.net {
        grants.push(GrantRule::host(url.clone(), source()).map_err(|error| anyhow!("{}: {error}", case.source))?);
    }
    if !ceiling.kv.is_empty() {
        grants.push(GrantRule::stores(tool.component.clone(), source()));
    }
    Ok(grants)
}

fn variable(granted: &EnvGrant, case: &Case) -> Option<Variable> {
    let (_, value) = case.env.iter().find(|(name, _)| name.as_str() == granted.name)?;
    Some(Variable { name: granted.name.clone(), value: value.clone(), rule: granted.source.clone() })
}

/// The files that a case leaves otherwise than it should, each with what is there.
#[must_use]
pub fn left_otherwise(case: &Case, folder: &Path) -> BTreeMap<String, Option<String>> {
    let there =
        |path: &str| std::fs::read(folder.join(path)).ok().map(|text| String::from_utf8_lossy(&text).into_owned());
    let wrong = case.leaves.iter().filter_map(|(path, wanted)| {
        let there = there(path);
        (there.as_ref() != Some(wanted)).then(|| (path.clone(), there))
    });
    wrong.collect()
}

/// Decides by the case's own grants. There is nobody to ask, and nothing to go on with after a crash.
struct TrialGate(ToolAuthority);

#[async_trait]
impl EffectGate for TrialGate {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        match self.0.decide(request) {
            Verdict::Allow(Permit { rule, class, idempotency_header, secrets }) => {
                Ruling { decision: Decision::Allow { rule }, class, idempotency_header, secrets }
            }
            Verdict::Deny(denial) => Ruling::plain(denial.into(), request.class(false)),
            Verdict::Ask { rule, permit } => {
                let rule = format!("{rule} asks a person, and there is none");
                Ruling::plain(Decision::Deny { refusal: Refusal::ApprovalDenied, rule, hint: None }, permit.class)
            }
        }
    }

    async fn intend_change(&self, _intent: ChangeIntent) -> Result<(), GateClosed> {
        Ok(())
    }

    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Ok(Some(crate::driver::idempotency_key(RUN, CallNumber(1), intent.number, &intent.request)))
    }

    async fn done(&self, _effect: &Effect) -> Result<(), GateClosed> {
        Ok(())
    }

    fn progress(&self, _progress: Progress) {}
}

#[cfg(test)]
mod tests {
    use agent_core::config::cases::parse_cases;

    use super::*;

    #[test]
    fn what_a_case_leaves_is_compared_byte_for_byte() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let text = "[[case]]\nname = \"a\"\ncall = \"copy\"\nreturns = 1\n\
                    leaves = { \"same.txt\" = \"one\\n\", \"other.txt\" = \"one\\n\", \"in/none.txt\" = \"\", \"folder\" = \"\" }\n";
        let cases = parse_cases("tests.toml", text)?;
        std::fs::write(folder.path().join("same.txt"), "one\n")?;
        std::fs::write(folder.path().join("other.txt"), "one")?;
        std::fs::create_dir(folder.path().join("folder"))?;
        let left = left_otherwise(&cases[0], folder.path());
        let expected = [("folder", None), ("in/none.txt", None), ("other.txt", Some("one"))]
            .map(|(path, there): (&str, Option<&str>)| (path.to_owned(), there.map(str::to_owned)));
        assert_eq!(left, BTreeMap::from(expected));
        Ok(())
    }
}
