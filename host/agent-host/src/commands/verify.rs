//! `agent-host journal verify`: what can be proved about a run from its journal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::import;
use super::progress::Progress;
use crate::hardening::reach::Reach;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::journal::Journal as _;
use crate::journal::chain::Marker;
use crate::journal::error::JournalError;
use crate::journal::key::HostKey;
use crate::journal::lost::{self, Lost};
use crate::journal::removal::{Found, Tombstone};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{Marks, Signature, Verified};
use crate::report::{json, text};

/// Checks that a run is complete and unchanged, and whether this host wrote it.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The run, or the beginning of its name [default: the latest]
    pub run: Option<String>,
    /// Check an exported run instead, without a journal
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Writes what was proved to `out`.
///
/// # Errors
/// Where the run is damaged, there is no such run, the journal cannot be read or `out` not be written.
pub fn run(args: &VerifyArgs, journal: &SqliteJournal, out: &mut dyn Write) -> anyhow::Result<()> {
    match journal.find_run(args.run.as_deref()) {
        Ok(run) => {
            let mut progress = Progress::new("checking events");
            let verified = journal.verify_telling(&run, &mut || progress.step())?;
            drop(progress);
            let lost = if verified.damage.is_none() { lost::of_run(journal, &run)? } else { Vec::new() };
            proved(&verified, &lost, args, out)
        }
        Err(error @ JournalError::NoSuchRun { .. }) => match removed(journal, args.run.as_deref().unwrap_or_default())?
        {
            Some(found) => Ok(write_tombstone(&found, args, out)?),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The same for an exported run.
///
/// # Errors
/// Where the file is no exported run, or is damaged.
pub fn file(path: &Path, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let key = HostKey::load_or_create(Home::open()?.root())?;
    let mut file = import::open(path)?;
    // Behind the walls: it comes from a stranger.
    let _ = hardening::put_up(Files::Within(&Reach::default()));
    let _ = hardening::close_memory();
    let checked = import::check(&mut file, &Marker::new(&key))?;
    // Nothing is lost in a file that is read at all.
    proved(&checked.verified, &[], args, &mut anstream::stdout())?;
    Ok(ExitCode::SUCCESS)
}

fn proved(verified: &Verified, lost: &[Lost], args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.json { write_json(verified, lost, out) } else { write_proof(verified, lost, out) }?;
    let run = &verified.run;
    match (&verified.damage, lost) {
        (None, []) => Ok(()),
        (Some(damage), _) => anyhow::bail!(
            "run `{run}` is damaged at {damage}\n  hint: copy the whole folder before anything else; restore it from a backup; \
             without one, `agent-host journal export {run} FILE --salvage` saves what is intact"
        ),
        (None, [first, ..]) => anyhow::bail!(
            "run `{run}` lacks what its events name: {first}\n  hint: copy the whole folder before anything else; restore it \
             from a backup; without one, `agent-host resume {run}` goes on, and puts a call in doubt that needs what is lost"
        ),
    }
}

fn removed(journal: &SqliteJournal, prefix: &str) -> Result<Option<Found>, JournalError> {
    let begins = |found: &Found| found.tombstone.run.as_str().starts_with(&prefix.to_ascii_lowercase());
    Ok(journal.tombstones()?.into_iter().find(begins))
}

fn write_tombstone(found: &Found, args: &VerifyArgs, out: &mut dyn Write) -> std::io::Result<()> {
    let Tombstone { run, seq, head, at } = &found.tombstone;
    if args.json {
        return writeln!(out, "{}", json::removed(found));
    }
    writeln!(out, "run     {run}")?;
    writeln!(out, "removed {}, with its {seq} events", json::rfc3339(*at))?;
    let author = if found.is_ours {
        "this host, by its mark on the tombstone"
    } else {
        "not proved: the tombstone lacks this host's mark"
    };
    writeln!(out, "author  {author}")?;
    writeln!(out, "head    {head}")
}

fn write_json(verified: &Verified, lost: &[Lost], out: &mut dyn Write) -> std::io::Result<()> {
    let (signed_upto, signed_by) = match &verified.signature {
        Signature::Upto { seq, key } => (Some(*seq), Some(key.as_str())),
        Signature::None | Signature::False { .. } => (None, None),
    };
    let ours = match verified.marks {
        Marks::Ours => verified.intact,
        Marks::NotOursFrom(seq) => seq - 1,
    };
    let object = serde_json::json!({
        "run": verified.run, "intact": verified.intact, "head": verified.head, "ours": ours,
        "signed": signed_upto, "key": signed_by,
        "damage": verified.damage.as_ref().map(ToString::to_string),
        "lost": lost.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    writeln!(out, "{}", text::json(&object.to_string()))
}

fn write_proof(verified: &Verified, lost: &[Lost], out: &mut dyn Write) -> std::io::Result<()> {
    let events = if verified.intact == 1 { "event" } else { "events" };
    writeln!(out, "run     {}", verified.run)?;
    writeln!(out, "intact  {} {events}, unchanged and in their order", verified.intact)?;
    for lost in lost {
        writeln!(out, "lost    {lost}")?;
    }
    let author = match verified.marks {
        Marks::Ours if verified.intact == 0 => "unknown".to_owned(),
        Marks::Ours => "this host, by its mark on each".to_owned(),
        Marks::NotOursFrom(seq) => format!("not proved from event {seq} on: this host's mark is not there"),
    };
    writeln!(out, "author  {author}")?;
    match &verified.signature {
        Signature::None => {}
        Signature::Upto { seq, key } => writeln!(out, "signed  up to event {seq}, by key {key}")?,
        Signature::False { seq } => {
            writeln!(out, "signed  not truly: event {seq} is no signature of what is before it")?;
        }
    }
    match &verified.head {
        Some(head) => writeln!(out, "head    {head}"),
        None => Ok(()),
    }
}
