//! The program that asks the keyring, while it runs: heard within bounds of time and length, and killed where it goes beyond.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::Style;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use crate::reporter::Voice;

const DIM: Style = Style::new().dimmed();

/// How much is read of what it complains about.
const COMPLAINT_BYTES_MAX: usize = 4 << 10;
/// What is read at once. Values are shorter.
const CHUNK_BYTES: usize = 4 << 10;
/// How long one that has said everything may take to end, and one that was killed.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long nothing is said of the wait: a keyring that is open answers in a few milliseconds.
const QUIET: Duration = Duration::from_secs(1);

/// How long it is waited for, and whether somebody is told that it is.
pub(super) struct Patience {
    until: Instant,
    /// When the person is told, if that is still to come.
    tell_at: Option<Instant>,
}

impl Patience {
    /// Until then.
    pub(super) fn until(until: Instant, voice: Voice) -> Self {
        let tell_at = match voice {
            Voice::Lines => Some(Instant::now() + QUIET),
            Voice::Silent => None,
        };
        Self { until, tell_at }
    }

    /// Whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Waits until there is something to read, or nothing more to come; whether there is.
    fn wait_for(&mut self, from: &impl AsFd) -> io::Result<bool> {
        loop {
            let next = self.tell_at.map_or(self.until, |tell_at| tell_at.min(self.until));
            let left = Timespec::try_from(next.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)) {
                Ok(0) if self.is_over() => return Ok(false),
                Ok(0) => self.tell(),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tell(&mut self) {
        if self.tell_at.take_if(|tell_at| *tell_at <= Instant::now()).is_some() {
            let what = "waiting for the desktop's keyring: it may ask to be unlocked";
            let _ = writeln!(anstream::stderr(), "{DIM}· {what}{DIM:#}");
        }
    }
}

/// What came of it.
pub(super) enum Heard {
    /// It ended by itself.
    Ended {
        /// What it said.
        said: Zeroizing<Vec<u8>>,
        /// How it ended.
        status: ExitStatus,
        /// What it complained about.
        complaint: String,
    },
    /// It did not end in time.
    TooLate,
    /// It said more than it was asked for.
    TooLong,
}

/// Runs it to its end, or to the end of patience. Of what it says at most `bytes_max` are taken.
///
/// # Errors
/// Where it cannot be started or heard.
pub(super) fn hear(command: &mut Command, bytes_max: usize, patience: &mut Patience) -> io::Result<Heard> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn()?);
    let Some((mut out, mut err)) = running.pipes() else { return Err(io::ErrorKind::BrokenPipe.into()) };
    // Room for all of it at once: what a growing vector leaves behind would not be wiped.
    let mut said = Zeroizing::new(Vec::with_capacity(bytes_max + CHUNK_BYTES));
    match read(&mut out, (&mut *said, bytes_max), patience)? {
        End::Reached => {}
        End::Patience => return Ok(Heard::TooLate),
        End::Room => return Ok(Heard::TooLong),
    }
    let Some(status) = running.ended() else { return Ok(Heard::TooLate) };
    // One that is still held open belongs to something that was started on the way, and is not waited for.
    let mut complaint = Vec::with_capacity(COMPLAINT_BYTES_MAX + CHUNK_BYTES);
    let mut moment = Patience::until(Instant::now() + LOOK_EVERY, Voice::Silent);
    read(&mut err, (&mut complaint, COMPLAINT_BYTES_MAX), &mut moment)?;
    Ok(Heard::Ended { said, status, complaint: String::from_utf8_lossy(&complaint).into_owned() })
}

/// Why nothing more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Reached,
    Patience,
    Room,
}

fn read(from: &mut (impl Read + AsFd), (to, most): (&mut Vec<u8>, usize), patience: &mut Patience) -> io::Result<End> {
    let mut chunk = Zeroizing::new([0; CHUNK_BYTES]);
    while to.len() <= most {
        if !patience.wait_for(from)? {
            return Ok(End::Patience);
        }
        match from.read(&mut *chunk)? {
            0 => return Ok(End::Reached),
            count => to.extend_from_slice(&chunk[..count]),
        }
    }
    Ok(End::Room)
}

/// A child that is killed, and waited for, when it is dropped.
struct Running(Child);

impl Running {
    fn pipes(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        self.0.stdout.take().zip(self.0.stderr.take())
    }

    /// How it ended, once it has nothing more to say; `None` where it does not.
    fn ended(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + END_PATIENCE;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(LOOK_EVERY),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails only where it has ended.
        let _ = self.0.kill();
        // One that waits in the kernel may not end even now.
        let _ = self.ended();
    }
}
