//! `agent-host changes`: what a run changed, and what an undo of it came to, as people and scripts read it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use agent_core::file_changes::{AttemptChanges, Change, PathChange, Undone};
use agent_core::name::{CallNumber, RunId};
use agent_core::path_state::PathKind;
use agent_core::units::Bytes;
use serde::Serialize;

use super::{HEADING, QUIET, text};

/// What an undo came to.
#[derive(Default)]
pub struct Undoing {
    /// Paths that are as they were.
    pub restored: BTreeSet<String>,
    /// Paths that were left alone.
    pub left: Vec<Told>,
    /// What could not be given back to others.
    pub missing: Vec<Told>,
}

/// For whom it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A person.
    Text,
    /// A script.
    Json,
}

/// Something about a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The call that changed it.
    pub call: CallNumber,
    /// As the guest saw it.
    pub path: String,
    /// Why.
    pub reason: String,
}

#[derive(Serialize)]
struct CallEntry<'a> {
    call: CallNumber,
    attempt: u32,
    tool: &'a str,
    /// `no`, `by_host` since the call was stopped, or `by_person`.
    undone: &'static str,
    changes: Vec<ChangeEntry>,
    /// Paths below grants with `undo = false`, which cannot be given back.
    not_kept: &'a [String],
}

#[derive(Serialize)]
struct ChangeEntry {
    path: String,
    change: &'static str,
    kind: &'static str,
    /// Where it was before, if it was moved.
    from: Option<String>,
    before_bytes: Option<Bytes>,
    after_bytes: Option<Bytes>,
}

#[derive(Serialize)]
struct UndoneEntry<'a> {
    run: &'a str,
    restored: &'a BTreeSet<String>,
    left: &'a [Told],
    missing: &'a [Told],
}

/// Writes one attempt with its paths.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_attempt(attempt: &AttemptChanges, out: &mut dyn Write) -> io::Result<()> {
    write_heading(attempt, out)?;
    if attempt.undone == Undone::ByHost {
        return Ok(());
    }
    attempt.paths().iter().try_for_each(|path| write_path(path, out))?;
    write_not_kept(attempt, out)
}

/// Writes the line of the call.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_heading(attempt: &AttemptChanges, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEADING}{}{HEADING:#}", text::whole(&heading(attempt)))
}

/// Writes the line of one path.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_path(path: &PathChange, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", text::whole(&line(path)))
}

/// Writes the paths that cannot be given back.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_not_kept(attempt: &AttemptChanges, out: &mut dyn Write) -> io::Result<()> {
    not_kept(attempt).try_for_each(|line| writeln!(out, "{}", text::whole(&line)))
}

/// One attempt, a line for the call and one for each path. Not yet neutralised for a terminal.
#[must_use]
pub fn lines(attempt: &AttemptChanges) -> Vec<String> {
    let mut lines = vec![heading(attempt)];
    lines.extend(attempt.paths().iter().map(line));
    lines.extend(not_kept(attempt));
    lines
}

fn heading(attempt: &AttemptChanges) -> String {
    let again = if attempt.attempt == 1 { String::new() } else { format!(", attempt {}", attempt.attempt) };
    let undone = match &attempt.undone {
        Undone::No => "",
        Undone::ByHost => " (undone by the host: the call was stopped)",
        Undone::ByPerson(left) if left.is_empty() => " (undone)",
        Undone::ByPerson(_) => " (undone, but for what something else had changed)",
    };
    format!("call {}{again} {}{undone}", attempt.call, attempt.tool.replacen("__", ".", 1))
}

fn not_kept(attempt: &AttemptChanges) -> impl Iterator<Item = String> + '_ {
    attempt.opaque.iter().map(|path| format!("  written   {path}  (not kept: `undo = false`)"))
}

/// Attempts that are listed one by one.
pub struct Listing<'o> {
    form: Form,
    out: &'o mut dyn Write,
    attempts: u64,
}

impl<'o> Listing<'o> {
    /// None yet. For scripts it becomes one array.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn begin(form: Form, out: &'o mut dyn Write) -> io::Result<Self> {
        if form == Form::Json {
            write!(out, "[")?;
        }
        Ok(Self { form, out, attempts: 0 })
    }

    /// Writes one more.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, attempt: &AttemptChanges) -> io::Result<()> {
        let is_first = self.attempts == 0;
        self.attempts += 1;
        match self.form {
            Form::Text => write_attempt(attempt, self.out),
            Form::Json => {
                let comma = if is_first { "" } else { "," };
                write!(self.out, "{comma}{}", text::json(&serde_json::to_string(&entry(attempt))?))
            }
        }
    }

    /// That was all. How many there were.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn end(self) -> io::Result<u64> {
        if self.form == Form::Json {
            writeln!(self.out, "]")?;
        }
        Ok(self.attempts)
    }
}

/// Writes what an undo came to.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_undone(run: &RunId, told: &Undoing, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let Undoing { restored, left, missing } = told;
    if form == Form::Json {
        let entry = UndoneEntry { run: run.as_str(), restored, left, missing };
        return writeln!(out, "{}", text::json(&serde_json::to_string(&entry)?));
    }
    let paths = if restored.len() == 1 { "path is" } else { "paths are" };
    writeln!(out, "{} {paths} as before", restored.len())?;
    for Told { call, path, reason } in left {
        let (path, reason) = (text::whole(path), text::whole(reason));
        writeln!(out, "left alone: {path} (call {call})\n  {reason}")?;
    }
    for Told { path, reason, .. } in missing {
        writeln!(out, "{QUIET}{}: {}{QUIET:#}", text::whole(path), text::whole(reason))?;
    }
    Ok(())
}

fn line(change: &PathChange) -> String {
    let slash = if change.kind == PathKind::Directory { "/" } else { "" };
    let from = change.from.as_ref().map(|from| format!("{from}{slash} → ")).unwrap_or_default();
    let sizes = match (change.before, change.after) {
        (Some(before), Some(after)) if before == after => format!("  {after}"),
        (Some(before), Some(after)) => format!("  {before} → {after}"),
        (None, Some(size)) | (Some(size), None) => format!("  {size}"),
        (None, None) => String::new(),
    };
    let link = if change.kind == PathKind::Link { " (link)" } else { "" };
    format!("  {:<8}  {from}{}{slash}{link}{sizes}", name(change.change), change.path)
}

fn entry(attempt: &AttemptChanges) -> CallEntry<'_> {
    let changes = if attempt.undone == Undone::ByHost { Vec::new() } else { attempt.paths() };
    CallEntry {
        call: attempt.call,
        attempt: attempt.attempt,
        tool: &attempt.tool,
        undone: match attempt.undone {
            Undone::No => "no",
            Undone::ByHost => "by_host",
            Undone::ByPerson(_) => "by_person",
        },
        changes: changes.into_iter().map(change_entry).collect(),
        not_kept: &attempt.opaque,
    }
}

fn change_entry(change: PathChange) -> ChangeEntry {
    let kind = match change.kind {
        PathKind::File => "file",
        PathKind::Directory => "directory",
        PathKind::Link => "link",
        PathKind::Other => "other",
    };
    let (before_bytes, after_bytes, from) = (change.before, change.after, change.from);
    ChangeEntry { path: change.path, change: name(change.change), kind, from, before_bytes, after_bytes }
}

fn name(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Changed => "changed",
        Change::Removed => "removed",
        Change::Moved => "moved",
        Change::Unclear => "unclear",
    }
}
