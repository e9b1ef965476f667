//! A call's state over a temporary directory, and the steps of a guest in one line each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, Refusal, Ruling};
use agent_core::grant::{Access, FileIdentity, FsGrant, Recovery, RuleSource};
use agent_core::limits::Limits;
use agent_core::open_file::OpenFile;
use agent_core::path_state::{Mark, PathMark};
use agent_core::units::UnixMillis;
use async_trait::async_trait;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, StreamError};
use wasmtime_wasi_io::bindings::wasi::io::streams::HostOutputStream;

use crate::effects::Effects;
use crate::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent, Undo};
use crate::hosts::clocks::ClockGrain;
use crate::kv::NoStores;
use crate::mount::Mount;
use crate::pace::Lent;
use crate::patience::Patience;
use crate::replay::{Replay, ReplayEnd};
use crate::secrets::CallSecrets;
use crate::state::{CallParts, CallState};

/// How the gate answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Allows, with the request's own class.
    Allow,
    /// Allows, and makes every write of HTTP a keyed one.
    AllowKeyed,
    /// Denies.
    Deny,
    /// Allows, but can record nothing.
    Closed,
    /// Asks somebody who never answers.
    Asks,
}

/// Something that happens elsewhere.
pub(super) type Meanwhile = Box<dyn Fn() + Send>;

/// A gate that writes down what it is asked to record.
pub(super) struct Notes {
    answer: Answer,
    /// What happens elsewhere while it decides.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    /// How many changes and marks it can still write down.
    room: AtomicUsize,
    pub(super) lines: Mutex<Vec<String>>,
    pub(super) undo: Mutex<Vec<Undo>>,
    pub(super) marks: Mutex<Vec<PathMark>>,
    /// The last word about each open file.
    pub(super) open: Mutex<BTreeMap<u32, OpenFile>>,
}

impl Notes {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no more than this.
    pub(super) fn closes_after(&self, records: usize) {
        self.room.store(records, Ordering::Relaxed);
    }

    fn take_room(&self) -> Result<(), GateClosed> {
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
        taken.map(drop).map_err(|_| GateClosed("killed".to_owned()))
    }

    fn note(&self, line: String) -> Result<(), GateClosed> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        if self.answer == Answer::Closed { Err(GateClosed("disk full".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl EffectGate for Notes {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        if let Some(meanwhile) = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            meanwhile();
        }
        if self.answer == Answer::Asks {
            std::future::pending::<()>().await;
        }
        let keyed = self.answer == Answer::AllowKeyed;
        let decision = match self.answer {
            Answer::Deny => Decision::Deny { refusal: Refusal::FsDenied, rule: "no".to_owned(), hint: None },
            Answer::Allow | Answer::AllowKeyed | Answer::Closed | Answer::Asks => {
                Decision::Allow { rule: RuleSource("test".to_owned()) }
            }
        };
        let idempotency_header = keyed.then(|| "idempotency-key".to_owned());
        Ruling { idempotency_header, ..Ruling::plain(decision, request.class(keyed)) }
    }

    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed> {
        let line = format!("change {}: {}", intent.number, intent.request);
        self.take_room()?;
        let mut undo = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        let first = undo.len();
        undo.extend(intent.undo);
        let said = undo[first..].iter().zip(first..).map(|(undo, entry)| PathMark {
            entry: u32::try_from(entry).unwrap_or(u32::MAX),
            is: Mark::Changing(undo.entry.becoming.clone()),
        });
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).extend(said);
        drop(undo);
        self.note(line)
    }

    fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        self.take_room()?;
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).extend(marks);
        if self.answer == Answer::Closed { Err(GateClosed("disk full".to_owned())) } else { Ok(()) }
    }

    fn follow(&self, file: &OpenFile) -> Result<(), GateClosed> {
        self.take_room()?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(file.entry, file.clone());
        if self.answer == Answer::Closed { Err(GateClosed("disk full".to_owned())) } else { Ok(()) }
    }

    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        assert!(intent.transcript.transcript().is_ok());
        self.note(format!("send {} {:?}", intent.number, intent.class))?;
        Ok((intent.class == EffectClass::KeyedWrite).then(|| IdempotencyKey("ah1-key".to_owned())))
    }

    async fn keep_answer(&self, number: u32, answer: &[u8]) -> Result<(), GateClosed> {
        self.note(format!("answer {number}: {} bytes", answer.len()))
    }

    async fn done(&self, effect: &Effect) -> Result<(), GateClosed> {
        self.note(format!("done {}: {}", effect.number, result(&effect.result)))
    }

    fn progress(&self, _: Progress) {}
}

pub(super) fn notes(answer: Answer) -> Arc<Notes> {
    Arc::new(Notes {
        answer,
        meanwhile: Mutex::default(),
        room: AtomicUsize::new(usize::MAX),
        lines: Mutex::default(),
        undo: Mutex::default(),
        marks: Mutex::default(),
        open: Mutex::default(),
    })
}

/// The state of a call under these limits.
pub(super) fn state(gate: &Arc<Notes>, mounts: Vec<Mount>, limits: Limits) -> CallState {
    state_of(gate.clone(), mounts, limits, None)
}

/// The state of a call that may be done again.
pub(super) fn state_of(
    gate: Arc<dyn EffectGate>,
    mounts: Vec<Mount>,
    limits: Limits,
    replay: Option<Replay>,
) -> CallState {
    let patience = Arc::new(Patience::start(limits.deadline.to_duration()));
    let effects = match &replay {
        Some(Replay { end: ReplayEnd::StayOffline { effects }, .. }) => {
            Effects::of_record(gate, patience.clone(), CallSecrets::default(), effects)
        }
        Some(Replay { end: ReplayEnd::GoLive, .. }) | None => {
            Effects::new(gate, patience.clone(), CallSecrets::default())
        }
    };
    CallState::new(CallParts {
        mounts,
        stores: Arc::new(NoStores),
        env: Vec::new(),
        secrets: Default::default(),
        effects: Arc::new(effects),
        patience,
        resolver: Arc::default(),
        limits,
        seed: [7; 32],
        clock_start: UnixMillis(1_700_000_000_000),
        clock: ClockGrain::AsAsked,
        cancel: CancellationToken::new(),
        lent: Lent::default(),
        replay,
        host: tokio::runtime::Handle::current(),
    })
    .unwrap_or_else(|error| unreachable!("{error:#}"))
}

pub(super) fn mount(dir: &Path, guest: &str, access: Access) -> Mount {
    let source = RuleSource("test".to_owned());
    let (host, mount, recovery) = (dir.display().to_string(), guest.to_owned(), Recovery::Undo);
    let (unchanging, unmoved, linked) = (Vec::new(), Vec::new(), Vec::new());
    let grant = FsGrant { host, mount, access, recovery, unchanging, unmoved, linked, source };
    opened(&grant)
}

fn opened(grant: &FsGrant) -> Mount {
    Mount::open(grant).unwrap_or_else(|error| unreachable!("{error}"))
}

/// A guest that works in a temporary directory.
pub(super) struct Guest {
    pub(super) state: CallState,
    pub(super) gate: Arc<Notes>,
    pub(super) temp: TempDir,
    pub(super) root: Resource<Descriptor>,
}

pub(super) type Done = Result<(), String>;

impl Guest {
    pub(super) fn new(access: Access, answer: Answer, limits: Limits) -> Self {
        let temp = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
        let mount = mount(temp.path(), "/data", access);
        Self::at(temp, mount, answer, limits)
    }

    /// One in whose directory these stay as they are, which was laid out before.
    pub(super) fn without(temp: TempDir, unchanging: &[&str]) -> Self {
        Self::keeping(temp, unchanging, &[], &[])
    }

    /// The same, in which these folders stay where they are, and these files as they are under each of their names.
    pub(super) fn keeping(temp: TempDir, unchanging: &[&str], unmoved: &[&str], linked: &[FileIdentity]) -> Self {
        let host = temp.path().canonicalize().unwrap_or_else(|error| unreachable!("{error}"));
        let whole = |paths: &[&str]| paths.iter().map(|path| host.join(path).display().to_string()).collect();
        let (unchanging, unmoved, linked) = (whole(unchanging), whole(unmoved), linked.to_vec());
        let (mount, source) = ("/data".to_owned(), RuleSource("test".to_owned()));
        let (host, access, recovery) = (host.display().to_string(), Access::Write, Recovery::Undo);
        let mount = opened(&FsGrant { host, mount, access, recovery, unchanging, unmoved, linked, source });
        Self::at(temp, mount, Answer::Allow, Limits::STANDARD)
    }

    /// One with two mounts: a directory, and a directory in it. `root` is the outer one.
    pub(super) fn nested(temp: TempDir, inner: &str) -> (Self, Resource<Descriptor>) {
        let mounts =
            vec![mount(temp.path(), "/outer", Access::Write), mount(&temp.path().join(inner), "/inner", Access::Write)];
        let gate = notes(Answer::Allow);
        let mut state = state(&gate, mounts, Limits::STANDARD);
        let directories = state.get_directories().unwrap_or_else(|error| unreachable!("{error:#}"));
        let mut roots = directories.into_iter().map(|(root, _)| root);
        let (Some(root), Some(inner)) = (roots.next(), roots.next()) else { unreachable!("two mounts") };
        (Self { state, gate, temp, root }, inner)
    }

    /// One whose changes are not undone.
    pub(super) fn without_undo() -> Self {
        let temp = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
        let mount = Mount { recovery: Recovery::Doubt, ..mount(temp.path(), "/data", Access::Write) };
        Self::at(temp, mount, Answer::Allow, Limits::STANDARD)
    }

    fn at(temp: TempDir, mount: Mount, answer: Answer, limits: Limits) -> Self {
        let gate = notes(answer);
        let mut state = state(&gate, vec![mount], limits);
        let mut directories = state.get_directories().unwrap_or_else(|error| unreachable!("{error:#}"));
        let Some((root, _)) = directories.pop() else { unreachable!("one mount") };
        Self { state, gate, temp, root }
    }

    pub(super) fn fd(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.root.rep())
    }

    pub(super) async fn open(
        &mut self,
        path: &str,
        open: OpenFlags,
        write: bool,
    ) -> Result<Resource<Descriptor>, String> {
        let flags = if write { DescriptorFlags::READ | DescriptorFlags::WRITE } else { DescriptorFlags::READ };
        let fd = self.fd();
        self.state.open_at(fd, PathFlags::SYMLINK_FOLLOW, path.to_owned(), open, flags).await.map_err(code)
    }

    /// Opens and writes at an offset, or at the end.
    pub(super) async fn write(&mut self, path: &str, open: OpenFlags, at: Option<u64>, bytes: &[u8]) -> Done {
        let file = self.open(path, open, true).await?;
        let borrowed = Resource::new_borrow(file.rep());
        let stream = match at {
            Some(offset) => self.state.write_via_stream(borrowed, offset),
            None => self.state.append_via_stream(borrowed),
        };
        let stream = stream.map_err(code)?;
        let rep = stream.rep();
        let written = self.state.blocking_write_and_flush(stream, bytes.to_vec()).await;
        HostOutputStream::drop(&mut self.state, Resource::new_own(rep)).await.map_err(|error| format!("{error:#}"))?;
        HostDescriptor::drop(&mut self.state, file).map_err(|error| format!("{error:#}"))?;
        written.map_err(|error| match error {
            StreamError::Closed => "closed".to_owned(),
            StreamError::LastOperationFailed(error) => format!("{error:#}"),
            StreamError::Trap(error) => format!("trap: {error:#}"),
        })
    }
}

/// The guest's error code, or the text of the trap that ends the call.
pub(super) fn code(error: FsError) -> String {
    error.downcast().map_or_else(|trap| format!("trap: {trap:#}"), |code: ErrorCode| code.name().to_owned())
}

/// Effects in one line each: number, request, and what came of it.
pub(super) fn shown(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| match &effect.decision {
        Decision::Allow { .. } => format!("{} {}: {}", effect.number, effect.request, result(&effect.result)),
        Decision::Deny { refusal, .. } => {
            format!("{} {}: {refusal}, {}", effect.number, effect.request, result(&effect.result))
        }
    };
    effects.iter().map(line).collect()
}

fn result(result: &EffectResult) -> String {
    match result {
        EffectResult::Done(text) => format!("done {text}").trim_end().to_owned(),
        EffectResult::Refused => "refused".to_owned(),
        EffectResult::NotSent(text) => format!("not sent: {text}"),
        EffectResult::Unknown(text) => format!("unknown: {text}"),
        EffectResult::Failed(text) => format!("failed: {text}"),
    }
}
