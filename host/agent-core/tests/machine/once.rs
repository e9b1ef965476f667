//! Effects that a person permits once: to which attempts such a permit says anything, and what may be recorded of it.

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, DoubtResolved, EffectPermitted, Resolution, ResolvedBy, RetryFrom,
};
use agent_core::digest::Digest;
use agent_core::effect::{EffectClass, EffectRequest, EffectResult};
use agent_core::event::{Event, Suspension, ToolSuspended};
use agent_core::name::CallNumber;
use agent_core::outcome::Metering;
use agent_core::pending::CallStatus;
use agent_core::run_events::RunAdopted;

use super::world::{World, post, returned, world};

const BY: AnsweredBy = AnsweredBy { user: 1000, place: AnswerPlace::Run };
const CALL: CallNumber = CallNumber(1);

/// What is left of the permit for one effect.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// An attempt that does it again along its record may.
    Holds,
    /// What was done by it is told again, and not done again.
    IsTold,
    /// That it was given is remembered, for people.
    Remembered,
    Nothing,
}

fn permit(attempt: u32, number: u32) -> EffectPermitted {
    EffectPermitted { call: CALL, attempt, number, request: post(number), by: BY }
}

impl World {
    fn left(&self, number: u32, request: &EffectRequest) -> Left {
        let permits = &self.state.call(CALL).unwrap().asked.permits;
        match (permits.hold(number, request), permits.tell_of(number, request)) {
            (true, true) => Left::Holds,
            (true, false) => unreachable!("what is done again is told"),
            (false, true) => Left::IsTold,
            (false, false) if permits.have_held(number, request) => Left::Remembered,
            (false, false) => Left::Nothing,
        }
    }

    fn refuses(&self, event: impl Into<Event>) -> Option<&'static str> {
        self.state.check(&event.into()).err().map(|unexpected| unexpected.why)
    }
}

/// A call whose first attempt goes on, and was permitted its third effect.
fn permitted() -> World {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    world.start();
    world.record(permit(1, 3));
    world
}

#[test]
fn a_permit_is_for_one_effect_as_it_was_asked_about() {
    let world = permitted();
    assert_eq!(world.left(3, &post(3)), Left::Holds);
    assert_eq!(world.left(4, &post(3)), Left::Nothing, "the same request once more");
    assert_eq!(world.left(3, &post(4)), Left::Nothing, "another request");
}

#[test]
fn only_an_attempt_that_goes_on_is_permitted_anything_and_each_effect_once() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1"), ("calc__evaluate", "2")]);
    assert_eq!(world.refuses(permit(1, 3)), Some("no such attempt is going on"), "it has not begun");
    world.start();
    assert_eq!(world.refuses(permit(2, 3)), Some("no such attempt is going on"));
    assert_eq!(world.refuses(permit(1, 3)), None);
    world.record(permit(1, 3));
    assert_eq!(world.refuses(permit(1, 3)), Some("the effect was permitted already"));
    assert_eq!(world.refuses(permit(1, 4)), None);
    world.crash();
    assert_eq!(world.refuses(permit(1, 4)), Some("no such attempt is going on"), "its host is gone");
    world.start();
    world.finish(CALL, returned("1"));
    assert_eq!(world.refuses(permit(2, 4)), Some("no such attempt is going on"), "it has ended");
}

/// Whether it came to anything nobody knows, so that using it now could be the second time.
#[test]
fn an_attempt_that_begins_anew_has_no_permit_of_the_one_before() {
    let mut world = permitted();
    world.crash();
    assert!(
        world.state.call(CALL).unwrap().origin.is_some(),
        "it comes to the same point, and is asked about it again"
    );
    world.start();
    assert_eq!(world.left(3, &post(3)), Left::Remembered);
    world.record(permit(2, 3));
    assert_eq!(world.left(3, &post(3)), Left::Holds, "a new one is as good as any");
}

#[test]
fn an_attempt_that_was_set_aside_begins_anew() {
    let mut world = permitted();
    let (metering, reason) = (Metering::nothing(), Suspension::Approval);
    world.record(ToolSuspended { call: CALL, attempt: 1, reason, metering, effects: Vec::new() });
    assert_eq!(world.left(3, &post(3)), Left::Holds, "nothing follows it yet");
    world.crash();
    world.start();
    assert_eq!(world.left(3, &post(3)), Left::Remembered);
}

#[test]
fn an_attempt_that_goes_on_along_the_record_has_what_the_one_before_had() {
    let mut world = permitted();
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 4);
    world.done_number(CALL, 1, EffectResult::Done("200".into()), 4);
    for attempt in 2..=3 {
        world.crash();
        world.start();
        let CallStatus::Running(running) = &world.state.call(CALL).unwrap().status else { panic!("it goes on") };
        assert_eq!((running.number, running.started.continues), (attempt, Some(attempt - 1)));
        assert_eq!(world.left(3, &post(3)), Left::Holds);
    }
}

#[test]
fn a_write_in_doubt_that_is_made_again_is_the_one_that_was_permitted_where_it_goes_by_its_record() {
    for (from, left) in [(RetryFrom::Record, Left::Holds), (RetryFrom::Start, Left::Remembered)] {
        let mut world = permitted();
        world.intend_number(CALL, 1, EffectClass::OpaqueWrite, 3);
        world.done_number(CALL, 1, EffectResult::Unknown("cut".into()), 3);
        world.doubt(CALL, from);
        let by = ResolvedBy::Person(BY);
        world.record(DoubtResolved { call: CALL, resolution: Resolution::Retry, by });
        world.crash();
        world.start();
        assert_eq!(world.left(3, &post(3)), left, "{from:?}");
    }
}

/// Only the other host could know who gave it. What was done by it was done.
#[test]
fn a_permit_of_another_host_does_not_hold() {
    let mut world = permitted();
    world.intend_number(CALL, 1, EffectClass::KeyedWrite, 4);
    world.done_number(CALL, 1, EffectResult::Done("200".into()), 4);
    let authorities = world.state.authorities.clone();
    world.record(RunAdopted { file: Digest::of(b"file"), authorities });
    world.crash();
    world.start();
    assert_eq!(world.left(3, &post(3)), Left::IsTold);
}
