//! Calls of which nobody knows whether they had their effect, under each policy.

use agent_core::answer_events::{AnswerPlace, AnsweredBy, DoubtResolved, Resolution, ResolvedBy, RetryFrom};
use agent_core::effect::EffectClass;
use agent_core::machine::Action;
use agent_core::name::CallNumber;
use agent_core::outcome::{MeteredFuel, Metering};
use agent_core::pending::{Arbiter, CallStatus};
use agent_core::run_events::DoubtPolicy;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::Fuel;

use super::world::{World, world};

const CALL: CallNumber = CallNumber(1);

/// A run with this policy whose one call is in doubt.
fn doubtful(doubt: DoubtPolicy) -> World {
    let mut world = world();
    let mut started = world.state.started.clone();
    started.doubt = doubt;
    world.events[0].event = started.into();
    world.state = State::begin(&world.events[0]).unwrap();
    world.reply(&[("calc__evaluate", "1")]);
    world.start();
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    world.doubt(CALL, RetryFrom::Record);
    world
}

fn resolve(world: &mut World, resolution: Resolution, by: ResolvedBy) {
    world.record(DoubtResolved { call: CALL, resolution, by });
}

fn by_component() -> ResolvedBy {
    let fuel = MeteredFuel::Exact(Fuel(7));
    ResolvedBy::Component { metering: Metering { fuel, ..Metering::nothing() }, effects: Vec::new() }
}

#[test]
fn each_policy_does_what_it_says() {
    let suspended = |action: &Action, stop| matches!(action, Action::Finish(ended) if ended.stop == stop);
    assert!(suspended(&doubtful(DoubtPolicy::Ask).next(), StopReason::SuspendedDoubt));
    assert!(suspended(&doubtful(DoubtPolicy::Fail).next(), StopReason::Error));
    assert_eq!(doubtful(DoubtPolicy::Reconcile).next(), Action::Reconcile(CALL));
    let left_open = Action::SettleDoubt { call: CALL, resolution: Resolution::LeftOpen };
    assert_eq!(doubtful(DoubtPolicy::TellModel).next(), left_open);
}

#[test]
fn the_model_is_told_exactly_what_may_have_happened() {
    let mut world = doubtful(DoubtPolicy::TellModel);
    resolve(&mut world, Resolution::LeftOpen, ResolvedBy::Policy);
    let told = format!("{:?}", world.state.messages.last().unwrap());
    assert!(
        told.contains("may or may not have done this: write /data/a. What is known: its answer is not known."),
        "{told}"
    );
    assert!(matches!(world.next(), Action::CallModel { turn: 2, .. }));
    assert_eq!(world.state.spent.tool_calls, 1);
}

#[test]
fn what_a_component_finds_counts_and_what_it_does_not_know_is_asked() {
    let cases =
        [(Resolution::Happened("paid".into()), "paid"), (Resolution::DidNotHappen, "its effect did not happen")];
    for (resolution, told) in cases {
        let mut world = doubtful(DoubtPolicy::Reconcile);
        resolve(&mut world, resolution, by_component());
        assert!(format!("{:?}", world.state.messages.last().unwrap()).contains(told));
        assert_eq!(world.state.spent.fuel, Fuel(7), "finding out is not free");
    }
    let mut world = doubtful(DoubtPolicy::Reconcile);
    resolve(&mut world, Resolution::Unknown, by_component());
    assert!(matches!(world.state.call(CALL).unwrap().status, CallStatus::InDoubt { arbiter: Arbiter::Person, .. }));
    assert_eq!(world.stop(), Some(StopReason::SuspendedDoubt), "it is asked once");
}

#[test]
fn a_failed_run_waits_for_what_is_under_way_and_starts_nothing_more() {
    let mut world = doubtful(DoubtPolicy::Fail);
    assert_eq!(world.stop(), Some(StopReason::Error));
    // A person may still say what happened, and the run goes on.
    let Action::Finish(ended) = world.next() else { panic!() };
    world.record(ended);
    let by = ResolvedBy::Person(AnsweredBy { user: 1000, place: AnswerPlace::Command });
    resolve(&mut world, Resolution::DidNotHappen, by);
    world.crash();
    assert!(matches!(world.next(), Action::CallModel { turn: 2, .. }));
}
