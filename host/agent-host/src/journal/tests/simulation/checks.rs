//! What must hold of the events of any run, whatever happened to its hosts: read from the events alone, without the fold that
//! the host goes by.

use std::collections::{HashMap, HashSet};

use agent_core::answer_events::{Approval, ApprovalSubject, Resolution};
use agent_core::effect::EffectClass;
use agent_core::event::{Event, Recorded};
use agent_core::name::CallNumber;

use super::world::Tool;

/// What is known of a call.
#[derive(Default)]
struct Call {
    asks: Asks,
    intents: HashSet<(u32, u32)>,
    answered: HashSet<(u32, u32)>,
    /// An opaque write was announced, and its result is not recorded.
    open: Option<(u32, u32)>,
    ended: Ended,
}

#[derive(Default, PartialEq, Eq)]
enum Asks {
    /// Nobody.
    #[default]
    Nobody,
    /// A person, who has not answered.
    Person,
    /// A person, who said yes.
    Approved,
}

#[derive(Default, PartialEq, Eq)]
enum Ended {
    #[default]
    No,
    InDoubt,
    Yes,
}

/// Checks the events of a run.
pub(super) fn check(events: &[Recorded]) -> Result<(), String> {
    let mut calls: HashMap<CallNumber, Call> = HashMap::new();
    let mut epoch = 0;
    for recorded in events {
        if recorded.epoch < epoch {
            return Err(format!("I8: event {} was written under an earlier lease", recorded.seq));
        }
        epoch = recorded.epoch;
        see(&mut calls, &recorded.event).map_err(|what| format!("{what}, at event {}", recorded.seq))?;
    }
    Ok(())
}

fn see(calls: &mut HashMap<CallNumber, Call>, event: &Event) -> Result<(), String> {
    match event {
        Event::ModelRequested(_) => match calls.iter().find(|(_, call)| call.ended != Ended::Yes) {
            Some((number, _)) => Err(format!("I7: the model was asked before call {number} had its outcome")),
            None => Ok(()),
        },
        Event::ModelReplied(replied) => {
            for proposed in &replied.reply.calls {
                let number = CallNumber(u32::try_from(calls.len()).unwrap() + 1);
                let asks = if Tool::of_arguments(&proposed.arguments).0 == Tool::Guarded {
                    Asks::Person
                } else {
                    Asks::Nobody
                };
                calls.insert(number, Call { asks, ..Call::default() });
            }
            Ok(())
        }
        Event::ApprovalDecided(decided) => {
            let yes = decided.subject == ApprovalSubject::Call && matches!(decided.answer, Approval::Approved { .. });
            of(calls, decided.call, |call| {
                call.asks = if yes { Asks::Approved } else { Asks::Person };
                Ok(())
            })
        }
        Event::ToolStarted(started) => of(calls, started.call, |call| match (&call.asks, call.open, &call.ended) {
            (Asks::Person, ..) => Err("I11: it was started without the approval that it needs".to_owned()),
            (_, Some(_), _) => Err("I7: it was started while what it had sent was in doubt".to_owned()),
            (_, _, Ended::Yes | Ended::InDoubt) => Err("I6: it was started after it had ended".to_owned()),
            (_, None, Ended::No) => Ok(()),
        }),
        Event::EffectIntended(intent) => of(calls, intent.call, |call| {
            let this = (intent.attempt, intent.number);
            if intent.class == EffectClass::OpaqueWrite {
                call.open = Some(this);
            }
            if call.intents.insert(this) { Ok(()) } else { Err("I6: it was announced twice".to_owned()) }
        }),
        Event::EffectDone(done) => of(calls, done.call, |call| {
            let this = (done.attempt, done.effect.number);
            if !call.intents.contains(&this) {
                return Err("I6: its result was not announced".to_owned());
            }
            if call.open == Some(this) && !matches!(done.effect.result, agent_core::effect::EffectResult::Unknown(_)) {
                call.open = None;
            }
            if call.answered.insert(this) { Ok(()) } else { Err("I6: it has two results".to_owned()) }
        }),
        Event::ToolInDoubt(doubt) => of(calls, doubt.call, |call| {
            call.ended = Ended::InDoubt;
            Ok(())
        }),
        Event::DoubtResolved(resolved) => of(calls, resolved.call, |call| {
            if call.ended != Ended::InDoubt {
                return Err("I6: a doubt was resolved that nobody had".to_owned());
            }
            call.open = None;
            call.ended = if resolved.resolution == Resolution::Retry { Ended::No } else { Ended::Yes };
            Ok(())
        }),
        Event::ToolFinished(finished) => of(calls, finished.call, |call| {
            if call.open.is_some() {
                return Err("I7: it ended while what it had sent was in doubt".to_owned());
            }
            if call.ended != Ended::No {
                return Err("I6: it has two outcomes".to_owned());
            }
            call.ended = Ended::Yes;
            Ok(())
        }),
        Event::RunStarted(_)
        | Event::ToolProposed(_)
        | Event::ModelFailed(_)
        | Event::ApprovalRequested(_)
        | Event::GrantWidened(_)
        | Event::EffectPermitted(_)
        | Event::FuelTaken(_)
        | Event::PathsMarked(_)
        | Event::CallUndone(_)
        | Event::ChangesUndone(_)
        | Event::ToolSuspended(_)
        | Event::RunResumed(_)
        | Event::RunRebased(_)
        | Event::RunAdopted(_)
        | Event::HeadSigned(_)
        | Event::RunEnded(_) => Ok(()),
    }
}

fn of(
    calls: &mut HashMap<CallNumber, Call>,
    number: CallNumber,
    see: impl FnOnce(&mut Call) -> Result<(), String>,
) -> Result<(), String> {
    let call = calls.get_mut(&number).ok_or_else(|| format!("I6: call {number} was never asked for"))?;
    see(call).map_err(|what| format!("{what}: call {number}"))
}
