//! Compiles components in a process of its own, which is killed when it takes too long, needs too much, or is not wanted any
//! more. `commands::launch` gives it to the sandbox. What that process does is in [`worker`], what it may do in [`confine`].

mod confine;
mod process;
mod slots;
pub mod worker;

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use agent_core::config::settings::UserSettings;
use agent_core::units::{Bytes, Millis};
use agent_sandbox::compile::{CompileError, CompileLimit, CompileRequest, Compiler};
use agent_sandbox::defence::{Defence, is_off};

use self::process::{Heard, WorkerProcess};
use self::slots::Slots;

/// What one compile may take. `settings.toml` may raise or lower it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory that the worker takes, beside the program itself.
    pub memory: Bytes,
    /// Processor time, of all its threads together.
    pub time: Duration,
}

impl CompileLimits {
    /// Several times what the largest real component takes: a JavaScript engine of 12 MB needs 25 s and 1 GiB.
    pub const STANDARD: Self = Self { memory: Bytes(2 << 30), time: Duration::from_secs(120) };

    /// For a test build in which this defence is missing: more than any machine has.
    const NONE: Self = Self { memory: Bytes(1 << 40), time: Duration::from_secs(1 << 20) };

    /// What the user chose, else the standard.
    #[must_use]
    pub fn of(user: &UserSettings) -> Self {
        let standard = Self::STANDARD;
        Self {
            memory: user.compile_memory.unwrap_or(standard.memory),
            time: user.compile_time.map_or(standard.time, Millis::to_duration),
        }
    }

    /// How long a worker may take by the clock on the wall: on a busy machine it waits, and one that never runs must end.
    fn patience(&self) -> Duration {
        const WALL_FACTOR: u32 = 5;
        self.time.saturating_mul(WALL_FACTOR)
    }
}

/// Threads of one worker. More hardly help, and the stack of each takes from what the limit leaves.
const THREADS_MAX: usize = 8;

/// Starts a worker for each compile.
pub struct WorkerProcesses {
    /// This program, opened when it started: what stands under its name may have been replaced since.
    program: File,
    limits: CompileLimits,
    slots: Slots,
}

impl WorkerProcesses {
    /// Workers with these limits.
    ///
    /// # Errors
    /// Where this program's own file cannot be opened.
    pub fn new(limits: CompileLimits) -> io::Result<Self> {
        Ok(Self { program: File::open("/proc/self/exe")?, limits, slots: Slots::new((cores() / 2).max(1)) })
    }

    fn run(&self, request: &CompileRequest<'_>) -> io::Result<Result<Vec<u8>, CompileError>> {
        let mut worker = WorkerProcess::start(&self.program, request, &self.limits, cores().min(THREADS_MAX))?;
        let patience = if is_off(Defence::Compiling) { CompileLimits::STANDARD } else { self.limits }.patience();
        Ok(match worker.hear(Instant::now() + patience)? {
            Heard::TooLate => Err(CompileLimit::Time(self.limits.time).into()),
            Heard::TooLong => Err(CompileLimit::Memory(self.limits.memory).into()),
            Heard::Out(answer) => worker.end()?.map(|()| answer).map_err(|ended| {
                let less = confine::less_from_outside(self.limits.memory.0).map(Bytes);
                ended.means(&self.limits, less)
            }),
        })
    }
}

impl Compiler for WorkerProcesses {
    /// Stays on the caller's thread from the worker's start to its end: the system kills a worker when the *thread* that
    /// started it ends.
    fn compile(&self, request: &CompileRequest<'_>) -> Result<Vec<u8>, CompileError> {
        let _slot = self.slots.take();
        self.run(request).map_err(|error| CompileError::Failed(format!("cannot run the compiler: {error}")))?
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use agent_sandbox::Sandbox;
    use agent_sandbox::sandbox::SandboxOptions;
    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;

    /// What stands in for the worker notes how many of it there are, stays a moment, and compiles nothing.
    #[test]
    fn no_more_workers_live_at_once_than_half_the_cores() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (here, program) = (folder.path().display(), folder.path().join("worker"));
        let script = format!(
            "#!/bin/sh\nmkdir {here}/in.$$\nls -d {here}/in.* | wc -l >> {here}/seen\nsleep 0.3\nrmdir {here}/in.$$\n"
        );
        std::fs::write(&program, script)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
        let program = File::open(program)?;
        // A script is opened once more by who reads it, under the name of this descriptor.
        fcntl_setfd(&program, FdFlags::empty())?;
        let workers = WorkerProcesses { program, ..WorkerProcesses::new(CompileLimits::STANDARD)? };
        let sandbox = Sandbox::new(SandboxOptions { compiler: Arc::new(workers), ..SandboxOptions::default() })?;
        let (name, most) = ("many".parse()?, (cores() / 2).max(1));
        std::thread::scope(|scope| {
            for _ in 0..most + 2 {
                scope.spawn(|| assert!(sandbox.load(&name, b"\0asm\x0d\0\x01\0").is_err()));
            }
        });
        let seen = std::fs::read_to_string(folder.path().join("seen"))?;
        let seen: Vec<usize> = seen.lines().map(|line| line.trim().parse()).collect::<Result<_, _>>()?;
        assert_eq!(seen.len(), most + 2, "each was asked");
        assert!(seen.iter().all(|count| (1..=most).contains(count)), "{seen:?}, and {most} may be");
        Ok(())
    }
}
