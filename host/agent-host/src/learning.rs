//! `run --learn`: writes what a run needed as a policy, for review. It allows nothing by itself: it is a file that a person
//! reads and then names with `--policy`, or does not.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use agent_core::config::learn::{Learned, learn};
use anyhow::{Context, ensure};

use crate::driver::ports::Ports;
use crate::report::text;

/// The file where the command line names none.
pub const STANDARD_FILE: &str = "learned-policy.toml";

/// What stands in the file until the run has ended. Only a file that holds this, or nothing, is written over.
const PENDING: &str = "# agent-host is learning from a run that has not ended yet.\n";

/// A policy to be learned.
pub struct Learning {
    path: PathBuf,
    /// Opened before the file wall stands, which the file is not within.
    file: File,
}

impl Learning {
    /// Makes the file, so that the end of a long run does not find that it cannot.
    ///
    /// # Errors
    /// Where it cannot be made, or holds something.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.with_context(|| format!("cannot make `{shown}`"))?;
        let mut held = String::new();
        let read = (&mut file).take(PENDING.len() as u64 + 1).read_to_string(&mut held);
        read.with_context(|| format!("cannot read `{shown}`"))?;
        ensure!(
            held.is_empty() || held == PENDING,
            "`{shown}` is there already\n  hint: move it away, or name another file: `--learn=FILE`"
        );
        let mut learning = Self { path: path.to_owned(), file };
        learning.write(PENDING)?;
        Ok(learning)
    }

    /// Writes what the run needed, now that it stopped.
    ///
    /// # Errors
    /// Where its events cannot be read or the file not be written.
    pub fn finish(mut self, ports: &Ports) -> anyhow::Result<Lesson> {
        let (run, agent, authorities) = {
            let state = ports.recorder.state();
            (state.run.clone(), state.started.agent.clone(), state.authorities.clone())
        };
        let learned = learn(&authorities, &ports.journal.events(&run)?);
        let head = [
            format!("What run {run} of agent `{agent}` needed: each grant is what one tool used, and no more."),
            format!("It allows nothing by itself. Read it, then: agent-host run --policy {} …", self.path.display()),
            "Grants of other files and flags are added to these.".to_owned(),
        ];
        self.write(&learned.to_toml(&head))?;
        Ok(Lesson { path: self.path, learned })
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let write = |file: &mut File| {
            file.rewind()?;
            file.set_len(0)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write(&mut self.file).with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

/// What was learned, and where it stands.
pub struct Lesson {
    path: PathBuf,
    learned: Learned,
}

impl Lesson {
    /// Says what was written and how it is used.
    pub fn say(&self) {
        let file = text::whole(&self.path.display().to_string());
        let grants = match self.learned.grants.len() {
            0 => "no grant: the run needed none".to_owned(),
            1 => "1 grant".to_owned(),
            grants => format!("{grants} grants"),
        };
        let mut err = anstream::stderr();
        let _ = writeln!(err, "learned {grants}, written to {file}: nothing is allowed by it yet");
        let refused: usize = self.learned.refused.iter().map(|(_, refused)| refused.len()).sum();
        if refused > 0 {
            let _ = writeln!(err, "  what was refused stands in it as a comment: {refused} of the run's wishes");
        }
        let _ = writeln!(err, "  read it, then: agent-host run --policy {file} …");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_somebody_wrote_is_not_written_over() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(STANDARD_FILE);
        let mut learning = Learning::begin(&path)?;
        // The run may go on in another process.
        drop(Learning::begin(&path)?);
        learning.write("[[grant]]\n")?;
        let refused = Learning::begin(&path).map(drop).map_err(|error| error.to_string());
        assert!(refused.is_err_and(|message| message.contains("is there already")));
        assert_eq!(std::fs::read_to_string(&path)?, "[[grant]]\n");
        Ok(())
    }
}
