//! Whatever a run does and wherever its host is killed: a whole trace.

use std::collections::{BTreeMap, BTreeSet};

use agent_core::answer_events::{DoubtResolved, Resolution, ResolvedBy};
use agent_core::effect::{EffectClass, EffectResult};
use agent_core::event::{EffectDone, Event, ModelFailed};
use agent_core::file_events::CallUndone;
use agent_core::machine::{self, Action};
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::name::CallNumber;
use agent_core::outcome::{Fault, ToolOutcome};
use agent_core::pending::CallStatus;
use agent_core::state::State;
use agent_core::stop::StopReason;
use agent_core::trace::instruments;
use agent_core::trace::names::{self, Attribute, Holds, Level, Subject};
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, Ended, Span, SpanId, Status, TraceId, Value};
use agent_core::units::UnixMillis;
use proptest::prelude::*;

use super::run::{ANSWER, Run, effect, finished, intended, replied, requested, resumed, returned, started, write};
use super::totals;

/// What every span must be, whatever the run.
fn check(span: &Span) -> Result<(), String> {
    let subject = span.subject;
    for attribute in names::ALL.iter().filter(|attribute| attribute.level(subject) == Some(Level::Required)) {
        if span.get(attribute).is_none() {
            return Err(format!("{subject:?} lacks {}", attribute.name));
        }
    }
    check_all(&span.attributes, subject)?;
    span.notes.iter().try_for_each(|note| check_all(&note.attributes, Subject::Note))?;
    if span.end < span.start {
        return Err(format!("{} ends before it begins", span.name));
    }
    if matches!(span.status, Status::Failed(_)) != span.get(&names::ERROR_TYPE).is_some() {
        return Err(format!("{} fails without a kind, or the other way round", span.name));
    }
    Ok(())
}

fn check_all(attributes: &[(&'static Attribute, Value)], subject: Subject) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (attribute, value) in attributes {
        let holds = match value {
            Value::Text(_) => Holds::Text,
            Value::Texts(_) => Holds::Texts,
            Value::Integer(_) => Holds::Integer,
            Value::Thousandths(_) => Holds::Real,
            Value::Flag(_) => Holds::Flag,
        };
        let known = names::ALL.iter().any(|known| known.name == attribute.name);
        if !known || attribute.holds != holds || attribute.level(subject).is_none() || !seen.insert(attribute.name) {
            return Err(format!("{} on {subject:?}: {value:?}", attribute.name));
        }
    }
    Ok(())
}

/// A run that does what the choices say, by way of the machine.
fn any_run(choices: &[u8]) -> Run {
    let mut run = Run::new();
    let mut choices = choices.iter().copied();
    let mut running: Vec<(CallNumber, u32, bool)> = Vec::new();
    for _ in 0..200 {
        let choice = choices.next().unwrap_or(200);
        let state = State::fold(&run.events).unwrap().unwrap();
        let resumable = state.stopped.as_ref().is_none_or(|stopped| stopped.stop.is_resumable());
        if choice < 25 && resumable {
            running.clear();
            run.record(resumed());
            continue;
        }
        match machine::next(&state) {
            Action::CallModel { turn, attempt, model, .. } => {
                run.record(requested(turn, attempt, model));
                match choice {
                    25..40 => {}
                    40..80 => {
                        run.record(ModelFailed { turn, failure: ModelFailure::new(ModelFailureKind::Network, "x") });
                    }
                    80..110 => run.record(replied(turn, ANSWER, &[])),
                    _ => run.record(replied(turn, "", &["files__write", "orders__look-up", "nobody"])),
                }
            }
            Action::CallTool { call, attempt, .. } => {
                run.record(started(call.0, attempt));
                let class = match choice % 4 {
                    0 => Some(EffectClass::OwnedWrite),
                    1 => Some(EffectClass::OpaqueWrite),
                    _ => None,
                };
                if let Some(class) = class {
                    run.record(intended(call.0, attempt, 1, class));
                }
                running.push((call, attempt, class == Some(EffectClass::OpaqueWrite)));
            }
            Action::SettleCall { call, outcome } => run.record(finished(call.0, outcome, Vec::new())),
            Action::UndoCall(call) => {
                let Some(CallStatus::Interrupted(attempt)) = state.call(call).map(|call| &call.status) else { break };
                run.record(CallUndone { call, attempt: attempt.number, restored: 1 });
            }
            Action::MarkInDoubt(doubt) => run.record(*doubt),
            Action::Wait if running.is_empty() => run.record(resumed()),
            Action::Wait => {
                let (call, attempt, sent) = running.remove(usize::from(choice) % running.len());
                let effect = effect(1, write("/data/a"), EffectResult::Done(String::new()));
                if sent {
                    run.record(EffectDone { call, attempt, effect: effect.clone(), answer: None });
                }
                let outcome = match choice % 3 {
                    0 => ToolOutcome::Faulted { fault: Fault::FuelExhausted, message: "x".into() },
                    _ => returned("x"),
                };
                run.record(finished(call.0, outcome, vec![effect]));
            }
            Action::Finish(ended) => run.record(ended),
            Action::AskApproval(_) | Action::SettleDoubt { .. } | Action::Reconcile(_) => break,
            Action::Rest => match state.stopped.map(|stopped| stopped.stop) {
                Some(StopReason::SuspendedDoubt) => {
                    let doubtful = match &state.phase {
                        agent_core::state::Phase::Acting(calls) => {
                            calls.iter().find(|call| matches!(call.status, CallStatus::InDoubt { .. }))
                        }
                        _ => None,
                    };
                    let resolution =
                        if choice.is_multiple_of(2) { Resolution::DidNotHappen } else { Resolution::Retry };
                    let Some(call) = doubtful.map(|call| call.number) else { break };
                    run.record(DoubtResolved { call, resolution, by: ResolvedBy::Policy });
                    run.record(resumed());
                }
                _ => break,
            },
        }
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Killed after any event: what ended before and what the kill ended are spans as they should be, all of one trace, each
    /// within another that is there too; and nothing that comes later changes one of them.
    #[test]
    fn any_beginning_of_a_run_is_a_whole_trace(choices in proptest::collection::vec(any::<u8>(), 0..120)) {
        let run = any_run(&choices);
        let all: BTreeMap<SpanId, Span> = run.spans().into_iter().map(|span| (span.id, span)).collect();
        prop_assert_eq!(all.len(), run.spans().len(), "each identifier once");
        let mut projection = Projection::new(Content::LeftOut);
        let mut told: Vec<Span> = Vec::new();
        for (index, event) in run.events.iter().enumerate() {
            told.extend(projection.follow(event, None));
            let interrupted = projection.interrupted();
            let spans: BTreeMap<SpanId, &Span> = told.iter().chain(&interrupted).map(|span| (span.id, span)).collect();
            prop_assert_eq!(spans.len(), told.len() + interrupted.len(), "each identifier once");
            for span in spans.values() {
                prop_assert!(check(span).is_ok(), "{:?}", check(span));
                prop_assert_eq!(span.trace, TraceId::of(&event.run));
                prop_assert_ne!(span.ended, Ended::Open);
                if let Some(parent) = span.parent {
                    let Some(parent) = spans.get(&parent) else { panic!("{} is part of nothing", span.name) };
                    prop_assert!(parent.start <= span.start && span.end <= parent.end, "{} in {}", span.name, parent.name);
                } else {
                    prop_assert_eq!(span.subject, Subject::Run);
                }
            }
            for span in projection.open(UnixMillis(event.at.0 + 10)) {
                prop_assert!(check(&span).is_ok(), "{:?}", check(&span));
                prop_assert!(span.ended == Ended::Open || span.subject == Subject::Effect);
            }
            // What the next event would end first if the host were gone is what it does end, where it is.
            if run.events.get(index + 1).is_some_and(|next| next.epoch != event.epoch) {
                for span in interrupted {
                    prop_assert_eq!(all.get(&span.id), Some(&span));
                }
            }
        }
        prop_assert_eq!(&told, &run.spans());
        let added = totals::totals(&run);
        for series in added.series() {
            prop_assert!(totals::check(series).is_ok(), "{:?}", totals::check(series));
        }
        let counted = |instrument| {
            let of_it = added.series().filter(|series| series.instrument == instrument);
            of_it.filter_map(|series| series.spread.as_ref()).map(|spread| spread.count).sum::<u64>()
        };
        let ended = |subject| told.iter().filter(|span| span.subject == subject).count() as u64;
        prop_assert_eq!(counted(&instruments::INFERENCE_DURATION), ended(Subject::Model));
        prop_assert_eq!(counted(&instruments::OPERATION_DURATION), ended(Subject::Model));
        prop_assert_eq!(counted(&instruments::TOOL_DURATION), ended(Subject::Tool));
        prop_assert_eq!(counted(&instruments::AGENT_DURATION), ended(Subject::Run));
        let drives = run.events.iter().filter(|event| matches!(event.event, Event::RunStarted(_) | Event::RunResumed(_))).count();
        let open = projection.open(UnixMillis(0)).len().min(1);
        prop_assert_eq!(all.values().filter(|span| span.subject == Subject::Run).count() + open, drives);
    }
}
