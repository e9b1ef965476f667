//! A run in memory whose trace is drawn, and small things to put into it.

use agent_core::answer_events::{RetryFrom, ToolInDoubt};
use agent_core::budget::Budget;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::resolve::ToolAuthority;
use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, Refusal};
use agent_core::event::{EffectIntended, Event, ModelReplied, ModelRequested, Recorded, ToolFinished, ToolStarted};
use agent_core::grant::{Grant, RuleSource};
use agent_core::hardening::Hardening;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::metadata::Metadata;
use agent_core::model::{ModelReply, ProposedCall, TokenUsage};
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Content as Told, MeteredFuel, Metering, Said, ToolOutcome};
use agent_core::run_events::{
    DoubtPolicy, Durability, LockedTool, ModelChoice, Record, RunEnded, RunResumed, RunStarted, Strictness, ToolMode,
};
use agent_core::session::Earlier;
use agent_core::stop::StopReason;
use agent_core::tool::ToolDescriptor;
use agent_core::trace::names;
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Ended, Span, SpanId};
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};

pub(crate) const ANSWER: &str = "the answer that nobody may read";

/// A run in memory, each event a hundred milliseconds after the one before.
pub(crate) struct Run {
    pub(crate) events: Vec<Recorded>,
}

impl Run {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn beginning(mut self, change: impl FnOnce(&mut RunStarted)) -> Self {
        let Event::RunStarted(started) = &mut self.events[0].event else { panic!("a run begins so") };
        change(started);
        self
    }

    pub(crate) fn with(mut self, event: impl Into<Event>) -> Self {
        self.record(event);
        self
    }

    pub(crate) fn record(&mut self, event: impl Into<Event>) {
        let last = self.events.last().unwrap();
        let (at, event) = (UnixMillis(last.at.0 + 100), event.into());
        // Who resumes a run or settles a doubt has taken it over first.
        let takes_over = matches!(event, Event::RunResumed(_) | Event::DoubtResolved(_));
        let epoch = last.epoch + u64::from(takes_over);
        self.events.push(Recorded { seq: last.seq + 1, epoch, at, event, ..last.clone() });
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans_with(Content::LeftOut)
    }

    pub(crate) fn spans_with(&self, content: Content) -> Vec<Span> {
        let mut projection = Projection::new(content);
        self.events.iter().flat_map(|event| projection.follow(event, None)).collect()
    }
}

pub(crate) fn locked(name: &str) -> LockedTool {
    let descriptor = ToolDescriptor {
        name: name.parse().unwrap(),
        description: "A tool.".into(),
        input_schema: JsonText::parse(r#"{"type":"object"}"#).unwrap(),
        output_schema: None,
    };
    let (tool, component) = (descriptor.name.clone(), Digest::of(name.as_bytes()));
    let (ceiling, grant) = (Ceiling::nothing(), Grant::nothing());
    let authority = ToolAuthority { tool, component, ceiling, grant, approvals: Vec::new(), denies: Vec::new() };
    LockedTool { descriptor, component, export: None, authority }
}

pub(crate) fn requested(turn: u32, attempt: u32, model: usize) -> ModelRequested {
    ModelRequested { turn, attempt, model }
}

pub(crate) fn replied(turn: u32, text: &str, calls: &[&str]) -> ModelReplied {
    let proposed = |tool: &&str| ProposedCall { id: None, tool: (*tool).into(), arguments: r#"{"order":7}"#.into() };
    let reply = ModelReply {
        text: text.into(),
        calls: calls.iter().map(proposed).collect(),
        usage: TokenUsage::of(100, 7),
        model: "flash-001".into(),
        id: Some("reply-1".into()),
    };
    ModelReplied { turn, reply }
}

pub(crate) fn started(call: u32, attempt: u32) -> ToolStarted {
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
        boot: None,
    }
}

pub(crate) fn finished(call: u32, outcome: ToolOutcome, effects: Vec<Effect>) -> ToolFinished {
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

pub(crate) fn returned(text: &str) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![Told::Text(text.into())] }
}

pub(crate) fn get(url: &str) -> EffectRequest {
    EffectRequest::Http { method: "GET".into(), url: url.into(), body_bytes: Bytes(0), digest: Digest::of(b"") }
}

pub(crate) fn write(path: &str) -> EffectRequest {
    EffectRequest::File { operation: FileOperation::Write, path: path.into(), to: None }
}

pub(crate) fn effect(number: u32, request: EffectRequest, result: EffectResult) -> Effect {
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

pub(crate) fn intended(call: u32, attempt: u32, number: u32, class: EffectClass) -> EffectIntended {
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

pub(crate) fn in_doubt(call: u32) -> ToolInDoubt {
    let (call, request, reason) = (CallNumber(call), write("/data/a"), "?".into());
    let (metering, effects) = (Some(Metering::nothing()), Vec::new());
    ToolInDoubt { call, request, reason, retry: RetryFrom::Record, metering, effects }
}

pub(crate) fn resumed() -> RunResumed {
    RunResumed {
        budget: Budget { turns: 6, ..Budget::STANDARD },
        hardening: Hardening::none("a test"),
        boot: None,
        repaired: None,
    }
}

pub(crate) fn ended(stop: StopReason) -> RunEnded {
    RunEnded { stop, answer: (stop == StopReason::Completed).then(|| ANSWER.into()), detail: None }
}

/// One line for each span: what it is, within what, when, and how it ended.
pub(crate) fn shown(spans: &[Span]) -> Vec<String> {
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
