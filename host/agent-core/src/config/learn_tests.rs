//! What is learned from runs, as the policies that are made of it and read back.

use super::ceiling::Ceiling;
use super::learn::{Learned, learn};
use super::policy::parse_policy;
use super::resolve::{ToolAuthority, resolve};
use crate::answer_events::{AnswerPlace, AnsweredBy, EffectPermitted};
use crate::digest::Digest;
use crate::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, KvOperation, Refusal};
use crate::event::{EffectIntended, Event, ModelReplied, Recorded, ToolFinished};
use crate::grant::{Access, Capability};
use crate::limits::LimitsChange;
use crate::model::{ModelReply, ProposedCall, TokenUsage};
use crate::name::{CallNumber, RunId, ToolName};
use crate::once;
use crate::outcome::{Metering, Said, ToolOutcome};
use crate::units::{Bytes, Millis, UnixMillis};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const POLICY: &str = r#"
    [[grant]]
    tool = "*"
    fs = [{ host = "docs", access = "write" }, { host = "other", access = "read", mount = "/other" }]
    http = [{ url = "https://*.example.org", methods = ["GET", "POST"] }]
    env = ["TZ", "LANG"]
    [[grant]]
    tool = "slow"
    limits = { deadline = "90s", memory = "1MiB" }
"#;

fn authorities() -> TestResult<Vec<ToolAuthority>> {
    let rules = parse_policy("policy.toml", "/w", POLICY)?;
    let ceiling = Ceiling::of_imports(&[Capability::Fs, Capability::Http, Capability::Env]);
    let of = |name: &str| {
        Ok(resolve(&name.parse::<ToolName>()?, &Digest::of(b""), &ceiling, &LimitsChange::default(), &[&rules])?)
    };
    ["files.read", "files.write", "slow.go"].iter().map(|name| of(name)).collect()
}

fn file(operation: FileOperation, path: &str) -> EffectRequest {
    EffectRequest::File { operation, path: path.into(), to: None }
}

fn http(method: &str, url: &str) -> EffectRequest {
    EffectRequest::Http { method: method.into(), url: url.into(), body_bytes: Bytes(0), digest: Digest::of(b"") }
}

fn decided(authority: &ToolAuthority, request: EffectRequest) -> Effect {
    use crate::config::decide::Verdict;
    let decision = match authority.decide(&request) {
        Verdict::Allow(permit) | Verdict::Ask { permit, .. } => Decision::Allow { rule: permit.rule },
        Verdict::Deny(denial) => denial.into(),
    };
    Effect {
        number: 1,
        class: request.class(false),
        egress: request.is_egress(),
        decision,
        result: EffectResult::Done(String::new()),
        secrets: Vec::new(),
        bytes_out: Bytes(0),
        bytes_in: Bytes(0),
        at: Millis(0),
        duration: Millis(0),
        replayed: false,
        request,
    }
}

fn recorded(event: impl Into<Event>) -> Recorded {
    let (run, at) = (RunId::from_parts(UnixMillis(0), [0; 10]), UnixMillis(0));
    Recorded { run, seq: 1, epoch: 1, at, event: event.into() }
}

fn proposes(wire: &str) -> Recorded {
    let call = ProposedCall { id: Some("c".into()), tool: wire.into(), arguments: "{}".into() };
    let usage = TokenUsage::default();
    let reply = ModelReply { text: String::new(), calls: vec![call], model: "m".into(), usage, id: None };
    recorded(ModelReplied { turn: 1, reply })
}

/// A run in which each of these tools was called once and did these things, each decided as in a run.
fn learned(calls: &[(&str, Vec<EffectRequest>)]) -> TestResult<(Learned, String)> {
    learned_with(calls, decided)
}

fn learned_with(
    calls: &[(&str, Vec<EffectRequest>)],
    decided: impl Fn(&ToolAuthority, EffectRequest) -> Effect,
) -> TestResult<(Learned, String)> {
    let authorities = authorities()?;
    let mut events = Vec::new();
    for ((tool, requests), number) in calls.iter().zip(1..) {
        let authority = authorities.iter().find(|authority| authority.tool.to_string() == *tool).ok_or("no tool")?;
        let effects = requests.iter().map(|request| decided(authority, request.clone())).collect();
        let (outcome, metering) = (ToolOutcome::Returned { content: Vec::new() }, Metering::nothing());
        let finished = ToolFinished {
            call: CallNumber(number),
            outcome,
            metering,
            effects,
            said: Said::default(),
            hidden: 0,
            transcript: None,
        };
        events.extend([proposes(&authority.tool.wire()), recorded(finished)]);
    }
    let learned = learn(&authorities, &events);
    let text = learned.to_toml(&["Learned.".to_owned()]);
    Ok((learned, text))
}

/// The grants that the text gives when it is read back, without the comments.
fn rules(calls: &[(&str, Vec<EffectRequest>)]) -> TestResult<String> {
    let (learned, text) = learned(calls)?;
    let read = parse_policy("learned.toml", "/elsewhere", &text)?;
    assert_eq!(read.grants.len(), learned.grants.len(), "{text}");
    let component = format!("component = \"{}\"", Digest::of(b""));
    assert_eq!(text.lines().filter(|line| *line == component).count(), learned.grants.len(), "{text}");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty() && *line != "[[grant]]" && *line != component);
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn each_tool_gets_what_it_used_with_the_least_access() -> TestResult {
    use FileOperation::{Read, Rename, Stat, Write};
    let docs = |access: &str| format!("tool = \"files.read\"\nfs = [{{ host = \"/w/docs\", access = \"{access}\" }}]");
    let cases = [
        (vec![file(Read, "/data/a")], docs("read")),
        (vec![file(Read, "/data/a"), file(Write, "/data/b"), file(Stat, "/data")], docs("write")),
        (vec![file(Rename, "/data/b")], docs("write")),
        (
            vec![file(Read, "/other/a")],
            "tool = \"files.read\"\nfs = [{ host = \"/w/other\", mount = \"/other\", access = \"read\" }]".into(),
        ),
        (vec![EffectRequest::Env { name: "TZ".into() }], "tool = \"files.read\"\nenv = [\"TZ\"]".into()),
        (vec![file(Write, "/other/a")], String::new()),
        (vec![EffectRequest::Socket { operation: "tcp".into() }], String::new()),
        (vec![], String::new()),
    ];
    for (requests, expected) in cases {
        assert_eq!(rules(&[("files.read", requests.clone())])?, expected, "{requests:?}");
    }
    Ok(())
}

#[test]
fn requests_are_learned_by_origin_method_and_common_path() -> TestResult {
    let rule = |entries: &str| format!("tool = \"files.read\"\nhttp = [{entries}]");
    let a = "https://a.example.org";
    let cases = [
        (vec![http("GET", &format!("{a}/x/1?q"))], r#"{ url = "https://a.example.org/x/1", methods = ["GET"] }"#),
        (
            vec![http("GET", &format!("{a}/x/1")), http("GET", &format!("{a}/x/2")), http("GET", &format!("{a}/x"))],
            r#"{ url = "https://a.example.org/x", methods = ["GET"] }"#,
        ),
        (
            vec![http("GET", &format!("{a}/x")), http("POST", &format!("{a}/x")), http("POST", &format!("{a}/y"))],
            r#"{ url = "https://a.example.org/x", methods = ["GET"] }, { url = "https://a.example.org", methods = ["POST"] }"#,
        ),
        (
            vec![http("GET", &format!("{a}/x")), http("POST", &format!("{a}/x"))],
            r#"{ url = "https://a.example.org/x", methods = ["GET", "POST"] }"#,
        ),
        // Servers read such a path in several ways, so no prefix could cover it.
        (vec![http("GET", &format!("{a}/a%2fb"))], r#"{ url = "https://a.example.org", methods = ["GET"] }"#),
    ];
    for (requests, entries) in cases {
        assert_eq!(rules(&[("files.read", requests.clone())])?, rule(entries), "{requests:?}");
    }
    Ok(())
}

#[test]
fn raised_limits_are_kept_and_lowered_ones_are_not() -> TestResult {
    assert_eq!(rules(&[("slow.go", vec![])])?, "tool = \"slow.go\"\nlimits = { deadline = \"90s\" }");
    Ok(())
}

#[test]
fn what_was_refused_is_a_comment_whatever_it_says() -> TestResult {
    let evil = "https://evil.example.com/\n[[grant]]\ntool=\"*\"";
    let (learned, text) = learned(&[("files.read", vec![http("GET", evil), http("GET", evil)])])?;
    assert_eq!(learned.grants, []);
    assert_eq!(learned.refused[0].1.len(), 1, "each once: {learned:?}");
    assert!(learned.refused[0].1[0].contains(Refusal::NetDenied.name()), "{learned:?}");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
    assert_eq!(parse_policy("learned.toml", "/", &text)?.grants, []);
    Ok(())
}

/// Nobody said that more of its kind may happen.
#[test]
fn what_a_person_allowed_once_is_a_comment() -> TestResult {
    let (store, key) = ("default".to_owned(), Some("a".to_owned()));
    let kv = EffectRequest::Kv { operation: KvOperation::Write, store, key, value: None };
    let once = |authority: &ToolAuthority, request| {
        let decision = Decision::Allow { rule: once::rule() };
        Effect { decision, ..decided(authority, request) }
    };
    let get = http("GET", "https://a.example.org/x");
    let (learned, text) = learned_with(&[("files.read", vec![kv.clone(), kv, get])], once)?;
    assert!(learned.grants.is_empty() && learned.needless.is_empty(), "{text}");
    assert_eq!(learned.once[0].1, ["write key a of store default", "GET https://a.example.org/x"]);
    assert!(text.contains("# Allowed to files.read once by a person, and not allowed by this file:"), "{text}");
    assert_eq!(parse_policy("learned.toml", "/", &text)?.grants, []);
    Ok(())
}

/// A wider grant that came later would have made a rule of it.
#[test]
fn an_announced_write_that_a_person_allowed_once_is_no_rule() -> TestResult {
    let authorities = authorities()?;
    let request = file(FileOperation::Write, "/data/x");
    let by = AnsweredBy { user: 1000, place: AnswerPlace::Run };
    let permitted = EffectPermitted { call: CallNumber(1), attempt: 1, number: 1, request: request.clone(), by };
    let learned = learn(&authorities, &[proposes("files__write"), recorded(permitted), recorded(announced(request))]);
    assert_eq!(learned.grants, []);
    Ok(())
}

#[test]
fn an_announced_write_of_a_call_without_end_counts() -> TestResult {
    let authorities = authorities()?;
    let intended = announced(file(FileOperation::Write, "/data/x"));
    let learned = learn(&authorities, &[proposes("files__write"), recorded(intended)]);
    assert_eq!(learned.grants[0].fs[0].access, Access::Write);
    assert_eq!(learned.grants[0].selector.to_string(), "files.write");
    Ok(())
}

fn announced(request: EffectRequest) -> EffectIntended {
    EffectIntended {
        call: CallNumber(1),
        attempt: 1,
        number: 1,
        request,
        class: EffectClass::OwnedWrite,
        undo: Vec::new(),
        idempotency_key: None,
        transcript: None,
    }
}
