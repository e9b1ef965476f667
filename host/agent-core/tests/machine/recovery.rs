//! Calls whose host was killed: what is undone, continued, run again or put in doubt, and what that costs.

use agent_core::budget::{Budget, FUEL_ADVANCE};
use agent_core::effect::{EffectClass, EffectResult};
use agent_core::event::{Event, FuelTaken, ModelRequested, Recorded, ToolStarted};
use agent_core::file_events::CallUndone;
use agent_core::limits::Limits;
use agent_core::machine::{self, Action};
use agent_core::model::ModelFailureKind;
use agent_core::outcome::{Fault, MeteredFuel, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::stop::StopReason;
use agent_core::units::{Fuel, Millis};

use super::world::{World, files_write, finished, returned, with_budget, world};

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
        let Action::MarkInDoubt(doubt) = world.next() else { panic!("{:?}", world.next()) };
        world.record(*doubt);
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
    assert!(matches!(world.next(), Action::MarkInDoubt(_)), "{:?}", world.next());
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

#[test]
fn a_killed_attempt_is_charged_what_it_had_taken() {
    let whole = Limits::STANDARD.fuel;
    let more = Fuel(3 * FUEL_ADVANCE.0);
    for (said, boot, charged) in [
        (None, Some(1), FUEL_ADVANCE),
        (Some(more), Some(1), more),
        (Some(Fuel(whole.0 + 1)), Some(1), whole),
        // Its last word may be lost, or is not known to be there.
        (Some(more), Some(2), whole),
        (Some(more), None, whole),
    ] {
        let mut world = world();
        world.reply(&[("calc__evaluate", "1")]);
        let call = world.start();
        if let Some(fuel) = said {
            world.record(FuelTaken { call, attempt: 1, fuel });
            world.record(FuelTaken { call, attempt: 1, fuel: Fuel(1) });
        }
        world.crash_under(boot);
        assert_eq!(world.state.spent.fuel, charged, "{said:?} {boot:?}");
    }
}

#[test]
fn an_attempt_that_continues_another_takes_what_that_had_taken() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    let fuel = Fuel(3 * FUEL_ADVANCE.0);
    world.record(FuelTaken { call, attempt: 1, fuel });
    world.intend(call, 1, EffectClass::KeyedWrite);
    world.crash_under(Some(1));
    world.start();
    world.crash_under(Some(1));
    assert_eq!(world.state.spent.fuel.0, 2 * fuel.0);
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

/// The provider has it and charges for it, whoever is gone when its reply comes.
#[test]
fn a_request_that_a_crash_left_open_counts_as_a_turn() {
    let mut world = with_budget(|budget| budget.turns = 3);
    world.record(ModelRequested { turn: 1, attempt: 1, model: 0 });
    world.crash();
    assert_eq!(world.state.spent.turns, 1);
    world.reply(&[("calc__evaluate", "1")]);
    let call = world.start();
    world.finish(call, returned("1"));
    assert_eq!(world.state.spent.turns, 2);
    // Turns are numbered by their replies, as before.
    assert!(matches!(world.next(), Action::CallModel { turn: 2, attempt: 1, .. }), "{:?}", world.next());
    world.record(ModelRequested { turn: 2, attempt: 1, model: 0 });
    world.crash();
    assert_eq!(world.stop(), Some(StopReason::MaxTurns));
}

#[test]
fn a_crash_without_an_open_request_costs_no_turn() {
    let mut world = world();
    world.fail(ModelFailureKind::ServerError);
    world.crash();
    world.reply(&[("calc__evaluate", "1")]);
    world.start();
    world.crash();
    assert_eq!(world.state.spent.turns, 1);
}
