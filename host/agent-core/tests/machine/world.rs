//! A run in memory that a test moves on by hand, and small things to put into it.

use agent_core::answer_events::{RetryFrom, ToolInDoubt};
use agent_core::budget::Budget;
use agent_core::config::authority::{Authority, FsRule, GrantRule};
use agent_core::config::ceiling::Ceiling;
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::resolve;
use agent_core::config::selector::Selector;
use agent_core::digest::Digest;
use agent_core::effect::{
    Before, Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, UndoEntry,
};
use agent_core::event::{
    EffectDone, EffectIntended, Event, ModelFailed, ModelReplied, ModelRequested, Recorded, ToolFinished, ToolStarted,
};
use agent_core::grant::{Access, Capability, Recovery, RuleSource};
use agent_core::hardening::Hardening;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::machine::{self, Action};
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ProposedCall, TokenUsage};
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Content, MeteredFuel, Metering, Said, ToolOutcome};
use agent_core::path_state::Becoming;
use agent_core::pending::CallStatus;
use agent_core::run_events::{
    DoubtPolicy, Durability, LockedTool, ModelChoice, Record, RunResumed, RunStarted, Strictness, ToolMode,
};
use agent_core::state::State;
use agent_core::state::checkpoint::Checkpoint;
use agent_core::stop::StopReason;
use agent_core::tool::ToolDescriptor;
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};

/// A run in memory: its events and their fold, with a clock that the test moves.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) events: Vec<Recorded>,
    pub(crate) state: State,
    pub(crate) now: u64,
}

impl World {
    pub(crate) fn new(rules: &Authority, budget: Budget) -> Self {
        let started = RunStarted {
            agent: "test".parse().unwrap(),
            agent_file: None,
            instructions: "be brief".into(),
            input: "go".into(),
            models: ["scripted:a", "scripted:b"].map(choice).to_vec(),
            tools: ["calc.evaluate", "files.write", "files.read"].map(|name| locked(name, rules)).to_vec(),
            budget,
            durability: Durability::Strict,
            record: Record::Effects,
            strictness: Strictness::Standard,
            doubt: DoubtPolicy::Ask,
            hardening: Hardening::none("a test"),
            session: None,
            earlier: Default::default(),
            meta: Default::default(),
            forked_from: None,
        };
        let first = Recorded {
            run: RunId::from_parts(UnixMillis(0), [0; 10]),
            seq: 1,
            epoch: 1,
            at: UnixMillis(0),
            event: started.into(),
        };
        let state = State::begin(&first).unwrap();
        Self { events: vec![first], state, now: 0 }
    }

    pub(crate) fn record(&mut self, event: impl Into<Event>) {
        let last = self.events.last().unwrap();
        let next = Recorded { seq: last.seq + 1, at: UnixMillis(self.now), event: event.into(), ..last.clone() };
        self.state.check(&next.event).unwrap_or_else(|error| panic!("{error}: {:?}", next.event));
        self.state.apply(&next).unwrap_or_else(|error| panic!("{error}: {:?}", next.event));
        self.events.push(next);
        if let Some(stored) = stored(&self.state) {
            assert_eq!(restored(&stored, &self.state), self.state, "what comes of a checkpoint is the state");
        }
    }

    pub(crate) fn next(&self) -> Action {
        machine::next(&self.state)
    }

    /// The model replies with these calls.
    pub(crate) fn reply(&mut self, calls: &[(&str, &str)]) {
        let Action::CallModel { turn, attempt, model, .. } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelReplied { turn, reply: reply("", calls) });
    }

    pub(crate) fn answer(&mut self, text: &str) {
        let Action::CallModel { turn, attempt, model, .. } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelReplied { turn, reply: reply(text, &[]) });
    }

    pub(crate) fn fail(&mut self, kind: ModelFailureKind) -> Millis {
        let Action::CallModel { turn, attempt, model, wait } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelFailed { turn, failure: ModelFailure::new(kind, "no") });
        wait
    }

    /// Starts the call that the machine wants to start.
    pub(crate) fn start(&mut self) -> CallNumber {
        let Action::CallTool { call, attempt, fuel } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ToolStarted {
            call,
            attempt,
            component: Digest::of(b""),
            fuel: fuel.min(Limits::STANDARD.fuel),
            authority: Digest::of(b""),
            seed: String::new(),
            clock_start: UnixMillis(self.now),
            engine: "test".into(),
            continues: self.continues(call),
            boot: Some(1),
        });
        call
    }

    /// The attempt that the next one of a call continues: one that has sent something.
    pub(crate) fn continues(&self, call: CallNumber) -> Option<u32> {
        match &self.state.call(call).unwrap().status {
            CallStatus::Interrupted(attempt) | CallStatus::Again { attempt, from: RetryFrom::Record } => {
                (!attempt.sends.is_empty()).then_some(attempt.number)
            }
            _ => None,
        }
    }

    pub(crate) fn finish(&mut self, call: CallNumber, outcome: ToolOutcome) {
        let fuel = MeteredFuel::Exact(Fuel(10));
        self.record(finished(call, outcome, fuel));
    }

    pub(crate) fn intend(&mut self, call: CallNumber, attempt: u32, class: EffectClass) {
        self.intend_number(call, attempt, class, 1);
    }

    pub(crate) fn intend_number(&mut self, call: CallNumber, attempt: u32, class: EffectClass, number: u32) {
        let owned = class == EffectClass::OwnedWrite;
        let entry = UndoEntry {
            mount: "/data".into(),
            root: 1,
            path: "a".into(),
            before: Before::Absent,
            was: None,
            owner: None,
            attributes: Vec::new(),
            becoming: Becoming::New,
        };
        self.record(EffectIntended {
            call,
            attempt,
            number,
            request: if owned { request() } else { of_number(number) },
            class,
            undo: owned.then_some(entry).into_iter().collect(),
            idempotency_key: None,
            transcript: (!owned).then(|| Digest::of(b"")),
        });
    }

    pub(crate) fn done(&mut self, call: CallNumber, attempt: u32, result: EffectResult) {
        self.done_number(call, attempt, result, 1);
    }

    pub(crate) fn done_number(&mut self, call: CallNumber, attempt: u32, result: EffectResult, number: u32) {
        let effect = Effect {
            number,
            request: of_number(number),
            class: EffectClass::OpaqueWrite,
            egress: true,
            decision: Decision::Allow { rule: RuleSource("test".into()) },
            secrets: Vec::new(),
            result,
            bytes_out: Bytes(0),
            bytes_in: Bytes(0),
            at: Millis(0),
            duration: Millis(0),
            replayed: false,
        };
        self.record(EffectDone { call, attempt, effect, answer: None });
    }

    /// A living host cannot say what became of a call, which used nothing.
    pub(crate) fn doubt(&mut self, call: CallNumber, retry: RetryFrom) {
        let (request, reason) = (request(), "its answer is not known".into());
        let (metering, effects) = (Some(Metering::nothing()), Vec::new());
        self.record(ToolInDoubt { call, request, reason, retry, metering, effects });
    }

    /// The host is killed and another one takes the run up, when the machine has been started again.
    pub(crate) fn crash(&mut self) {
        self.crash_under(Some(2));
    }

    /// The host is killed and another one takes the run up, under that start of the machine.
    pub(crate) fn crash_under(&mut self, boot: Option<u32>) {
        self.state = State::fold(&self.events).unwrap().unwrap();
        let budget = self.state.budget.clone();
        self.record(RunResumed { budget, hardening: Hardening::none("a test"), boot, repaired: None });
    }

    pub(crate) fn stop(&self) -> Option<StopReason> {
        match self.next() {
            Action::Finish(ended) => Some(ended.stop),
            _ => None,
        }
    }
}

pub(crate) fn choice(name: &str) -> ModelChoice {
    ModelChoice { name: name.into(), base_url: None, tool_mode: ToolMode::Native }
}

pub(crate) fn locked(name: &str, rules: &Authority) -> LockedTool {
    let name = name.parse().unwrap();
    let (component, ceiling) = (Digest::of(b"component"), Ceiling::of_imports(&[Capability::Fs]));
    let authority =
        resolve(&name, &component, &ceiling, &agent_core::limits::LimitsChange::default(), &[rules]).unwrap();
    let input_schema = JsonText::parse(r#"{"type":"object"}"#).unwrap();
    let descriptor = ToolDescriptor { name, description: "a tool".into(), input_schema, output_schema: None };
    LockedTool { descriptor, component, export: None, authority }
}

pub(crate) fn request() -> EffectRequest {
    EffectRequest::File { operation: FileOperation::Write, path: "/data/a".into(), to: None }
}

/// What a call does to the world: the first, to a file that nobody can give back; the others are requests.
fn of_number(number: u32) -> EffectRequest {
    if number == 1 { request() } else { post(number) }
}

pub(crate) fn post(number: u32) -> EffectRequest {
    let (method, url) = ("POST".into(), format!("https://shop.test/{number}"));
    EffectRequest::Http { method, url, body_bytes: Bytes(0), digest: Digest::of(b"") }
}

pub(crate) fn reply(text: &str, calls: &[(&str, &str)]) -> ModelReply {
    let call = |(tool, arguments): &(&str, &str)| ProposedCall {
        id: Some("same".into()),
        tool: (*tool).into(),
        arguments: (*arguments).into(),
    };
    let usage = TokenUsage::of(10, 5);
    ModelReply { text: text.into(), calls: calls.iter().map(call).collect(), usage, model: "m".into(), id: None }
}

pub(crate) fn returned(text: &str) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![Content::Text(text.into())] }
}

pub(crate) fn finished(call: CallNumber, outcome: ToolOutcome, fuel: MeteredFuel) -> ToolFinished {
    let metering = Metering { fuel, ..Metering::nothing() };
    ToolFinished { call, outcome, metering, effects: Vec::new(), said: Said::default(), hidden: 0, transcript: None }
}

pub(crate) fn no_rules() -> Authority {
    Authority::nothing()
}

/// `files` may write in one directory.
pub(crate) fn files_write() -> Authority {
    let host = HostPath::join("/", "/srv/data").unwrap();
    let rule = GrantRule {
        selector: Selector::Component("files".parse().unwrap()),
        fs: vec![FsRule { host, mount: None, access: Access::Write, recovery: Recovery::Undo }],
        ..GrantRule::directory(HostPath::join("/", "/srv/data").unwrap(), Access::Write, RuleSource("test".into()))
    };
    Authority { grants: vec![rule], ..Authority::nothing() }
}

pub(crate) fn world() -> World {
    World::new(&no_rules(), Budget::STANDARD)
}

pub(crate) fn with_budget(change: impl FnOnce(&mut Budget)) -> World {
    let mut budget = Budget::STANDARD;
    change(&mut budget);
    World::new(&no_rules(), budget)
}

/// The checkpoint of a state at rest, as it is stored.
pub(crate) fn stored(state: &State) -> Option<String> {
    state.checkpoint().map(|checkpoint| serde_json::to_string(&checkpoint).unwrap())
}

/// The state that a checkpoint of the run of `state` is of.
pub(crate) fn restored(stored: &str, state: &State) -> State {
    let checkpoint: Checkpoint<'static> = serde_json::from_str(stored).unwrap();
    checkpoint.into_state(state.run.clone())
}
