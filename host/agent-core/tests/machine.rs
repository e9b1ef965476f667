//! The machine in small worlds: what it wants in each situation, and what always holds however the world behaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use agent_core::budget::Budget;
use agent_core::effect::EffectClass;
use agent_core::event::{Event, ModelFailed, ModelReplied, ModelRequested, Recorded, ToolFinished};
use agent_core::file_events::CallUndone;
use agent_core::json::JsonText;
use agent_core::machine::{self, Action};
use agent_core::message::{Part, Role};
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::name::CallNumber;
use agent_core::outcome::{Content, MeteredFuel, Metering, RefusedCall, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::settled::fork_points;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::{Bytes, Fuel, Millis};
use proptest::prelude::*;

#[path = "machine/adoption.rs"]
mod adoption;
#[path = "machine/again.rs"]
mod again;
#[path = "machine/approvals.rs"]
mod approvals;
#[path = "machine/checkpoints.rs"]
mod checkpoints;
#[path = "machine/doubts.rs"]
mod doubts;
#[path = "machine/moving.rs"]
mod moving;
#[path = "machine/once.rs"]
mod once;
#[path = "machine/recovery.rs"]
mod recovery;
#[path = "machine/serving.rs"]
mod serving;
#[path = "machine/world.rs"]
mod world;

use world::{World, files_write, finished, reply, returned, with_budget, world};

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
fn an_earlier_conversation_comes_before_the_own_one() {
    let mut world = world();
    world.answer("42");
    let own = world.state.messages.as_ref().clone();
    let earlier = vec![agent_core::message::Message::from_user("before")];
    let mut state = world.state.clone();
    state.carry(earlier.clone());
    assert_eq!(*state.messages, [earlier, own].concat());
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
        assert!(seq != last.seq + 1 || state.check(&event).is_err());
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
            prop_assert!(!matches!(wanted, Action::UndoCall(_) | Action::MarkInDoubt(_) | Action::Rest), "{wanted:?}");
        }
        prop_assert_eq!(State::fold(&world.events).unwrap().unwrap(), world.state);
    }
}
