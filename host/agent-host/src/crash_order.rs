//! What `agent-host crashtest` tells the child that it kills: at which point it is to end itself. Part of every build, since
//! users test their own agents with it; so it must be of no use to anybody else:
//!
//! - The order is a file in memory with a name of its own, and the child's standard input. No variable, argument or path brings
//!   one about: only who starts the program with such a descriptor does, and could kill it as well.
//! - All it can bring about is SIGKILL, and the names of the points that were passed, written to that same file. No check is
//!   left out and nothing is answered otherwise.
//! - It is read before anything untrusted runs, and a run that has none pays one look at a variable that never changes.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The name of the file in memory.
#[cfg(target_os = "linux")]
pub const NAME: &str = "agent-host crashtest";

/// Longest order: a word and a number.
const ORDER_BYTES_MAX: u64 = 64;

/// What the parent wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Only the names of the points.
    List,
    /// To end at the point of that number, from 1.
    KillAt(u64),
}

struct Given {
    order: Order,
    passed: AtomicU64,
    file: Mutex<File>,
}

static GIVEN: OnceLock<Option<Given>> = OnceLock::new();

impl Order {
    /// As it is written.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::List => "list\n".to_owned(),
            Self::KillAt(point) => format!("kill {point}\n"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('\n')? {
            "list" => Some(Self::List),
            text => text.strip_prefix("kill ")?.parse().ok().map(Self::KillAt),
        }
    }
}

/// Reads the order, where there is one.
pub fn begin() {
    let _ = GIVEN.set(given());
}

/// A point is passed.
pub fn pass(name: &'static str) {
    let Some(Some(given)) = GIVEN.get() else { return };
    let mut file = given.file.lock().unwrap_or_else(PoisonError::into_inner);
    let number = given.passed.fetch_add(1, Ordering::Relaxed) + 1;
    let _ = writeln!(file, "{name}");
    if given.order == Order::KillAt(number) {
        end_this_process();
    }
}

/// SIGKILL: no destructor, flush or handler runs.
pub fn end_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

#[cfg(target_os = "linux")]
fn given() -> Option<Given> {
    use std::os::fd::AsFd as _;
    let input = std::fs::read_link("/proc/self/fd/0").ok()?;
    if input.to_str() != Some(&format!("/memfd:{NAME} (deleted)")) {
        return None;
    }
    let mut file = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let mut text = String::new();
    (&mut file).take(ORDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(Given { order: Order::parse(&text)?, passed: AtomicU64::new(0), file: Mutex::new(file) })
}

#[cfg(not(target_os = "linux"))]
fn given() -> Option<Given> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written_and_nothing_else_is_one() {
        for order in [Order::List, Order::KillAt(17)] {
            assert_eq!(Order::parse(&order.to_text()), Some(order));
        }
        for text in ["", "list", "kill\n", "kill x\n", "kill -1\n", "list\nlist\n"] {
            assert_eq!(Order::parse(text), None, "{text:?}");
        }
    }
}
