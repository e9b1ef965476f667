//! What every journal promises, whatever keeps it: [`contract`], and [`simulation`] for what is left after power loss.

mod contract;
mod damage;
mod media;
mod simulation;

use agent_core::budget::Budget;
use agent_core::event::{Event, ModelReplied, ModelRequested, Recorded};
use agent_core::hardening::Hardening;
use agent_core::model::{ModelReply, TokenUsage};
use agent_core::name::RunId;
use agent_core::run_events::{
    DoubtPolicy, Durability, ModelChoice, Record, RunEnded, RunStarted, Strictness, ToolMode,
};
use agent_core::stop::StopReason;
use agent_core::units::UnixMillis;

use super::Journal;
use super::log::{Durable, RunLog};

pub(super) fn run_id(number: u64) -> RunId {
    RunId::from_parts(UnixMillis(1_700_000_000_000 + number), [7; 10])
}

pub(super) fn at(seq: u64) -> UnixMillis {
    UnixMillis(1_700_000_000_000 + 10 * seq)
}

pub(super) fn started() -> RunStarted {
    RunStarted {
        agent: "tester".parse().unwrap(),
        agent_file: None,
        instructions: "Be brief.".to_owned(),
        input: "What is 2 + 2?\nSay only the number.".to_owned(),
        models: vec![ModelChoice { name: "scripted:demo".to_owned(), base_url: None, tool_mode: ToolMode::Native }],
        tools: Vec::new(),
        budget: Budget::STANDARD,
        durability: Durability::Strict,
        record: Record::Effects,
        strictness: Strictness::Standard,
        doubt: DoubtPolicy::Ask,
        hardening: Hardening::none("a test"),
        session: None,
        earlier: Default::default(),
        meta: Default::default(),
        forked_from: None,
    }
}

pub(super) fn requested(attempt: u32) -> Event {
    ModelRequested { turn: 1, attempt, model: 0 }.into()
}

pub(super) fn replied(text: &str) -> Event {
    let (text, calls, usage, model) = (text.to_owned(), Vec::new(), TokenUsage::of(12, 3), "demo".to_owned());
    let reply = ModelReply { text, calls, usage, model, id: None };
    ModelReplied { turn: 1, reply }.into()
}

pub(super) fn ended() -> Event {
    RunEnded { stop: StopReason::Completed, answer: Some("4".to_owned()), detail: None }.into()
}

/// A complete run of four events, the third of them with its body in a blob.
pub(super) fn record_run(journal: &dyn Journal, run: &RunId) -> Vec<Recorded> {
    let (log, first) = journal.start_run(run.clone(), at(1), started()).unwrap();
    let mut events = vec![first];
    events.push(log.append(at(2), requested(1), Durable::Now).unwrap());
    events.push(log.append(at(3), replied(&"four ".repeat(200)), Durable::Now).unwrap());
    events.push(log.append(at(4), ended(), Durable::Now).unwrap());
    events
}

/// A run that is being written, with its first event.
pub(super) fn begin_run(journal: &dyn Journal, run: &RunId) -> Box<dyn RunLog> {
    journal.start_run(run.clone(), at(1), started()).unwrap().0
}
