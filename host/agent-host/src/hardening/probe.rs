//! Whether a file system answers at all: asked by a process of its own, since who asks one that does not, waits. The file wall
//! needs to know before it is built around a granted directory, when this process may have no second thread.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_sandbox::mount::may_not_answer;

/// How long an answer is waited for. A share on a slow network takes some milliseconds.
const WAIT: Duration = Duration::from_secs(3);

/// How often it is looked whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// `agent-host probe-directory`, a verb that is in no help.
#[derive(Debug, clap::Args)]
pub struct ProbeArgs {
    path: PathBuf,
}

/// What the process does: it looks at the directory, and ends once it was told anything.
#[must_use]
pub fn run(args: &ProbeArgs) -> ExitCode {
    let _ = std::fs::metadata(&args.path);
    ExitCode::SUCCESS
}

/// Whether a directory can be asked for without waiting for ever.
pub(super) fn answers(path: &Path) -> bool {
    if !may_not_answer(path) {
        return true;
    }
    let mut asking = Command::new("/proc/self/exe");
    asking.arg("probe-directory").arg(path).env_clear().current_dir("/");
    asking.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Where no process can be started, the directory is looked at as any other.
    asking.spawn().map_or(true, ended_in_time)
}

fn ended_in_time(mut child: Child) -> bool {
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(None) => thread::sleep(LOOK_EVERY),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    // One that waits in the kernel may not end even now: nobody waits for it.
    let _ = child.kill();
    let _ = child.try_wait();
    false
}
