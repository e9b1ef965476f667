//! What a run waits for a person for, as a person is shown it: at the run's own terminal and by `agent-host approve`, `ls`,
//! `show` and `journal resolve`. It is computed from the run's state, so that what is shown is what the answer is bound to.

use std::io::{self, Write};

use agent_core::answer_events::ApprovalSubject;
use agent_core::approval;
use agent_core::config::decide::Verdict;
use agent_core::digest::Digest;
use agent_core::effect::EffectRequest;
use agent_core::grant::SecretGrant;
use agent_core::name::CallNumber;
use agent_core::pending::{CallStatus, PendingCall};
use agent_core::state::State;

use super::run::LINE_CHARS_MAX;
use super::{HEADING, pretty, text};

/// Lines of arguments that are shown with a question, and characters of each; the rest is counted. More could push the
/// question off the screen, and something that looks like another one onto it.
const ARGUMENT_LINES_MAX: usize = 24;
const ARGUMENT_CHARS_MAX: usize = 160;
/// Characters of an effect that are shown: its path or URL is the tool's.
const EFFECT_CHARS_MAX: usize = 400;

/// One call that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The call.
    pub call: CallNumber,
    /// The tool as people write it.
    pub tool: String,
    /// What for.
    pub wants: Wants,
}

/// What a person is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// Approvals, each with what the answer is bound to.
    Approval(Vec<(ApprovalSubject, Digest)>),
    /// The word what became of a call in doubt.
    Word {
        /// What may or may not have happened.
        request: EffectRequest,
        /// What is known.
        reason: String,
    },
}

impl Waiting {
    /// What is waited for, in a few words: for one line of a listing.
    #[must_use]
    pub fn what(&self) -> String {
        let what = match &self.wants {
            Wants::Approval(questions) => {
                let each: Vec<_> = questions.iter().map(|(subject, _)| subject_in_short(subject)).collect();
                format!("may it {}?", each.join(", "))
            }
            Wants::Word { request, .. } => format!("did it {}?", shown(request)),
        };
        text::line(&what, LINE_CHARS_MAX)
    }

    /// The commands by which a person answers, where the run is called `run` on a command line.
    #[must_use]
    pub fn commands(&self, run: &str) -> Vec<String> {
        let call = self.call;
        match &self.wants {
            Wants::Approval(_) => ["approve", "deny"].map(|verb| format!("agent-host {verb} {run} {call}")).to_vec(),
            Wants::Word { .. } => vec![format!("agent-host journal resolve {run} {call} …")],
        }
    }
}

/// Everything that a run waits for, in the order of its calls.
#[must_use]
pub fn of_run(state: &State) -> Vec<Waiting> {
    state.calls().iter().filter_map(|call| Some(waiting(call, wants(call)?))).collect()
}

fn waiting(call: &PendingCall, wants: Wants) -> Waiting {
    Waiting { call: call.number, tool: text::line(&call.call.tool.replacen("__", ".", 1), LINE_CHARS_MAX), wants }
}

fn wants(call: &PendingCall) -> Option<Wants> {
    match &call.status {
        CallStatus::Finished(_) => None,
        CallStatus::InDoubt { request, reason, .. } => {
            Some(Wants::Word { request: request.clone(), reason: reason.clone() })
        }
        CallStatus::Proposed | CallStatus::Running(_) | CallStatus::Interrupted(_) | CallStatus::Again { .. } => {
            let open = call.asked.open.iter().map(|question| (question.subject.clone(), question.digest));
            let open: Vec<_> = open.collect();
            (!open.is_empty()).then_some(Wants::Approval(open))
        }
    }
}

/// What is asked, in one line.
#[must_use]
pub fn title(tool: &str, subject: &ApprovalSubject) -> String {
    match subject {
        ApprovalSubject::Call => format!("may `{tool}` be called? A rule asks for your approval."),
        ApprovalSubject::Effect { request, .. } => format!("may `{tool}` do this: {}?", shown(request)),
    }
}

/// What a person should know of what is asked, one line each. Not yet neutralised.
#[must_use]
pub fn details(state: &State, call: &PendingCall, subject: &ApprovalSubject) -> Vec<String> {
    let arguments = match subject {
        ApprovalSubject::Call => argument_lines(&call.call.arguments),
        ApprovalSubject::Effect { .. } => Vec::new(),
    };
    arguments.into_iter().chain(about(state, call, subject)).collect()
}

/// The same without the call's arguments.
pub(super) fn about(state: &State, call: &PendingCall, subject: &ApprovalSubject) -> Vec<String> {
    match subject {
        ApprovalSubject::Call => {
            let rule = call.tool.and_then(|tool| state.authorities[tool].asks_before_call());
            vec![rule_line(rule.map(|rule| rule.0.as_str()))]
        }
        ApprovalSubject::Effect { request, .. } => {
            let verdict = call.tool.map(|tool| state.authorities[tool].decide(request));
            let (rule, secrets) = match &verdict {
                Some(Verdict::Ask { rule, permit }) => (Some(rule.0.as_str()), permit.secrets.as_slice()),
                Some(Verdict::Allow(permit)) => (None, permit.secrets.as_slice()),
                Some(Verdict::Deny(_)) | None => (None, [].as_slice()),
            };
            let sent = more_line(request).into_iter().chain(carried(secrets));
            sent.chain([rule_line(rule)]).collect()
        }
    }
}

/// The call that an effect belongs to, where it is shown apart from the run.
#[must_use]
pub fn call_lines(call: &PendingCall) -> Vec<String> {
    let head = format!("in call {} with these arguments:", call.number);
    std::iter::once(head).chain(argument_lines(&call.call.arguments)).collect()
}

/// Writes what a run waits for, each behind `label` and above the commands that answer it. Nothing where it waits for nobody.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(waiting: &[Waiting], run: &str, label: &str, out: &mut dyn Write) -> io::Result<()> {
    let indent = " ".repeat(label.chars().count() + 2);
    for one in waiting {
        writeln!(out, "{label}{HEADING}call {}  {}{HEADING:#}  {}", one.call, one.tool, one.what())?;
        for command in one.commands(run) {
            writeln!(out, "{indent}{command}")?;
        }
    }
    Ok(())
}

fn subject_in_short(subject: &ApprovalSubject) -> String {
    match subject {
        ApprovalSubject::Call => "be called".to_owned(),
        ApprovalSubject::Effect { request, .. } => shown(request),
    }
}

fn rule_line(rule: Option<&str>) -> String {
    rule.map_or_else(|| "no rule asks for it any more".to_owned(), |rule| format!("rule: {rule}"))
}

/// The secrets that go along with a request: a person who allows it allows that too.
pub fn carried(secrets: &[SecretGrant]) -> impl Iterator<Item = String> {
    secrets.iter().map(|secret| format!("carries your secret {} in `{}`", secret.name, secret.header))
}

/// What the line of a request leaves out, or where a text in it could hide it: how much it sends, and which store it is in.
#[must_use]
pub fn more_line(request: &EffectRequest) -> Option<String> {
    match request {
        EffectRequest::Http { body_bytes, .. } if body_bytes.0 > 0 => Some(format!("sends a body of {body_bytes}")),
        EffectRequest::Kv { store, .. } => Some(format!("in the store `{}`", cut(store, ARGUMENT_CHARS_MAX))),
        EffectRequest::Http { .. }
        | EffectRequest::File { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Socket { .. } => None,
    }
}

fn argument_lines(arguments: &str) -> Vec<String> {
    let pretty = pretty::json(arguments);
    let lines = pretty.lines().take(ARGUMENT_LINES_MAX);
    let mut lines: Vec<String> = lines.map(|line| cut(line, ARGUMENT_CHARS_MAX)).collect();
    let more = pretty.lines().count().saturating_sub(ARGUMENT_LINES_MAX);
    if more > 0 {
        lines.push(format!("… and {more} more lines; `agent-host show --json` has all of them"));
    }
    lines
}

/// Whether what is asked is still what it was when it was recorded.
#[must_use]
pub fn is_as_asked(state: &State, call: &PendingCall, subject: &ApprovalSubject, digest: &Digest) -> bool {
    approval::digest_of(state, call, subject) == *digest
}

/// An effect as a question shows it.
#[must_use]
pub fn shown(request: &EffectRequest) -> String {
    cut(&request.to_string(), EFFECT_CHARS_MAX)
}

/// The beginning of a text that somebody else chose, and how long it is where this is not all of it.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a model says, a question stays on the screen.
    #[test]
    fn arguments_are_no_longer_than_a_person_reads() {
        let long = "x".repeat(1 << 20);
        let lines = argument_lines(&format!("[{}\"{long}\"]", "1,".repeat(100)));
        assert_eq!(lines.len(), ARGUMENT_LINES_MAX + 1);
        let lines = argument_lines(&format!("{{\"text\":\"{long}\"}}"));
        assert!(lines.iter().all(|line| line.chars().count() < 200), "{lines:?}");
        assert!(lines[1].ends_with("x… (1048588 characters)"), "{lines:?}");
    }
}
