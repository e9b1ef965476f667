//! One run, made by hand, with a bit of everything: what the snapshots show.

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, DoubtResolved, Resolution, ResolvedBy, RetryFrom, ToolInDoubt,
};
use agent_core::budget::Budget;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::resolve::ToolAuthority;
use agent_core::digest::Digest;
use agent_core::effect::{
    Before, Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, Refusal, UndoEntry,
};
use agent_core::event::{
    EffectIntended, Event, ModelFailed, ModelReplied, ModelRequested, Recorded, ToolFinished, ToolStarted,
};
use agent_core::file_events::{AttemptUndone, CallUndone, ChangesUndone, PathsMarked};
use agent_core::grant::{Grant, RuleSource};
use agent_core::hardening::{Hardening, Wall};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::metadata::Metadata;
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ProposedCall, TokenUsage};
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Content, Fault, MeteredFuel, Metering, Printed, Said, ToolOutcome};
use agent_core::path_state::{Becoming, Mark, PathKind, PathMark, Stamp};
use agent_core::run_events::{
    DoubtPolicy, Durability, LockedTool, ModelChoice, Record, RunEnded, RunResumed, RunStarted, Strictness, ToolMode,
};
use agent_core::session::{Earlier, EarlierRun, SessionPlace};
use agent_core::stop::StopReason;
use agent_core::tool::ToolDescriptor;
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};

/// When the sample runs begin: 2023-11-14 22:13:20 UTC.
const BEGIN: u64 = 1_700_000_000_000;

/// The `number`th sample run's identifier.
pub(crate) fn run_id(number: u64) -> RunId {
    RunId::from_parts(UnixMillis(BEGIN + number), [7; 10])
}

/// The `seq`th event's time.
pub(crate) fn at(seq: u64) -> UnixMillis {
    UnixMillis(BEGIN + 250 * (seq - 1))
}

fn hardening() -> Hardening {
    Hardening {
        landlock: Wall::up("ABI 7"),
        seccomp: Wall::up(""),
        no_new_privileges: Wall::up(""),
        private_memory: Wall::up(""),
    }
}

/// How a run begins, and its events after that.
pub(crate) fn started() -> RunStarted {
    RunStarted {
        agent: "support".parse().unwrap(),
        agent_file: None,
        instructions: "Help.".to_owned(),
        input: "Order 7 is late.\nTell the customer.".to_owned(),
        models: vec![
            ModelChoice { name: "scripted:demo".to_owned(), base_url: None, tool_mode: ToolMode::Native },
            ModelChoice { name: "ollama:small".to_owned(), base_url: None, tool_mode: ToolMode::Json },
        ],
        tools: vec![tool("orders.look-up"), tool("orders.notify"), tool("files.read")],
        budget: Budget::STANDARD,
        durability: Durability::Strict,
        record: Record::Effects,
        strictness: Strictness::Standard,
        doubt: DoubtPolicy::Ask,
        hardening: hardening(),
        session: Some(SessionPlace { name: "orders".parse().unwrap(), place: 2 }),
        earlier: Earlier { runs: vec![earlier()], left_out: 0 },
        meta: Metadata::of(["team=support", "ticket=OR-7"].map(|entry| entry.parse().unwrap())).unwrap(),
        forked_from: None,
    }
}

fn earlier() -> EarlierRun {
    EarlierRun { run: run_id(0), conversation: Digest::of(b"conversation"), bytes: 12 }
}

/// What the events name beside themselves, by what its digests are of.
pub(crate) fn kept() -> Vec<String> {
    let tools = started().tools;
    let components = tools.iter().map(|tool| tool.descriptor.name.to_string());
    components.chain(["conversation", "transcript"].map(str::to_owned)).collect()
}

/// What happens after [`started`].
pub(crate) fn events() -> Vec<Event> {
    let failure = ModelFailure {
        kind: ModelFailureKind::RateLimited,
        message: "too many requests: try again in 2 s".to_owned(),
        retry_after: Some(Millis(2_000)),
    };
    vec![
        requested(1, 1),
        ModelFailed { turn: 1, failure }.into(),
        requested(1, 2),
        replied(
            1,
            "I look at the order first.",
            &[("orders__look-up", r#"{"order":7}"#), ("files__read", r#"{"path":"/etc/passwd"}"#)],
        ),
        tool_started(1),
        tool_started(2),
        finished(2, ToolOutcome::Failed { message: "cannot open /etc/passwd".to_owned() }, vec![refused()]),
        finished(1, returned(r#"{"order":7,"state":"late","days":3}"#), vec![looked_up()]),
        requested(2, 1),
        replied(2, "", &[("orders__notify", r#"{"order":7,"text":"Sorry\u202e, it is late."}"#), ("no__such", "{}")]),
        tool_started(3),
        intended(3),
        RunResumed { budget: Budget::STANDARD, hardening: hardening(), boot: None, repaired: Some(Bytes(4_144)) }
            .into(),
        ToolInDoubt {
            call: CallNumber(3),
            request: post(),
            reason: "the host ended before the answer came".to_owned(),
            retry: RetryFrom::Record,
            metering: None,
            effects: Vec::new(),
        }
        .into(),
        RunEnded {
            stop: StopReason::SuspendedDoubt,
            answer: None,
            detail: Some("call 3 may have happened".to_owned()),
        }
        .into(),
        DoubtResolved {
            call: CallNumber(3),
            resolution: Resolution::Happened("the customer was told".to_owned()),
            by: ResolvedBy::Person(AnsweredBy { user: 1000, place: AnswerPlace::Command }),
        }
        .into(),
        RunResumed { budget: Budget::STANDARD, hardening: hardening(), boot: None, repaired: None }.into(),
        finished(
            4,
            ToolOutcome::Faulted { fault: Fault::FuelExhausted, message: "more than 200 G fuel\u{1b}[2J".to_owned() },
            Vec::new(),
        ),
        requested(3, 1),
        replied(3, "The customer\u{200b} knows.\n\nAnything else?", &[]),
        RunEnded {
            stop: StopReason::Completed,
            answer: Some("The customer\u{200b} knows.\n\nAnything else?".to_owned()),
            detail: None,
        }
        .into(),
    ]
}

/// The whole run, as the journal would give it.
pub(crate) fn recorded() -> Vec<Recorded> {
    let all = std::iter::once(Event::from(started())).chain(events());
    let recorded = |(index, event)| {
        let seq = index as u64 + 1;
        Recorded { run: run_id(1), seq, epoch: 1 + u64::from(seq >= 14), at: at(seq), event }
    };
    all.enumerate().map(recorded).collect()
}

/// A run in which two calls change files, one of them is stopped, and a person has the first one undone.
pub(crate) fn writing() -> Vec<Recorded> {
    let mut events = vec![
        Event::from(started()),
        requested(1, 1),
        replied(1, "", &[("orders__notify", "{}"), ("files__read", "{}")]),
        tool_started(1),
        owned(1, vec![entry("notes.txt", Some((5, 12))), entry("new/\u{1b}[2J.txt", None), entry("old", Some((6, 3)))]),
        marked(1, vec![left(0, Some((5, 30))), left(1, Some((7, 2_000))), left(2, None)]),
        finished(1, returned("{}"), Vec::new()),
        tool_started(2),
        owned(2, vec![entry("notes.txt", Some((5, 30)))]),
        CallUndone { call: CallNumber(2), attempt: 1, restored: 1 }.into(),
        finished(2, ToolOutcome::Faulted { fault: Fault::GuestTrap, message: "trap".to_owned() }, Vec::new()),
        requested(2, 1),
        replied(2, "Done.", &[]),
        RunEnded { stop: StopReason::Completed, answer: Some("Done.".to_owned()), detail: None }.into(),
    ];
    let undone = AttemptUndone { call: CallNumber(1), attempt: 1, restored: 2, left: vec![0] };
    events.push(ChangesUndone { attempts: vec![undone] }.into());
    let recorded = |(seq, event): (u64, Event)| Recorded { run: run_id(2), seq, epoch: 1, at: at(seq), event };
    (1..).zip(events).map(recorded).collect()
}

fn stamp((inode, size): (u64, u64)) -> Stamp {
    Stamp { kind: PathKind::File, device: None, inode, size: Bytes(size), modified_ns: 1, changed_ns: 1 }
}

fn entry(path: &str, was: Option<(u64, u64)>) -> UndoEntry {
    UndoEntry {
        mount: "/data".to_owned(),
        root: 1,
        path: path.to_owned(),
        before: was.map_or(Before::Absent, |(_, size)| Before::Length(Bytes(size))),
        was: was.map(stamp),
        owner: None,
        attributes: Vec::new(),
        becoming: Becoming::Itself,
    }
}

fn left(entry: u32, left: Option<(u64, u64)>) -> PathMark {
    PathMark { entry, is: Mark::Left(left.map(stamp)) }
}

fn owned(call: u32, undo: Vec<UndoEntry>) -> Event {
    let request = EffectRequest::File { operation: FileOperation::Write, path: "/data/notes.txt".to_owned(), to: None };
    EffectIntended {
        call: CallNumber(call),
        attempt: 1,
        number: 1,
        request,
        class: EffectClass::OwnedWrite,
        undo,
        idempotency_key: None,
        transcript: None,
    }
    .into()
}

fn marked(call: u32, marks: Vec<PathMark>) -> Event {
    PathsMarked { call: CallNumber(call), attempt: 1, boot: 1, marks }.into()
}

/// A tool that holds nothing.
pub(crate) fn tool(name: &str) -> LockedTool {
    let descriptor = ToolDescriptor {
        name: name.parse().unwrap(),
        description: "A tool.".to_owned(),
        input_schema: JsonText::parse(r#"{"type":"object"}"#).unwrap(),
        output_schema: None,
    };
    let tool = descriptor.name.clone();
    let (ceiling, grant) = (Ceiling::nothing(), Grant::nothing());
    let component = Digest::of(name.as_bytes());
    let authority = ToolAuthority { tool, component, ceiling, grant, approvals: Vec::new(), denies: Vec::new() };
    LockedTool { descriptor, component, export: None, authority }
}

fn requested(turn: u32, attempt: u32) -> Event {
    ModelRequested { turn, attempt, model: 0 }.into()
}

fn replied(turn: u32, text: &str, calls: &[(&str, &str)]) -> Event {
    let proposed = |(tool, arguments): &(&str, &str)| ProposedCall {
        id: None,
        tool: (*tool).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    let reply = ModelReply {
        text: text.to_owned(),
        calls: calls.iter().map(proposed).collect(),
        usage: TokenUsage::of(1_000, 40),
        model: "demo-1".to_owned(),
        id: None,
    };
    ModelReplied { turn, reply }.into()
}

fn tool_started(call: u32) -> Event {
    ToolStarted {
        call: CallNumber(call),
        attempt: 1,
        component: Digest::of(b"component"),
        fuel: Limits::STANDARD.fuel,
        authority: Digest::of(b"authority"),
        seed: "00".repeat(32),
        clock_start: at(1),
        engine: "wasmtime".to_owned(),
        continues: None,
        boot: None,
    }
    .into()
}

fn finished(call: u32, outcome: ToolOutcome, effects: Vec<Effect>) -> Event {
    let fuel = match outcome {
        ToolOutcome::Faulted { .. } => MeteredFuel::AtLeast(Fuel(200_000_000_000)),
        _ => MeteredFuel::Exact(Fuel(1_284_000)),
    };
    let metering = Metering {
        fuel,
        memory_peak: Bytes(1_200_000),
        duration: Millis(41),
        host_calls: 12,
        output_dropped: Bytes(0),
        effects_dropped: 0,
        log_dropped: 0,
        log_bytes_dropped: Bytes(0),
    };
    let stderr = if outcome.is_success() { "" } else { "thread 'main' panicked\nnote: a backtrace" }.to_owned();
    let said = Said { stderr: Printed { text: stderr, base64: None }, ..Said::default() };
    ToolFinished {
        call: CallNumber(call),
        hidden: outcome.hidden(),
        outcome,
        metering,
        effects,
        said,
        transcript: None,
    }
    .into()
}

fn returned(json: &str) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![Content::Json(JsonText::parse(json).unwrap())] }
}

fn looked_up() -> Effect {
    let request = EffectRequest::Http {
        method: "GET".to_owned(),
        url: "https://api.example.com/orders/7".to_owned(),
        body_bytes: Bytes(0),
        digest: Digest::of(b"get"),
    };
    Effect {
        number: 1,
        class: request.class(false),
        egress: true,
        decision: Decision::Allow { rule: RuleSource("policy.toml:12".to_owned()) },
        secrets: vec!["ORDERS_TOKEN".parse().unwrap()],
        result: EffectResult::Done("200".to_owned()),
        bytes_out: Bytes(180),
        bytes_in: Bytes(1_210),
        at: Millis(2),
        duration: Millis(38),
        replayed: false,
        request,
    }
}

fn refused() -> Effect {
    let request = EffectRequest::File { operation: FileOperation::Read, path: "/etc/passwd".to_owned(), to: None };
    Effect {
        number: 1,
        class: request.class(false),
        egress: false,
        decision: Decision::Deny {
            refusal: Refusal::FsDenied,
            rule: "nothing allows `/etc/passwd`".to_owned(),
            hint: Some("run with `--allow-read DIR`, or ask for a path below `/data`".to_owned()),
        },
        secrets: Vec::new(),
        result: EffectResult::Refused,
        bytes_out: Bytes(0),
        bytes_in: Bytes(0),
        at: Millis(1),
        duration: Millis(0),
        replayed: false,
        request,
    }
}

fn post() -> EffectRequest {
    EffectRequest::Http {
        method: "POST".to_owned(),
        url: "https://api.example.com/orders/7/notify".to_owned(),
        body_bytes: Bytes(64),
        digest: Digest::of(b"post"),
    }
}

fn intended(call: u32) -> Event {
    EffectIntended {
        call: CallNumber(call),
        attempt: 1,
        number: 1,
        request: post(),
        class: EffectClass::OpaqueWrite,
        undo: Vec::new(),
        idempotency_key: None,
        transcript: Some(Digest::of(b"transcript")),
    }
    .into()
}
