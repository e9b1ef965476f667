//! What a tool needs in the middle of a call, within what its author declared, and nobody granted: the person is asked, who may
//! allow this one effect, or more of its kind for the run or for good. The answer is a fact of the journal before anything depends
//! on it. The gate of a call asks here.
//!
//! Files are not among it. A call opens its directories before it begins, so a tool is offered one then (`asking`); and never for
//! once: behind Landlock it is reached from another process with a wider wall, which nothing makes narrower after one file.

use agent_core::answer_events::{AnswerPlace, EffectPermitted};
use agent_core::config::authority::GrantRule;
use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::refusal::Denial;
use agent_core::config::resolve::ToolAuthority;
use agent_core::effect::EffectRequest;
use agent_core::grant::SecretGrant;
use agent_core::name::{CallNumber, ToolName};
use agent_core::once::{self, Permits};

use crate::asking::{self, Keep};
use crate::driver::ports::Ports;
use crate::failpoint;
use crate::journal::log::Durable;
use crate::person::{self, Question};
use crate::report::waiting;

/// The last one is the answer where nothing sensible is typed.
const ANSWERS: &[(char, &str)] =
    &[('o', "allow this once"), ('r', "allow for this run"), ('s', "allow and save to your policy"), ('d', "deny")];

/// An effect that nobody granted, with its place.
pub struct Need<'n> {
    /// The tool that would do it.
    pub tool: &'n ToolName,
    /// The tool's place among those of the run.
    pub index: usize,
    /// In which call.
    pub call: CallNumber,
    /// In which attempt of it.
    pub attempt: u32,
    /// The effect's number in the call.
    pub number: u32,
    /// What it is.
    pub request: &'n EffectRequest,
}

/// Whether the same was allowed once before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Never,
    /// To an attempt that is over, which may have used it.
    ToAnAttempt,
}

/// Asks the person for what a tool needs. `None` where the refusal stands.
pub async fn meet(ports: &Ports, need: &Need<'_>) -> Option<Permit> {
    let turn = asking::or_cancelled(ports, ports.person.turn()).await?;
    // What others were asked meanwhile may be an answer to this too.
    let held = ports.recorder.state().authorities[need.index].clone();
    if let Verdict::Allow(permit) = held.decide(need.request) {
        return Some(permit);
    }
    let (rule, permit) = beyond(&held, need.request)?;
    if asking::asked(ports).refused.contains(&rule.to_toml()) {
        return None;
    }
    let shown = ports.secrets.without_secrets(need.request);
    let question = question(need, &shown, (&rule, &permit.secrets), before(ports, need));
    match asking::unless_cancelled(ports, turn.ask(question)).await {
        Some('o') => record_once(ports, need, shown).then_some(permit),
        Some('r') => widen(ports, need, &rule, Keep::Run),
        Some('s') => widen(ports, need, &rule, Keep::Policy),
        _ => {
            asking::asked(ports).refused.insert(rule.to_toml());
            None
        }
    }
}

/// What a person permitted once to this attempt or to one that it does again along its record, where that was exactly this. What
/// is denied by now is not permitted by it.
#[must_use]
pub fn permitted_once(ports: &Ports, need: &Need<'_>) -> Option<Permit> {
    permitted_where(ports, need, Permits::hold)
}

/// The same of what is only told again: also where another host vouches for the run since.
#[must_use]
pub fn told_as_permitted_once(ports: &Ports, need: &Need<'_>) -> Option<Permit> {
    permitted_where(ports, need, Permits::tell_of)
}

fn permitted_where(
    ports: &Ports,
    need: &Need<'_>,
    says_so: impl Fn(&Permits, u32, &EffectRequest) -> bool,
) -> Option<Permit> {
    let shown = ports.secrets.without_secrets(need.request);
    let state = ports.recorder.state();
    if !says_so(&state.call(need.call)?.asked.permits, need.number, &shown) {
        return None;
    }
    beyond(&state.authorities[need.index], need.request).map(|(_, permit)| permit)
}

/// The refusal of what nobody granted. Where the same was allowed once, to an attempt that is over, it says that this counts no
/// more: else the word of the person would be lost without a trace.
#[must_use]
pub fn refusal(ports: &Ports, need: &Need<'_>, denial: Denial) -> Denial {
    match before(ports, need) {
        Before::Never => denial,
        Before::ToAnAttempt => Denial { rule: format!("{}; {LOST}", denial.rule), ..denial },
    }
}

/// What is said of a permit that counts no more.
const LOST: &str = "it was allowed once, to an attempt of the call that is over";

fn before(ports: &Ports, need: &Need<'_>) -> Before {
    let shown = ports.secrets.without_secrets(need.request);
    let state = ports.recorder.state();
    match state.call(need.call) {
        Some(pending) if pending.asked.permits.have_held(need.number, &shown) => Before::ToAnAttempt,
        Some(_) | None => Before::Never,
    }
}

/// The narrowest rule by which a tool could do this, and what would permit it once. `None` where its author did not declare it, a
/// rule denies it, or one asks a person about its kind.
fn beyond(held: &ToolAuthority, request: &EffectRequest) -> Option<(GrantRule, Permit)> {
    let rule = GrantRule::allowing(&held.tool, request, asking::answered())?.only_for(held.component);
    match held.widened(&rule).ok()?.decide(request) {
        Verdict::Allow(permit) => Some((rule, Permit { rule: once::rule(), ..permit })),
        Verdict::Ask { .. } | Verdict::Deny(_) => None,
    }
}

fn widen(ports: &Ports, need: &Need<'_>, rule: &GrantRule, keep: Keep) -> Option<Permit> {
    if !asking::record_widened(ports, need.index, rule, keep) {
        return None;
    }
    match ports.recorder.state().authorities[need.index].decide(need.request) {
        Verdict::Allow(permit) => Some(permit),
        Verdict::Ask { .. } | Verdict::Deny(_) => None,
    }
}

/// Records that this one effect may happen. Whether it is recorded, and so counts.
fn record_once(ports: &Ports, need: &Need<'_>, request: EffectRequest) -> bool {
    let Need { call, attempt, number, .. } = *need;
    let permitted = EffectPermitted { call, attempt, number, request, by: person::answered(AnswerPlace::Run) };
    if let Err(error) = ports.recorder.record(permitted, Durable::Now) {
        ports.reporter.note(&format!("that it is allowed once could not be recorded, so it does not count: {error:#}"));
        return false;
    }
    failpoint::hit("effect-permitted");
    true
}

/// What is asked: the effect, what goes along with it, and how much more it would be for the run or for good.
fn question(
    need: &Need<'_>,
    shown: &EffectRequest,
    (rule, secrets): (&GrantRule, &[SecretGrant]),
    before: Before,
) -> Question {
    let (call, tool) = (need.call, need.tool);
    let again = match before {
        Before::Never => None,
        Before::ToAnAttempt => Some(format!("{LOST}, and may have been done there")),
    };
    let sent = waiting::more_line(shown).into_iter().chain(waiting::carried(secrets)).chain(again);
    let more = std::iter::once("for this run, or saved, it would be".to_owned());
    Question {
        title: format!("call {call}: `{tool}` wants to {}. Nothing allows that yet.", waiting::shown(shown)),
        details: sent.chain(more).chain(rule.to_toml().lines().map(|line| format!("  {line}"))).collect(),
        who: format!("`{tool}`"),
        answers: ANSWERS,
    }
}

#[cfg(test)]
mod tests {
    use agent_core::config::authority::{ApprovalRule, Asks, Authority, DenyRule};
    use agent_core::config::ceiling::Ceiling;
    use agent_core::config::resolve::resolve;
    use agent_core::config::selector::Selector;
    use agent_core::digest::Digest;
    use agent_core::effect::{EffectClass, FileOperation, KvOperation};
    use agent_core::grant::{Capability, RuleSource};
    use agent_core::limits::LimitsChange;
    use agent_core::units::Bytes;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn http(method: &str, url: &str) -> EffectRequest {
        EffectRequest::Http { method: method.into(), url: url.into(), body_bytes: Bytes(3), digest: Digest::of(b"") }
    }

    fn need<'n>(tool: &'n ToolName, request: &'n EffectRequest) -> Need<'n> {
        Need { tool, index: 0, call: CallNumber(3), attempt: 1, number: 2, request }
    }

    fn asked(tool: &ToolName, request: &EffectRequest, secrets: &[SecretGrant], before: Before) -> Option<Question> {
        let rule = GrantRule::allowing(tool, request, asking::answered())?;
        Some(question(&need(tool, request), request, (&rule, secrets), before))
    }

    /// Who allows a request lets the secret out that the host adds to it.
    #[test]
    fn the_question_says_what_goes_along() -> TestResult {
        let (tool, request) = ("orders.list".parse()?, http("POST", "https://api.example.com/orders"));
        let secret = SecretGrant {
            name: "API_TOKEN".parse()?,
            url: "https://api.example.com".parse()?,
            header: "authorization".parse()?,
            format: "Bearer {}".parse()?,
            from: "env:API_TOKEN".parse()?,
            source: RuleSource("policy.toml:1".to_owned()),
        };
        let question = asked(&tool, &request, &[secret], Before::Never).ok_or("no rule")?;
        let details: Vec<&str> = question.details.iter().map(String::as_str).collect();
        let [body, secret, more, grant, ..] = details.as_slice() else { return Err(format!("{details:?}").into()) };
        assert_eq!(*body, "sends a body of 3 B");
        assert_eq!(*secret, "carries your secret API_TOKEN in `authorization`");
        assert_eq!((*more, *grant), ("for this run, or saved, it would be", "  [[grant]]"));
        assert!(details.iter().any(|line| line.contains("https://api.example.com")), "{details:?}");
        Ok(())
    }

    #[test]
    fn the_question_says_that_it_was_allowed_before() -> TestResult {
        let (tool, request) = ("fetch.get".parse()?, http("GET", "https://example.org/"));
        for (before, said) in [(Before::Never, false), (Before::ToAnAttempt, true)] {
            let question = asked(&tool, &request, &[], before).ok_or("no rule")?;
            assert_eq!(question.details.iter().any(|line| line.contains(LOST)), said);
        }
        Ok(())
    }

    /// Whatever a model or a tool says, a question stays on the screen.
    #[test]
    fn no_question_is_longer_than_a_person_reads() -> TestResult {
        let (tool, request) =
            ("fetch.get".parse()?, http("GET", &format!("https://example.org/{}", "a".repeat(8_000))));
        let question = asked(&tool, &request, &[], Before::Never).ok_or("no rule")?;
        assert!(question.title.chars().count() < 500 && question.title.contains("… (8"), "{}", question.title);
        Ok(())
    }

    /// What a person is asked about is what the author declared and no rule speaks of; and a file is not for once.
    #[test]
    fn a_need_is_within_the_ceiling_and_against_no_rule() -> TestResult {
        let tool: ToolName = "polite.http".parse()?;
        let source = || RuleSource("policy.toml:1".to_owned());
        let holding = |capabilities: &[Capability], rules: &Authority| {
            let ceiling = Ceiling::of_imports(capabilities);
            resolve(&tool, &Digest::of(b""), &ceiling, &LimitsChange::default(), &[rules])
        };
        let all = [Capability::Http, Capability::Fs, Capability::Kv];
        let post = http("POST", "https://example.org/a");
        let nothing = holding(&all, &Authority::nothing())?;
        let (_, permit) = beyond(&nothing, &post).ok_or("nobody is asked")?;
        assert!(once::is_by(&permit.rule), "{permit:?}");
        assert_eq!(permit.class, EffectClass::OpaqueWrite);
        let (operation, store) = (KvOperation::Write, "default".to_owned());
        let kv = EffectRequest::Kv { operation, store, key: Some("a".to_owned()), value: None };
        assert!(beyond(&nothing, &kv).is_some());
        let file = EffectRequest::File { operation: FileOperation::Read, path: "/data/a".to_owned(), to: None };
        assert!(beyond(&nothing, &file).is_none());
        assert!(beyond(&holding(&[Capability::Fs], &Authority::nothing())?, &post).is_none(), "not declared");
        let deny = DenyRule { http: vec!["example.org".parse()?], ..DenyRule::of(Selector::Everything, source()) };
        let denied = holding(&all, &Authority { denies: vec![deny], ..Authority::nothing() })?;
        assert!(beyond(&denied, &post).is_none(), "denied");
        let asks = ApprovalRule { selector: Selector::Everything, asks: Asks::Http(Vec::new()), source: source() };
        let asking = holding(&all, &Authority { approvals: vec![asks], ..Authority::nothing() })?;
        assert!(beyond(&asking, &post).is_none(), "asked about in another way");
        Ok(())
    }
}
