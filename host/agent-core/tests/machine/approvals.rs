//! Calls and effects that a person is asked about: who is asked when, how long an answer holds, and what it is for.

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, Approval, ApprovalDecided, ApprovalRequested, ApprovalSubject, GrantWidened,
};
use agent_core::approval;
use agent_core::budget::Budget;
use agent_core::config::authority::{ApprovalRule, Asks, Authority};
use agent_core::config::selector::Selector;
use agent_core::digest::Digest;
use agent_core::effect::EffectClass;
use agent_core::event::{ModelReplied, ModelRequested, Recorded, Suspension, ToolSuspended};
use agent_core::grant::RuleSource;
use agent_core::machine::Action;
use agent_core::name::CallNumber;
use agent_core::outcome::{Metering, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::run_events::RunEnded;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::units::{Fuel, Millis, UnixMillis};
use proptest::prelude::*;

use super::world::{World, files_write, reply, request, returned, world};

const BY: AnsweredBy = AnsweredBy { user: 1000, place: AnswerPlace::Command };
const CALL: CallNumber = CallNumber(1);

fn asking() -> World {
    let rule = ApprovalRule { selector: Selector::Everything, asks: Asks::Call, source: RuleSource("test".into()) };
    World::new(&Authority { approvals: vec![rule], ..Authority::nothing() }, Budget::STANDARD)
}

fn effect() -> ApprovalSubject {
    ApprovalSubject::Effect { number: 1, request: request() }
}

impl World {
    fn digest(&self, call: CallNumber, subject: &ApprovalSubject) -> Digest {
        approval::digest_of(&self.state, self.state.call(call).unwrap(), subject)
    }

    /// As the driver does, and as the gate of a running call.
    fn ask(&mut self, call: CallNumber, subject: ApprovalSubject) {
        let digest = self.digest(call, &subject);
        self.record(ApprovalRequested { call, subject, digest });
    }

    fn answer_with(&mut self, call: CallNumber, subject: ApprovalSubject, answer: Approval) {
        let digest = self.digest(call, &subject);
        self.record(ApprovalDecided { call, subject, digest, answer, by: BY });
    }

    fn approve(&mut self, call: CallNumber, subject: ApprovalSubject) {
        let answer = Approval::yes(UnixMillis(self.now));
        self.answer_with(call, subject, answer);
    }

    fn set_aside(&mut self, call: CallNumber, attempt: u32) {
        let (metering, reason) = (Metering::nothing(), Suspension::Approval);
        self.record(ToolSuspended { call, attempt, reason, metering, effects: Vec::new() });
    }

    /// Nothing is left to do, and the run stops.
    fn suspend(&mut self) -> RunEnded {
        let Action::Finish(ended) = self.next() else { panic!("{:?}", self.next()) };
        self.record(ended.clone());
        ended
    }

    fn held(&self, call: CallNumber, subject: &ApprovalSubject) -> usize {
        let asked = &self.state.call(call).unwrap().asked;
        asked.approvals(&self.digest(call, subject), UnixMillis(self.now))
    }
}

#[test]
fn a_person_is_asked_first_and_a_denial_with_its_reason_is_told_to_the_model() {
    let denied = Approval::Denied { reason: Some("not on a Friday".into()) };
    for (answer, allowed) in [(Approval::yes(UnixMillis(0)), true), (denied, false)] {
        let mut world = asking();
        world.reply(&[("calc__evaluate", "1")]);
        assert_eq!(world.next(), Action::AskApproval(CALL));
        world.ask(CALL, ApprovalSubject::Call);
        world.answer_with(CALL, ApprovalSubject::Call, answer);
        assert_eq!(matches!(world.next(), Action::CallTool { .. }), allowed, "{:?}", world.next());
        if let Action::SettleCall { outcome, .. } = world.next() {
            let ToolOutcome::Refused { message, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(message, "the operator was asked and said no: not on a Friday");
        }
    }
}

#[test]
fn where_nobody_answers_the_rest_goes_on_and_then_the_run_is_suspended() {
    let rule = |tool: &str| ApprovalRule {
        selector: tool.parse().unwrap(),
        asks: Asks::Call,
        source: RuleSource("test".into()),
    };
    let rules = Authority { approvals: vec![rule("files.write")], ..Authority::nothing() };
    let mut world = World::new(&rules, Budget::STANDARD);
    world.reply(&[("files__write", "{}"), ("calc__evaluate", "1")]);
    assert_eq!(world.next(), Action::AskApproval(CALL));
    world.ask(CALL, ApprovalSubject::Call);
    assert_eq!(world.start(), CallNumber(2), "the other call is not held up");
    assert_eq!(world.next(), Action::Wait);
    world.finish(CallNumber(2), returned("1"));
    let ended = world.suspend();
    assert_eq!(ended.stop, StopReason::SuspendedApproval);
    assert_eq!(ended.detail.as_deref(), Some("call 1 `files.write` waits for approval to be made"));

    world.now += 5_000;
    world.approve(CALL, ApprovalSubject::Call);
    assert_eq!(world.next(), Action::Rest, "an answer alone starts nothing");
    world.crash();
    assert_eq!(world.start(), CALL);
}

#[test]
fn an_answer_is_only_for_what_was_asked() {
    let mut world = asking();
    world.reply(&[("calc__evaluate", "1"), ("calc__evaluate", "1")]);
    world.ask(CALL, ApprovalSubject::Call);
    let (other, digest) = (CallNumber(2), world.digest(CALL, &ApprovalSubject::Call));
    assert_ne!(world.digest(other, &ApprovalSubject::Call), digest, "the same arguments in another call");
    let last = world.events.last().unwrap().clone();
    let refused = |call, subject, digest| {
        let decided = ApprovalDecided { call, subject, digest, answer: Approval::yes(UnixMillis(0)), by: BY };
        let mut state = world.state.clone();
        state.apply(&Recorded { seq: last.seq + 1, event: decided.into(), ..last.clone() }).is_err()
    };
    assert!(refused(other, ApprovalSubject::Call, digest), "nobody asked about that call");
    assert!(refused(CALL, effect(), digest), "nobody asked about an effect");
    assert!(refused(CALL, ApprovalSubject::Call, Digest::of(b"")), "what is answered is not what was asked");
    assert!(!refused(CALL, ApprovalSubject::Call, digest));
}

#[test]
fn an_approval_expires_ten_minutes_after_the_decision() {
    for (later, asks_again) in [(600_000, false), (600_001, true)] {
        let mut world = asking();
        world.reply(&[("calc__evaluate", "1")]);
        world.ask(CALL, ApprovalSubject::Call);
        world.approve(CALL, ApprovalSubject::Call);
        world.now += later;
        world.crash();
        assert_eq!(world.next() == Action::AskApproval(CALL), asks_again, "{later}");
    }
}

/// The approval was for this call, which has not taken place; but not for any time.
#[test]
fn a_call_that_its_host_took_with_it_is_asked_about_again_once_the_approval_has_expired() {
    for (later, asks_again) in [(600_000, false), (600_001, true)] {
        let mut world = asking();
        world.reply(&[("calc__evaluate", "1")]);
        world.ask(CALL, ApprovalSubject::Call);
        world.approve(CALL, ApprovalSubject::Call);
        world.start();
        world.now += later;
        world.crash();
        assert_eq!(world.next() == Action::AskApproval(CALL), asks_again, "{later}");
    }
}

#[test]
fn what_changed_since_is_asked_again() {
    let mut world = asking();
    world.reply(&[("calc__evaluate", "1")]);
    world.ask(CALL, ApprovalSubject::Call);
    world.approve(CALL, ApprovalSubject::Call);
    assert!(matches!(world.next(), Action::CallTool { .. }));
    let mut authority = world.state.authorities[0].clone();
    authority.grant.limits.fuel = Fuel(7);
    world.record(GrantWidened { tool: "calc__evaluate".into(), authority });
    assert_eq!(world.next(), Action::AskApproval(CALL));
}

#[test]
fn a_resume_asks_again_what_nobody_answered() {
    let mut world = asking();
    world.reply(&[("calc__evaluate", "1")]);
    world.ask(CALL, ApprovalSubject::Call);
    world.suspend();
    world.crash();
    assert_eq!(world.next(), Action::AskApproval(CALL));
    world.ask(CALL, ApprovalSubject::Call);
    assert_eq!(world.state.call(CALL).unwrap().asked.open.len(), 1, "one question, asked twice");
    assert_eq!(world.suspend().stop, StopReason::SuspendedApproval);
}

#[test]
fn a_call_that_waits_for_an_effect_is_set_aside_and_comes_to_it_again() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}")]);
    world.start();
    world.ask(CALL, effect());
    world.set_aside(CALL, 1);
    assert_eq!(world.suspend().stop, StopReason::SuspendedApproval);
    world.approve(CALL, effect());
    world.crash();
    let Action::CallTool { attempt: 2, .. } = world.next() else { panic!("{:?}", world.next()) };
    let origin = world.state.call(CALL).unwrap().origin.clone();
    assert!(origin.is_some(), "it begins as before, so that it asks for the same");
    assert_eq!(world.held(CALL, &effect()), 1);
    world.start();
    assert_eq!(world.held(CALL, &effect()), 1, "the attempt does not matter");
    let other = ApprovalSubject::Effect { number: 2, request: request() };
    assert_eq!(world.held(CALL, &other), 0, "another effect of the call is asked about by itself");
}

#[test]
fn an_approved_request_is_sent_once() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    world.start();
    world.ask(CALL, effect());
    world.approve(CALL, effect());
    assert_eq!(world.held(CALL, &effect()), 1);
    world.intend(CALL, 1, EffectClass::OpaqueWrite);
    assert_eq!(world.held(CALL, &effect()), 0);
}

#[test]
fn waiting_for_persons_is_no_attempt_that_killed_its_host() {
    let mut world = world();
    world.reply(&[("calc__evaluate", "1")]);
    for attempt in 1..=10 {
        world.start();
        world.ask(CALL, effect());
        world.set_aside(CALL, attempt);
        world.suspend();
        world.approve(CALL, effect());
        world.crash();
    }
    assert!(matches!(world.next(), Action::CallTool { attempt: 11, .. }));
}

#[test]
fn time_in_which_only_a_person_is_waited_for_is_not_spent() {
    let mut world = asking();
    world.reply(&[("calc__evaluate", "1")]);
    world.ask(CALL, ApprovalSubject::Call);
    world.now += 500_000;
    world.approve(CALL, ApprovalSubject::Call);
    assert_eq!(world.state.spent.time, Millis(0));
}

#[test]
fn an_attempt_that_was_not_undone_cannot_be_set_aside() {
    let mut world = World::new(&files_write(), Budget::STANDARD);
    world.reply(&[("files__write", "{}")]);
    world.start();
    world.intend(CALL, 1, EffectClass::OwnedWrite);
    let (metering, reason) = (Metering::nothing(), Suspension::Approval);
    let suspended = ToolSuspended { call: CALL, attempt: 1, reason, metering, effects: Vec::new() };
    let last = world.events.last().unwrap().clone();
    assert!(world.state.clone().apply(&Recorded { seq: last.seq + 1, event: suspended.into(), ..last }).is_err());
}

proptest! {
    /// However people answer, hosts die and time passes: no call starts without an approval that was given for exactly it, at
    /// most ten minutes before, and every run comes to a stop.
    #[test]
    fn no_call_starts_unapproved(choices in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut world = asking();
        let mut choices = choices.into_iter();
        let mut approved: Vec<(CallNumber, u64)> = Vec::new();
        for _ in 0..400 {
            let choice = choices.next().unwrap_or(200);
            world.now += u64::from(choice) * 5_000;
            if choice < 30 {
                world.crash();
            }
            match world.next() {
                Action::CallModel { turn, attempt, model, .. } => {
                    world.record(ModelRequested { turn, attempt, model });
                    let calls: &[_] = if choice < 190 { &[("calc__evaluate", "1"), ("files__read", "{}")] } else { &[] };
                    world.record(ModelReplied { turn, reply: reply("done", calls) });
                }
                Action::AskApproval(call) => {
                    world.ask(call, ApprovalSubject::Call);
                    match choice % 3 {
                        0 => {
                            world.approve(call, ApprovalSubject::Call);
                            approved.push((call, world.now));
                        }
                        1 => world.answer_with(call, ApprovalSubject::Call, Approval::Denied { reason: None }),
                        _ => {}
                    }
                }
                Action::CallTool { call, .. } => {
                    let last = world.events.last().unwrap().at.0;
                    prop_assert!(approved.iter().any(|(known, at)| *known == call && last <= at + 600_000));
                    world.start();
                }
                Action::Wait => {
                    let running = |call: &&agent_core::pending::PendingCall| matches!(call.status, CallStatus::Running(_));
                    let call = world.state.calls().iter().find(running).unwrap().number;
                    world.finish(call, returned(&choice.to_string()));
                }
                Action::SettleCall { call, outcome } => world.finish(call, outcome),
                Action::Finish(ended) => {
                    world.record(ended.clone());
                    if ended.stop != StopReason::SuspendedApproval || choice > 150 {
                        break;
                    }
                    let open: Vec<_> = world.state.calls().iter().filter(|call| !call.asked.open.is_empty()).collect();
                    let call = open[0].number;
                    world.approve(call, ApprovalSubject::Call);
                    approved.push((call, world.now));
                    world.crash();
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(State::fold(&world.events).unwrap().unwrap(), world.state);
    }
}
