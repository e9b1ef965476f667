//! The trace as a projection: what each event ends, by tables; and whatever a run does and wherever its host is killed, spans
//! that are well formed, stable and complete.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use agent_core::budget::Budget;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::resolve::ToolAuthority;
use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, Refusal};
use agent_core::event::{
    DoubtPolicy, DoubtResolved, Durability, EffectDone, EffectIntended, Event, LockedTool, ModelChoice, ModelFailed,
    ModelReplied, ModelRequested, Record, Recorded, Resolution, ResolvedBy, RunEnded, RunRebased, RunResumed,
    RunStarted, Strictness, ToolFinished, ToolInDoubt, ToolMode, ToolStarted,
};
use agent_core::file_events::CallUndone;
use agent_core::grant::{Grant, RuleSource};
use agent_core::hardening::Hardening;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::machine::{self, Action};
use agent_core::metadata::Metadata;
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ProposedCall, TokenUsage};
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Content as Told, Fault, MeteredFuel, Metering, Said, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::session::{Earlier, EarlierRun, ForkedFrom, SessionPlace};
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::tool::ToolDescriptor;
use agent_core::trace::names::{self, Attribute, Holds, Level, Subject};
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Ended, Side, Span, SpanId, Status, TraceId, Value};
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};
use proptest::prelude::*;

const ANSWER: &str = "the answer that nobody may read";

/// A run in memory, each event a hundred milliseconds after the one before.
struct Run {
    events: Vec<Recorded>,
}

impl Run {
    fn new() -> Self {
        let started = RunStarted {
            agent: "support".parse().unwrap(),
            agent_file: Some(Digest::of(b"file")),
            instructions: "be brief".into(),
            input: "where is the private order?".into(),
            models: vec![
                ModelChoice {
                    name: "gemini:flash".into(),
                    base_url: Some("http://localhost:8080/v1".into()),
                    tool_mode: ToolMode::Json,
                },
                ModelChoice {
                    name: "scripted:/home/me/replies.toml".into(),
                    base_url: None,
                    tool_mode: ToolMode::Native,
                },
            ],
            tools: vec![locked("orders.look-up"), locked("files.write")],
            budget: Budget { turns: 6, ..Budget::STANDARD },
            durability: Durability::Strict,
            record: Record::Effects,
            strictness: Strictness::Standard,
            hardening: Hardening::none("a test"),
            session: None,
            earlier: Earlier::default(),
            meta: Metadata::default(),
            forked_from: None,
            doubt: DoubtPolicy::Ask,
        };
        let run = RunId::from_parts(UnixMillis(0), [7; 10]);
        Self { events: vec![Recorded { run, seq: 1, epoch: 1, at: UnixMillis(0), event: started.into() }] }
    }

    fn with(mut self, event: impl Into<Event>) -> Self {
        self.record(event);
        self
    }

    fn record(&mut self, event: impl Into<Event>) {
        let last = self.events.last().unwrap();
        let (at, event) = (UnixMillis(last.at.0 + 100), event.into());
        // Who resumes a run or settles a doubt has taken it over first.
        let takes_over = matches!(event, Event::RunResumed(_) | Event::DoubtResolved(_));
        let epoch = last.epoch + u64::from(takes_over);
        self.events.push(Recorded { seq: last.seq + 1, epoch, at, event, ..last.clone() });
    }

    fn spans(&self) -> Vec<Span> {
        self.spans_with(Content::LeftOut)
    }

    fn spans_with(&self, content: Content) -> Vec<Span> {
        let mut projection = Projection::new(content);
        self.events.iter().flat_map(|event| projection.follow(event, None)).collect()
    }
}

fn locked(name: &str) -> LockedTool {
    let descriptor = ToolDescriptor {
        name: name.parse().unwrap(),
        description: "A tool.".into(),
        input_schema: JsonText::parse(r#"{"type":"object"}"#).unwrap(),
    };
    let (tool, component) = (descriptor.name.clone(), Digest::of(name.as_bytes()));
    let (ceiling, grant) = (Ceiling::nothing(), Grant::nothing());
    let authority = ToolAuthority { tool, component, ceiling, grant, approvals: Vec::new(), denies: Vec::new() };
    LockedTool { descriptor, component, authority }
}

fn requested(turn: u32, attempt: u32, model: usize) -> ModelRequested {
    ModelRequested { turn, attempt, model }
}

fn replied(turn: u32, text: &str, calls: &[&str]) -> ModelReplied {
    let proposed = |tool: &&str| ProposedCall { id: None, tool: (*tool).into(), arguments: r#"{"order":7}"#.into() };
    let reply = ModelReply {
        text: text.into(),
        calls: calls.iter().map(proposed).collect(),
        usage: TokenUsage { input: 100, output: 7 },
        model: "flash-001".into(),
    };
    ModelReplied { turn, reply }
}

fn started(call: u32, attempt: u32) -> ToolStarted {
    ToolStarted {
        call: CallNumber(call),
        attempt,
        component: Digest::of(b"orders.look-up"),
        fuel: Limits::STANDARD.fuel,
        authority: Digest::of(b""),
        seed: String::new(),
        clock_start: UnixMillis(0),
        engine: "test".into(),
        continues: None,
    }
}

fn finished(call: u32, outcome: ToolOutcome, effects: Vec<Effect>) -> ToolFinished {
    let metering = Metering { fuel: MeteredFuel::Exact(Fuel(1_000)), memory_peak: Bytes(64), ..Metering::nothing() };
    ToolFinished {
        call: CallNumber(call),
        outcome,
        metering,
        effects,
        said: Said::default(),
        hidden: 0,
        transcript: None,
    }
}

fn returned(text: &str) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![Told::Text(text.into())] }
}

fn get(url: &str) -> EffectRequest {
    EffectRequest::Http { method: "GET".into(), url: url.into(), body_bytes: Bytes(0), digest: Digest::of(b"") }
}

fn write(path: &str) -> EffectRequest {
    EffectRequest::File { operation: FileOperation::Write, path: path.into(), to: None }
}

fn effect(number: u32, request: EffectRequest, result: EffectResult) -> Effect {
    let decision = match result {
        EffectResult::Refused => Decision::Deny { refusal: Refusal::NetDenied, rule: "no rule".into(), hint: None },
        _ => Decision::Allow { rule: RuleSource("policy.toml:3".into()) },
    };
    Effect {
        number,
        class: request.class(false),
        egress: request.is_egress(),
        decision,
        secrets: Vec::new(),
        result,
        bytes_out: Bytes(3),
        bytes_in: Bytes(9),
        at: Millis(10),
        duration: Millis(50),
        replayed: false,
        request,
    }
}

fn intended(call: u32, attempt: u32, number: u32, class: EffectClass) -> EffectIntended {
    EffectIntended {
        call: CallNumber(call),
        attempt,
        number,
        request: write("/data/a"),
        class,
        undo: Vec::new(),
        idempotency_key: (class == EffectClass::KeyedWrite).then(|| "ah1-key".into()),
        transcript: (class > EffectClass::OwnedWrite).then(|| Digest::of(b"")),
    }
}

fn resumed() -> RunResumed {
    RunResumed { budget: Budget { turns: 6, ..Budget::STANDARD }, hardening: Hardening::none("a test") }
}

fn ended(stop: StopReason) -> RunEnded {
    RunEnded { stop, answer: (stop == StopReason::Completed).then(|| ANSWER.into()), detail: None }
}

/// One line for each span: what it is, within what, when, and how it ended.
fn shown(spans: &[Span]) -> Vec<String> {
    let name = |id: SpanId| spans.iter().find(|span| span.id == id).map_or("?", |span| span.name.as_str());
    let line = |span: &Span| {
        let parent = span.parent.map_or_else(|| "-".to_owned(), |parent| name(parent).to_owned());
        let error = span.text(&names::ERROR_TYPE).map(|error| format!(" !{error}")).unwrap_or_default();
        let how = match span.ended {
            Ended::Done => "",
            Ended::Interrupted => " interrupted",
            Ended::Open => " open",
        };
        format!("{} < {parent} {}..{}{error}{how}", span.name, span.start.0, span.end.0)
    };
    spans.iter().map(line).collect()
}

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
    let cases: [(Subject, &Attribute, Option<Value>); 24] = [
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
    assert_eq!(told[2].text(&names::EFFECT_KEY), Some("ah1-key"));
    let open = shown(&projection.open(UnixMillis(450)));
    assert_eq!(open.len(), 4);
    assert!(open[0].ends_with("0..450 open"), "{open:?}");

    // A resume ends the same spans, whenever it comes; the drive that follows links to the one before.
    let run = run
        .with(resumed())
        .with(ToolInDoubt { call: CallNumber(1), request: write("/data/a"), reason: "?".into() })
        .with(ended(StopReason::SuspendedDoubt))
        .with(DoubtResolved {
            call: CallNumber(1),
            resolution: Resolution::Happened("it did".into()),
            by: ResolvedBy::Policy,
        })
        .with(resumed())
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
    assert_eq!(drives[1].status, Status::Fine, "to wait for a person is no failure");
    let notes: Vec<Vec<&str>> = drives.iter().map(|span| span.notes.iter().map(|note| note.name).collect()).collect();
    assert_eq!(notes, [vec![], vec!["agenthost.call_in_doubt"], vec!["agenthost.doubt_resolved"]]);
}

impl Run {
    fn beginning(mut self, change: impl FnOnce(&mut RunStarted)) -> Self {
        let Event::RunStarted(started) = &mut self.events[0].event else { panic!("a run begins so") };
        change(started);
        self
    }
}

#[test]
fn a_fork_sends_only_what_is_its_own_and_links_to_where_it_came_from() {
    let origin = RunId::from_parts(UnixMillis(9), [9; 10]);
    let from = ForkedFrom { run: origin.clone(), seq: 4, hash: Digest::of(b"") };
    let copied = Run::new()
        .beginning(|started| started.forked_from = Some(from))
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["orders__look-up"]))
        .with(finished(1, returned("x"), Vec::new()));
    let mut projection = Projection::new(Content::Captured);
    for event in &copied.events {
        assert_eq!(projection.follow(event, None), [], "it happened in the other run");
    }
    assert_eq!((projection.interrupted(), projection.open(UnixMillis(900))), (vec![], vec![]));
    let run = copied
        .with(resumed())
        .with(requested(2, 1, 0))
        .with(replied(2, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans_with(Content::Captured);
    assert_eq!(shown(&spans)[2], "invoke_agent support < - 400..700");
    assert_eq!(spans.len(), 3);
    let first = SpanId::of(&origin, 1, ("invoke_agent", 0));
    assert_eq!(
        spans[2].links.iter().map(|link| (link.trace, link.span)).collect::<Vec<_>>(),
        [(TraceId::of(&origin), first)]
    );
    assert_eq!(spans[2].text(&names::FORKED_FROM), Some(origin.as_str()));
    assert!(
        spans[0].text(&names::INPUT_MESSAGES).unwrap().contains("tool_call_response"),
        "what was said there counts"
    );
}

#[test]
fn a_run_of_a_session_names_it_and_links_to_the_one_before() {
    let before = RunId::from_parts(UnixMillis(9), [9; 10]);
    let earlier = EarlierRun { run: before.clone(), conversation: Digest::of(b""), bytes: 3 };
    let run = Run::new()
        .beginning(|started| {
            started.session = Some(SessionPlace { name: "orders".parse().unwrap(), place: 2 });
            started.earlier = Earlier { runs: vec![earlier], left_out: 0 };
        })
        .with(requested(1, 1, 0))
        .with(replied(1, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans();
    assert_eq!(spans[2].links.first().map(|link| link.trace), Some(TraceId::of(&before)));
    for span in [&spans[0], &spans[2]] {
        assert_eq!(span.text(&names::CONVERSATION), Some("orders"));
    }
}

#[test]
fn a_rebased_run_goes_on_under_other_names() {
    let tools = vec![locked("files.write")];
    let models = vec![ModelChoice { name: "openai:new".into(), base_url: None, tool_mode: ToolMode::Native }];
    let moved =
        RunRebased { agent: "other".parse().unwrap(), agent_file: None, instructions: String::new(), models, tools };
    let run = Run::new()
        .with(ended(StopReason::MaxTurns))
        .with(moved)
        .with(resumed())
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["files__write", "orders__look-up"]))
        .with(finished(2, ToolOutcome::Failed { message: "x".into() }, Vec::new()));
    let spans = run.spans();
    let called: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(called, ["invoke_agent support", "chat new", "execute_tool unknown"]);
    let open = run.events.iter().fold(Projection::new(Content::LeftOut), |mut projection, event| {
        projection.follow(event, None);
        projection
    });
    let drive = &open.open(UnixMillis(900))[0];
    assert_eq!((drive.name.as_str(), drive.notes[0].name), ("invoke_agent other", "agenthost.run_rebased"));
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

#[test]
fn every_name_is_in_the_table_once() {
    let names: BTreeSet<&str> = names::ALL.iter().map(|attribute| attribute.name).collect();
    assert_eq!(names.len(), names::ALL.len());
}

/// What every span must be, whatever the run.
fn check(span: &Span) -> Result<(), String> {
    let subject = span.subject;
    for attribute in names::ALL.iter().filter(|attribute| attribute.level(subject) == Some(Level::Required)) {
        if span.get(attribute).is_none() {
            return Err(format!("{subject:?} lacks {}", attribute.name));
        }
    }
    check_all(&span.attributes, subject)?;
    span.notes.iter().try_for_each(|note| check_all(&note.attributes, Subject::Note))?;
    if span.end < span.start {
        return Err(format!("{} ends before it begins", span.name));
    }
    if matches!(span.status, Status::Failed(_)) != span.get(&names::ERROR_TYPE).is_some() {
        return Err(format!("{} fails without a kind, or the other way round", span.name));
    }
    Ok(())
}

fn check_all(attributes: &[(&'static Attribute, Value)], subject: Subject) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (attribute, value) in attributes {
        let holds = match value {
            Value::Text(_) => Holds::Text,
            Value::Texts(_) => Holds::Texts,
            Value::Integer(_) => Holds::Integer,
            Value::Flag(_) => Holds::Flag,
        };
        let known = names::ALL.iter().any(|known| known.name == attribute.name);
        if !known || attribute.holds != holds || attribute.level(subject).is_none() || !seen.insert(attribute.name) {
            return Err(format!("{} on {subject:?}: {value:?}", attribute.name));
        }
    }
    Ok(())
}

/// A run that does what the choices say, by way of the machine.
fn any_run(choices: &[u8]) -> Run {
    let mut run = Run::new();
    let mut choices = choices.iter().copied();
    let mut running: Vec<(CallNumber, u32, bool)> = Vec::new();
    for _ in 0..200 {
        let choice = choices.next().unwrap_or(200);
        let state = State::fold(&run.events).unwrap().unwrap();
        let resumable = state.stopped.as_ref().is_none_or(|stopped| stopped.stop.is_resumable());
        if choice < 25 && resumable {
            running.clear();
            run.record(resumed());
            continue;
        }
        match machine::next(&state) {
            Action::CallModel { turn, attempt, model, .. } => {
                run.record(requested(turn, attempt, model));
                match choice {
                    25..40 => {}
                    40..80 => {
                        run.record(ModelFailed { turn, failure: ModelFailure::new(ModelFailureKind::Network, "x") });
                    }
                    80..110 => run.record(replied(turn, ANSWER, &[])),
                    _ => run.record(replied(turn, "", &["files__write", "orders__look-up", "nobody"])),
                }
            }
            Action::CallTool { call, attempt, .. } => {
                run.record(started(call.0, attempt));
                let class = match choice % 4 {
                    0 => Some(EffectClass::OwnedWrite),
                    1 => Some(EffectClass::OpaqueWrite),
                    _ => None,
                };
                if let Some(class) = class {
                    run.record(intended(call.0, attempt, 1, class));
                }
                running.push((call, attempt, class == Some(EffectClass::OpaqueWrite)));
            }
            Action::SettleCall { call, outcome } => run.record(finished(call.0, outcome, Vec::new())),
            Action::UndoCall(call) => {
                let Some(CallStatus::Interrupted(attempt)) = state.call(call).map(|call| &call.status) else { break };
                run.record(CallUndone { call, attempt: attempt.number, restored: 1 });
            }
            Action::MarkInDoubt { call, request, reason } => run.record(ToolInDoubt { call, request, reason }),
            Action::Wait if running.is_empty() => run.record(resumed()),
            Action::Wait => {
                let (call, attempt, sent) = running.remove(usize::from(choice) % running.len());
                let effect = effect(1, write("/data/a"), EffectResult::Done(String::new()));
                if sent {
                    run.record(EffectDone { call, attempt, effect: effect.clone(), answer: None });
                }
                let outcome = match choice % 3 {
                    0 => ToolOutcome::Faulted { fault: Fault::FuelExhausted, message: "x".into() },
                    _ => returned("x"),
                };
                run.record(finished(call.0, outcome, vec![effect]));
            }
            Action::Finish(ended) => run.record(ended),
            Action::AskApproval(_) | Action::SettleDoubt { .. } | Action::Reconcile(_) => break,
            Action::Rest => match state.stopped.map(|stopped| stopped.stop) {
                Some(StopReason::SuspendedDoubt) => {
                    let doubtful = match &state.phase {
                        agent_core::state::Phase::Acting(calls) => {
                            calls.iter().find(|call| matches!(call.status, CallStatus::InDoubt { .. }))
                        }
                        _ => None,
                    };
                    let resolution =
                        if choice.is_multiple_of(2) { Resolution::DidNotHappen } else { Resolution::Retry };
                    let Some(call) = doubtful.map(|call| call.number) else { break };
                    run.record(DoubtResolved { call, resolution, by: ResolvedBy::Policy });
                    run.record(resumed());
                }
                _ => break,
            },
        }
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Killed after any event: what ended before and what the kill ended are spans as they should be, all of one trace, each
    /// within another that is there too; and nothing that comes later changes one of them.
    #[test]
    fn any_beginning_of_a_run_is_a_whole_trace(choices in proptest::collection::vec(any::<u8>(), 0..120)) {
        let run = any_run(&choices);
        let all: BTreeMap<SpanId, Span> = run.spans().into_iter().map(|span| (span.id, span)).collect();
        prop_assert_eq!(all.len(), run.spans().len(), "each identifier once");
        let mut projection = Projection::new(Content::LeftOut);
        let mut told: Vec<Span> = Vec::new();
        for (index, event) in run.events.iter().enumerate() {
            told.extend(projection.follow(event, None));
            let interrupted = projection.interrupted();
            let spans: BTreeMap<SpanId, &Span> = told.iter().chain(&interrupted).map(|span| (span.id, span)).collect();
            prop_assert_eq!(spans.len(), told.len() + interrupted.len(), "each identifier once");
            for span in spans.values() {
                prop_assert!(check(span).is_ok(), "{:?}", check(span));
                prop_assert_eq!(span.trace, TraceId::of(&event.run));
                prop_assert_ne!(span.ended, Ended::Open);
                if let Some(parent) = span.parent {
                    let Some(parent) = spans.get(&parent) else { panic!("{} is part of nothing", span.name) };
                    prop_assert!(parent.start <= span.start && span.end <= parent.end, "{} in {}", span.name, parent.name);
                } else {
                    prop_assert_eq!(span.subject, Subject::Run);
                }
            }
            for span in projection.open(UnixMillis(event.at.0 + 10)) {
                prop_assert!(check(&span).is_ok(), "{:?}", check(&span));
                prop_assert!(span.ended == Ended::Open || span.subject == Subject::Effect);
            }
            // What the next event would end first if the host were gone is what it does end, where it is.
            if run.events.get(index + 1).is_some_and(|next| next.epoch != event.epoch) {
                for span in interrupted {
                    prop_assert_eq!(all.get(&span.id), Some(&span));
                }
            }
        }
        prop_assert_eq!(told, run.spans());
        let drives = run.events.iter().filter(|event| matches!(event.event, Event::RunStarted(_) | Event::RunResumed(_))).count();
        let open = projection.open(UnixMillis(0)).len().min(1);
        prop_assert_eq!(all.values().filter(|span| span.subject == Subject::Run).count() + open, drives);
    }
}
