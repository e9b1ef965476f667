//! `agent-host journal export`: one run as one file that needs nothing else.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_core::event::Recorded;
use agent_core::name::RunId;
use anyhow::{Context, bail, ensure};

use super::progress::Progress;
use super::resume::runs_folder;
use super::{opened, scout};
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::lost;
use crate::journal::portable::{self, Extent, Put};

/// `agent-host journal export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The run, or the beginning of its name.
    run: String,
    /// The file to write, which must not be there yet [default: standard output].
    file: Option<PathBuf>,
    /// Of a damaged run, write what is intact: its events up to the first that is not, or that names something lost. What is
    /// left out is told.
    #[arg(long)]
    salvage: bool,
    /// The agent file whose runs are meant; those of the working directory if not given.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Writes the run.
///
/// # Errors
/// Where there is no such run, it is not intact, or the file cannot be written.
pub fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    if args.file.is_none() && std::io::stdout().is_terminal() {
        bail!("an exported run is for a file\n  hint: `agent-host journal export {} FILE`, or pipe it", args.run);
    }
    // The file is made before the walls stand, behind which no other one can be opened; and not for a run that is not there, which
    // a process of its own finds out.
    let found = scout::needs(&Home::open()?, &runs_folder(args.agent.as_deref())?, Some(&args.run)).only();
    // Nor can that always be found out of one that is damaged.
    let is_wanted = found.is_some() || args.salvage;
    let file = args.file.as_deref().filter(|_| is_wanted).map(create).transpose()?;
    let journal = opened::journal(args.agent.as_deref())?;
    let run = journal.find_run(Some(&args.run))?;
    ensure!(args.salvage || found.as_ref() == Some(&run), "run {run} was not found at first\n  hint: try again");
    // Of the events that are there now and no others: the run may go on meanwhile.
    let (extent, left_out) =
        if args.salvage { intact(&journal, &run)? } else { (extent(&journal, &run, u64::MAX)?, None) };
    let events = |put: &mut Put<'_>| put_all(&journal, (&run, extent.events), put);
    let blob = |digest: &Digest| {
        journal.blob(digest)?.with_context(|| format!("the journal lacks {digest}, which the run names"))
    };
    match file {
        None => portable::write(&run, &extent, events, blob, &mut BufWriter::new(std::io::stdout()))?,
        Some(file) => {
            portable::write(&run, &extent, events, blob, &mut BufWriter::new(&file))
                .and_then(|()| Ok(file.sync_all()?))
                .context("the file was not written to its end; remove it")?;
            let (events, blobs) = (extent.events, extent.blobs.len());
            writeln!(anstream::stderr(), "exported run {run}: {events} events, {blobs} blobs")?;
        }
    }
    if let Some(first) = left_out {
        writeln!(anstream::stderr(), "left out: all from event {} on, since {}", extent.events + 1, first)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is intact of a run, and why the rest of it is not there, if there is one.
fn intact(journal: &dyn Journal, run: &RunId) -> anyhow::Result<(Extent, Option<String>)> {
    let mut progress = Progress::new("checking events");
    let verified = journal.verify_telling(run, &mut || progress.step())?;
    drop(progress);
    let mut left_out = verified.damage.map(|damage| damage.to_string());
    let mut count = verified.intact;
    let lost = if count > 0 { lost::in_first(journal, run, count)? } else { None };
    if let Some(lost) = lost {
        (count, left_out) = (lost.seq - 1, Some(lost.to_string()));
    }
    match (count, left_out) {
        (0, why) => {
            bail!("nothing of run {run} can be saved: {}", why.unwrap_or_else(|| "it has no events".to_owned()))
        }
        (count, left_out) => Ok((extent(journal, run, count)?, left_out)),
    }
}

/// What there is to write of the first `count_max` events.
fn extent(journal: &dyn Journal, run: &RunId, count_max: u64) -> anyhow::Result<Extent> {
    let (mut extent, mut progress) = (Extent::default(), Progress::new("looking through events"));
    let mut taken = Ok(());
    journal.stored_into(run, &mut |stored| {
        progress.step();
        taken = extent.take(run, &stored);
        if taken.is_ok() && stored.seq < count_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    taken?;
    Ok(extent)
}

/// Hands the first events of a run over, one by one.
fn put_all(journal: &dyn Journal, (run, count): (&RunId, u64), put: &mut Put<'_>) -> anyhow::Result<()> {
    let (mut done, mut progress) = (Ok(()), Progress::new("writing events"));
    journal.stored_into(run, &mut |stored| {
        progress.step();
        done = put(&stored);
        if done.is_ok() && stored.seq < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    done
}

/// What the events name.
#[must_use]
pub fn named(events: &[Recorded]) -> BTreeSet<Digest> {
    events.iter().flat_map(|recorded| recorded.event.kept()).collect()
}

/// What a run says is nobody else's business.
fn create(path: &Path) -> anyhow::Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.with_context(|| format!("cannot make `{}`", path.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::journal::chain::Marker;
    use crate::journal::key::HostKey;
    use crate::journal::log::Durable;
    use crate::journal::sqlite::SqliteJournal;
    use crate::report::samples;

    /// Places at which a bit is flipped.
    const PLACES: usize = 400;

    /// What is saved of the sample run, as a reader of the file finds it; `None` where nothing is.
    fn saved(journal: &dyn Journal) -> Option<Vec<Recorded>> {
        let run = journal.find_run(Some(samples::run_id(1).as_str())).ok()?;
        let (extent, _) = intact(journal, &run).ok()?;
        let mut file = tempfile::tempfile().unwrap();
        let events = |put: &mut Put<'_>| put_all(journal, (&run, extent.events), put);
        let blob = |digest: &Digest| Ok(journal.blob(digest).unwrap().unwrap());
        portable::write(&run, &extent, events, blob, &mut file).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let marker = Marker::new(&HostKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap());
        let checked = super::super::import::check(&mut file, &marker).unwrap();
        assert_eq!(checked.verified.damage, None);
        Some(checked.events)
    }

    /// One bit, in many places, one at a time: what is saved is a beginning of what was written, and a file that can be taken in.
    #[test]
    fn what_is_saved_of_a_damaged_file_is_a_beginning() {
        let home = tempfile::tempdir().unwrap();
        let key = HostKey::load_or_create(home.path()).unwrap();
        let folder = home.path().join(".agent-host");
        let journal = SqliteJournal::create_or_open(&folder, &key).unwrap();
        let (log, first) = journal.start_run(samples::run_id(1), samples::at(1), samples::started()).unwrap();
        let mut written = vec![first];
        for (index, event) in samples::events().into_iter().enumerate() {
            written.push(log.append(samples::at(index as u64 + 2), event, Durable::Later).unwrap());
        }
        for part in samples::kept() {
            journal.put_blob(part.as_bytes()).unwrap();
        }
        assert_eq!(saved(&journal).as_ref(), Some(&written), "all of it, where all is intact");
        drop(log);
        drop(journal);

        let file = folder.join("journal.db");
        let sound = std::fs::read(&file).unwrap();
        let (mut whole, mut parts) = (0, 0);
        for place in (0..sound.len()).step_by((sound.len() / PLACES).max(1)) {
            let mut bytes = sound.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&file, bytes).unwrap();
            let journal = SqliteJournal::open_existing(&folder, &key);
            if let Some(events) = journal.ok().and_then(|journal| saved(&journal)) {
                assert_eq!(events, written[..events.len()], "byte {place}");
                let count = if events.len() == written.len() { &mut whole } else { &mut parts };
                *count += 1;
            }
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.join(format!("journal.db{suffix}")));
            }
        }
        assert!(whole > 0 && parts > 0, "{whole} whole, {parts} in part");
    }
}
