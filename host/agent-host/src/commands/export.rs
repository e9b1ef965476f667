//! `agent-host journal export`: one run as one file that needs nothing else.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_core::event::Recorded;
use anyhow::{Context, bail};

use super::opened;
use crate::journal::{Journal as _, portable};

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
    // The file is made before the walls stand, behind which no other one can be opened; and not for a run that is not there.
    let run = opened::journal_without_walls(args.agent.as_deref())?.find_run(Some(&args.run))?;
    let file = args.file.as_deref().map(create).transpose()?;
    let journal = opened::journal(args.agent.as_deref())?;
    let events = journal.stored(&run)?;
    // Of these events and no others: the run may go on meanwhile.
    let recorded = events.iter().map(|stored| stored.to_recorded(&run));
    let blobs = named(&recorded.collect::<Result<Vec<_>, _>>()?);
    let blob = |digest: &Digest| {
        journal.blob(digest)?.with_context(|| format!("the journal lacks {digest}, which the run names"))
    };
    match file {
        None => portable::write(&run, &events, &blobs, blob, &mut BufWriter::new(std::io::stdout()))?,
        Some(file) => {
            portable::write(&run, &events, &blobs, blob, &mut BufWriter::new(&file))
                .and_then(|()| Ok(file.sync_all()?))
                .context("the file was not written to its end; remove it")?;
            let (events, blobs) = (events.len(), blobs.len());
            writeln!(anstream::stderr(), "exported run {run}: {events} events, {blobs} blobs")?;
        }
    }
    Ok(ExitCode::SUCCESS)
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
