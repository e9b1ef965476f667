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
use crate::journal::portable::{self, Extent, Put};

/// `agent-host journal export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The run, or the beginning of its name.
    run: String,
    /// The file to write, which must not be there yet [default: standard output].
    file: Option<PathBuf>,
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
    let file = found.as_ref().and(args.file.as_deref()).map(create).transpose()?;
    let journal = opened::journal(args.agent.as_deref())?;
    let run = journal.find_run(Some(&args.run))?;
    ensure!(found.as_ref() == Some(&run), "run {run} was not found at first\n  hint: try again");
    // Of the events that are there now and no others: the run may go on meanwhile.
    let extent = extent(&journal, &run)?;
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
    Ok(ExitCode::SUCCESS)
}

/// What there is to write.
fn extent(journal: &dyn Journal, run: &RunId) -> anyhow::Result<Extent> {
    let (mut extent, mut progress) = (Extent::default(), Progress::new("looking through events"));
    let mut taken = Ok(());
    journal.stored_into(run, &mut |stored| {
        progress.step();
        taken = extent.take(run, &stored);
        if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
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
