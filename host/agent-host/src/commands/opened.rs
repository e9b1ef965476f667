//! What the verbs share that work on a journal and run no tool: the folder of runs is found and the journal opened, behind the
//! walls, since it may be a stranger's.

use std::path::Path;

use agent_core::name::RunId;

use super::resume::runs_folder;
use crate::hardening::reach::Reach;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::journal::error::JournalError;
use crate::journal::folder::prepare_folder;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;
use crate::person::{Person, Question};

/// The journal beside the agent file, else in the working directory. What else the verb needs of the file system is opened
/// before.
///
/// # Errors
/// Where there is none, or it cannot be used.
pub fn journal(agent: Option<&Path>) -> anyhow::Result<SqliteJournal> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(agent)?;
    // A wall knows no folder that is not there yet: one that comes now would be out of reach.
    if !runs.exists() {
        return Err(JournalError::NoJournal { folder: runs }.into());
    }
    put_up_walls(&runs);
    Ok(SqliteJournal::open_existing(&runs, &key)?)
}

/// As [`journal`], which is begun where there is none.
///
/// # Errors
/// Where it cannot be used.
pub fn journal_or_new(agent: Option<&Path>) -> anyhow::Result<SqliteJournal> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = runs_folder(agent)?;
    // A wall knows no folder that is not there yet.
    prepare_folder(&runs)?;
    put_up_walls(&runs);
    Ok(SqliteJournal::create_or_open(&runs, &key)?)
}

/// Asks the person at the terminal before something that cannot be taken back; `yes` is the answer given before.
///
/// # Errors
/// Where the answer is no, or nobody is there; `how` says what to type then.
pub fn confirm(run: &RunId, (title, details): (String, Vec<String>), yes: bool, how: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let question = Question { title, details, who: format!("run {run}"), answers: &[('y', "yes"), ('n', "no")] };
    match Person::at_terminal().ask_at_once(&question) {
        Some('y') => Ok(()),
        Some(_) => anyhow::bail!("nothing was changed"),
        None => anyhow::bail!("nobody is there to be asked\n  hint: {how}"),
    }
}

fn put_up_walls(runs: &Path) {
    let _ = hardening::put_up(Files::Within(&Reach::of_journal(runs)));
    let _ = hardening::close_memory();
}
