//! `agent-host long-run RUN EVENTS`, in a test build only: a run of as many events as no test can wait for, recorded event
//! by event as the driver does it. It begins as another run did, whose tools it has; its turns are alike, with failures of the model and
//! changes of files in each, and at its end the model has answered. Each call was told something, which is kept as in a run that is
//! recorded in full: what makes long runs large.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_core::effect::{Before, EffectClass, EffectRequest, FileOperation, UndoEntry};
use agent_core::event::{EffectIntended, Event, ModelFailed, ModelReplied, ModelRequested, ToolFinished, ToolStarted};
use agent_core::file_events::PathsMarked;
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ProposedCall, TokenUsage};
use agent_core::name::CallNumber;
use agent_core::outcome::{Content, Metering, Said, ToolOutcome};
use agent_core::path_state::{Becoming, Mark, PathKind, PathMark, Stamp};
use agent_core::run_events::{Durability, RunStarted};
use agent_core::state::State;
use agent_core::units::{Bytes, Fuel, UnixMillis};
use anyhow::Context;

use super::{opened, taking};
use crate::clock;
use crate::driver::recorder::Recorder;
use crate::journal::Journal as _;
use crate::journal::log::Durable;

/// Requests of a turn that get no reply.
const FAILURES: u64 = 10;
/// Files that a turn's call changes.
const CHANGES: u64 = 3;
/// Events of a turn.
const TURN: u64 = 2 * FAILURES + 2 + 1 + 2 * CHANGES + 1;

/// `agent-host long-run`.
#[derive(Debug, clap::Args)]
pub struct LongRunArgs {
    /// The run that it begins like. Its first tool must hold a directory.
    run: String,
    /// How many events it has.
    events: u64,
    /// How many bytes each of its calls was told.
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    told: usize,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Records it and writes its name.
///
/// # Errors
/// Where there is no such run, or it cannot be recorded.
pub fn long_run(args: &LongRunArgs) -> anyhow::Result<ExitCode> {
    let journal = opened::journal(args.agent.as_deref())?;
    let source = journal.find_run(Some(&args.run))?;
    let state = taking::look(&journal, &source)?;
    let sample = Sample::of(&state)?;
    let turns = args.events.saturating_sub(3) / TURN;
    // Its turns wait for no disk.
    let started = RunStarted { session: None, durability: Durability::Relaxed, ..state.started };
    let (log, first) = journal.start_run(clock::new_run()?, clock::now(), started)?;
    let recorder = Recorder::new(log, State::begin(&first)?);
    for turn in 0..turns {
        let told = journal.put_blob(&transcript(turn, args.told))?;
        for event in sample.turn(turn, told) {
            recorder.record(event, Durable::Later)?;
        }
    }
    for event in Sample::end(turns) {
        recorder.record(event, Durable::Later)?;
    }
    let (run, seq) = (first.run, recorder.state().seq);
    drop(recorder);
    writeln!(std::io::stdout(), "{run} {seq}")?;
    Ok(ExitCode::SUCCESS)
}

/// What the turns are made of.
struct Sample {
    tool: String,
    component: Digest,
    mount: String,
}

impl Sample {
    fn of(state: &State) -> anyhow::Result<Self> {
        let locked = state.started.tools.first().context("the run has no tools")?;
        let fs = locked.authority.grant.fs.first().context("its first tool holds no directory")?;
        Ok(Self { tool: locked.descriptor.name.wire(), component: locked.component, mount: fs.mount.clone() })
    }

    fn turn(&self, turn: u64, told: Digest) -> Vec<Event> {
        let (call, number) = (CallNumber(u32::try_from(turn).unwrap_or(u32::MAX) + 1), turn_number(turn));
        let mut events: Vec<Event> = Vec::new();
        for attempt in 0..FAILURES {
            events.push(requested(number, attempt));
            let words = format!("connection {attempt} of turn {number} was reset by the other side");
            let failure = ModelFailure::new(ModelFailureKind::Network, &words);
            events.push(ModelFailed { turn: number, failure }.into());
        }
        events.push(requested(number, FAILURES));
        let arguments = format!("{{\"path\":\"note-{turn}.txt\",\"content\":\"line {turn}\"}}");
        events.push(replied(number, "", vec![ProposedCall { id: None, tool: self.tool.clone(), arguments }]));
        events.push(self.started(call));
        for change in 0..CHANGES {
            events.extend(self.change(call, (turn, change)));
        }
        let outcome = ToolOutcome::Returned { content: vec![Content::Text(format!("wrote note-{turn}.txt"))] };
        let (metering, said, transcript) = (Metering::nothing(), Said::default(), Some(told));
        events.push(ToolFinished { call, outcome, metering, effects: Vec::new(), said, hidden: 0, transcript }.into());
        events
    }

    /// The model has answered, and nobody has recorded the end.
    fn end(turns: u64) -> [Event; 2] {
        let turn = turn_number(turns);
        [requested(turn, 0), replied(turn, "that was long", Vec::new())]
    }

    fn started(&self, call: CallNumber) -> Event {
        ToolStarted {
            call,
            attempt: 1,
            component: self.component,
            fuel: Fuel(1_000_000),
            authority: Digest::of(b"of a long run"),
            seed: "00".repeat(32),
            clock_start: UnixMillis(0),
            engine: "none".to_owned(),
            continues: None,
            boot: None,
        }
        .into()
    }

    fn change(&self, call: CallNumber, (turn, change): (u64, u64)) -> [Event; 2] {
        let path = format!("note-{turn}-{change}.txt");
        let request = format!("{}/{path}", self.mount);
        let entry = UndoEntry {
            mount: self.mount.clone(),
            root: 1,
            path,
            before: Before::Absent,
            was: None,
            owner: None,
            attributes: Vec::new(),
            becoming: Becoming::New,
        };
        let intended = EffectIntended {
            call,
            attempt: 1,
            number: u32::try_from(change).unwrap_or(u32::MAX) + 1,
            request: EffectRequest::File { operation: FileOperation::Write, path: request, to: None },
            class: EffectClass::OwnedWrite,
            undo: vec![entry],
            idempotency_key: None,
            transcript: None,
        };
        let left = Stamp {
            kind: PathKind::File,
            device: None,
            inode: turn * CHANGES + change + 2,
            size: Bytes(7),
            modified_ns: 1,
            changed_ns: 1,
        };
        let mark = PathMark { entry: u32::try_from(change).unwrap_or(u32::MAX), is: Mark::Left(Some(left)) };
        [intended.into(), PathsMarked { call, attempt: 1, boot: 1, marks: vec![mark] }.into()]
    }
}

/// A transcript of one answer, of so many bytes, which no other turn has.
fn transcript(turn: u64, bytes: usize) -> Vec<u8> {
    let answer: Vec<u8> = format!("line {turn}: ").into_bytes().into_iter().cycle().take(bytes.max(32)).collect();
    let mut transcript = b"AHTR\x01\x01\0\0\0".to_vec();
    let mut length = answer.len();
    while length >= 0x80 {
        transcript.push(0x80 | (length % 0x80) as u8);
        length /= 0x80;
    }
    transcript.push(length as u8);
    transcript.extend(answer);
    transcript.push(0);
    transcript
}

fn turn_number(turn: u64) -> u32 {
    u32::try_from(turn).unwrap_or(u32::MAX) + 1
}

fn requested(turn: u32, attempt: u64) -> Event {
    ModelRequested { turn, attempt: u32::try_from(attempt).unwrap_or(u32::MAX) + 1, model: 0 }.into()
}

fn replied(turn: u32, text: &str, calls: Vec<ProposedCall>) -> Event {
    let (text, usage) = (text.to_owned(), TokenUsage::of(1_000, 40));
    let reply = ModelReply { text, calls, usage, model: "long".to_owned(), id: None };
    ModelReplied { turn, reply }.into()
}
