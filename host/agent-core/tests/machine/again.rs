//! Calls that are made again after a doubt, or because a keyed write had no answer: what they go by, and what is asked before.

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, ApprovalRequested, ApprovalSubject, DoubtResolved, Resolution, ResolvedBy, RetryFrom,
    ToolInDoubt,
};
use agent_core::approval;
use agent_core::budget::Budget;
use agent_core::effect::{EffectClass, EffectResult};
use agent_core::event::{Suspension, ToolSuspended};
use agent_core::file_events::{AttemptUndone, CallUndone, ChangesUndone, PathsMarked};
use agent_core::machine::{self, Action};
use agent_core::name::CallNumber;
use agent_core::outcome::{MeteredFuel, Metering};
use agent_core::path_state::{Mark, PathMark};
use agent_core::pending::{Attempt, CallStatus};
use agent_core::stop::StopReason;
use agent_core::units::Fuel;

use super::world::{World, files_write, post, request, returned, world};

const CALL: CallNumber = CallNumber(1);

fn begun() -> World {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}")]);
    world.start();
    world
}

fn retry(world: &mut World) {
    let by = ResolvedBy::Person(AnsweredBy { user: 1000, place: AnswerPlace::Command });
    world.record(DoubtResolved { call: CALL, resolution: Resolution::Retry, by });
}

fn marked_in_doubt(world: &World) -> ToolInDoubt {
    let Action::MarkInDoubt(doubt) = world.next() else { panic!("{:?}", world.next()) };
    *doubt
}

fn running(world: &World) -> Attempt {
    match &world.state.call(CALL).unwrap().status {
        CallStatus::Running(attempt) => attempt.clone(),
        other => panic!("{other:?}"),
    }
}

fn suspend(world: &mut World, attempt: u32, reason: Suspension) {
    let (metering, effects) = (Metering::nothing(), Vec::new());
    world.record(ToolSuspended { call: CALL, attempt, reason, metering, effects });
}

#[test]
fn what_a_killed_call_had_changed_is_undone_before_its_write_is_in_doubt() {
    let mut world = begun();
    world.intend_number(CALL, 1, EffectClass::OwnedWrite, 1);
    world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 2);
    world.crash();
    assert_eq!(world.next(), Action::UndoCall(CALL));
    world.record(CallUndone { call: CALL, attempt: 1, restored: 1 });
    let doubt = marked_in_doubt(&world);
    world.record(doubt);
    assert_eq!(world.stop(), Some(StopReason::SuspendedDoubt));
}

#[test]
fn a_doubt_names_the_write_that_must_not_be_repeated_and_all_that_was_sent() {
    let mut world = begun();
    world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 2);
    world.done_number(CALL, 1, EffectResult::Done("201".into()), 2);
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 3);
    world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 4);
    world.crash();
    let doubt = marked_in_doubt(&world);
    assert_eq!(
        doubt.reason,
        "the host ended after it was announced and before its answer was recorded; what it sent: POST \
         https://shop.test/2 (answered: 201), POST https://shop.test/3 (no answer is known)"
    );
    assert_eq!(doubt.request, post(4));
}

#[test]
fn a_retry_goes_along_the_record_and_repeats_only_what_has_no_answer() {
    let mut world = begun();
    world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 3);
    world.done_number(CALL, 1, EffectResult::Done("201".into()), 3);
    world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 2);
    world.crash();
    let doubt = marked_in_doubt(&world);
    assert_eq!(doubt.retry, RetryFrom::Record);
    world.record(doubt);
    retry(&mut world);
    world.crash();
    world.start();
    let attempt = running(&world);
    assert_eq!((attempt.started.continues, attempt.transcript.len()), (Some(1), 2));
    assert_eq!(attempt.unresolved().map(|send| send.number), Some(2));
    world.intend_number(CALL, 2, EffectClass::OpaqueWrite, 2);
    world.done_number(CALL, 2, EffectResult::Done("200".into()), 2);
    assert_eq!(running(&world).unresolved(), None);
}

#[test]
fn a_retry_that_its_record_does_not_lead_on_begins_anew_as_before() {
    let mut world = begun();
    let origin = running(&world).origin;
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    world.done(CALL, 1, EffectResult::Done("201".into()));
    world.doubt(CALL, RetryFrom::Start);
    retry(&mut world);
    assert_eq!(world.state.call(CALL).unwrap().origin, Some(origin), "the same seed and clock, and so the same keys");
    world.start();
    assert_eq!((running(&world).started.continues, running(&world).sends), (None, Vec::new()));
}

/// A run whose journal held this could never be read again.
#[test]
fn a_question_ends_with_the_attempt_that_asked_it() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    world.done(CALL, 1, EffectResult::Unknown("cut".into()));
    let subject = ApprovalSubject::Effect { number: 2, request: request() };
    let digest = approval::digest_of(&world.state, world.state.call(CALL).unwrap(), &subject);
    world.record(ApprovalRequested { call: CALL, subject, digest });
    world.doubt(CALL, RetryFrom::Record);
    retry(&mut world);
    world.crash();
    world.start();
}

#[test]
fn a_keyed_write_without_an_answer_is_sent_again_in_a_living_host_and_then_is_doubt() {
    let mut world = begun();
    for attempt in 1..=machine::CALL_ATTEMPTS_MAX {
        world.intend(CALL, attempt, EffectClass::KeyedWrite);
        world.done(CALL, attempt, EffectResult::Unknown("timeout".into()));
        suspend(&mut world, attempt, Suspension::Unanswered);
        if attempt < machine::CALL_ATTEMPTS_MAX {
            world.start();
            assert_eq!(running(&world).started.continues, Some(attempt));
        }
    }
    assert_eq!(marked_in_doubt(&world).reason, "each of 3 attempts was cut short");
}

#[test]
fn a_keyed_write_that_was_under_way_when_the_run_was_stopped_is_sent_again() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::KeyedWrite);
    suspend(&mut world, 1, Suspension::Cancelled);
    world.crash();
    world.start();
    assert_eq!(running(&world).started.continues, Some(1));
}

/// That it cannot be sent now says nothing about what the attempt before had sent.
#[test]
fn a_keyed_write_that_is_not_sent_the_second_time_may_have_happened_the_first_time() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::KeyedWrite);
    world.crash();
    world.start();
    world.intend(CALL, 2, EffectClass::KeyedWrite);
    world.done(CALL, 2, EffectResult::NotSent("refused".into()));
    assert!(running(&world).unresolved().is_some());
}

#[test]
fn a_guest_that_was_told_of_no_answer_does_not_send_it_again() {
    let mut world = begun();
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 1);
    world.done_number(CALL, 1, EffectResult::Unknown("timeout".into()), 1);
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 2);
    world.done_number(CALL, 1, EffectResult::Done("200".into()), 2);
    assert_eq!(running(&world).unrepeatable().map(|send| send.number), Some(1));
    world.crash();
    assert_eq!(marked_in_doubt(&world).retry, RetryFrom::Start);
}

#[test]
fn two_keyed_writes_under_way_are_both_sent_again() {
    let mut world = begun();
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 1);
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 2);
    world.done_number(CALL, 1, EffectResult::Unknown("cut".into()), 1);
    world.done_number(CALL, 1, EffectResult::Unknown("cut".into()), 2);
    world.crash();
    world.start();
    for number in 1..=2 {
        world.intend_number(CALL, 2, EffectClass::KeyedWrite, number);
    }
    assert_eq!(running(&world).unrepeatable(), None);
    for number in 1..=2 {
        world.done_number(CALL, 2, EffectResult::Done("200".into()), number);
    }
    assert_eq!(running(&world).unresolved(), None);
    world.finish(CALL, returned("ok"));
}

#[test]
fn what_is_said_of_paths_after_they_were_undone_is_no_damage() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::OwnedWrite);
    world.crash();
    let attempts = vec![AttemptUndone { call: CALL, attempt: 1, restored: 0, left: vec![0] }];
    world.record(ChangesUndone { attempts });
    let marks = vec![PathMark { entry: 0, is: Mark::Left(None) }];
    world.record(PathsMarked { call: CALL, attempt: 1, boot: 1, marks });
}

#[test]
fn an_attempt_in_doubt_is_not_free() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    let metering = Some(Metering { fuel: MeteredFuel::Exact(Fuel(7)), ..Metering::nothing() });
    let (request, reason, retry) = (request(), "cut".into(), RetryFrom::Record);
    world.record(ToolInDoubt { call: CALL, request, reason, retry, metering, effects: Vec::new() });
    assert_eq!(world.state.spent.fuel, Fuel(7));
}

#[test]
fn what_does_not_follow_is_refused_before_it_is_recorded() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    let (metering, reason) = (Metering::nothing(), Suspension::Cancelled);
    let suspended = ToolSuspended { call: CALL, attempt: 1, reason, metering, effects: Vec::new() };
    let undone = CallUndone { call: CALL, attempt: 1, restored: 0 };
    assert!(world.state.check(&suspended.into()).is_err());
    assert!(world.state.check(&undone.into()).is_err());
    assert!(world.state.check(&world.state.started.clone().into()).is_err());
}

#[test]
fn a_change_that_nobody_can_undo_is_not_made_again_along_a_record() {
    let mut world = begun();
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    world.crash();
    assert_eq!(marked_in_doubt(&world).retry, RetryFrom::Start);
}
