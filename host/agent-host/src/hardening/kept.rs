//! A run that a keeper started: what it was handed, and what it may say back. The keeper believes only what is said before
//! any guest ran; what comes later may be the word of a guest that broke out, and is only ever a wish.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use agent_core::config::host_path::HostPath;
use agent_core::grant::Access;
use agent_core::name::{RunId, ToolName};
use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::reach::Reach;
use crate::asking::Asked;
#[cfg(target_os = "linux")]
use crate::signals;
use crate::unchanging::Unchanging;

/// The variable that names the pipe to the keeper.
pub(super) const PIPE: &str = "AGENT_HOST_KEEPER";
/// The variable with the keeper's process number.
pub(super) const KEEPER: &str = "AGENT_HOST_KEEPER_PROCESS";
/// The variable with what a run that goes on is handed.
pub(super) const HANDED: &str = "AGENT_HOST_KEPT";

/// What a run is handed that goes on behind a wider wall.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handed {
    /// Where the wall is.
    pub reach: Reach,
    /// The directory that the person granted, where one was.
    pub wider: Option<Wider>,
    /// What the person was asked before.
    pub asked: Asked,
}

/// A directory that the person granted to the tools of a component.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wider {
    /// The tool that it was granted for.
    pub tool: ToolName,
    /// Where it is.
    pub host: HostPath,
    /// What may be done there.
    pub access: Access,
}

/// What a kept run says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    /// Before any guest ran: where its wall is, and what a directory that is granted later may not hold.
    Reach(Reach, Unchanging),
    /// As its last word: it wants to go on with a directory more.
    Wish(Wish),
}

/// A tool needs a directory, and the person would grant it one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The run that is to go on.
    pub run: RunId,
    /// The tool.
    pub tool: ToolName,
    /// What the person would let it do.
    pub access: Access,
    /// What the person was asked so far.
    pub asked: Asked,
}

/// How a directory that is granted in the middle of a run becomes reachable.
pub enum Widening {
    /// There is no file wall: at once, if it holds nothing of this.
    AtOnce(Unchanging),
    /// The keeper lets the run go on behind a wider wall.
    ByKeeper(KeeperPipe),
    /// Nobody can move the wall.
    Never,
}

/// The way to the keeper.
pub struct KeeperPipe(Mutex<File>);

impl KeeperPipe {
    /// The pipe of the keeper that started this process, if one did. To be opened before the wall stands.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        let pipe = PathBuf::from(std::env::var_os(PIPE)?);
        File::options().write(true).open(pipe).ok().map(|pipe| Self(Mutex::new(pipe)))
    }

    /// Says where the wall is.
    ///
    /// # Errors
    /// Where the keeper is gone.
    pub fn say_reach(&self, reach: &Reach) -> anyhow::Result<()> {
        self.say(&Said::Reach(reach.clone(), reach.unchanging.clone()))
    }

    /// Says what the run wants. It must end then.
    ///
    /// # Errors
    /// Where the keeper is gone.
    pub fn say_wish(&self, wish: Wish) -> anyhow::Result<()> {
        self.say(&Said::Wish(wish))
    }

    fn say(&self, said: &Said) -> anyhow::Result<()> {
        let line = serde_json::to_string(said).context(
            "a path of the run is not UTF-8, and cannot be passed on\n  hint: work in a folder whose path is",
        )? + "\n";
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.write_all(line.as_bytes()).context("the process that watches over this run is gone")
    }
}

/// What this process was handed, if it goes on with a run.
///
/// # Errors
/// Where it cannot be understood.
pub fn handed() -> anyhow::Result<Option<Handed>> {
    let Some(text) = std::env::var_os(HANDED) else { return Ok(None) };
    let text = text.to_str().with_context(|| format!("`{HANDED}` is not text"))?;
    serde_json::from_str(text).map(Some).with_context(|| format!("cannot understand `{HANDED}`"))
}

/// A kept run ends with its keeper: nobody would see it any more. The system tells it, as a person would who stops it: what is
/// under way is undone and recorded. Where whoever started it wants that signal ignored, it is killed, and `resume` does the rest.
///
/// # Errors
/// Where the keeper is gone already, and the system has told nobody.
pub fn end_with_keeper() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    if std::env::var_os(PIPE).is_some() {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        let signal = if signals::is_ignored(Signal::TERM) { Signal::KILL } else { Signal::TERM };
        let _ = set_parent_process_death_signal(Some(signal));
        let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
        let is_there = parent.is_some() && parent == std::env::var(KEEPER).ok();
        anyhow::ensure!(is_there, "the process that watches over this run is gone");
    }
    Ok(())
}
