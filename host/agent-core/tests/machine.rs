//! The machine in small worlds: what it wants in each situation, and what always holds however the world behaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
    DoubtPolicy, Durability, EffectDone, EffectIntended, Event, LockedTool, ModelChoice, ModelFailed, ModelReplied,
    ModelRequested, Record, Recorded, RunEnded, RunRebased, RunResumed, RunStarted, Strictness, ToolFinished,
    ToolInDoubt, ToolMode, ToolStarted,
};
use agent_core::file_events::CallUndone;
use agent_core::grant::{Access, Capability, Recovery, RuleSource};
use agent_core::hardening::Hardening;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::machine::{self, Action};
use agent_core::message::{Part, Role};
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ProposedCall, TokenUsage};
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Content, Fault, MeteredFuel, Metering, RefusedCall, Said, ToolOutcome};
use agent_core::path_state::Becoming;
use agent_core::pending::CallStatus;
use agent_core::settled::fork_points;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::tool::ToolDescriptor;
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};
use proptest::prelude::*;

#[path = "machine/approvals.rs"]
mod approvals;
#[path = "machine/doubts.rs"]
mod doubts;

/// A run in memory: its events and their fold, with a clock that the test moves.
#[derive(Clone)]
struct World {
    events: Vec<Recorded>,
    state: State,
    now: u64,
}

impl World {
    fn new(rules: &Authority, budget: Budget) -> Self {
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

    fn record(&mut self, event: impl Into<Event>) {
        let last = self.events.last().unwrap();
        let next = Recorded { seq: last.seq + 1, at: UnixMillis(self.now), event: event.into(), ..last.clone() };
        self.state.apply(&next).unwrap_or_else(|error| panic!("{error}: {:?}", next.event));
        self.events.push(next);
    }

    fn next(&self) -> Action {
        machine::next(&self.state)
    }

    /// The model replies with these calls.
    fn reply(&mut self, calls: &[(&str, &str)]) {
        let Action::CallModel { turn, attempt, model, .. } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelReplied { turn, reply: reply("", calls) });
    }

    fn answer(&mut self, text: &str) {
        let Action::CallModel { turn, attempt, model, .. } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelReplied { turn, reply: reply(text, &[]) });
    }

    fn fail(&mut self, kind: ModelFailureKind) -> Millis {
        let Action::CallModel { turn, attempt, model, wait } = self.next() else { panic!("{:?}", self.next()) };
        self.record(ModelRequested { turn, attempt, model });
        self.record(ModelFailed { turn, failure: ModelFailure::new(kind, "no") });
        wait
    }

    /// Starts the call that the machine wants to start.
    fn start(&mut self) -> CallNumber {
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
        });
        call
    }

    /// The attempt that the next one of a call continues: one that has sent something.
    fn continues(&self, call: CallNumber) -> Option<u32> {
        match &self.state.call(call).unwrap().status {
            CallStatus::Interrupted(attempt) if !attempt.sends.is_empty() => Some(attempt.number),
            _ => None,
        }
    }

    fn finish(&mut self, call: CallNumber, outcome: ToolOutcome) {
        let fuel = MeteredFuel::Exact(Fuel(10));
        self.record(finished(call, outcome, fuel));
    }

    fn intend(&mut self, call: CallNumber, attempt: u32, class: EffectClass) {
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
            number: 1,
            request: request(),
            class,
            undo: owned.then_some(entry).into_iter().collect(),
            idempotency_key: None,
            transcript: (!owned).then(|| Digest::of(b"")),
        });
    }

    fn done(&mut self, call: CallNumber, attempt: u32, result: EffectResult) {
        let effect = Effect {
            number: 1,
            request: request(),
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

    /// The host is killed and another one takes the run up.
    fn crash(&mut self) {
        self.state = State::fold(&self.events).unwrap().unwrap();
        let budget = self.state.budget.clone();
        self.record(RunResumed { budget, hardening: Hardening::none("a test") });
    }

    fn stop(&self) -> Option<StopReason> {
        match self.next() {
            Action::Finish(ended) => Some(ended.stop),
            _ => None,
        }
    }
}

fn choice(name: &str) -> ModelChoice {
    ModelChoice { name: name.into(), base_url: None, tool_mode: ToolMode::Native }
}

fn locked(name: &str, rules: &Authority) -> LockedTool {
    let name = name.parse().unwrap();
    let (component, ceiling) = (Digest::of(b"component"), Ceiling::of_imports(&[Capability::Fs]));
    let authority =
        resolve(&name, &component, &ceiling, &agent_core::limits::LimitsChange::default(), &[rules]).unwrap();
    let input_schema = JsonText::parse(r#"{"type":"object"}"#).unwrap();
    let descriptor = ToolDescriptor { name, description: "a tool".into(), input_schema };
    LockedTool { descriptor, component, authority }
}

fn request() -> EffectRequest {
    EffectRequest::File { operation: FileOperation::Write, path: "/data/a".into(), to: None }
}

fn reply(text: &str, calls: &[(&str, &str)]) -> ModelReply {
    let call = |(tool, arguments): &(&str, &str)| ProposedCall {
        id: Some("same".into()),
        tool: (*tool).into(),
        arguments: (*arguments).into(),
    };
    let usage = TokenUsage { input: 10, output: 5 };
    ModelReply { text: text.into(), calls: calls.iter().map(call).collect(), usage, model: "m".into() }
}

fn returned(text: &str) -> ToolOutcome {
    ToolOutcome::Returned { content: vec![Content::Text(text.into())] }
}

fn finished(call: CallNumber, outcome: ToolOutcome, fuel: MeteredFuel) -> ToolFinished {
    let metering = Metering { fuel, ..Metering::nothing() };
    ToolFinished { call, outcome, metering, effects: Vec::new(), said: Said::default(), hidden: 0, transcript: None }
}

fn no_rules() -> Authority {
    Authority::nothing()
}

/// `files` may write in one directory.
fn files_write() -> Authority {
    let host = HostPath::join("/", "/srv/data").unwrap();
    let rule = GrantRule {
        selector: Selector::Component("files".parse().unwrap()),
        fs: vec![FsRule { host, mount: None, access: Access::Write, recovery: Recovery::Undo }],
        ..GrantRule::directory(HostPath::join("/", "/srv/data").unwrap(), Access::Write, RuleSource("test".into()))
    };
    Authority { grants: vec![rule], ..Authority::nothing() }
}

fn world() -> World {
    World::new(&no_rules(), Budget::STANDARD)
}

fn with_budget(change: impl FnOnce(&mut Budget)) -> World {
    let mut budget = Budget::STANDARD;
    change(&mut budget);
    World::new(&no_rules(), budget)
}

#[test]
fn an_answer_without_calls_completes_the_run() {
    let mut world = world();
    world.answer("42");
    let Action::Finish(ended) = world.next() else { panic!() };
    assert_eq!((ended.stop, ended.answer.as_deref()), (StopReason::Completed, Some("42")));
    world.record(ended);
    assert_eq!(world.next(), Action::Rest);
}

#[test]
fn results_enter_the_conversation_in_the_order_of_the_proposals() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1"), ("calc__evaluate", "2")]);
    let (first, second) = (world.start(), world.start());
    assert_eq!(world.next(), Action::Wait);
    world.finish(second, returned("two"));
    assert_eq!(world.next(), Action::Wait);
    world.finish(first, returned("one"));
    let message = world.state.messages.last().unwrap();
    let said: Vec<_> = message
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => (result.id.clone(), format!("{:?}", result.content)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(message.role, Role::Tool);
    assert_eq!(
        said,
        [("call_1".to_owned(), "[Text(\"one\")]".to_owned()), ("call_2".to_owned(), "[Text(\"two\")]".to_owned())]
    );
    assert!(matches!(world.next(), Action::CallModel { turn: 2, attempt: 1, .. }));
}

#[test]
fn an_unknown_tool_is_told_to_the_model_and_counted() {
    let mut world = world();
    world.reply(&[("calc.evaluate", "{}")]);
    let Action::SettleCall { call, outcome } = world.next() else { panic!("{:?}", world.next()) };
    assert_eq!(outcome.name(), RefusedCall::UnknownTool.name());
    assert!(format!("{outcome:?}").contains("calc__evaluate"), "{outcome:?}");
    world.finish(call, outcome);
    assert_eq!(world.state.spent.tool_calls, 1);
}

#[test]
fn a_model_that_fails_is_asked_again_then_replaced_then_given_up() {
    let mut world = world();
    let waits: Vec<_> = (0..4).map(|_| world.fail(ModelFailureKind::ServerError).0).collect();
    assert_eq!(waits, [0, 500, 1_000, 2_000]);
    assert!(matches!(world.next(), Action::CallModel { model: 1, attempt: 1, .. }), "the chain falls back");
    world.fail(ModelFailureKind::Unauthorized);
    let Action::Finish(ended) = world.next() else { panic!() };
    assert_eq!(ended.stop, StopReason::Error);
    assert_eq!(ended.detail.as_deref(), Some("model `scripted:b`: no"));
}

#[test]
fn replies_that_cannot_be_used_end_as_invalid_output() {
    let mut world = world();
    for _ in 0..2 * machine::MODEL_ATTEMPTS_MAX {
        world.fail(ModelFailureKind::BadReply);
    }
    assert_eq!(world.stop(), Some(StopReason::OutputInvalid));
}

#[test]
fn each_budget_ends_the_run_by_its_own_name() {
    let turn = |mut world: World| {
        world.reply(&[("calc__evaluate", "1")]);
        while let Action::SettleCall { call, outcome } = world.next() {
            world.finish(call, outcome);
        }
        if let Action::CallTool { .. } = world.next() {
            let call = world.start();
            world.now += 1_000;
            world.finish(call, returned("1"));
        }
        world.stop()
    };
    type Change = fn(&mut Budget);
    let cases: [(Change, StopReason); 5] = [
        (|budget| budget.turns = 1, StopReason::MaxTurns),
        (|budget| budget.tool_calls = 0, StopReason::MaxToolCalls),
        (|budget| budget.tokens = Some(15), StopReason::TokenBudget),
        (|budget| budget.fuel = Fuel(10), StopReason::FuelBudget),
        (|budget| budget.time = Millis(1_000), StopReason::TimeBudget),
    ];
    for (change, stop) in cases {
        assert_eq!(turn(with_budget(change)), Some(stop));
    }
    assert_eq!(turn(world()), None);
}

#[test]
fn calls_beyond_the_bound_of_a_turn_are_refused() {
    let mut world = world();
    world.reply(&vec![("calc__evaluate", "1"); 40]);
    let mut refused = 0;
    loop {
        match world.next() {
            Action::SettleCall { call, outcome } => {
                assert_eq!(outcome.name(), "run_budget");
                world.finish(call, outcome);
                refused += 1;
            }
            Action::CallTool { .. } => {
                let call = world.start();
                world.finish(call, returned(&call.to_string()));
            }
            _ => break,
        }
    }
    assert_eq!(refused, 40 - machine::CALLS_PER_TURN_MAX);
}

#[test]
fn the_same_call_with_the_same_result_again_and_again_is_a_loop() {
    let mut world = world();
    for _ in 0..machine::REPEATS_MAX {
        assert_eq!(world.stop(), None);
        world.reply(&[("calc__evaluate", "1")]);
        let call = world.start();
        world.finish(call, returned("1"));
    }
    assert_eq!(world.stop(), Some(StopReason::LoopDetected));
}

#[test]
fn calls_that_hold_files_wait_for_an_earlier_writer() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}"), ("calc__evaluate", "1"), ("files__read", "{}")]);
    let writer = world.start();
    let calc = world.start();
    assert_eq!((writer, calc), (CallNumber(1), CallNumber(2)));
    assert_eq!(world.next(), Action::Wait);
    world.finish(writer, returned("ok"));
    assert_eq!(world.start(), CallNumber(3));
}

#[test]
fn an_interrupted_call_is_undone_and_run_again_at_most_three_times() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}")]);
    for attempt in 1..=machine::CALL_ATTEMPTS_MAX {
        let call = world.start();
        world.intend(call, attempt, EffectClass::OwnedWrite);
        world.crash();
        assert_eq!(world.next(), Action::UndoCall(call));
        world.record(CallUndone { call, attempt, restored: 1 });
    }
    let Action::SettleCall { outcome, .. } = world.next() else { panic!("{:?}", world.next()) };
    assert_eq!(outcome.name(), Fault::Interrupted.name());
}

#[test]
fn an_announced_write_without_result_is_doubt_and_suspends_the_run() {
    for result in [None, Some(EffectResult::Unknown("cut".into()))] {
        let mut world = world();
        world.reply(&[("calc__evaluate", "1")]);
        let call = world.start();
        world.intend(call, 1, EffectClass::OpaqueWrite);
        if let Some(result) = result {
            world.done(call, 1, result);
        }
        world.crash();
        let Action::MarkInDoubt { call, request, reason } = world.next() else { panic!("{:?}", world.next()) };
        world.record(ToolInDoubt { call, request, reason });
        assert_eq!(world.stop(), Some(StopReason::SuspendedDoubt));
    }
}

#[test]
fn a_call_whose_writes_were_answered_is_undone_and_continued() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}")]);
    let call = world.start();
    world.intend(call, 1, EffectClass::OwnedWrite);
    world.intend(call, 1, EffectClass::OpaqueWrite);
    world.done(call, 1, EffectResult::Done("200".into()));
    world.crash();
    assert_eq!(world.next(), Action::UndoCall(call));
    world.record(CallUndone { call, attempt: 1, restored: 1 });
    assert_eq!(world.start(), call);
    let Some(CallStatus::Running(attempt)) = world.state.call(call).map(|call| call.status.clone()) else { panic!() };
    assert_eq!((attempt.number, attempt.sends.len(), attempt.transcript.len()), (2, 1, 1));
    assert_eq!(attempt.unresolved(), None, "what the first attempt sent counts as sent by the second");
    // It is killed again, and again: then a person must know what it had sent.
    for attempt in 2..=machine::CALL_ATTEMPTS_MAX {
        world.crash();
        if attempt < machine::CALL_ATTEMPTS_MAX {
            assert_eq!(world.start(), call);
        }
    }
    assert!(matches!(world.next(), Action::MarkInDoubt { .. }), "{:?}", world.next());
}

#[test]
fn a_keyed_write_without_a_result_is_announced_again() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    world.intend(call, 1, EffectClass::KeyedWrite);
    world.crash();
    assert_eq!(world.start(), call);
    world.intend(call, 2, EffectClass::KeyedWrite);
    world.done(call, 2, EffectResult::Done("200".into()));
    let Some(CallStatus::Running(attempt)) = world.state.call(call).map(|call| call.status.clone()) else { panic!() };
    assert_eq!((attempt.sends.len(), attempt.transcript.len()), (1, 2));
    assert_eq!(attempt.unresolved(), None);
}

#[test]
fn an_attempt_that_had_sent_something_is_not_begun_anew() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    world.intend(call, 1, EffectClass::OpaqueWrite);
    world.done(call, 1, EffectResult::Done("200".into()));
    world.crash();
    let first = world.events.iter().find_map(|recorded| match &recorded.event {
        Event::ToolStarted(started) => Some(started.clone()),
        _ => None,
    });
    let last = world.events.last().unwrap().clone();
    for continues in [None, Some(2)] {
        let event = ToolStarted { attempt: 2, continues, ..first.clone().unwrap() }.into();
        let recorded = Recorded { seq: last.seq + 1, event, ..last.clone() };
        assert!(world.state.clone().apply(&recorded).is_err(), "{continues:?}");
    }
}

#[test]
fn a_write_that_was_certainly_not_sent_is_no_doubt() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    world.intend(call, 1, EffectClass::OpaqueWrite);
    world.done(call, 1, EffectResult::NotSent("refused".into()));
    world.crash();
    assert!(matches!(world.next(), Action::CallTool { attempt: 2, .. }));
}

#[test]
fn a_run_can_be_forked_and_moved_where_no_call_is_under_way() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1"), ("calc__evaluate", "2")]);
    let first = world.start();
    world.finish(first, returned("1"));
    let second = world.start();
    // 1 started, 2 requested, 3 replied, 4 and 5 the first call, 6 the second one, which goes on.
    assert_eq!(fork_points(&world.events), Ok(vec![1, 2, 3, 5]));
    assert!(try_record(&mut world, rebased(&["calc.evaluate"])).is_err());
    world.finish(second, returned("2"));
    world.answer("3");
    assert_eq!(fork_points(&world.events), Ok(vec![1, 2, 3, 5, 7, 8]), "nothing is left to do after an answer");
}

#[test]
fn what_a_run_is_moved_to_counts_from_then_on() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1"), ("files__read", "2")]);
    world.record(RunEnded { stop: StopReason::Cancelled, answer: None, detail: None });
    world.record(rebased(&["files.read"]));
    world.crash();
    let Action::SettleCall { call, outcome } = world.next() else { panic!("{:?}", world.next()) };
    assert!(matches!(&outcome, ToolOutcome::Refused { reason: RefusedCall::UnknownTool, .. }), "{outcome:?}");
    world.finish(call, outcome);
    assert_eq!(world.start(), CallNumber(2));
    let told = (world.state.started.instructions.as_str(), world.state.descriptors.len());
    assert_eq!(told, ("be long", 1));
    assert_eq!(State::fold(&world.events).unwrap().unwrap(), world.state);
}

fn rebased(tools: &[&str]) -> RunRebased {
    RunRebased {
        agent: "test".parse().unwrap(),
        agent_file: None,
        instructions: "be long".into(),
        models: vec![choice("scripted:c")],
        tools: tools.iter().map(|name| locked(name, &no_rules())).collect(),
    }
}

fn try_record(world: &mut World, event: impl Into<Event>) -> Result<(), agent_core::state::Unexpected> {
    let last = world.events.last().unwrap();
    let next = Recorded { seq: last.seq + 1, event: event.into(), ..last.clone() };
    world.state.clone().apply(&next)
}

#[test]
fn an_earlier_conversation_comes_before_the_own_one() {
    let mut world = world();
    world.answer("42");
    let own = world.state.messages.as_ref().clone();
    let earlier = vec![agent_core::message::Message::from_user("before")];
    let mut state = world.state.clone();
    state.carry(earlier.clone());
    assert_eq!(*state.messages, [earlier, own].concat());
}

#[test]
fn a_lost_fuel_count_is_charged_in_full() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1"), ("calc__evaluate", "2")]);
    let (first, second) = (world.start(), world.start());
    let fault = ToolOutcome::Faulted { fault: Fault::GuestTrap, message: "trap".into() };
    world.record(finished(first, fault, MeteredFuel::AtLeast(Fuel(1))));
    assert_eq!(world.state.spent.fuel, Limits::STANDARD.fuel);
    world.crash();
    assert_eq!(world.state.spent.fuel.0, 2 * Limits::STANDARD.fuel.0, "the crash refunds nothing");
    assert!(matches!(world.next(), Action::CallTool { call, attempt: 2, .. } if call == second));
}

/// A tool could tell the model more than its result shows, by how much it burns.
#[test]
fn what_a_call_used_is_not_told_to_the_model() {
    let told = [10, 123_456_789].map(|fuel| {
        let mut world = world();
        world.reply(&[("calc__evaluate", "{}")]);
        let call = world.start();
        let used = finished(call, returned("4"), MeteredFuel::Exact(Fuel(fuel)));
        let metering = Metering { memory_peak: Bytes(fuel), duration: Millis(fuel), host_calls: fuel, ..used.metering };
        world.record(ToolFinished { metering, ..used });
        format!("{:?}", world.state.messages)
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn time_in_which_no_host_was_alive_is_not_spent() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    world.now += 5_000;
    let call = world.start();
    world.now += 3_600_000;
    world.crash();
    assert_eq!(world.state.spent.time, Millis(5_000));
    assert!(matches!(world.next(), Action::CallTool { call: again, .. } if again == call));
}

#[test]
fn events_that_do_not_follow_are_refused() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    world.finish(call, returned("1"));
    let last = world.events.last().unwrap().clone();
    let again = finished(call, returned("2"), MeteredFuel::Exact(Fuel(0)));
    let cases: [(u64, Event); 4] = [
        (last.seq + 1, again.into()),
        (last.seq + 2, ModelRequested { turn: 2, attempt: 1, model: 0 }.into()),
        (last.seq + 1, ModelReplied { turn: 1, reply: reply("", &[]) }.into()),
        (last.seq + 1, world.state.started.clone().into()),
    ];
    for (seq, event) in cases {
        let mut state = world.state.clone();
        assert!(state.apply(&Recorded { seq, event, ..last.clone() }).is_err());
    }
}

#[test]
fn stored_events_read_back_and_unknown_ones_are_refused() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{\"n\":10000000000000000000000001}")]);
    let call = world.start();
    world.intend(call, 1, EffectClass::OwnedWrite);
    world.finish(call, ToolOutcome::Returned { content: vec![Content::Json(JsonText::parse("1.10").unwrap())] });
    for recorded in &world.events {
        let body = recorded.event.to_body().unwrap();
        let read = Event::from_stored(recorded.event.kind(), agent_core::event::VERSION, &body).unwrap();
        assert_eq!(read, recorded.event);
    }
    assert!(Event::from_stored("RunPaused", 1, "{}").is_err());
    assert!(Event::from_stored("ModelRequested", 2, "{}").is_err());
    assert!(Event::from_stored("ModelRequested", 1, r#"{"turn":1,"attempt":1,"model":0,"more":1}"#).is_err());
}

proptest! {
    /// Whatever the tools do and however often the host is killed: the run stops, no call gets two outcomes, the fold of the
    /// events is the state, and what the conversation held before a crash it holds after.
    #[test]
    fn every_run_stops_and_resumes_extend(choices in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut world = World::new(&files_write(), Budget { turns: 6, ..Budget::STANDARD });
        let mut choices = choices.into_iter();
        let mut running: Vec<(CallNumber, u32)> = Vec::new();
        for _ in 0..2_000 {
            let choice = choices.next().unwrap_or(255);
            if choice < 20 && world.state.stopped.is_none() {
                let before = world.state.messages.clone();
                world.crash();
                running.clear();
                prop_assert!(world.state.messages.starts_with(&before));
            }
            match world.next() {
                Action::CallModel { turn, attempt, model, .. } => {
                    world.record(ModelRequested { turn, attempt, model });
                    match choice {
                        0..60 => world.record(ModelFailed { turn, failure: ModelFailure::new(ModelFailureKind::Network, "x") }),
                        60..90 => world.record(ModelReplied { turn, reply: reply("done", &[]) }),
                        _ => world.record(ModelReplied {
                            turn,
                            reply: reply("", &[("files__write", "{}"), ("calc__evaluate", "1"), ("nobody", "")]),
                        }),
                    }
                }
                Action::CallTool { call, attempt, .. } => {
                    prop_assert!(attempt <= machine::CALL_ATTEMPTS_MAX);
                    prop_assert_eq!(world.start(), call);
                    if choice % 3 == 0 {
                        world.intend(call, attempt, EffectClass::OwnedWrite);
                    }
                    running.push((call, attempt));
                }
                Action::SettleCall { call, outcome } => world.finish(call, outcome),
                Action::UndoCall(call) => {
                    let attempt = match &world.state.call(call).unwrap().status {
                        CallStatus::Interrupted(attempt) => attempt.number,
                        other => panic!("{other:?}"),
                    };
                    world.record(CallUndone { call, attempt, restored: 1 });
                }
                Action::Wait => {
                    let (call, _) = running.remove(usize::from(choice) % running.len());
                    world.finish(call, returned(&choice.to_string()));
                }
                Action::Finish(ended) => world.record(ended),
                Action::Rest => break,
                other => panic!("{other:?}"),
            }
        }
        prop_assert!(world.state.stopped.is_some(), "{:?}", world.next());
        for at in fork_points(&world.events).unwrap() {
            let shared = State::fold(&world.events[..usize::try_from(at).unwrap()]).unwrap().unwrap();
            let wanted = machine::next(&shared);
            prop_assert!(!matches!(wanted, Action::UndoCall(_) | Action::MarkInDoubt { .. } | Action::Rest), "{wanted:?}");
        }
        prop_assert_eq!(State::fold(&world.events).unwrap().unwrap(), world.state);
    }
}
