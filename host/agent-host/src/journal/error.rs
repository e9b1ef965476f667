//! What can go wrong with a journal. Every text says what happened, where, and what a person can do about it; nothing here
//! carries a key or the content of an event.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use agent_core::event::EventError;
use agent_core::name::{Name, RunId};

use super::chain::Damage;
use super::lease::Holder;

/// Why a journal, or one run in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no journal to read.
    #[error("no runs are kept in `{}`\n  hint: runs live in `.agent-host` beside the agent file: name it with `--agent FILE`, or start one with `agent-host run`", .folder.display())]
    NoJournal {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A folder or file is not safely ours.
    #[error("`{}` cannot hold a journal or a key: {why}\n  hint: move it away, or make it a plain one of your own", .path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is a database of something else, or its tables are not ours.
    #[error("`{}` is not a journal: {why}\n  hint: move it away, and a new one is begun", .path.display())]
    NotJournal {
        /// The file.
        path: PathBuf,
        /// What is different.
        why: &'static str,
    },
    /// The file has a layout that this program does not know.
    #[error("the journal `{}` has format {found}, this agent-host knows formats up to {known}\n  hint: nothing was changed; use the newer agent-host that wrote it", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A file could not be read or written.
    #[error("cannot use `{}`\n  hint: what was recorded before is as it was; check that the disk is healthy and that you may write there", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder or file does not allow writing.
    #[error("cannot write the journal `{}`\n  hint: nothing was changed; make the folder and the file writable for you, or copy the folder and use the copy", .path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
    },
    /// The disk, or the quota, has no room.
    #[error("no room left for the journal `{}`: the event was not recorded, and everything before it is safe\n  hint: free some space, then `agent-host resume`", .path.display())]
    StoreFull {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged below the level of events.
    #[error("the journal `{}` is damaged: {what}\n  hint: copy the whole folder before anything else; what stands before the damage is intact, and `agent-host journal verify RUN` says how much of a run that is", .path.display())]
    StoreCorrupt {
        /// The file.
        path: PathBuf,
        /// What the store says.
        what: String,
    },
    /// The file was deleted or replaced while it was in use.
    #[error("the journal `{}` was moved, deleted or replaced while in use\n  hint: put it back and resume the run: what was recorded before is in it, and nothing was written since", .path.display())]
    StoreGone {
        /// The file.
        path: PathBuf,
    },
    /// Another process held the write lock for too long.
    #[error("the journal `{}` is busy: another process has been writing for {waited_ms} ms\n  hint: nothing was written; try again, and look for a stopped `agent-host`", .path.display())]
    StoreBusy {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// An earlier write failed in a way that leaves its fate open.
    #[error("the journal `{}` failed before and takes no more events from this process\n  hint: what was recorded before is as it was; check the disk, then `agent-host resume`", .path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// A body or blob is larger than the journal keeps.
    #[error(
        "{bytes} bytes are too many for one entry of the journal, which keeps up to {bytes_max}\n  hint: lower what the tool may return and say: `limits` in a grant"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The disk under it failed.
    #[error("the disk failed under the journal `{}`: {what} did not succeed\n  hint: what was recorded before is as it was, and this process records no more; check the disk, then `agent-host resume`", .path.display())]
    Failing {
        /// The file.
        path: PathBuf,
        /// What was tried: `a sync`.
        what: &'static str,
        /// What the system or SQLite says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQLite failed in another way.
    #[error("the journal `{}` failed\n  hint: what was recorded before is as it was, and this process records no more; check the disk, then `agent-host resume`", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A run of that identifier exists already.
    #[error(
        "run `{0}` exists already\n  hint: `agent-host show {0}` shows it; to have it anew, remove it first: `agent-host journal rm {0}`"
    )]
    RunExists(RunId),
    /// Another run has the place in the session that this one wanted.
    #[error(
        "another host has just gone on with session `{session}`: its run {place} has begun there\n  hint: try again when that run has its answer; `agent-host ls --session {session}` says how it stands"
    )]
    SessionTaken {
        /// The session.
        session: Name,
        /// The place.
        place: u32,
    },
    /// A run was removed here.
    #[error("run `{run}` was removed from this journal, and stays so\n  hint: import it in another folder")]
    RunRemoved {
        /// The run.
        run: RunId,
    },
    /// A run has no beginning.
    #[error("run `{run}` does not begin with `RunStarted`")]
    RunEmpty {
        /// The run.
        run: RunId,
    },
    /// `journal gc` is at work.
    #[error("`agent-host journal gc` has been at work in `{}` for too long to be waited for\n  hint: try again when it is done", .folder.display())]
    Sweeping {
        /// The folder.
        folder: PathBuf,
    },
    /// No run has that identifier or prefix.
    #[error("no run begins with `{prefix}`\n  hint: `agent-host ls` lists the runs")]
    NoSuchRun {
        /// What was asked for.
        prefix: String,
    },
    /// There is no run yet.
    #[error("no run yet in `{}`\n  hint: start one with `agent-host run`", .folder.display())]
    NoRuns {
        /// The folder.
        folder: PathBuf,
    },
    /// Several runs begin like that.
    #[error("more than one run begins with `{prefix}`: {}\n  hint: give more characters", Listed(.runs))]
    AmbiguousRun {
        /// What was asked for.
        prefix: String,
        /// Some of them, the newest first.
        runs: Vec<RunId>,
    },
    /// A living process drives the run.
    #[error(
        "run `{run}` is held by {holder}\n  hint: the run goes on there, and nothing was changed; wait for it or end it, or take the run over with `--take-over` if you know that it is gone"
    )]
    RunLocked {
        /// The run.
        run: RunId,
        /// Who holds it.
        holder: Holder,
    },
    /// Another process took the run over.
    #[error(
        "run `{run}` was taken over by another process: this one may not go on\n  hint: the run goes on there, and nothing of this process was added since; `agent-host show {run}` says how it went on"
    )]
    LeaseLost {
        /// The run.
        run: RunId,
    },
    /// An event was not written by this host.
    #[error(
        "run `{run}` was not recorded by this host: event {seq} lacks its mark\n  hint: it can be shown; what it grants and approves does not count here, so it is not resumed"
    )]
    NotOurs {
        /// The run.
        run: RunId,
        /// The first such event.
        seq: u64,
    },
    /// The events of a run do not hang together.
    #[error(
        "run `{run}` is damaged at {damage}\n  hint: copy the whole folder before anything else; the events before it are intact, and `agent-host journal verify {run}` says what can be saved"
    )]
    RunDamaged {
        /// The run.
        run: RunId,
        /// Where and how.
        damage: Damage,
    },
    /// An intact event is not one of this program's.
    #[error("event {seq} of run `{run}` cannot be read")]
    Event {
        /// The run.
        run: RunId,
        /// Its number.
        seq: u64,
        /// Why.
        source: EventError,
    },
    /// An event could not be turned into text.
    #[error("event `{kind}` cannot be written")]
    Unwritable {
        /// Its kind.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

impl JournalError {
    /// Whether the store itself is in doubt after this error: whatever was being written may or may not be there.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(
            self,
            Self::Failing { .. }
                | Self::Store { .. }
                | Self::StoreCorrupt { .. }
                | Self::StoreGone { .. }
                | Self::Io { .. }
        )
    }

    /// The stable name, where programs may want to tell it from others.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::StoreFull { .. } => "store_full",
            Self::StoreCorrupt { .. } | Self::RunDamaged { .. } => "store_corrupt",
            Self::Newer { .. } => "store_newer",
            Self::NotWritable { .. } => "store_read_only",
            Self::StoreGone { .. } => "store_gone",
            Self::StoreBusy { .. } | Self::Sweeping { .. } => "store_busy",
            Self::Failing { .. } | Self::Io { .. } | Self::Store { .. } | Self::Poisoned { .. } => "store_failed",
            Self::RunLocked { .. } => "run_locked",
            Self::LeaseLost { .. } => "lease_lost",
            Self::NotOurs { .. } => "not_ours",
            Self::TooLarge { .. } => "entry_too_large",
            Self::RunExists(_) => "run_exists",
            Self::NoJournal { .. }
            | Self::Unsafe { .. }
            | Self::NotJournal { .. }
            | Self::SessionTaken { .. }
            | Self::RunRemoved { .. }
            | Self::RunEmpty { .. }
            | Self::NoSuchRun { .. }
            | Self::NoRuns { .. }
            | Self::AmbiguousRun { .. }
            | Self::Event { .. }
            | Self::Unwritable { .. }
            | Self::Random(_) => return None,
        })
    }

    /// What an error of the system means for the file `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StoreFull { path },
            _ => Self::Io { path, source },
        }
    }
}

struct Listed<'a>(&'a [RunId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.iter().enumerate() {
            write!(f, "{}`{run}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
