//! One worker as its parent sees it: started, heard to its end, killed when dropped.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_core::units::Bytes;
use agent_sandbox::compile::{CompileError, CompileLimit, CompileRequest};
use agent_sandbox::defence::{Defence, is_off};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;

use super::{CompileLimits, worker};
use crate::report::text;

/// Longest answer: what the cache of compiled code takes as one artefact.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// What is read from the pipe at once: what a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

/// How long a worker that has said everything may take to end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How much is read of what a broken worker complained about.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// A running worker.
pub struct WorkerProcess {
    child: Child,
    complaint: File,
}

/// What was heard from a worker.
pub enum Heard {
    /// All that it said.
    Out(Vec<u8>),
    /// It did not end in time.
    TooLate,
    /// It said more than any answer has.
    TooLong,
}

/// How a worker ended, where it ended badly.
#[derive(Debug)]
pub struct BadEnd {
    status: Option<ExitStatus>,
    complaint: String,
}

impl WorkerProcess {
    /// Starts `program` as a worker. The request is a file in memory and not a pipe, so that a worker that does not read
    /// cannot keep its parent waiting.
    pub fn start(
        program: &File,
        request: &CompileRequest<'_>,
        limits: &CompileLimits,
        threads: usize,
    ) -> io::Result<Self> {
        let complaint = memory_file("complaint")?;
        let mut input = memory_file("request")?;
        request.write(&mut input)?;
        input.rewind()?;
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        // Of this process's surroundings it gets nothing but what is said here; other descriptors close when it starts.
        let limits = if is_off(Defence::Compiling) { &CompileLimits::NONE } else { limits };
        command.arg0("agent-host").args(worker::arguments(limits)).env_clear().current_dir("/");
        command.env("RAYON_NUM_THREADS", threads.to_string());
        command.stdin(input).stdout(Stdio::piped()).stderr(complaint.try_clone()?);
        Ok(Self { child: command.spawn()?, complaint })
    }

    /// All that the worker says, until it has nothing more to say.
    pub fn hear(&mut self, deadline: Instant) -> io::Result<Heard> {
        let Some(mut out) = self.child.stdout.take() else { return Ok(Heard::Out(Vec::new())) };
        let mut heard = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        while heard.len() <= ANSWER_BYTES_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&out, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Ok(Heard::TooLate),
                Ok(_) => match out.read(&mut chunk)? {
                    0 => return Ok(Heard::Out(heard)),
                    count => heard.extend_from_slice(&chunk[..count]),
                },
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Heard::TooLong)
    }

    /// Waits for the end of a worker that has nothing more to say.
    pub fn end(&mut self) -> io::Result<Result<(), BadEnd>> {
        let deadline = Instant::now() + END_PATIENCE;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(Ok(())),
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let mut complaint = Vec::new();
        self.complaint.rewind()?;
        (&self.complaint).take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint)?;
        Ok(Err(BadEnd { status, complaint: String::from_utf8_lossy(&complaint).into_owned() }))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // Both fail only where it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BadEnd {
    /// What the end means to whoever wanted the component compiled, where the worker may have been left less memory than its limit.
    pub fn means(&self, limits: &CompileLimits, less: Option<Bytes>) -> CompileError {
        let Some(status) = self.status else {
            return CompileError::Failed("the compiler did not end".to_owned());
        };
        let said = |words: &[&str]| words.iter().any(|word| self.complaint.contains(word));
        let signal = status.signal();
        if signal == Some(Signal::XCPU.as_raw()) {
            CompileLimit::Time(limits.time).into()
        } else if status.code() == Some(worker::OUT_OF_MEMORY) || said(&OUT_OF_MEMORY_WORDS) {
            less.map_or(CompileLimit::Memory(limits.memory), CompileLimit::MemoryFromOutside).into()
        } else if said(&["has overflowed its stack"]) {
            CompileLimit::Stack.into()
        } else if signal == Some(Signal::KILL.as_raw()) {
            CompileError::Failed("the compiler was killed from outside, perhaps for want of memory".to_owned())
        } else if status.code() == Some(PANICKED) || signal.is_some() {
            CompileError::Broke(format!("{} ({status})", text::line(self.last_words(), LAST_WORDS_CHARS_MAX)))
        } else {
            CompileError::Failed(format!("the compiler failed ({status}): {}", self.first_line()))
        }
    }

    /// What a panic says of itself stands below the place where it happened.
    fn last_words(&self) -> &str {
        let mut lines = self.complaint.lines().skip_while(|line| !line.contains(" panicked at "));
        lines.nth(1).unwrap_or_else(|| self.first_line())
    }

    fn first_line(&self) -> &str {
        self.complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
    }
}

/// Exit code of a process whose main thread panicked.
const PANICKED: i32 = 101;

/// Longest words of a broken compiler in a message.
const LAST_WORDS_CHARS_MAX: usize = 200;

/// How the standard library and its users complain where the system gives no memory, or no more threads in it.
const OUT_OF_MEMORY_WORDS: [&str; 4] =
    ["memory allocation of", "OutOfMemory", "Cannot allocate memory", "Resource temporarily unavailable"];

/// An empty file that is nowhere but in memory.
fn memory_file(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: i32, complaint: &str) -> String {
        let end = BadEnd { status: Some(ExitStatus::from_raw(status)), complaint: complaint.to_owned() };
        end.means(&CompileLimits::STANDARD, None).to_string()
    }

    #[test]
    fn less_memory_than_the_limit_is_told_as_what_it_is() {
        let status = Some(ExitStatus::from_raw(libc_signal(Signal::ABORT)));
        let end = BadEnd { status, complaint: "memory allocation of 4096 bytes failed\n".to_owned() };
        let means = end.means(&CompileLimits::STANDARD, Some(Bytes(96 << 20))).to_string();
        assert!(means.contains("the 96.0 MiB of memory that this process was started with"), "{means}");
    }

    #[test]
    fn an_end_is_told_by_what_is_left_of_it() {
        let (abort, exit) = (libc_signal(Signal::ABORT), |code: i32| code << 8);
        assert!(meaning(libc_signal(Signal::XCPU), "").contains("120 s of processor time"));
        assert!(meaning(abort, "memory allocation of 4096 bytes failed\n").contains("2.00 GiB of memory"));
        assert!(meaning(exit(worker::OUT_OF_MEMORY), "").contains("2.00 GiB of memory"));
        assert!(meaning(abort, "\nthread 'main' has overflowed its stack\n").contains("more stack"));
        assert!(meaning(libc_signal(Signal::KILL), "").contains("from outside"));
        let panic = "\nthread '<unnamed>' (7) panicked at src/lib.rs:1:2:\nno entry found for key\nnote: run with";
        assert!(meaning(exit(101), panic).ends_with(": no entry found for key (exit status: 101)"));
        assert!(meaning(libc_signal(Signal::SEGV), "").contains("breaks the compiler: it said nothing (signal: 11"));
        assert!(meaning(exit(1), "\nno such file\n").ends_with("failed (exit status: 1): no such file"));
    }

    fn libc_signal(signal: Signal) -> i32 {
        signal.as_raw()
    }
}
