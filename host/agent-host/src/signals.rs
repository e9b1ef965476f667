//! The signals that stop a run: Ctrl-C, a supervisor's request, a terminal that was closed. Heard by the process that drives a
//! run, and by a keeper that passes them on.

use std::io::Write;
use std::time::{Duration, Instant};

use agent_core::stop::StopReason;
use anstyle::Style;
use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio_util::sync::CancellationToken;

const DIM: Style = Style::new().dimmed();

/// Signals that come this close together count once: Ctrl-C and a closed terminal reach a run by two ways where a keeper
/// watches over it. Nobody presses a key twice as fast.
const TOGETHER: Duration = Duration::from_millis(300);

/// The signals that a run understands, but for those that whoever started it wants ignored: `nohup` does.
pub struct Signals {
    interrupt: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
    hang_up: Option<unix::Signal>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub fn listen() -> anyhow::Result<Self> {
        let ignored = ignored();
        let listen = |kind: SignalKind| {
            (!is_in(ignored, kind.as_raw_value()))
                .then(|| signal(kind).context("cannot listen for signals"))
                .transpose()
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            () = heard(self.interrupt.as_mut()) => Signal::INT,
            () = heard(self.terminate.as_mut()) => Signal::TERM,
            () = heard(self.hang_up.as_mut()) => Signal::HUP,
        }
    }
}

/// The first signal ends the run resumably, a second one the process.
///
/// # Errors
/// Where the system does not let signals be heard.
pub fn stop_run(cancel: CancellationToken) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        let first = Instant::now();
        cancel.cancel();
        // Apart, since nobody may be reading what is said, and the next signal must be heard all the same.
        tokio::task::spawn_blocking(|| {
            writeln!(anstream::stderr(), "\n{DIM}· stopping; once more to stop at once{DIM:#}")
        });
        loop {
            signals.next().await;
            if first.elapsed() >= TOGETHER {
                break;
            }
        }
        std::process::exit(i32::from(StopReason::Cancelled.exit_code()));
    });
    Ok(())
}

async fn heard(signal: Option<&mut unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process was started to ignore a signal.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_ignored(signal: Signal) -> bool {
    is_in(ignored(), signal.as_raw())
}

fn is_in(signals: u64, number: i32) -> bool {
    signals & 1 << (number - 1) != 0
}

/// The signals that this process was started to ignore, a bit each. None where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
