//! `run --learn`: writes what a run needed as a policy, for review. It allows nothing by itself: it is a file that a person
//! reads and then names with `--policy`, or does not.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use agent_core::config::learn::{Learned, learn};
use anyhow::{Context, ensure};
use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::driver::ports::Ports;
use crate::home::Home;
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
    /// Makes the file, so that the end of a long run does not find that it cannot. It is found in the working folder, which may
    /// be a stranger's: a link or a second name there could lead to any file of this user, to the saved policy among others.
    ///
    /// # Errors
    /// Where it cannot be made, is not this user's file under one name, is in the state folder, or holds something.
    pub fn begin(path: &Path, home: &Home) -> anyhow::Result<Self> {
        let shown = path.display();
        ensure!(!is_within(path, home.root())?, "`{shown}` is in agent-host's own folder: name another file");
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(flags.cast_signed());
        let mut file = options.open(path).with_context(|| format!("cannot make `{shown}`"))?;
        let metadata = file.metadata().with_context(|| format!("cannot look at `{shown}`"))?;
        let own = metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == geteuid().as_raw();
        ensure!(own, "`{shown}` is not a file of yours with no other name: name another file, `--learn=FILE`");
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
        self.check_same_file()?;
        self.write(&learned.to_toml(&head))?;
        Ok(Lesson { path: self.path, learned })
    }

    /// A tool that was granted the folder may have put another file in its place, and that one would be read and trusted.
    fn check_same_file(&self) -> anyhow::Result<()> {
        let shown = self.path.display();
        let made = self.file.metadata().with_context(|| format!("cannot look at `{shown}`"))?;
        let there = std::fs::symlink_metadata(&self.path).with_context(|| format!("cannot find `{shown}` again"))?;
        let same = (made.dev(), made.ino()) == (there.dev(), there.ino());
        ensure!(same, "`{shown}` was replaced during the run: what is there now is not from agent-host");
        Ok(())
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

/// Whether a file is, or would be made, in this folder or below.
fn is_within(path: &Path, folder: &Path) -> anyhow::Result<bool> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = parent.canonicalize().with_context(|| format!("cannot find the folder of `{}`", path.display()))?;
    Ok(real.starts_with(folder.canonicalize().context("cannot look at the state folder")?))
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

    /// A state folder, and a working folder beside it.
    fn folders() -> anyhow::Result<(tempfile::TempDir, Home, PathBuf)> {
        let temp = tempfile::tempdir()?;
        let (home, work) = (Home::at(&temp.path().join("home"))?, temp.path().join("work"));
        std::fs::create_dir(&work)?;
        Ok((temp, home, work))
    }

    fn refused(path: &Path, home: &Home) -> String {
        Learning::begin(path, home).map_or_else(|error| format!("{error:#}"), |_| "begun".to_owned())
    }

    #[test]
    fn a_policy_that_somebody_wrote_is_not_written_over() -> anyhow::Result<()> {
        let (_temp, home, work) = folders()?;
        let path = work.join(STANDARD_FILE);
        let mut learning = Learning::begin(&path, &home)?;
        // The run may go on in another process.
        drop(Learning::begin(&path, &home)?);
        learning.write("[[grant]]\n")?;
        assert!(refused(&path, &home).contains("is there already"));
        assert_eq!(std::fs::read_to_string(&path)?, "[[grant]]\n");
        Ok(())
    }

    /// A folder that came from elsewhere brings a link to the operator's own policy, which was just made and is empty.
    #[test]
    fn no_link_leads_what_was_learned_to_another_file() -> anyhow::Result<()> {
        let (_temp, home, work) = folders()?;
        let path = work.join(STANDARD_FILE);
        for there in [true, false] {
            if there {
                std::fs::write(home.policy_file(), "")?;
            } else {
                std::fs::remove_file(home.policy_file())?;
            }
            std::os::unix::fs::symlink(home.policy_file(), &path)?;
            assert!(refused(&path, &home).contains("cannot make"), "{there}");
            assert_eq!(std::fs::read_to_string(home.policy_file()).ok(), there.then(String::new));
            std::fs::remove_file(&path)?;
        }
        std::fs::write(home.policy_file(), "")?;
        std::fs::hard_link(home.policy_file(), &path)?;
        assert!(refused(&path, &home).contains("no other name"));
        std::fs::remove_file(&path)?;
        std::os::unix::fs::symlink(home.root(), work.join("in"))?;
        assert!(refused(&work.join("in").join("policy.toml"), &home).contains("own folder"));
        assert_eq!(std::fs::read_to_string(home.policy_file())?, "");
        Ok(())
    }

    #[test]
    fn a_file_that_was_put_in_its_place_is_told_of() -> anyhow::Result<()> {
        let (_temp, home, work) = folders()?;
        let path = work.join(STANDARD_FILE);
        let learning = Learning::begin(&path, &home)?;
        assert!(learning.check_same_file().is_ok());
        std::fs::remove_file(&path)?;
        assert!(learning.check_same_file().is_err());
        std::fs::write(&path, "[[grant]]\ntool = \"*\"\n")?;
        let said = learning.check_same_file().map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.contains("was replaced during the run")));
        Ok(())
    }
}
