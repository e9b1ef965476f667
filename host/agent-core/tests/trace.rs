//! The trace as a projection: what each event ends, by tables; and whatever a run does and wherever its host is killed, spans
//! that are well formed, stable and complete.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use agent_core::answer_events::{DoubtResolved, Resolution, ResolvedBy};
use agent_core::client_events::{Client, ToolProposed};
use agent_core::digest::Digest;
use agent_core::effect::{Effect, EffectClass, EffectRequest, EffectResult, FileOperation};
use agent_core::event::{ModelFailed, ToolStarted};
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::name::CallNumber;
use agent_core::outcome::ToolOutcome;
use agent_core::run_events::{ModelChoice, RunEnded, RunResumed, ToolMode};
use agent_core::stop::StopReason;
use agent_core::trace::names::{self, Attribute, Subject};
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Side, Span, Status, Value};
use agent_core::units::{Bytes, UnixMillis};

#[path = "trace/any_run.rs"]
mod any_run;
#[path = "trace/links.rs"]
mod links;
#[path = "trace/run.rs"]
mod run;
#[path = "trace/totals.rs"]
mod totals;

use run::{
    ANSWER, Run, effect, ended, finished, get, in_doubt, intended, replied, requested, resumed, returned, shown,
    started, write,
};

#[test]
fn each_span_comes_with_the_event_that_ends_it() {
    let effects = vec![
        effect(1, get("https://api.example.com/orders/7?token=private"), EffectResult::Done("200".into())),
        effect(2, get("https://elsewhere.example/"), EffectResult::Refused),
    ];
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(ModelFailed { turn: 1, failure: ModelFailure::new(ModelFailureKind::RateLimited, "private words") })
        .with(requested(1, 1, 1))
        .with(replied(1, "I look", &["orders__look-up", "no__such"]))
        .with(started(1, 1))
        .with(finished(2, ToolOutcome::Failed { message: "private failure".into() }, Vec::new()))
        .with(finished(1, returned("private result"), effects))
        .with(requested(2, 1, 0))
        .with(replied(2, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let mut projection = Projection::new(Content::LeftOut);
    let per_event: Vec<usize> = run.events.iter().map(|event| projection.follow(event, None).len()).collect();
    assert_eq!(per_event, [0, 0, 1, 0, 1, 0, 1, 4, 0, 2, 1]);
    assert_eq!(
        shown(&run.spans()),
        [
            "chat flash < turn 1 100..200 !rate_limited",
            "chat replies.toml < turn 1 300..400",
            "execute_tool unknown < turn 1 600..600 !failed",
            "execute_tool orders.look-up < turn 1 500..700",
            "GET < execute_tool orders.look-up 510..560",
            "GET < execute_tool orders.look-up 510..560 !net_denied",
            "turn 1 < invoke_agent support 100..700",
            "chat flash < turn 2 800..900",
            "turn 2 < invoke_agent support 800..900",
            "invoke_agent support < - 0..1000",
        ]
    );
    assert_eq!(projection.interrupted(), []);
    assert_eq!(projection.open(UnixMillis(9_000)), []);
}

#[test]
fn what_is_known_is_said_in_the_words_of_the_conventions() {
    let run = Run::new()
        .with(requested(1, 2, 0))
        .with(replied(1, "", &["orders__look-up"]))
        .with(started(1, 1))
        .with(finished(
            1,
            returned("x"),
            vec![effect(1, get("https://h:8443/p?q=1"), EffectResult::Done("404".into()))],
        ))
        .with(ended(StopReason::MaxTurns));
    let spans = run.spans();
    let find = |subject: Subject| spans.iter().find(|span| span.subject == subject).unwrap();
    let text = |text: &str| Some(Value::Text(text.into()));
    let number = |number: i64| Some(Value::Integer(number));
    let cases: [(Subject, &Attribute, Option<Value>); 27] = [
        (Subject::Run, &names::OPERATION, text("invoke_agent")),
        (Subject::Run, &names::PROVIDER, text("gcp.gemini")),
        (Subject::Run, &names::STOP, text("max-turns")),
        (Subject::Run, &names::ERROR_TYPE, text("max-turns")),
        (Subject::Run, &names::INPUT_TOKENS, number(100)),
        (Subject::Run, &names::FUEL, number(1_000)),
        (Subject::Run, &names::SEQ, number(6)),
        (Subject::Turn, &names::TURN, number(1)),
        (Subject::Model, &names::PROVIDER, text("gcp.gemini")),
        (Subject::Model, &names::RESPONSE_MODEL, text("flash-001")),
        (Subject::Model, &names::SERVER_ADDRESS, text("localhost")),
        (Subject::Model, &names::SERVER_PORT, number(8080)),
        (Subject::Model, &names::OUTPUT_TYPE, text("json")),
        (Subject::Model, &names::REQUEST_TOKENS_MAX, number(1_999)),
        (Subject::Model, &names::REQUEST_TEMPERATURE, Some(Value::Thousandths(0))),
        (Subject::Model, &names::RESPONSE_ID, text("reply-1")),
        (Subject::Model, &names::ATTEMPT, number(2)),
        (Subject::Model, &names::FINISH_REASONS, Some(Value::Texts(vec!["tool_call".into()]))),
        (Subject::Model, &names::INPUT_MESSAGES, None),
        (Subject::Tool, &names::TOOL_NAME, text("orders.look-up")),
        (Subject::Tool, &names::TOOL_CALL_ID, text("call_1")),
        (Subject::Tool, &names::CAPABILITIES, Some(Value::Texts(vec!["http".into()]))),
        (Subject::Tool, &names::EFFECT_CLASS, text("read")),
        (Subject::Effect, &names::URL_FULL, text("https://h:8443/p?REDACTED")),
        (Subject::Effect, &names::SERVER_PORT, number(8443)),
        (Subject::Effect, &names::HTTP_STATUS, number(404)),
        (Subject::Effect, &names::ERROR_TYPE, text("404")),
    ];
    for (subject, attribute, value) in cases {
        assert_eq!(find(subject).get(attribute), value.as_ref(), "{subject:?} {}", attribute.name);
    }
    assert_eq!((find(Subject::Model).side, find(Subject::Effect).side), (Side::Client, Side::Client));
}

#[test]
fn a_providers_own_server_is_named() {
    let asked = |name: &str| {
        let model = ModelChoice { name: name.into(), base_url: None, tool_mode: ToolMode::Native };
        let run = Run::new().beginning(|started| started.models = vec![model]);
        let spans = run.with(requested(1, 1, 0)).with(replied(1, ANSWER, &[])).spans();
        let span = spans.into_iter().find(|span| span.subject == Subject::Model).unwrap();
        assert_eq!(span.get(&names::REQUEST_TOKENS_MAX), None, "that is left to the provider");
        (span.text(&names::SERVER_ADDRESS).map(str::to_owned), span.number(&names::SERVER_PORT))
    };
    assert_eq!(asked("anthropic:claude"), (Some("api.anthropic.com".into()), Some(443)));
    assert_eq!(asked("open-router:some/model"), (Some("openrouter.ai".into()), Some(443)));
    for nowhere in ["vertex:gemini", "scripted:replies.toml", "nobody:m"] {
        assert_eq!(asked(nowhere), (None, None), "{nowhere}");
    }
}

/// What some replies tell is added up over those; what none of them tells is not said to be nothing.
#[test]
fn tokens_are_added_up_over_a_drive() {
    let told = |turn, cache_read, reasoning, calls: &[&str]| {
        let mut body = replied(turn, ANSWER, calls);
        (body.reply.usage.cache_read, body.reply.usage.reasoning) = (cache_read, reasoning);
        body
    };
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(told(1, Some(40), None, &["nobody"]))
        .with(finished(1, ToolOutcome::Failed { message: "x".into() }, Vec::new()))
        .with(requested(2, 1, 0))
        .with(told(2, Some(2), Some(5), &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans();
    let drive = spans.iter().find(|span| span.subject == Subject::Run).unwrap();
    let counts = [
        &names::INPUT_TOKENS,
        &names::OUTPUT_TOKENS,
        &names::CACHE_READ_TOKENS,
        &names::CACHE_WRITE_TOKENS,
        &names::REASONING_TOKENS,
    ];
    assert_eq!(counts.map(|count| drive.number(count)), [Some(200), Some(14), Some(42), None, Some(5)]);
}

#[test]
fn a_call_of_a_client_says_by_which_request_it_came() {
    let client = Client { name: "c".into(), version: "1".into(), protocol: Some("2025-11-25".into()) };
    let (tool, arguments, request) = ("orders__look-up".into(), "{}".into(), Some("7".into()));
    let run = Run::new()
        .beginning(|started| started.models = Vec::new())
        .with(ToolProposed { tool, arguments, client, request })
        .with(started(1, 1))
        .with(finished(1, returned("x"), Vec::new()));
    let spans = run.spans();
    let said = [&names::MCP_METHOD, &names::MCP_PROTOCOL, &names::JSONRPC_REQUEST].map(|name| spans[0].text(name));
    assert_eq!(said, [Some("tools/call"), Some("2025-11-25"), Some("7")]);
}

#[test]
fn words_leave_only_where_they_were_asked_for() {
    let failure = ModelFailure::new(ModelFailureKind::BadRequest, "private words");
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(ModelFailed { turn: 1, failure })
        .with(requested(1, 2, 0))
        .with(replied(1, "private thought", &["orders__look-up", "private__tool"]))
        .with(started(1, 1))
        .with(finished(
            1,
            returned("private result"),
            vec![effect(1, get("https://h/p?private"), EffectResult::Failed("private".into()))],
        ))
        .with(finished(2, ToolOutcome::Failed { message: "private failure".into() }, Vec::new()))
        .with(requested(2, 1, 0))
        .with(replied(2, ANSWER, &[]))
        .with(RunEnded { detail: Some("private detail".into()), ..ended(StopReason::Error) });
    let said = |content| format!("{:?}", run.spans_with(content));
    let left_out = said(Content::LeftOut);
    assert!(!left_out.contains("private") && !left_out.contains(ANSWER), "{left_out}");
    let captured = said(Content::Captured);
    for words in [
        "private words",
        "private thought",
        "private__tool",
        "private result",
        "private failure",
        "https://h/p?private",
        "private detail",
        ANSWER,
        "be brief",
        "where is the private order?",
    ] {
        assert!(captured.contains(words), "{words}");
    }
    let spans = run.spans_with(Content::Captured);
    let last = spans.iter().rfind(|span| span.subject == Subject::Model).unwrap();
    let heard: serde_json::Value = serde_json::from_str(last.text(&names::INPUT_MESSAGES).unwrap()).unwrap();
    let roles: Vec<_> = heard.as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    // The same spans, whatever they say.
    let ids = |spans: &[Span]| spans.iter().map(|span| span.id).collect::<Vec<_>>();
    assert_eq!(ids(&spans), ids(&run.spans()));
}

#[test]
fn what_a_killed_host_left_open_ends_with_it_and_says_so() {
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["files__write"]))
        .with(started(1, 1))
        .with(intended(1, 1, 1, EffectClass::KeyedWrite));
    let mut projection = Projection::new(Content::LeftOut);
    let before: Vec<Span> = run.events.iter().flat_map(|event| projection.follow(event, None)).collect();
    let told = [before, projection.interrupted()].concat();
    assert_eq!(
        shown(&told),
        [
            "chat flash < turn 1 100..200",
            "execute_tool files.write < turn 1 300..400 !interrupted interrupted",
            "file.write < execute_tool files.write 400..400 !interrupted interrupted",
            "turn 1 < invoke_agent support 100..400 !interrupted interrupted",
            "invoke_agent support < - 0..400 !interrupted interrupted",
        ]
    );
    let key = Digest::of(b"ah1-key").to_string();
    assert_eq!(told[2].text(&names::EFFECT_KEY), Some(key.as_str()), "who reads it cannot use it");
    let open = shown(&projection.open(UnixMillis(450)));
    assert_eq!(open.len(), 4);
    assert!(open[0].ends_with("0..450 open"), "{open:?}");

    // A resume ends the same spans, whenever it comes; the drive that follows links to the one before.
    let run = run
        .with(resumed())
        .with(in_doubt(1))
        .with(ended(StopReason::SuspendedDoubt))
        .with(DoubtResolved {
            call: CallNumber(1),
            resolution: Resolution::Happened("it did".into()),
            by: ResolvedBy::Policy,
        })
        .with(RunResumed { repaired: Some(Bytes(24)), ..resumed() })
        .with(requested(2, 1, 0))
        .with(replied(2, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans();
    assert_eq!(spans[..told.len()], told[..]);
    let drives: Vec<&Span> = spans.iter().filter(|span| span.subject == Subject::Run).collect();
    assert_eq!(
        drives.iter().map(|span| span.links.iter().map(|link| link.span).collect()).collect::<Vec<Vec<_>>>(),
        [vec![], vec![drives[0].id], vec![drives[1].id]]
    );
    assert!(drives.iter().all(|span| span.parent.is_none()));
    let repaired: Vec<_> = drives.iter().map(|span| span.number(&names::REPAIRED)).collect();
    assert_eq!(repaired, [None, None, Some(24)]);
    assert_eq!(drives[1].status, Status::Fine, "to wait for a person is no failure");
    let notes: Vec<Vec<&str>> = drives.iter().map(|span| span.notes.iter().map(|note| note.name).collect()).collect();
    assert_eq!(notes, [vec![], vec!["agenthost.call_in_doubt"], vec!["agenthost.doubt_resolved"]]);
}

/// What was done before the kill has its spans there, and happened once.
#[test]
fn an_attempt_that_continues_another_says_so_and_shows_only_what_is_its_own() {
    let done = |number, url: &str| effect(number, get(url), EffectResult::Done("200".into()));
    let told_again = Effect { replayed: true, ..done(1, "https://h/a") };
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["orders__look-up"]))
        .with(started(1, 1))
        .with(resumed())
        .with(ToolStarted { continues: Some(1), ..started(1, 2) })
        .with(finished(1, returned("x"), vec![told_again, done(2, "https://h/b")]));
    let spans = run.spans();
    let tools: Vec<_> = spans.iter().filter(|span| span.subject == Subject::Tool).collect();
    let flags: Vec<_> = tools.iter().map(|span| span.get(&names::REPLAYED)).collect();
    assert_eq!(flags, [None, Some(&Value::Flag(true))]);
    let effects: Vec<_> = spans.iter().filter(|span| span.subject == Subject::Effect).collect();
    assert_eq!(effects.iter().map(|span| span.text(&names::URL_FULL)).collect::<Vec<_>>(), [Some("https://h/b")]);
    assert_eq!(tools[1].number(&names::EFFECTS), Some(1));
}

#[test]
fn a_clock_that_goes_backwards_makes_no_negative_time() {
    let mut run = Run::new().with(requested(1, 1, 0)).with(replied(1, ANSWER, &[])).with(ended(StopReason::Completed));
    run.events[2].at = UnixMillis(50);
    run.events[3].at = UnixMillis(0);
    for span in run.spans() {
        assert!(span.end >= span.start, "{span:?}");
    }
}

#[test]
fn a_thousand_effects_are_counted_and_the_first_of_them_shown() {
    let effects = (1..=1_000).map(|number| effect(number, write("/data/a"), EffectResult::Done(String::new())));
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["files__write"]))
        .with(started(1, 1))
        .with(finished(1, returned("x"), effects.collect()));
    let spans = run.spans();
    let tool = spans.iter().find(|span| span.subject == Subject::Tool).unwrap();
    assert_eq!(spans.iter().filter(|span| span.subject == Subject::Effect).count(), 256);
    assert_eq!((tool.number(&names::EFFECTS), tool.number(&names::EFFECTS_OMITTED)), (Some(1_000), Some(744)));
}

/// A tool cannot push a request out of the picture by a thousand looks.
#[test]
fn what_left_the_machine_is_shown_before_any_look() {
    let look = |number| {
        let request = EffectRequest::File { operation: FileOperation::Read, path: "/data/a".to_owned(), to: None };
        effect(number, request, EffectResult::Done(String::new()))
    };
    let told = effect(1_001, get("https://h/told"), EffectResult::Done("200".into()));
    let effects = (1..=1_000).map(look).chain([told]).collect();
    let mut last = finished(1, returned("x"), effects);
    last.metering.effects_dropped = 7;
    let run =
        Run::new().with(requested(1, 1, 0)).with(replied(1, "", &["files__write"])).with(started(1, 1)).with(last);
    let spans = run.spans();
    let urls: Vec<_> = spans.iter().filter_map(|span| span.text(&names::URL_FULL)).collect();
    assert_eq!(urls, ["https://h/told"]);
    let tool = spans.iter().find(|span| span.subject == Subject::Tool).unwrap();
    let counts = [&names::EFFECTS, &names::EFFECTS_OMITTED, &names::EFFECTS_DROPPED].map(|name| tool.number(name));
    assert_eq!(counts, [Some(1_001), Some(745), Some(7)]);
}

#[test]
fn every_name_is_in_the_table_once() {
    let names: BTreeSet<&str> = names::ALL.iter().map(|attribute| attribute.name).collect();
    assert_eq!(names.len(), names::ALL.len());
}
