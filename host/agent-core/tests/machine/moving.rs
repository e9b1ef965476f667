//! Where a run can be forked or moved to other files, and what counts from then on.

use agent_core::budget::Budget;
use agent_core::digest::Digest;
use agent_core::event::{Event, ModelRequested, Recorded};
use agent_core::hardening::Hardening;
use agent_core::machine::Action;
use agent_core::name::CallNumber;
use agent_core::outcome::{RefusedCall, ToolOutcome};
use agent_core::run_events::{RunEnded, RunRebased, RunResumed};
use agent_core::session::ForkedFrom;
use agent_core::settled::fork_points;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::{Millis, UnixMillis};

use super::world::{World, choice, locked, no_rules, returned, world};

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

/// To move a run to other models is no way to have a request for nothing.
#[test]
fn a_request_that_was_open_when_the_run_was_moved_counts_as_a_turn() {
    let mut world = world();
    world.record(ModelRequested { turn: 1, attempt: 1, model: 0 });
    world.record(rebased(&["files.read"]));
    world.crash();
    assert_eq!(world.state.spent.turns, 1);
    assert!(matches!(world.next(), Action::CallModel { turn: 1, attempt: 1, .. }), "{:?}", world.next());
}

/// The other run was killed and taken up again hours later, more than once; the fork is made days after that. Nobody was active in
/// between, and nobody is charged for it.
#[test]
fn a_fork_has_the_active_time_of_what_it_shares_and_not_the_time_around_it() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    world.now += 5_000;
    let call = world.start();
    world.finish(call, returned("1"));
    let days = 86_400_000;
    let mut events = world.events.clone();
    let from = ForkedFrom {
        run: world.state.run.clone(),
        seq: world.state.seq,
        hash: Digest::of(b""),
        time: world.state.spent.time,
    };
    let Event::RunStarted(started) = &mut events[0].event else { panic!("it begins a run") };
    started.forked_from = Some(from);
    // An hour without a host before the call began, and what the fork begins with beside the copies was recorded later.
    for recorded in &mut events[2..] {
        recorded.at.0 += 3_600_000;
    }
    let last = events.last().unwrap().clone();
    let event = rebased(&["calc.evaluate"]).into();
    events.push(Recorded { seq: last.seq + 1, at: UnixMillis(days), event, ..last });
    let mut fork = State::fold(&events).unwrap().unwrap();
    assert_eq!(fork.spent.time, Millis(5_000));

    let (mut next, mut at) = (events.last().unwrap().clone(), 2 * days);
    let mut record = |event: Event| {
        next = Recorded { seq: next.seq + 1, epoch: 2, at: UnixMillis(at), event, ..next.clone() };
        at += 700;
        fork.apply(&next).unwrap();
        fork.spent.time
    };
    let resumed =
        RunResumed { budget: Budget::STANDARD, hardening: Hardening::none("a test"), boot: None, repaired: None };
    assert_eq!(record(resumed.into()), Millis(5_000));
    assert_eq!(record(ModelRequested { turn: 2, attempt: 1, model: 0 }.into()), Millis(5_700), "its own counts");
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
