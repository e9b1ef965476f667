//! What a shell knows between two commands: variables, functions, its folder, its streams. A subshell is a copy of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::stop::{Outcome, Stop};
use crate::streams::{Progress, Streams};
use crate::syntax::Command;
use crate::variables::{Variable, Variables};

/// How deep lists of commands, calls, expansions and subshells may stand in each other while they run. They are polled from the outside
/// in, so each level takes of a stack of 512 KiB: some 2 KiB, which is an estimate. That this many fit, of each kind, is what
/// `hostile_scripts_end_in_words_and_not_in_traps` shows with the built tool. A function that calls itself takes two or more.
pub(crate) const DEPTH_MAX: u32 = 160;

/// Most commands that one script runs. Fuel would end it, too, but would not say where.
const COMMANDS_MAX: u64 = 5_000_000;

/// The switches of `set`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of `set` with a letter of its own")]
pub(crate) struct Options {
    /// `-e`: a command that fails ends the shell.
    pub(crate) errexit: bool,
    /// `-u`: an unset variable is an error.
    pub(crate) nounset: bool,
    /// `-f`: names are not patterns of files.
    pub(crate) noglob: bool,
    /// `-x`: commands are shown before they run.
    pub(crate) xtrace: bool,
    /// `-C`: `>` does not overwrite.
    pub(crate) noclobber: bool,
    /// `-a`: what is assigned is exported.
    pub(crate) allexport: bool,
    pub(crate) pipefail: bool,
}

#[derive(Clone)]
pub(crate) struct Shell {
    pub(crate) variables: Variables,
    pub(crate) functions: Rc<BTreeMap<String, Rc<Command>>>,
    /// `$0`
    pub(crate) script: Rc<str>,
    pub(crate) positional: Rc<Vec<String>>,
    pub(crate) options: Options,
    pub(crate) directory: PathBuf,
    pub(crate) streams: Streams,
    /// `$?`
    pub(crate) status: u8,
    /// Where a failure is looked at, as after `if`: `set -e` does not end the shell there.
    pub(crate) looked_at: u32,
    /// Loops around what is run, up to the next function or subshell.
    pub(crate) loops: u32,
    /// What `local` hid, for each function around what is run.
    pub(crate) hidden: Vec<Vec<(String, Option<Variable>)>>,
    /// What `trap … EXIT` said.
    pub(crate) at_exit: Option<Rc<str>>,
    /// The status of the last command substitution of an assignment.
    pub(crate) substituted: Option<u8>,
    pub(crate) progress: Progress,
    depth: u32,
    commands: Rc<Cell<u64>>,
}

impl Shell {
    pub(crate) fn new(directory: PathBuf, streams: Streams) -> Self {
        let mut shell = Self {
            variables: Variables::default(),
            functions: Rc::default(),
            script: Rc::from("shell"),
            positional: Rc::default(),
            options: Options::default(),
            directory,
            streams,
            status: 0,
            looked_at: 0,
            loops: 0,
            hidden: Vec::new(),
            at_exit: None,
            substituted: None,
            progress: Progress::default(),
            depth: 0,
            commands: Rc::default(),
        };
        let home = shell.directory.display().to_string();
        for (name, value) in [("HOME", home.as_str()), ("PWD", &home), ("IFS", " \t\n"), ("OPTIND", "1")] {
            // Far below every bound.
            let _ = shell.variables.set(name, value);
        }
        for name in ["HOME", "PWD"] {
            shell.variables.change(name, |variable| variable.is_exported = true);
        }
        shell
    }

    /// A copy for a subshell, a stage of a pipeline or a substitution.
    pub(crate) fn subshell(&self) -> Outcome<Self> {
        let mut copy = self.clone();
        copy.deeper()?;
        copy.loops = 0;
        copy.at_exit = None;
        Ok(copy)
    }

    /// One level deeper: whoever calls this calls [`Self::shallower`] afterwards, or drops the shell.
    pub(crate) fn deeper(&mut self) -> Outcome<()> {
        if self.depth >= DEPTH_MAX {
            let message =
                format!("functions, substitutions and commands stand more than {DEPTH_MAX} levels deep in each other");
            return Err(Stop::Limit(message));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn shallower(&mut self) {
        self.depth -= 1;
    }

    pub(crate) fn count_command(&self) -> Outcome<()> {
        self.commands.set(self.commands.get() + 1);
        if self.commands.get() > COMMANDS_MAX {
            return Err(Stop::Limit(format!("the script ran more than {COMMANDS_MAX} commands")));
        }
        Ok(())
    }

    /// Assigns as a script does.
    pub(crate) fn assign(&mut self, name: &str, value: &str) -> Outcome<()> {
        self.variables.set(name, value)?;
        if self.options.allexport {
            self.variables.change(name, |variable| variable.is_exported = true);
        }
        Ok(())
    }

    /// Says something to the error output. Where that is closed or full, nobody is told, and the script goes on.
    pub(crate) async fn complain(&self, message: &str) -> Outcome<()> {
        match self.streams.errors().write(format!("{message}\n").as_bytes()).await {
            Err(Stop::Failed { .. }) => Ok(()),
            other => other,
        }
    }
}
