//! One call of a command: its arguments, where it reads and writes, and the shell that it may change.

use std::collections::VecDeque;

use crate::commands::options::{Given, Options};
use crate::run::Running;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::streams::{Input, Written};

/// A command of this shell.
pub(crate) type Program = for<'a> fn(&'a mut Call<'_>) -> Running<'a>;

pub(crate) struct Call<'a> {
    pub(crate) shell: &'a mut Shell,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a [String],
    pub(crate) out: Written,
}

impl<'a> Call<'a> {
    pub(crate) fn new(shell: &'a mut Shell, name: &'a str, arguments: &'a [String]) -> Self {
        let out = Written::to(shell.streams.output());
        Self { shell, name, arguments, out }
    }

    /// Reads the options that the command has. Any other is an error that names them.
    pub(crate) fn options(&self, options: &Options) -> Outcome<Given> {
        options.read(self.name, self.arguments)
    }

    /// Says something to the error output, after what was written before.
    pub(crate) async fn complain(&mut self, message: &str) -> Outcome<()> {
        self.out.flush().await?;
        self.shell.complain(&format!("{}: {message}", self.name)).await
    }

    /// Tells a failure and gives its status, where the command goes on with its other files.
    pub(crate) async fn tell(&mut self, stop: Stop) -> Outcome<u8> {
        match stop {
            Stop::Failed { status, message } => {
                self.complain(&message).await?;
                Ok(status)
            }
            other => Err(other),
        }
    }

    /// The next input that can be read. What cannot is told, and its status kept.
    pub(crate) async fn next_input(&mut self, inputs: &mut Inputs) -> Outcome<Option<(String, Input)>> {
        while let Some(name) = inputs.names.pop_front() {
            match self.shell.open_input(&name) {
                Ok(input) => return Ok(Some((name, input))),
                Err(stop) => inputs.status = self.tell(stop).await?,
            }
        }
        Ok(None)
    }
}

/// The inputs that a command was given by name, or its own where none was. Each is opened when it is its turn: there may be more of
/// them than files may be open.
pub(crate) struct Inputs {
    names: VecDeque<String>,
    /// The status that the command ends with, from what could not be read.
    pub(crate) status: u8,
}

impl Inputs {
    pub(crate) fn new(names: &[String]) -> Self {
        let names = if names.is_empty() { VecDeque::from(["-".to_owned()]) } else { names.iter().cloned().collect() };
        Self { names, status: 0 }
    }
}
