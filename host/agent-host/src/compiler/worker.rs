//! What a worker process does: `agent-host compile-worker`, a verb that is in no help. It confines itself, reads one component,
//! compiles it, says the answer and ends.

use std::io::{self, Write};
use std::process::ExitCode;

use agent_sandbox::compile::{self, CompileError, CompileRequest};
use clap::Args;

use super::CompileLimits;
use super::confine;

/// Exit code of a worker that ran out of memory and could still say so.
pub const OUT_OF_MEMORY: i32 = 12;

/// `agent-host compile-worker`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Memory at most, in bytes, beside the program itself.
    #[arg(long)]
    memory_bytes: u64,
    /// Processor time at most, in seconds.
    #[arg(long)]
    cpu_seconds: u64,
    /// The process that wants the answer.
    #[arg(long)]
    parent: i32,
}

/// The words by which a worker with these limits is started.
pub fn arguments(limits: &CompileLimits) -> [String; 4] {
    [
        "compile-worker".to_owned(),
        format!("--memory-bytes={}", limits.memory.0),
        format!("--cpu-seconds={}", limits.time.as_secs().max(1)),
        format!("--parent={}", std::process::id()),
    ]
}

/// Does the work. Before anything else of this program runs: no thread, no runtime, no log.
pub fn run(args: &WorkerArgs) -> ExitCode {
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CompileError::OutOfMemory) => ExitCode::from(OUT_OF_MEMORY.unsigned_abs().to_le_bytes()[0]),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn work(args: &WorkerArgs) -> Result<(), CompileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::OutOfMemory => CompileError::OutOfMemory,
        _ => CompileError::Failed(error.to_string()),
    };
    confine::confine(args.memory_bytes, args.cpu_seconds, args.parent).map_err(failed)?;
    let mut buffer = Vec::new();
    let request = CompileRequest::read(io::stdin().lock(), &mut buffer).map_err(failed)?;
    let answer = compile::answer(&request)?;
    io::stdout().write_all(&answer).and_then(|()| io::stdout().flush()).map_err(failed)
}
