//! Checkpoints: when there is one, and that going on from one is the same as folding all events. That the state which comes of one is
//! the one that it was made of is asked after every event of every run here: see [`World::record`].

use agent_core::budget::Budget;
use agent_core::event::{ModelFailed, ModelReplied, ModelRequested};
use agent_core::message::Message;
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::run_events::RunStarted;
use agent_core::session::Earlier;
use agent_core::state::State;
use agent_core::state::folding::Folding;

use super::world::{World, files_write, reply, restored, returned, stored, world};

/// A turn with two calls, one after the other.
fn turn(world: &mut World) {
    world.reply(&[("calc__evaluate", "1"), ("files__write", "{}")]);
    let first = world.start();
    world.finish(first, returned("one"));
    let second = world.start();
    world.finish(second, returned("two"));
}

fn long() -> World {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    for number in 1..5 {
        world.now = number * 1_000;
        turn(&mut world);
    }
    world
}

#[test]
fn there_is_one_where_nothing_is_going_on_and_none_elsewhere() {
    let has_one = |world: &World| stored(&world.state).is_some();
    let mut world = world();
    assert!(has_one(&world), "the first turn begins");
    world.record(ModelRequested { turn: 1, attempt: 1, model: 0 });
    assert!(!has_one(&world), "a request is on its way");
    let failure = ModelFailure::new(ModelFailureKind::Network, "x");
    world.record(ModelFailed { turn: 1, failure });
    assert!(!has_one(&world), "a request has failed");
    world.record(ModelRequested { turn: 1, attempt: 2, model: 0 });
    world.record(ModelReplied { turn: 1, reply: reply("", &[("calc__evaluate", "1")]) });
    assert!(!has_one(&world), "a call is proposed");
    let call = world.start();
    assert!(!has_one(&world), "a call is running");
    world.finish(call, returned("1"));
    assert!(has_one(&world), "the next turn begins");
    world.answer("done");
    assert!(!has_one(&world), "the model has answered");
    world.stop();
    assert!(!has_one(&world), "the run has stopped");
}

#[test]
fn who_only_looks_has_none() {
    let world = long();
    let mut folding = Folding::without_conversation();
    world.events.iter().for_each(|event| folding.see(event));
    assert!(folding.state().unwrap().checkpoint().is_none());
}

#[test]
fn from_any_checkpoint_on_the_rest_folds_to_the_same_state() {
    let mut world = long();
    world.crash();
    turn(&mut world);
    world.answer("done");
    world.stop();
    let mut kept = 0;
    for upto in 1..world.events.len() {
        let (before, after) = world.events.split_at(upto);
        let state = State::fold(before).unwrap().unwrap();
        let Some(stored) = stored(&state) else { continue };
        kept += 1;
        let mut folding = Folding::from_state(restored(&stored, &state));
        after.iter().for_each(|event| folding.see(event));
        assert_eq!(folding.end().unwrap().as_ref(), Some(&world.state), "from event {upto} on");
    }
    assert_eq!(kept, 7, "the beginnings of the turns, and of the one that was taken up again");
}

#[test]
fn what_was_said_in_earlier_runs_is_not_stored_again() {
    let folded = long().state;
    let mut driven = folded.clone();
    driven.carry(vec![Message::from_user("before"), Message::from_user("then")]);
    assert_eq!(stored(&driven), stored(&folded));
    assert_eq!(restored(&stored(&driven).unwrap(), &folded), folded);
}

/// Then the run's own first message says what is left out, and a resume would have it say so twice.
#[test]
fn a_run_that_could_carry_nothing_of_its_session_has_none() {
    let mut world = world();
    let earlier = Earlier { runs: Vec::new(), left_out: 2 };
    world.events[0].event = RunStarted { earlier, ..world.state.started.clone() }.into();
    let mut state = State::begin(&world.events[0]).unwrap();
    assert!(state.checkpoint().is_none());
    state.carry(Vec::new());
    assert!(state.checkpoint().is_none());
}

/// Where this changes, a journal may have checkpoints of what folding gave before: raise the number in `FOLD`.
#[test]
fn the_stored_form_is_known() {
    let world = long();
    let form: serde_json::Value = serde_json::from_str(&stored(&world.state).unwrap()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&form).unwrap());
}
