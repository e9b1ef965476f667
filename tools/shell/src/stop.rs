//! Why a command does not go on: it failed, it left a loop, a function or the script, nobody reads what it writes, or a bound was met.

/// What unwinds through the commands that are being run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The command failed and says why. It is told to the error output, and the script goes on.
    Failed {
        status: u8,
        message: String,
    },
    /// The shell itself cannot go on with this (sub)shell: told like a failure, and ends it.
    Fatal {
        status: u8,
        message: String,
    },
    Exit(u8),
    Return(u8),
    /// Out of so many loops.
    Break(u32),
    Continue(u32),
    /// Whoever read the output has gone: the whole stage of the pipeline ends, as a process would by SIGPIPE.
    BrokenPipe,
    /// A bound of this shell was met. Ends the script, whatever stands around it.
    Limit(String),
}

/// The status of a stage that wrote to a reader that had gone: 128 and the number of SIGPIPE, as shells tell it.
pub(crate) const BROKEN_PIPE_STATUS: u8 = 141;

/// The status of a script that met a bound of this shell. `timeout` gives it for itself, too; no command here does.
pub(crate) const LIMIT_STATUS: u8 = 125;

pub(crate) type Outcome<T> = Result<T, Stop>;

impl Stop {
    /// The usual failure: status 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { status: 1, message: message.into() }
    }

    /// A command that was called wrongly: status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Failed { status: 2, message: message.into() }
    }
}
