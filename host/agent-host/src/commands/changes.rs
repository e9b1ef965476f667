//! `agent-host changes`: the files that a run changed, call by call, and undoing that. What the journal says is shown without a
//! look at the files; `--diff` and `--undo` open the directories that the run was granted, and nothing else.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_core::effect::Before;
use agent_core::event::Event;
use agent_core::file_changes::{AttemptChanges, Following, RunChanges, Undone};
use agent_core::file_events::{AttemptUndone, ChangesUndone, PathsMarked};
use agent_core::grant::Access;
use agent_core::name::{CallNumber, RunId};
use agent_core::path_state::PathMark;
use agent_core::state::State;
use agent_sandbox::gate::GateClosed;
use agent_sandbox::mount::Mount;
use agent_sandbox::sync;
use agent_sandbox::undo::{self, Ledger, Pressing, Restarted, UndoReport};
use anyhow::{Context, bail};

use super::confined::Confined;
use super::opened::confirm;
use super::progress::Progress;
use super::resume::runs_folder;
use super::scout::{self, Holders};
use crate::boot;
use crate::driver::mounts::Mounts;
use crate::driver::recorder::Recorder;
use crate::file_diff::{self, Sides};
use crate::hardening;
use crate::hardening::reach::Reach;
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::open_files;
use crate::journal::pages::Pages;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::Marks;
use crate::report::changes as report;

/// What `--help` says after the options.
pub const HELP: &str = "\
An undo restores a path only if it is in the state that the run left it in. What something else changed since is named and left
alone.

Exit codes:
  0 shown, or all undone; 1 error, or something was left alone; 2 wrong command line";

/// Lines that the question before an undo shows; `agent-host changes RUN` shows all.
const ASKED_LINES_MAX: usize = 20;

/// `agent-host changes`.
#[derive(Debug, clap::Args)]
pub struct ChangesArgs {
    /// The run: any unique beginning of its identifier.
    pub run: String,
    /// Only what this call changed; with `--undo`, what it and all later ones changed.
    #[arg(long, value_name = "N")]
    pub call: Option<u32>,
    /// Also show what changed inside of text files.
    #[arg(long, conflicts_with_all = ["json", "undo"])]
    pub diff: bool,
    /// Restore the state before the run, or before the call that is named: the last call first.
    #[arg(long)]
    pub undo: bool,
    /// Undo without being asked.
    #[arg(long, requires = "undo")]
    pub yes: bool,
    /// Print JSON: an array of calls, or one object about what was undone.
    #[arg(long)]
    pub json: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
}

/// Finds out what is needed to look at the files or to undo. A journal may be a stranger's: it is opened behind the walls.
///
/// # Errors
/// Where there is no such place.
pub async fn prepare(args: ChangesArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(args.agent.as_deref())?;
    let mut reach = Reach::of_journal(&runs);
    if args.diff || args.undo {
        let needs = scout::needs(&home, &runs, Some(&args.run));
        let most = if args.undo { Access::Write } else { Access::Read };
        needs.add_directories(&mut reach, &home, (Holders::Ever, most));
    }
    Ok(Confined::new(reach, move |_| async move {
        let _ = hardening::close_memory();
        let journal = SqliteJournal::open_existing(&runs, &key)?;
        let run = journal.find_run(Some(&args.run))?;
        if args.undo { undo(args, journal, run).await } else { look(&args, &journal, &run).await }
    }))
}

async fn look(args: &ChangesArgs, journal: &SqliteJournal, run: &RunId) -> anyhow::Result<ExitCode> {
    if args.diff {
        return show_diff(args, journal, run).await;
    }
    list(args, journal, run)
}

/// Writes call by call what was changed, and holds no more of it than one.
fn list(args: &ChangesArgs, journal: &SqliteJournal, run: &RunId) -> anyhow::Result<ExitCode> {
    let (mut undone, mut last) = (HashMap::new(), 0);
    let mut progress = Progress::new("reading events");
    journal.read_into(run, &mut |recorded| {
        progress.step();
        last = recorded.seq;
        match recorded.event {
            Event::CallUndone(body) => drop(undone.insert((body.call, body.attempt), Undone::ByHost)),
            Event::ChangesUndone(body) => {
                let of = |attempt: AttemptUndone| ((attempt.call, attempt.attempt), Undone::ByPerson(attempt.left));
                undone.extend(body.attempts.into_iter().map(of));
            }
            _ => {}
        }
    })?;
    drop(progress);
    let mut out = anstream::stdout().lock();
    let form = if args.json { report::Form::Json } else { report::Form::Text };
    let mut listing = report::Listing::begin(form, &mut out)?;
    let mut add = |attempts: Vec<AttemptChanges>| {
        let meant = attempts.into_iter().filter(|attempt| !attempt.is_empty() && is_meant(args, attempt));
        meant.into_iter().try_for_each(|mut attempt| {
            attempt.undone = undone.remove(&(attempt.call, attempt.attempt)).unwrap_or(Undone::No);
            listing.add(&attempt)
        })
    };
    let mut following = Following::default();
    for recorded in Pages::of(journal, run, last) {
        following.see(&recorded?);
        add(following.take_ended())?;
    }
    let (rest, _) = end(following, run)?;
    add(rest.attempts)?;
    if listing.end()? == 0 && !args.json {
        writeln!(out, "no file was changed")?;
        hint_at_origin(rest.forked_from.as_ref(), &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_diff(args: &ChangesArgs, journal: &SqliteJournal, run: &RunId) -> anyhow::Result<ExitCode> {
    // Its events say which files are opened.
    if journal.verify(run)?.marks != Marks::Ours {
        bail!("run {run} was not written by this host, so no files are opened by what it says");
    }
    let (mut following, mut progress) = (Following::default(), Progress::new("reading events"));
    journal.read_into(run, &mut |recorded| {
        progress.step();
        following.see(&recorded);
    })?;
    drop(progress);
    let (changes, _) = end(following, run)?;
    let opened = Opened::all(&changes, (journal, run)).await?;
    show(args, journal, &changes, &opened)
}

async fn undo(args: ChangesArgs, journal: SqliteJournal, run: RunId) -> anyhow::Result<ExitCode> {
    let (mut following, mut progress) = (Following::default(), Progress::new("reading events"));
    let log = journal.resume_into(&run, TakeOver::IfDead, &mut |recorded| {
        progress.step();
        following.see(&recorded);
    })?;
    drop(progress);
    let (changes, state) = end(following, &run)?;
    let undoing = Undoing { args, run, journal, recorder: Recorder::new(log, state), changes };
    undoing.undo().await
}

fn end(following: Following, run: &RunId) -> anyhow::Result<(RunChanges, State)> {
    let (changes, state) = following.end().with_context(|| format!("run `{run}` does not hang together"))?;
    Ok((changes, state.with_context(|| format!("run {run} has no events"))?))
}

fn is_meant(args: &ChangesArgs, attempt: &AttemptChanges) -> bool {
    let call = args.call.map(CallNumber);
    match call {
        None => true,
        Some(call) if args.undo => attempt.call >= call,
        Some(call) => attempt.call == call,
    }
}

fn show(args: &ChangesArgs, journal: &dyn Journal, changes: &RunChanges, opened: &Opened) -> anyhow::Result<ExitCode> {
    let meant =
        changes.attempts.iter().enumerate().filter(|(_, attempt)| !attempt.is_empty() && is_meant(args, attempt));
    let mut out = anstream::stdout().lock();
    let mut none = true;
    for (number, attempt) in meant {
        none = false;
        if attempt.undone == Undone::ByHost {
            report::write_attempt(attempt, &mut out)?;
            continue;
        }
        report::write_heading(attempt, &mut out)?;
        for path in attempt.paths() {
            report::write_path(&path, &mut out)?;
            let sides = sides(journal, changes, opened, (number, path.entry))?;
            file_diff::write(&path, &sides, &mut out)?;
        }
        report::write_not_kept(attempt, &mut out)?;
    }
    if none {
        writeln!(out, "no file was changed")?;
        hint_at_origin(changes.forked_from.as_ref(), &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A fork shares what was said, and owns nothing that was done.
fn hint_at_origin(origin: Option<&RunId>, out: &mut dyn Write) -> io::Result<()> {
    match origin {
        Some(from) => {
            writeln!(out, "  hint: what was done before the fork is run {from}'s own: `agent-host changes {from}`")
        }
        None => Ok(()),
    }
}

/// The directories that attempts changed, opened; and what is known of what was left there.
struct Opened {
    /// Of each attempt; none where one of its directories cannot be opened.
    mounts: Vec<Option<Vec<Mount>>>,
    ledger: Ledger,
}

impl Opened {
    async fn all(changes: &RunChanges, (journal, run): (&dyn Journal, &RunId)) -> anyhow::Result<Self> {
        let known = Mounts::default();
        let mut mounts = Vec::with_capacity(changes.attempts.len());
        for attempt in &changes.attempts {
            let mut grant = attempt.grant.clone();
            grant.fs.retain(|fs| attempt.entries.iter().any(|entry| entry.mount == fs.mount));
            mounts.push(known.open(&grant).await.ok());
        }
        let first = changes.attempts.iter().find_map(|attempt| attempt.boot);
        let restarted = match changes.attempts.iter().map(|attempt| attempt.began).min() {
            Some(began) if first.is_some_and(|first| first != boot::number()) => {
                Restarted::Yes { since_ns: undo::since_ns(began) }
            }
            Some(_) | None => Restarted::No,
        };
        let mut ledger = Ledger::new(restarted);
        for said in &changes.said {
            let entry = changes.attempts[said.attempt].entries.get(said.mark.entry as usize);
            if let (Some(mounts), Some(entry)) = (&mounts[said.attempt], entry) {
                // An entry of no mount is one of a directory that is not granted: nothing is looked up there.
                let _ = ledger.follow_one(mounts, entry, &said.mark.is);
            }
        }
        for (attempt, mounts) in changes.attempts.iter().zip(&mounts) {
            if let (Some(mounts), Some(folder)) = (mounts, journal.folder()) {
                let open = open_files::read(folder, run, (attempt.call, attempt.attempt))?;
                ledger.follow_open(mounts, &attempt.entries, open.unwrap_or_default())?;
            }
        }
        Ok(Self { mounts, ledger })
    }
}

/// The content of a path before an attempt and after it, as far as it is kept or still there.
fn sides(
    journal: &dyn Journal,
    changes: &RunChanges,
    opened: &Opened,
    (number, entry): (usize, u32),
) -> anyhow::Result<Sides> {
    let attempt = &changes.attempts[number];
    let Some(whole) = attempt.whole_entry(entry) else { return Ok(Sides::default()) };
    let key = host_path(attempt, entry);
    let later = changes.attempts.iter().enumerate().skip(number + 1).find_map(|(later, other)| {
        let place = (0..).take(other.entries.len()).find(|place| host_path(other, *place) == key)?;
        key.as_ref().map(|_| (later, place))
    });
    let after = match later {
        // What a later call found there is what this one left.
        Some(later) => sides_before(journal, &changes.attempts[later.0], later.1)?,
        None => match &opened.mounts[number] {
            Some(mounts) => opened.ledger.content(mounts, whole, file_diff::BYTES_MAX)?,
            None => None,
        },
    };
    let before = match &whole.before {
        Before::Length(length) => {
            after.as_ref().and_then(|after| Some(after.get(..usize::try_from(length.0).ok()?)?.to_vec()))
        }
        _ => sides_before(journal, attempt, entry)?,
    };
    Ok(Sides { before, after })
}

fn sides_before(journal: &dyn Journal, attempt: &AttemptChanges, entry: u32) -> anyhow::Result<Option<Vec<u8>>> {
    match attempt.whole_entry(entry).map(|entry| &entry.before) {
        Some(Before::Content { digest, .. }) => Ok(journal.blob(digest)?),
        Some(Before::Absent) => Ok(Some(Vec::new())),
        Some(Before::Directory { .. } | Before::Length(_) | Before::Symlink(_)) | None => Ok(None),
    }
}

fn host_path(attempt: &AttemptChanges, entry: u32) -> Option<String> {
    let entry = attempt.entries.get(entry as usize)?;
    let fs = attempt.grant.fs.iter().find(|fs| fs.mount == entry.mount)?;
    Some(format!("{}/{}", fs.host, entry.path))
}

/// An undo that is asked for, of a run that this process holds.
struct Undoing {
    args: ChangesArgs,
    run: RunId,
    journal: SqliteJournal,
    recorder: Recorder,
    changes: RunChanges,
}

/// What an undo came to.
#[derive(Default)]
struct Came {
    attempts: Vec<AttemptUndone>,
    told: report::Undoing,
}

impl Undoing {
    async fn undo(self) -> anyhow::Result<ExitCode> {
        let numbers: Vec<usize> =
            (0..self.changes.attempts.len()).rev().filter(|number| self.is_to_undo(*number)).collect();
        if numbers.is_empty() {
            let mut out = anstream::stdout();
            writeln!(out, "there is nothing to undo in run {}", self.run)?;
            hint_at_origin(self.changes.forked_from.as_ref(), &mut out)?;
            return Ok(ExitCode::SUCCESS);
        }
        self.ask(&numbers)?;
        let mut opened = Opened::all(&self.changes, (&self.journal, &self.run)).await?;
        let mut came = Came::default();
        for number in numbers {
            self.undo_one(number, &mut opened, &mut came)?;
        }
        if !came.attempts.is_empty() {
            self.recorder.record(ChangesUndone { attempts: came.attempts }, Durable::Now)?;
        }
        let form = if self.args.json { report::Form::Json } else { report::Form::Text };
        report::write_undone(&self.run, &came.told, form, &mut anstream::stdout().lock())?;
        Ok(if came.told.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn is_to_undo(&self, number: usize) -> bool {
        let attempt = &self.changes.attempts[number];
        let open = match &attempt.undone {
            Undone::No => !attempt.is_empty(),
            Undone::ByHost => false,
            Undone::ByPerson(left) => !left.is_empty(),
        };
        open && is_meant(&self.args, attempt)
    }

    fn ask(&self, numbers: &[usize]) -> anyhow::Result<()> {
        let mut details = Vec::new();
        for number in numbers {
            details.extend(report::lines(&self.changes.attempts[*number]));
        }
        let more = details.len().saturating_sub(ASKED_LINES_MAX);
        details.truncate(ASKED_LINES_MAX);
        if more > 0 {
            details.push(format!("… {more} more lines: `agent-host changes {}`", self.run));
        }
        let title = "undo this, the last call first?".to_owned();
        confirm(&self.run, (title, details), self.args.yes, "`--yes` undoes without a question")
    }

    fn undo_one(&self, number: usize, opened: &mut Opened, came: &mut Came) -> anyhow::Result<()> {
        let attempt = &self.changes.attempts[number];
        for path in &attempt.opaque {
            let reason = "what was there before is not kept (`undo = false`)".to_owned();
            came.told.left.push(report::Told { call: attempt.call, path: path.clone(), reason });
        }
        if attempt.entries.is_empty() {
            return Ok(());
        }
        let Some(mounts) = &opened.mounts[number] else {
            let hosts: Vec<_> = attempt.grant.fs.iter().map(|fs| fs.host.as_str()).collect();
            let reason = "it cannot be opened, or is another directory than it was".to_owned();
            came.told.left.push(report::Told { call: attempt.call, path: hosts.join(", "), reason });
            return Ok(());
        };
        let mut tell = |marks, pressing| self.tell(attempt, marks, pressing);
        let contents = |digest: &Digest| self.journal.blob(digest).map_err(io::Error::other);
        let report = undo::restore(&mut opened.ledger, mounts, (&attempt.entries, &contents), &mut tell)
            .with_context(|| format!("cannot undo what call {} had changed", attempt.call))?;
        sync::sync_changes(mounts, &attempt.entries).context("what was restored could not be synced to disk")?;
        came.add(attempt, report);
        Ok(())
    }

    fn tell(&self, attempt: &AttemptChanges, marks: Vec<PathMark>, pressing: Pressing) -> Result<(), GateClosed> {
        let durable = match pressing {
            Pressing::Now => Durable::Now,
            Pressing::Later => Durable::Later,
        };
        let marked = PathsMarked { call: attempt.call, attempt: attempt.attempt, boot: boot::number(), marks };
        self.recorder.record(marked, durable).map(drop).map_err(|error| GateClosed(format!("{error:#}")))
    }
}

impl Came {
    fn add(&mut self, attempt: &AttemptChanges, report: UndoReport) {
        let call = attempt.call;
        let restored = u32::try_from(report.restored.len()).unwrap_or(u32::MAX);
        let left = report.left.iter().map(|left| left.entry).collect();
        self.attempts.push(AttemptUndone { call, attempt: attempt.attempt, restored, left });
        self.told.restored.extend(report.restored);
        let told = |left: undo::Left| report::Told { call, path: left.path, reason: left.reason };
        self.told.left.extend(report.left.into_iter().map(told));
        self.told.missing.extend(report.missing.into_iter().map(told));
    }
}
