//! The program under test as a process: started, met at a moment, and listened to.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use agent_tests::given;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::workload::tool_words;

/// How long one start of the program may take where nothing disturbs it: the bound of I12.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a running program is looked at.
const POLL: Duration = Duration::from_micros(500);

/// A build of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As users have it.
    Plain,
    /// With failpoints, and with defects that can be switched on.
    Failpoints,
}

impl Build {
    /// Every second store is that of a test build, which takes runs up from checkpoints: they are too short for any other.
    pub(crate) fn of_store(number: u64) -> Self {
        if number.is_multiple_of(2) { Self::Plain } else { Self::Failpoints }
    }

    pub(crate) fn program(self) -> PathBuf {
        given(match self {
            Self::Plain => "AGENT_HOST_TEST_RELEASELIKE_BIN",
            Self::Failpoints => "AGENT_HOST_TEST_BIN",
        })
    }

    /// Where the state of the user is: beside the build, so that each component is compiled once.
    pub(crate) fn home(self) -> PathBuf {
        self.program().parent().unwrap_or(Path::new("/")).join("test-home")
    }

    /// Has it compile what the work calls, however long that takes: then nothing but a disturbance holds a run up.
    pub(crate) fn warm_up(self) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no folder to work in: {error}"))?;
        let words: Vec<String> = ["tool", "list"].map(str::to_owned).into_iter().chain(tool_words()).collect();
        let listed = command(&self.program(), &self.home(), folder.path(), &words).output();
        let listed = listed.map_err(|error| format!("the program does not start: {error}"))?;
        let said = || format!("its tools do not load: {}", String::from_utf8_lossy(&listed.stderr));
        listed.status.success().then_some(()).ok_or_else(said)
    }
}

/// What is done to a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturb {
    Nothing,
    /// `kill -9` after that time.
    Kill(Duration),
    /// A polite request to stop, after that time.
    Stop(Duration),
}

/// How a start of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Ended {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What `--json` printed.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(self.out.trim()).ok()
    }
}

/// After how many events a checkpoint is due. The program compares what comes of one with the fold of all events.
const CHECKPOINT_EVERY: &str = "5";

/// The program with these words, not yet started: nothing of this machine's own environment reaches it.
pub(crate) fn command(program: &Path, home: &Path, work: &Path, words: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(work).env_clear().env("AGENT_HOST_HOME", home).env("HOME", work);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_COLOR", "1");
    // Runs are short here, and are to be taken up from checkpoints all the same.
    command.env("AGENT_HOST_CHECKPOINT_EVERY", CHECKPOINT_EVERY);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, or to the end of patience.
pub(crate) fn run(command: &mut Command, disturb: Disturb) -> Result<Ended, String> {
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("the program does not start: {error}"))?;
    match disturb {
        Disturb::Nothing => {}
        Disturb::Kill(after) => {
            if !ended_before(&mut child, started + after)? {
                child.kill().map_err(|error| error.to_string())?;
            }
        }
        Disturb::Stop(after) => {
            if !ended_before(&mut child, started + after)? {
                signal(&child, Signal::SIGTERM)?;
            }
        }
    }
    collect(child, started)
}

/// Waits for its end and reads what it said.
pub(crate) fn collect(mut child: Child, started: Instant) -> Result<Ended, String> {
    // What it says fits into its pipes: `--json` says one object.
    if !ended_before(&mut child, Instant::now() + PATIENCE)? {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("the program did not end within {} s", PATIENCE.as_secs()));
    }
    let took = started.elapsed();
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { status: output.status, out: text(output.stdout), err: text(output.stderr), took })
}

/// Whether the program ended before that moment.
pub(crate) fn ended_before(child: &mut Child, moment: Instant) -> Result<bool, String> {
    loop {
        if child.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Ok(true);
        }
        let now = Instant::now();
        if now >= moment {
            return Ok(false);
        }
        std::thread::sleep(POLL.min(moment - now));
    }
}

/// Sends it a signal.
pub(crate) fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    kill(Pid::from_raw(pid), signal).map_err(|error| format!("it cannot be sent {signal}: {error}"))
}
