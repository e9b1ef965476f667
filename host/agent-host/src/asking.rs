//! The questions that a run may have for the person: approve a call or an effect, give a tool a directory. The answers become events
//! before anything depends on them. What a tool needs in the middle of a call is asked for in `needs`.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use agent_core::answer_events::{Approval, ApprovalSubject, GrantWidened};
use agent_core::config::authority::GrantRule;
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::EffectRequest;
use agent_core::grant::{Access, RuleSource, SecretGrant};
use agent_core::name::{CallNumber, Name, ToolName};
use agent_core::units::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::driver::ports::Ports;
use crate::hardening::kept::{Widening, Wish};
use crate::journal::log::Durable;
use crate::operator;
use crate::person::{Person, Question, Unanswered};
use crate::report::waiting;
use crate::reporter::Reporter;
use crate::saved_policy;

/// How long a person at the terminal is waited for: long enough to read what is asked. Who is away loses nothing, since the
/// question stays in the journal and is answered by `agent-host approve` at any time.
const ANSWER_WAIT: Duration = Duration::from_secs(120);
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

/// Puts to the person what a call asks. `None` where nobody is there, nobody answers in time, or the run is stopped meanwhile.
pub async fn approve(ports: &Ports, number: CallNumber, subject: &ApprovalSubject) -> Option<Approval> {
    if !ports.person.is_there() {
        return None;
    }
    let question = {
        let state = ports.recorder.state();
        let call = state.call(number)?;
        let tool = call.call.tool.replacen("__", ".", 1);
        approval_question(&tool, waiting::title(&tool, subject), waiting::details(&state, call, subject))
    };
    let asked = async { Some(ports.person.ask_within(question, answer_wait()).await) };
    match unless_cancelled(ports, asked).await? {
        Ok(letter) => letter.map(|letter| answer(letter, None, ports.recorder.now())),
        Err(Unanswered) => {
            ports.reporter.note(&format!("nobody answered: call {number} waits for `agent-host approve`"));
            None
        }
    }
}

/// May this effect happen? For a call outside a run, which cannot wait for an answer.
pub async fn approve_effect(
    person: &Person,
    reporter: &Reporter,
    tool: &ToolName,
    (request, secrets): (&EffectRequest, &[SecretGrant]),
    rule: &RuleSource,
) -> bool {
    let details = waiting::carried(secrets).chain([format!("rule: {rule}")]).collect();
    let title = format!("may `{tool}` do this: {}?", waiting::shown(request));
    let question = approval_question(&tool.to_string(), title, details);
    reporter.hushed(person.ask(question)).await == Some('y')
}

/// A question whose answer approves or denies.
#[must_use]
pub fn approval_question(tool: &str, title: String, details: Vec<String>) -> Question {
    Question { title, details, who: format!("`{tool}`"), answers: &[('y', "yes, this once"), ('n', "no")] }
}

/// The answer that a letter to [`approval_question`] stands for, said at that time.
#[must_use]
pub fn answer(letter: char, reason: Option<String>, now: UnixMillis) -> Approval {
    if letter == 'y' { Approval::yes(now) } else { Approval::Denied { reason } }
}

/// How long a person at the terminal is waited for.
#[must_use]
pub fn answer_wait() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(ms) = std::env::var("AGENT_HOST_ANSWER_WAIT_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(ms);
    }
    ANSWER_WAIT
}

/// What the person was asked in this run.
pub fn asked(ports: &Ports) -> MutexGuard<'_, Asked> {
    ports.asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A tool that works on files is about to be called, and no directory was granted: asks the person for one, once a run.
pub async fn offer_directory(ports: &Ports, index: usize) -> Offered {
    let authority = ports.recorder.state().authorities[index].clone();
    let Some(most) = wanted_access(&authority) else { return Offered::Settled };
    let new = asked(ports).offered.insert(authority.tool.component.clone());
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
        who: format!("`{}`", authority.tool),
        answers: directory_answers(most),
    };
    let access = match unless_cancelled(ports, ports.person.ask(question)).await {
        Some('r') => Access::Read,
        Some('w') => Access::Write,
        _ => return Offered::Settled,
    };
    match &ports.widening {
        Widening::ByKeeper(_) => Offered::Wished(wish(ports, authority.tool, access)),
        Widening::AtOnce(_) | Widening::Never => {
            let prompt = format!("which directory may `{}` {}?", authority.tool.component, verb(access));
            let note = |text: &str| ports.reporter.note(text);
            match unless_cancelled(ports, which_directory(&ports.person, &prompt, note)).await {
                Some(host) => match refusal(&ports.widening, &host, access) {
                    None => grant_directory(ports, &authority.tool, host, access),
                    Some(why) => ports.reporter.note(&format!("no directory was granted: {why}")),
                },
                None => ports.reporter.note("no directory was granted"),
            }
            Offered::Settled
        }
    }
}

fn refusal(widening: &Widening, host: &HostPath, access: Access) -> Option<String> {
    match widening {
        Widening::AtOnce(unchanging) => unchanging.refusal(host, access),
        Widening::ByKeeper(_) | Widening::Never => None,
    }
}

fn wish(ports: &Ports, tool: ToolName, access: Access) -> Wish {
    let asked = std::mem::take(&mut *asked(ports));
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

/// Which directory the person means. The working directory is one that is named like any other: Enter alone, an ended input or
/// Ctrl-C grants nothing.
pub async fn which_directory(person: &Person, prompt: &str, note: impl Fn(&str)) -> Option<HostPath> {
    let here = std::env::current_dir().ok()?;
    for _ in 0..DIRECTORY_TRIES {
        let typed = person.ask_line(format!("{prompt} `.` is {}", here.display())).await?;
        if typed.is_empty() {
            continue;
        }
        match operator::directory(&typed) {
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

/// The person's answer, with nothing else on the screen meanwhile.
pub async fn unless_cancelled<T>(ports: &Ports, ask: impl Future<Output = Option<T>>) -> Option<T> {
    or_cancelled(ports, ports.reporter.hushed(ask)).await
}

/// What comes of waiting for a person; `None` also where the run is cancelled meanwhile, so that Ctrl-C never waits for Enter,
/// and what is typed after it counts for nothing.
pub async fn or_cancelled<T>(ports: &Ports, waiting: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::select! {
        biased;
        () = ports.cancel.cancelled() => None,
        answer = waiting => answer,
    }
}

/// Grants a directory to every tool of a component, as a rule for the component does.
fn grant_component(ports: &Ports, component: &Name, rule: &GrantRule) {
    let tools = ports.recorder.state().authorities.iter().map(|held| held.tool.component.clone()).collect::<Vec<_>>();
    for (index, _) in tools.iter().enumerate().filter(|(_, held)| *held == component) {
        if !record_widened(ports, index, rule, Keep::Run) {
            return;
        }
    }
}

/// How long a wider grant holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As long as the run.
    Run,
    /// For good: it is saved, too.
    Policy,
}

/// Adds a rule to what a tool holds now: while the person was asked, another answer may have given it more. Whether it is
/// recorded, and so counts.
pub fn record_widened(ports: &Ports, index: usize, rule: &GrantRule, keep: Keep) -> bool {
    // Until it is recorded nobody else looks at what the tool holds in order to add to it.
    let _alone = asked(ports);
    let held = ports.recorder.state().authorities[index].clone();
    let authority = match held.widened(rule) {
        Ok(authority) => authority,
        Err(problems) => {
            ports.reporter.note(&format!("it was not granted: {problems}"));
            return false;
        }
    };
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

/// Where a rule was said that the person answered.
#[must_use]
pub fn answered() -> RuleSource {
    RuleSource("answered by the operator".to_owned())
}
