//! The contract of the journal, over real files.

mod damage;
mod files;
mod lease;
mod order;
mod process;
mod stores;

use std::path::PathBuf;

use agent_core::budget::Budget;
use agent_core::event::{
    Durability, Event, ModelChoice, ModelReplied, ModelRequested, Recorded, RunEnded, RunStarted, Strictness, ToolMode,
};
use agent_core::hardening::Hardening;
use agent_core::model::{ModelReply, TokenUsage};
use agent_core::name::RunId;
use agent_core::stop::StopReason;
use agent_core::units::UnixMillis;
use rusqlite::Connection;
use tempfile::TempDir;

use super::Journal;
use super::error::JournalError;
use super::key::HostKey;
use super::lease::TakeOver;
use super::log::{Durable, RunLog};

/// A user's home: a state folder with the key, and a folder with the journal.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join(".agent-host")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("journal.db")
    }

    fn key(&self) -> HostKey {
        HostKey::load_or_create(&self.0.path().join("state")).unwrap()
    }

    fn open(&self) -> Journal {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Journal, JournalError> {
        Journal::create_or_open(&self.folder(), &self.key())
    }

    /// As an outsider would: around the journal.
    fn tamper(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }
}

fn run_id(number: u64) -> RunId {
    RunId::from_parts(UnixMillis(1_700_000_000_000 + number), [7; 10])
}

fn at(seq: u64) -> UnixMillis {
    UnixMillis(1_700_000_000_000 + 10 * seq)
}

fn started() -> RunStarted {
    RunStarted {
        agent: "tester".parse().unwrap(),
        agent_file: None,
        instructions: "Be brief.".to_owned(),
        input: "What is 2 + 2?\nSay only the number.".to_owned(),
        models: vec![ModelChoice { name: "scripted:demo".to_owned(), base_url: None, tool_mode: ToolMode::Native }],
        tools: Vec::new(),
        budget: Budget::STANDARD,
        durability: Durability::Strict,
        strictness: Strictness::Standard,
        hardening: Hardening::none("a test"),
    }
}

fn requested(attempt: u32) -> Event {
    ModelRequested { turn: 1, attempt, model: 0 }.into()
}

fn replied(text: &str) -> Event {
    let reply = ModelReply {
        text: text.to_owned(),
        calls: Vec::new(),
        usage: TokenUsage { input: 12, output: 3 },
        model: "demo".to_owned(),
    };
    ModelReplied { turn: 1, reply }.into()
}

fn ended() -> Event {
    RunEnded { stop: StopReason::Completed, answer: Some("4".to_owned()), detail: None }.into()
}

/// A complete run of four events, the third of them with its body in a blob.
fn record_run(journal: &Journal, run: &RunId) -> Vec<Recorded> {
    let (log, first) = journal.start_run(run.clone(), at(1), started()).unwrap();
    let mut events = vec![first];
    events.push(log.append(at(2), requested(1), Durable::Now).unwrap());
    events.push(log.append(at(3), replied(&"four ".repeat(100)), Durable::Now).unwrap());
    events.push(log.append(at(4), ended(), Durable::Now).unwrap());
    events
}

/// A run that is being written, with its first event.
fn begin_run(journal: &Journal, run: &RunId) -> RunLog {
    journal.start_run(run.clone(), at(1), started()).unwrap().0
}
