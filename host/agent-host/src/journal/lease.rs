//! Who may write a run: at most one process, named by its row in `runs`, and fenced by the epoch that every takeover raises.
//!
//! No clock takes part: a holder is gone when its process is, whatever the time says.

use std::fmt;
use std::fs;

use rustix::process::Pid;

/// When a run may be taken from the process that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// Only where that process is gone.
    IfDead,
    /// In any case: a person said so. The former holder's next write fails.
    Always,
}

/// The process that holds a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// When it started, in ticks since the machine did: a number is used again, the pair is not. 0 where unknown.
    started: u64,
    /// The machine since its last start, and the process namespace in which the number counts.
    place: Place,
}

/// Where a process number means something: `boot id:process namespace`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    boot: String,
    namespace: String,
}

/// What can be said of a holder from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Alive,
    Gone,
    /// It ran in another process namespace of this machine, as in another container: its number says nothing here.
    OutOfSight,
}

impl Holder {
    /// This process.
    pub(super) fn this_process() -> Self {
        let pid = std::process::id();
        let started = match look_up(pid) {
            Process::Started(ticks) => ticks,
            Process::Unknown | Process::Gone => 0,
        };
        Self { pid, started, place: Place::here() }
    }

    /// This process, as if the machine had been started that often.
    #[cfg(test)]
    pub(super) fn after_boot(&self, number: u32) -> Self {
        Self { place: Place { boot: format!("boot {number}"), ..self.place.clone() }, ..self.clone() }
    }

    /// Whether the process still exists, as seen from `here`.
    pub(super) fn presence(&self, here: &Self) -> Presence {
        if self.place.boot != here.place.boot {
            return Presence::Gone;
        }
        if self.place.namespace != here.place.namespace {
            return Presence::OutOfSight;
        }
        match look_up(self.pid) {
            Process::Gone => Presence::Gone,
            Process::Started(ticks) if self.started != 0 && ticks != self.started => Presence::Gone,
            Process::Started(_) | Process::Unknown => Presence::Alive,
        }
    }

    /// The holder that is kept as these three values.
    pub(super) fn from_columns(pid: u32, started: i64, place: &str) -> Self {
        Self { pid, started: started.cast_unsigned(), place: Place::parse(place) }
    }

    /// Three values that stand for it.
    pub(super) fn to_columns(&self) -> (u32, i64, String) {
        (self.pid, self.started.cast_signed(), self.place.to_string())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.namespace == Place::here().namespace {
            write!(f, "process {}", self.pid)
        } else {
            write!(f, "process {} of another container, which cannot be seen from here", self.pid)
        }
    }
}

impl Place {
    /// Where this process runs. Both parts are empty where the system does not say.
    fn here() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default().to_string_lossy().into_owned();
        Self { boot, namespace }
    }

    fn parse(text: &str) -> Self {
        let (boot, namespace) = text.split_once(':').unwrap_or((text, ""));
        Self { boot: boot.to_owned(), namespace: namespace.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.boot, self.namespace)
    }
}

enum Process {
    /// It runs, and started then.
    Started(u64),
    /// It runs, or may.
    Unknown,
    Gone,
}

fn look_up(pid: u32) -> Process {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => from_stat(&stat),
        Err(_) => signal(pid),
    }
}

/// Fields 3 (state) and 22 (start time) of `/proc/PID/stat`. The name before them may contain anything, `)` too.
fn from_stat(stat: &str) -> Process {
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    // A zombie does nothing more; it waits for its parent to notice.
    if matches!(fields.next(), Some("Z" | "X")) {
        return Process::Gone;
    }
    match fields.nth(18).and_then(|ticks| ticks.parse().ok()) {
        Some(ticks) => Process::Started(ticks),
        None => Process::Unknown,
    }
}

/// Without `/proc`: whether the process could be sent a signal.
fn signal(pid: u32) -> Process {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Process::Gone };
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => Process::Gone,
        Ok(()) | Err(_) => Process::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_gone_with_its_process_its_machine_or_its_start() {
        let here = Holder::this_process();
        let other_boot = Holder { place: Place { boot: "before".to_owned(), ..here.place.clone() }, ..here.clone() };
        let other_container =
            Holder { place: Place { namespace: "pid:[1]".to_owned(), ..here.place.clone() }, ..here.clone() };
        let reused_number = Holder { started: here.started + 1, ..here.clone() };
        let no_process = Holder { pid: u32::MAX, ..here.clone() };
        let seen = [&here, &other_boot, &other_container, &reused_number, &no_process].map(|one| one.presence(&here));
        assert_eq!(seen, [Presence::Alive, Presence::Gone, Presence::OutOfSight, Presence::Gone, Presence::Gone]);
    }

    #[test]
    fn a_zombie_is_gone_whatever_its_name() {
        let stat = |state| format!("7 (a) b)) {state} 1{} 4711 0", " 0".repeat(17));
        assert!(matches!(from_stat(&stat("S")), Process::Started(4711)));
        assert!(matches!(from_stat(&stat("Z")), Process::Gone));
    }
}
