//! Undoing what an attempt of a call had changed: its entries and marks from the run's state, their contents from the journal,
//! and what the undo does back into it. Called when a call was stopped, and on resume when its host was.

use std::io;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::doubt::Why;
use agent_core::effect::{EffectRequest, FileOperation, UndoEntry};
use agent_core::file_events::{CallUndone, PathsMarked};
use agent_core::name::CallNumber;
use agent_core::open_file::OpenFile;
use agent_core::path_state::PathMark;
use agent_core::pending::{Attempt, CallStatus};
use agent_sandbox::gate::GateClosed;
use agent_sandbox::mount::Mount;
use agent_sandbox::sync;
use agent_sandbox::undo::{self, Ledger, Pressing, Restarted, UndoError, UndoReport};
use anyhow::Context;

use super::doubting;
use super::mounts::at_files;
use super::ports::Ports;
use crate::boot;
use crate::failpoint;
use crate::journal::log::Durable;
use crate::journal::open_files;

/// Whether everything that an attempt had changed is as it was.
pub enum Restored {
    /// It is.
    All,
    /// Something could not be restored, or is not as the call left it: the call is in doubt.
    Not {
        /// For this reason.
        why: Why,
        /// Paths that are as before.
        restored: u32,
    },
    /// Nothing could be looked at: the directories are not there, or do not answer. The call is in doubt, and what it had changed
    /// is undone first where it is made again.
    Untried(Why),
}

/// Restores what an attempt of a call had changed.
///
/// # Errors
/// Where nothing can be recorded any more.
pub async fn restore(ports: &Arc<Ports>, mounts: &[Mount], call: CallNumber, attempt: u32) -> anyhow::Result<Restored> {
    let Some(Attempt { changes, marks, boot, started, .. }) = attempt_of(ports, call, attempt) else {
        return Ok(Restored::All);
    };
    if changes.is_empty() {
        return Ok(Restored::All);
    }
    let (below, entries, teller) = (mounts.to_vec(), changes.clone(), Arc::clone(ports));
    let open = open_files(ports, (call, attempt))?;
    let since_ns = undo::since_ns(started.clock_start);
    let restarted = match (boot, &open) {
        (Some(boot), _) if boot == boot::number() => Restarted::No,
        // Nothing was marked: where the machine was not started anew, a file was made before the first announcement.
        (None, Some(_)) => Restarted::No,
        (Some(_), Some(_)) => Restarted::Yes { since_ns },
        (_, None) => Restarted::PowerLost { since_ns, up_since_ns: boot::since_ns() },
    };
    let open = open.unwrap_or_default();
    let work = move || {
        let mut tell = |marks, pressing| tell(&teller, call, attempt, (marks, pressing));
        let contents = |digest: &Digest| teller.journal.blob(digest).map_err(io::Error::other);
        undo_all(&below, (&entries, &contents), Known { marks: &marks, open, restarted }, &mut tell)
    };
    let Some(report) = at_files(mounts, work).await else {
        let reason = "its changes could not be undone: their file system does not answer".to_owned();
        return Ok(Restored::Untried(doubting::about_change(changed(&changes[0]), reason)));
    };
    let report = report.with_context(|| format!("cannot undo what call {call} had changed"))?;
    for missing in &report.missing {
        ports.reporter.not_given_back(&missing.path, &missing.reason);
    }
    let restored = u32::try_from(report.restored.len()).unwrap_or(u32::MAX);
    if let Some(left) = report.left.first() {
        let all: Vec<_> = report.left.iter().map(|left| format!("{}: {}", left.path, left.reason)).collect();
        let request = EffectRequest::File { operation: FileOperation::Write, path: left.path.clone(), to: None };
        let reason = format!("its changes could not be undone: {}", all.join("; "));
        return Ok(Restored::Not { why: doubting::about_change(request, reason), restored });
    }
    ports.recorder.record(CallUndone { call, attempt, restored }, Durable::Now)?;
    forget_open_files(ports, (call, attempt));
    failpoint::hit("call-undone");
    Ok(Restored::All)
}

/// The change of a path that an undo entry is about.
pub fn changed(entry: &UndoEntry) -> EffectRequest {
    let path = format!("{}/{}", entry.mount.trim_end_matches('/'), entry.path);
    EffectRequest::File { operation: FileOperation::Write, path, to: None }
}

/// How the files stand that an attempt had open when its host was killed, as far as it is known. That host, if it was only stopped,
/// touches them no more from here on.
fn open_files(ports: &Ports, attempt: (CallNumber, u32)) -> anyhow::Result<Option<Vec<OpenFile>>> {
    let run = ports.recorder.state().run.clone();
    let Some(folder) = ports.journal.folder() else { return Ok(Some(Vec::new())) };
    Ok(open_files::take_over(folder, &run, attempt)?)
}

/// Removes what is kept of an attempt's open files, once its changes are undone.
pub fn forget_open_files(ports: &Ports, attempt: (CallNumber, u32)) {
    if let Some(folder) = ports.journal.folder() {
        open_files::forget(folder, &ports.recorder.state().run, attempt);
    }
}

/// What is known of the files that an attempt changed.
pub struct Known<'k> {
    /// What was said of them, in order.
    pub marks: &'k [PathMark],
    /// The last word about each that was open when the host was killed.
    pub open: Vec<OpenFile>,
    /// Whether the machine was started anew since.
    pub restarted: Restarted,
}

/// Undoes what entries say of one attempt, and syncs what was restored.
///
/// # Errors
/// As [`undo::restore`]; and where what was restored cannot be synced.
pub fn undo_all(
    mounts: &[Mount],
    (entries, contents): (&[UndoEntry], &undo::Contents<'_>),
    known: Known<'_>,
    tell: &mut undo::Tell<'_>,
) -> Result<UndoReport, UndoError> {
    let mut ledger = Ledger::new(known.restarted);
    ledger.follow(mounts, entries, known.marks)?;
    ledger.follow_open(mounts, entries, known.open)?;
    let report = undo::restore(&mut ledger, mounts, (entries, contents), tell)?;
    // What was removed must not come back by a power loss after its record.
    sync::sync_changes(mounts, entries).map_err(|error| GateClosed(format!("it could not be synced: {error}")))?;
    Ok(report)
}

fn tell(
    ports: &Ports,
    call: CallNumber,
    attempt: u32,
    (marks, pressing): (Vec<PathMark>, Pressing),
) -> Result<(), GateClosed> {
    let durable = match pressing {
        Pressing::Now => Durable::Now,
        Pressing::Later => Durable::Later,
    };
    let marked = PathsMarked { call, attempt, boot: boot::number(), marks };
    ports.recorder.record(marked, durable).map_err(|error| GateClosed(format!("{error:#}")))?;
    failpoint::hit("undo-marked");
    Ok(())
}

fn attempt_of(ports: &Ports, call: CallNumber, attempt: u32) -> Option<Attempt> {
    match ports.recorder.state().call(call).map(|pending| &pending.status) {
        Some(
            CallStatus::Running(found) | CallStatus::Interrupted(found) | CallStatus::Again { attempt: found, .. },
        ) if found.number == attempt => Some(found.clone()),
        _ => None,
    }
}
