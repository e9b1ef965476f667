//! The questions that a run may have for the person: approve a call or an effect, widen a grant. The answers become events
//! before anything depends on them.

use std::sync::PoisonError;

use agent_core::config::authority::GrantRule;
use agent_core::config::ceiling::FsCeiling;
use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::EffectRequest;
use agent_core::event::{Approval, GrantWidened};
use agent_core::grant::{Access, RuleSource, SecretGrant};
use agent_core::message::ToolCall;
use agent_core::name::{CallNumber, Name, ToolName};

use crate::driver::ports::Ports;
use crate::journal::log::Durable;
use crate::operator;
use crate::person::{Person, Question};
use crate::reporter::Reporter;
use crate::saved_policy;

/// Lines of arguments that are shown with a question; the rest is counted.
const ARGUMENT_LINES_MAX: usize = 24;
/// How often a person may mistype a directory before none is granted.
const DIRECTORY_TRIES: usize = 3;

/// May this call be made?
pub async fn approve_call(person: &Person, reporter: &Reporter, call: &ToolCall) -> Approval {
    let tool = call.tool.replacen("__", ".", 1);
    let question = Question {
        title: format!("may `{tool}` be called? A rule asks for your approval."),
        details: argument_lines(&call.arguments),
        answers: &[('y', "yes, this once"), ('n', "no")],
    };
    answer(reporter.hushed(person.ask(question)).await)
}

/// May this effect happen?
pub async fn approve_effect(
    person: &Person,
    reporter: &Reporter,
    tool: &ToolName,
    (request, secrets): (&EffectRequest, &[SecretGrant]),
    rule: &RuleSource,
) -> Approval {
    let carried = secrets.iter().map(|secret| format!("carries your secret {} in `{}`", secret.name, secret.header));
    let question = Question {
        title: format!("may `{tool}` do this: {request}?"),
        details: carried.chain([format!("rule: {rule}")]).collect(),
        answers: &[('y', "yes, this once"), ('n', "no")],
    };
    answer(reporter.hushed(person.ask(question)).await)
}

/// A tool needs something that its author declared and nobody granted: asks the person for it. `None` where the refusal
/// stands.
pub async fn widen(
    ports: &Ports,
    tool: &ToolName,
    index: usize,
    call: CallNumber,
    request: &EffectRequest,
) -> Option<Permit> {
    if !ports.person.is_there() {
        return None;
    }
    let held = ports.recorder.state().authorities[index].clone();
    let rule = GrantRule::allowing(tool, request, answered())?.only_for(held.component);
    let authority = held.widened(&rule).ok()?;
    let Verdict::Allow(permit) = authority.decide(request) else { return None };
    if ports.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(&rule.to_toml()) {
        return None;
    }
    let question = Question {
        title: format!("call {call}: `{tool}` wants to {request}. Nothing allows that yet."),
        details: rule.to_toml().lines().map(str::to_owned).collect(),
        answers: &[('r', "allow for this run"), ('s', "allow and save to your policy"), ('d', "deny")],
    };
    let keep = match unless_cancelled(ports, ports.person.ask(question)).await {
        Some('r') => Keep::Run,
        Some('s') => Keep::Policy,
        _ => {
            ports.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(rule.to_toml());
            return None;
        }
    };
    record_widened(ports, authority, &rule, keep).then_some(permit)
}

/// A tool that works on files is about to be called, and no directory was granted: asks the person for one, once a run.
pub async fn offer_directory(ports: &Ports, index: usize) {
    let authority = ports.recorder.state().authorities[index].clone();
    let Some(most) = wanted_access(&authority) else { return };
    let new = ports.offered.lock().unwrap_or_else(PoisonError::into_inner).insert(authority.tool.component.clone());
    if !new || !ports.person.is_there() {
        return;
    }
    let question = Question {
        title: format!("`{}` works on files, and no directory was granted", authority.tool),
        details: vec!["`--allow-read DIR` or `--allow-write DIR` grants one from the start".to_owned()],
        answers: directory_answers(most),
    };
    let access = match unless_cancelled(ports, ports.person.ask(question)).await {
        Some('r') => Access::Read,
        Some('w') => Access::Write,
        _ => return,
    };
    let Some(host) = ask_directory(ports).await else { return ports.reporter.note("no directory was granted") };
    let rule = GrantRule::directory_for(&authority.tool, host, access, answered()).only_for(authority.component);
    grant_component(ports, &authority.tool.component, &rule);
}

/// Which directory the person means. Only Enter means the working directory: an ended input or Ctrl-C grants nothing.
async fn ask_directory(ports: &Ports) -> Option<HostPath> {
    let here = std::env::current_dir().ok()?;
    for _ in 0..DIRECTORY_TRIES {
        let prompt = format!("which directory? Enter alone means {}", here.display());
        let typed = unless_cancelled(ports, ports.person.ask_line(prompt)).await?;
        match operator::directory(if typed.is_empty() { "." } else { &typed }) {
            Ok(host) => return Some(host),
            Err(error) => ports.reporter.note(&format!("{error:#}")),
        }
    }
    None
}

/// The person's answer; `None` also where the run is cancelled while the person is asked, so that Ctrl-C never waits for
/// Enter, and what is typed after it counts for nothing.
async fn unless_cancelled<T>(ports: &Ports, ask: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::select! {
        biased;
        () = ports.cancel.cancelled() => None,
        answer = ports.reporter.hushed(ask) => answer,
    }
}

/// Grants a directory to every tool of a component, as a rule for the component does.
fn grant_component(ports: &Ports, component: &Name, rule: &GrantRule) {
    let authorities = ports.recorder.state().authorities.clone();
    for authority in authorities.iter().filter(|authority| authority.tool.component == *component) {
        match authority.widened(rule) {
            Ok(authority) => drop(record_widened(ports, authority, rule, Keep::Run)),
            Err(problems) => return ports.reporter.note(&format!("no directory was granted: {problems}")),
        }
    }
}

/// How long a person's answer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Run,
    Policy,
}

/// Whether the wider authority is recorded, and so counts.
fn record_widened(ports: &Ports, authority: ToolAuthority, rule: &GrantRule, keep: Keep) -> bool {
    let widened = GrantWidened { tool: authority.tool.wire(), authority };
    if let Err(error) = ports.recorder.record(widened, Durable::Now) {
        ports.reporter.note(&format!("the wider grant could not be recorded, so it does not count: {error:#}"));
        return false;
    }
    if keep == Keep::Policy
        && let Err(error) = saved_policy::append(&ports.saved_policy, rule)
    {
        ports.reporter.note(&format!("allowed for this run, but not saved: {error:#}"));
    }
    true
}

/// The most that a tool may do with a directory, if it may have one and has none.
fn wanted_access(authority: &ToolAuthority) -> Option<Access> {
    if !authority.grant.fs.is_empty() || authority.forbidden_by().is_some() {
        return None;
    }
    match &authority.ceiling.fs {
        FsCeiling::Any => Some(Access::Write),
        FsCeiling::Mounts(requests) => requests.iter().map(|request| request.access).max(),
    }
}

fn directory_answers(most: Access) -> &'static [(char, &'static str)] {
    match most {
        Access::Read => &[('r', "let it read one"), ('n', "none")],
        Access::Write => &[('r', "let it read one"), ('w', "let it read and change one"), ('n', "none")],
    }
}

fn answered() -> RuleSource {
    RuleSource("answered by the operator".to_owned())
}

fn answer(letter: Option<char>) -> Approval {
    if letter == Some('y') { Approval::Approved } else { Approval::Denied }
}

fn argument_lines(arguments: &str) -> Vec<String> {
    let pretty = serde_json::from_str::<serde_json::Value>(arguments)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| arguments.to_owned());
    let mut lines: Vec<String> = pretty.lines().take(ARGUMENT_LINES_MAX).map(str::to_owned).collect();
    let more = pretty.lines().count().saturating_sub(ARGUMENT_LINES_MAX);
    if more > 0 {
        lines.push(format!("… and {more} more lines; `agent-host show` has all of them"));
    }
    lines
}
