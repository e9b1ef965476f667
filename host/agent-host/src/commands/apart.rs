//! A person's word that is recorded before the run goes on at once (`approve`, `deny` and `journal resolve` with `--resume`). It is
//! recorded by a process of its own, behind the walls of a verb that only looks at a journal, which may be a stranger's; this one
//! opens none, and becomes the `resume`, which puts up walls of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use agent_core::name::RunId;
use anyhow::Context;

use super::resume::runs_folder;
use super::scout;
use crate::home::Home;

/// What a person types.
const RESUME: &str = "--resume";
/// What the process is told in its place.
const GOES_ON: &str = "--goes-on";

/// Does this command without going on, and then goes on with the run.
///
/// # Errors
/// Where it could not be recorded, or the run cannot go on.
pub fn record_and_resume(run: Option<&str>, agent: Option<&Path>) -> anyhow::Result<ExitCode> {
    let found = scout::needs(&Home::open()?, &runs_folder(agent)?, run).only();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| if word == OsStr::new(RESUME) { OsString::from(GOES_ON) } else { word });
    let ended = Command::new(&program).args(words).status().context("cannot start this program once more")?;
    if !ended.success() {
        // It has said why.
        return Ok(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    let found =
        found.context("recorded, but which run it is was not found out\n  hint: go on with `agent-host resume`")?;
    Err(go_on(&program, &found, agent))
}

/// Becomes `agent-host resume`; the error where that cannot be started.
fn go_on(program: &Path, run: &RunId, agent: Option<&Path>) -> anyhow::Error {
    let agent = agent.map(|file| [OsString::from("--agent"), file.into()]).into_iter().flatten();
    let error = Command::new(program).arg("resume").arg(run.as_str()).args(agent).exec();
    anyhow::Error::from(error).context(format!("recorded, but `agent-host resume {run}` could not be started"))
}
