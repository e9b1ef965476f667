//! What a run brings along that was recorded elsewhere: no approval, nothing that this host's own rules would not give, and not
//! more work than its size is worth.

use std::time::{Duration, Instant};

use agent_core::answer_events::{
    AnswerPlace, AnsweredBy, Approval, ApprovalDecided, ApprovalRequested, ApprovalSubject,
};
use agent_core::approval;
use agent_core::budget::Budget;
use agent_core::config::authority::{ApprovalRule, Asks, Authority, DenyRule};
use agent_core::config::policy::parse_policy;
use agent_core::config::selector::Selector;
use agent_core::digest::Digest;
use agent_core::event::{ModelReplied, ModelRequested, Recorded};
use agent_core::grant::RuleSource;
use agent_core::machine::Action;
use agent_core::model::CALLS_MAX;
use agent_core::name::CallNumber;
use agent_core::run_events::RunAdopted;
use agent_core::units::UnixMillis;

use super::world::{World, files_write, reply, returned};

const CALL: CallNumber = CallNumber(1);

/// A call that was asked about and approved, until that time.
fn approved(expires: u64) -> World {
    let rule = ApprovalRule { selector: Selector::Everything, asks: Asks::Call, source: RuleSource("test".into()) };
    let mut world = World::new(&Authority { approvals: vec![rule], ..Authority::nothing() }, Budget::STANDARD);
    world.reply(&[("calc__evaluate", "1")]);
    let (call, subject) = (CALL, ApprovalSubject::Call);
    let digest = approval::call_digest(&world.state, world.state.call(CALL).unwrap());
    world.record(ApprovalRequested { call, subject: subject.clone(), digest });
    let answer = Approval::Approved { expires: UnixMillis(expires) };
    let by = AnsweredBy { user: 1000, place: AnswerPlace::Command };
    world.record(ApprovalDecided { call, subject, digest, answer, by });
    world
}

fn adopt(world: &mut World) {
    let authorities = world.state.authorities.clone();
    world.record(RunAdopted { file: Digest::of(b"file"), authorities });
}

#[test]
fn an_approval_of_another_host_is_asked_again() {
    let mut world = approved(u64::MAX);
    assert!(matches!(world.next(), Action::CallTool { .. }), "{:?}", world.next());
    adopt(&mut world);
    assert_eq!(world.next(), Action::AskApproval(CALL));
}

#[test]
fn an_approval_holds_no_longer_than_ten_minutes_whatever_it_says() {
    let world = approved(u64::MAX);
    let (call, digest) = {
        let call = world.state.call(CALL).unwrap();
        (call, approval::call_digest(&world.state, call))
    };
    let held = |at| call.asked.approvals(&digest, UnixMillis(world.now + at));
    assert_eq!((held(600_000), held(600_001)), (1, 0));
}

#[test]
fn an_adoption_says_what_each_tool_holds() {
    let mut world = approved(0);
    let mut authorities = world.state.authorities.clone();
    authorities.pop();
    let last = world.events.last().unwrap();
    let event = RunAdopted { file: Digest::of(b"file"), authorities }.into();
    let few = Recorded { seq: last.seq + 1, event, ..last.clone() };
    assert_eq!(world.state.apply(&few).unwrap_err().why, "it does not say what each tool of the run holds");
}

#[test]
fn what_was_allowed_elsewhere_is_held_to_the_rules_of_here() {
    let source = RuleSource("policy.toml:1".into());
    let held = |deny: DenyRule| {
        let world = World::new(&files_write(), Budget::STANDARD);
        let rules = Authority { denies: vec![deny.clone()], ..Authority::nothing() };
        match world.state.authorities[1].held_to(&[rules]) {
            Ok(held) => {
                assert!(held.denies.contains(&deny));
                String::new()
            }
            Err(problems) => problems.as_slice()[0].message.clone(),
        }
    };
    let everything = || DenyRule::of(Selector::Everything, source.clone());
    let granted = World::new(&files_write(), Budget::STANDARD).state.authorities[1].grant.fs[0].host.clone();
    let folder = |path: &str| DenyRule { fs: vec![path.parse().unwrap()], ..everything() };
    assert_eq!(held(everything()), "`files.write` is never called here");
    for path in [granted.clone(), format!("{granted}/deeper")] {
        assert_eq!(held(folder(&path)), format!("`files.write` holds `{granted}`, and `{path}` is denied"));
    }
    assert_eq!(held(folder("/elsewhere")), "");
    let hosts = parse_policy("policy.toml", "/", "[[deny]]\nhttp = [\"evil.example\"]").unwrap();
    assert_eq!(held(hosts.denies[0].clone()), "", "seen to at each request");
}

/// A file of some megabytes is no work of hours: what is done for an event does not grow with the calls beside it.
#[test]
fn many_calls_of_one_reply_are_folded_quickly_and_more_are_refused() {
    let mut world = World::new(&Authority::nothing(), Budget::STANDARD);
    let calls = vec![("no__such", ""); CALLS_MAX];
    let too_many = vec![("no__such", ""); CALLS_MAX + 1];
    world.record(ModelRequested { turn: 1, attempt: 1, model: 0 });
    let last = world.events.last().unwrap();
    let event = ModelReplied { turn: 1, reply: reply("", &too_many) }.into();
    let refused = world.state.clone().apply(&Recorded { seq: last.seq + 1, event, ..last.clone() });
    assert_eq!(refused.unwrap_err().why, "it asks for more calls than a reply may");
    world.record(ModelReplied { turn: 1, reply: reply("", &calls) });
    let began = Instant::now();
    for number in 1..=u32::try_from(CALLS_MAX).unwrap() {
        world.finish(CallNumber(number), returned("x"));
    }
    assert!(world.state.calls().is_empty(), "the turn is over");
    // Unoptimised, this takes a second; with results copied for each call, minutes.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
