//! The questions that a run may have for the person: approve a call or an effect, widen a grant. The answers become events
//! before anything depends on them.

use std::collections::HashSet;
use std::io::Write;
use std::sync::PoisonError;

use agent_core::config::authority::GrantRule;
use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::EffectRequest;
use agent_core::event::{Approval, GrantWidened};
use agent_core::grant::{Access, RuleSource, SecretGrant};
use agent_core::message::ToolCall;
use agent_core::name::{CallNumber, Name, ToolName};
use serde::{Deserialize, Serialize};

use crate::driver::ports::Ports;
use crate::hardening::kept::{Widening, Wish};
use crate::journal::log::Durable;
use crate::operator;
use crate::person::{Person, Question};
use crate::reporter::Reporter;
use crate::saved_policy;

/// Lines of arguments that are shown with a question; the rest is counted.
const ARGUMENT_LINES_MAX: usize = 24;
/// How often a person may mistype a directory before none is granted.
const DIRECTORY_TRIES: usize = 3;

/// What the person was asked in a run, so that nobody is asked twice. Handed on where the run goes on in another process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Components whose tools a directory was offered to.
    pub offered: HashSet<Name>,
    /// What the person refused to grant, as rules: a tool that asks again and again is not put to the person again.
    pub refused: HashSet<String>,
}

/// What came of offering a tool a directory.
pub enum Offered {
    /// The call may be made, with a directory or without.
    Settled,
    /// The person would grant one, and only the keeper can make it reachable: the run goes on in another process.
    Wished(Wish),
}

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
    if ports.asked.lock().unwrap_or_else(PoisonError::into_inner).refused.contains(&rule.to_toml()) {
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
            ports.asked.lock().unwrap_or_else(PoisonError::into_inner).refused.insert(rule.to_toml());
            return None;
        }
    };
    record_widened(ports, authority, &rule, keep).then_some(permit)
}

/// A tool that works on files is about to be called, and no directory was granted: asks the person for one, once a run.
pub async fn offer_directory(ports: &Ports, index: usize) -> Offered {
    let authority = ports.recorder.state().authorities[index].clone();
    let Some(most) = wanted_access(&authority) else { return Offered::Settled };
    let new =
        ports.asked.lock().unwrap_or_else(PoisonError::into_inner).offered.insert(authority.tool.component.clone());
    if !new || !ports.person.is_there() {
        return Offered::Settled;
    }
    if matches!(ports.widening, Widening::Never) {
        ports
            .reporter
            .note(&format!("`{}` works on files, and this run can be given no directory any more", authority.tool));
        ports.reporter.note("`--allow-read DIR` or `--allow-write DIR` grants one from the start");
        return Offered::Settled;
    }
    let question = Question {
        title: format!("`{}` works on files, and no directory was granted", authority.tool),
        details: vec!["`--allow-read DIR` or `--allow-write DIR` grants one from the start".to_owned()],
        answers: directory_answers(most),
    };
    let access = match unless_cancelled(ports, ports.person.ask(question)).await {
        Some('r') => Access::Read,
        Some('w') => Access::Write,
        _ => return Offered::Settled,
    };
    match &ports.widening {
        Widening::ByKeeper(_) => Offered::Wished(wish(ports, authority.tool, access)),
        Widening::AtOnce | Widening::Never => {
            let prompt = format!("which directory may `{}` {}?", authority.tool.component, verb(access));
            let note = |text: &str| ports.reporter.note(text);
            match unless_cancelled(ports, which_directory(&ports.person, &prompt, note)).await {
                Some(host) => grant_directory(ports, &authority.tool, host, access),
                None => ports.reporter.note("no directory was granted"),
            }
            Offered::Settled
        }
    }
}

fn wish(ports: &Ports, tool: ToolName, access: Access) -> Wish {
    let asked = std::mem::take(&mut *ports.asked.lock().unwrap_or_else(PoisonError::into_inner));
    Wish { run: ports.recorder.state().run.clone(), tool, access, asked }
}

/// What a tool may do with a directory, as a question says it.
#[must_use]
pub fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "read and change",
    }
}

/// Which directory the person means. Only Enter means the working directory: an ended input or Ctrl-C grants nothing.
pub async fn which_directory(person: &Person, prompt: &str, note: impl Fn(&str)) -> Option<HostPath> {
    let here = std::env::current_dir().ok()?;
    for _ in 0..DIRECTORY_TRIES {
        let typed = person.ask_line(format!("{prompt} Enter alone means {}", here.display())).await?;
        match operator::directory(if typed.is_empty() { "." } else { &typed }) {
            Ok(host) => return Some(host),
            Err(error) => note(&format!("{error:#}")),
        }
    }
    None
}

/// Says something beside a run, where no reporter is at work.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "· {}", crate::report::text::whole(text));
}

/// Grants a directory to every tool of the component of `tool`, as the person said.
pub fn grant_directory(ports: &Ports, tool: &ToolName, host: HostPath, access: Access) {
    let held = ports.recorder.state().authorities.iter().find(|held| held.tool == *tool).map(|held| held.component);
    let Some(component) = held else {
        return ports.reporter.note("no directory was granted: the run has no such tool");
    };
    let rule = GrantRule::directory_for(tool, host, access, answered()).only_for(component);
    grant_component(ports, &tool.component, &rule);
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
    authority.ceiling.fs.most()
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
