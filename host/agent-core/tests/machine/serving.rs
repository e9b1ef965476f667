//! Runs without a model, whose calls come from clients.

use agent_core::budget::Budget;
use agent_core::client_events::{Client, ToolProposed};
use agent_core::digest::Digest;
use agent_core::effect::{EffectClass, EffectResult};
use agent_core::event::{Recorded, Suspension, ToolStarted, ToolSuspended};
use agent_core::file_events::CallUndone;
use agent_core::machine::Action;
use agent_core::name::CallNumber;
use agent_core::outcome::{Fault, Metering, RefusedCall, ToolOutcome};
use agent_core::run_events::RunStarted;
use agent_core::serving::{Caller, next_of};
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::{Fuel, UnixMillis};

use super::world::{World, files_write, returned, world};

/// A run that serves clients, of whom `calls` ask for a call each.
fn serving(calls: &[&str]) -> World {
    let mut world = World::new(&files_write(), Budget { tool_calls: u32::MAX, ..Budget::STANDARD });
    let started = RunStarted { models: Vec::new(), ..world.state.started.clone() };
    world.events[0].event = started.into();
    world.state = State::begin(&world.events[0]).unwrap();
    let client = Client { name: "test".into(), version: "1".into(), protocol: None };
    for tool in calls {
        world.record(ToolProposed {
            tool: (*tool).into(),
            arguments: "{}".into(),
            client: client.clone(),
            request: None,
        });
    }
    world
}

fn wants(world: &World, call: u32, caller: Caller) -> Action {
    next_of(&world.state, CallNumber(call), caller)
}

/// Starts a call that its client waits for.
fn start(world: &mut World, call: u32) -> CallNumber {
    let Action::CallTool { call, attempt, .. } = wants(world, call, Caller::Waits) else {
        panic!("{call} does not start")
    };
    world.record(ToolStarted {
        call,
        attempt,
        component: Digest::of(b""),
        fuel: Fuel(100),
        authority: Digest::of(b""),
        seed: String::new(),
        clock_start: UnixMillis(0),
        engine: "test".into(),
        continues: None,
        boot: None,
    });
    call
}

fn settled(action: Action) -> (Fault, String) {
    match action {
        Action::SettleCall { outcome: ToolOutcome::Faulted { fault, message }, .. } => (fault, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_go_their_own_ways_and_leave_nothing_behind() {
    let mut world = serving(&["calc__evaluate", "calc__evaluate", "nothing__here"]);
    let (first, second) = (start(&mut world, 1), start(&mut world, 2));
    world.finish(second, returned("2"));
    assert!(matches!(wants(&world, 3, Caller::Waits), Action::SettleCall { .. }), "there is no such tool");
    world.finish(CallNumber(3), ToolOutcome::Refused { reason: RefusedCall::UnknownTool, message: String::new() });
    assert_eq!((world.state.calls().len(), wants(&world, 1, Caller::Waits)), (1, Action::Wait));
    world.finish(first, returned("1"));
    assert_eq!((world.state.calls().len(), world.state.messages.len()), (0, 1), "a server may run for months");
    assert_eq!(world.state.spent.tool_calls, 3);
    assert!(matches!(world.next(), Action::Finish(ended) if ended.stop == StopReason::Completed));
}

#[test]
fn calls_that_hold_files_keep_their_order_whoever_asks() {
    let mut world = serving(&["files__write", "files__read", "calc__evaluate"]);
    let first = start(&mut world, 1);
    assert_eq!(wants(&world, 2, Caller::Waits), Action::Wait);
    start(&mut world, 3);
    world.finish(first, returned(""));
    start(&mut world, 2);
}

#[test]
fn a_call_whose_client_is_gone_is_brought_to_an_end_and_not_made_again() {
    let mut world = serving(&["calc__evaluate"]);
    assert_eq!(settled(wants(&world, 1, Caller::Gone)).0, Fault::Cancelled);
    let call = start(&mut world, 1);
    let suspended = ToolSuspended {
        call,
        attempt: 1,
        reason: Suspension::Cancelled,
        metering: Metering::nothing(),
        effects: vec![],
    };
    world.record(suspended);
    assert_eq!(settled(wants(&world, 1, Caller::Gone)).0, Fault::Cancelled);

    let mut killed = serving(&["files__write"]);
    let call = start(&mut killed, 1);
    killed.intend(call, 1, EffectClass::OwnedWrite);
    killed.crash();
    assert_eq!(killed.next(), Action::UndoCall(call));
    killed.record(CallUndone { call, attempt: 1, restored: 1 });
    let (fault, message) = settled(killed.next());
    assert!(fault == Fault::Interrupted && message.contains("undone"), "{message}");
}

/// Its client may ask again, not knowing of it.
#[test]
fn what_a_killed_call_may_have_sent_is_in_doubt_even_if_it_was_answered() {
    for answer in [None, Some(EffectResult::Done("200".into()))] {
        let mut world = serving(&["calc__evaluate"]);
        let call = start(&mut world, 1);
        world.intend(call, 1, EffectClass::KeyedWrite);
        if let Some(result) = answer {
            world.done(call, 1, result);
        }
        world.crash();
        let Action::MarkInDoubt(doubt) = world.next() else { panic!("{:?}", world.next()) };
        assert_eq!(doubt.call, call);
        world.record(*doubt);
        assert!(matches!(world.next(), Action::Finish(ended) if ended.stop == StopReason::SuspendedDoubt));
    }
}

#[test]
fn a_run_that_asks_a_model_takes_no_calls_of_clients() {
    let mut world = world();
    let client = Client { name: "test".into(), version: "1".into(), protocol: None };
    let proposed = ToolProposed { tool: "calc__evaluate".into(), arguments: "{}".into(), client, request: None };
    let last = world.events.last().unwrap();
    let next = Recorded { seq: last.seq + 1, event: proposed.into(), ..last.clone() };
    assert!(world.state.apply(&next).is_err());
}
