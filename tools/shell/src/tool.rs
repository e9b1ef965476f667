//! The operation `run`: a script in, what it wrote and how it ended out.

use std::path::PathBuf;

use agent_host_tool::{Json, args, path, tool};
use serde::Serialize;

use crate::files;
use crate::run::whole;
use crate::shell::Shell;
use crate::stop::{LIMIT_STATUS, Stop};
use crate::streams::{Bounds, Captured, Input, Output, Streams, drive};

/// Most bytes of the output that are given back: some 16,000 tokens.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of the error output that are given back.
const ERRORS_BYTES_MAX: usize = 16 * 1024;

/// How much more may be written, and is only counted. A script that writes for ever ends there.
const LEFT_OUT_BYTES_MAX: u64 = 64 << 20;

#[args]
pub(crate) struct Run {
    /// The script: `grep -rn TODO . | sort | head -20`. Several lines are fine.
    script: String,
    /// What the script reads from its standard input.
    stdin: Option<String>,
    /// The folder that the script begins in, relative to the granted one: `docs`. Default: the granted folder.
    cwd: Option<String>,
}

/// What a script came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    /// The exit status: 0 is success, 127 a command that is not there, 125 a bound that was met.
    pub(crate) status: u8,
    pub(crate) stdout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) stderr: String,
    /// What was left out of the two, and why the script was stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// Runs a POSIX shell script over the files of the granted folder, and gives its exit status, stdout and stderr. It has pipes,
/// redirections, here-documents, variables and expansions, globs, `$(…)`, `$((…))`, `if`, `for`, `while`, `case`, functions, `[[ ]]`,
/// `{a,b}`, `set -euo pipefail`, and: cat ls grep sed sort uniq head tail cut tr wc find xargs diff tee mkdir cp mv rm touch basename
/// dirname seq rev tac nl paste comm cmp date env expr printf test read (`help` lists all). It has no other programs (no awk, python,
/// git, curl), no processes, no background jobs (`&`), no network, no arrays, and no file outside the granted folder. Each call begins
/// anew: variables and `cd` are not kept, files are.
#[tool]
pub(crate) fn run(run: Run) -> Result<Json<Ended>, String> {
    let mount = path::resolve("");
    let directory = match &run.cwd {
        Some(cwd) => path::resolve(cwd),
        None => mount,
    };
    let directory = files::normal(&directory);
    let shown = run.cwd.as_deref().unwrap_or(path::MOUNT);
    let found = std::fs::metadata(&directory).map_err(|error| path::problem(&error, shown))?;
    if !found.is_dir() {
        return Err(format!("`{shown}` is a file: `cwd` must be a folder"));
    }
    Ok(Json(ended(directory, &run.script, run.stdin.unwrap_or_default().into_bytes())))
}

/// Runs a script in a folder.
pub(crate) fn ended(directory: PathBuf, script: &str, stdin: Vec<u8>) -> Ended {
    let captured = |kept_max, of| Captured::new(Bounds { kept_max, left_out_max: LEFT_OUT_BYTES_MAX, of });
    let output = captured(OUTPUT_BYTES_MAX, "the output");
    let errors = captured(ERRORS_BYTES_MAX, "the error output");
    let streams = Streams::new(Input::text(stdin), Output::Captured(output.clone()), Output::Captured(errors.clone()));
    let mut shell = Shell::new(directory, streams);
    let progress = shell.progress.clone();
    let outcome = drive(&progress, whole(&mut shell, script));
    let (stdout, stdout_left_out) = output.take();
    let (stderr, stderr_left_out) = errors.take();
    let mut notes = Vec::new();
    for (name, left_out) in [("stdout", stdout_left_out), ("stderr", stderr_left_out)] {
        if left_out > 0 {
            notes.push(format!("{left_out} more bytes of {name} were left out: use `head`, `grep` or a file"));
        }
    }
    let status = match outcome {
        Ok(status) => status,
        Err(Stop::Limit(limit)) => {
            notes.push(format!("the script was stopped: {limit}"));
            LIMIT_STATUS
        }
        Err(other) => {
            notes.push(format!("the script was stopped: {other:?}"));
            LIMIT_STATUS
        }
    };
    Ended { status, stdout: text(&stdout), stderr: text(&stderr), notes }
}

/// Output as text: bytes that are not UTF-8 are shown as `�`, and a character cut at the end is left out.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
