//! The second wall: what confines the host's own process, so that a guest that broke out of the engine finds little. Files
//! outside the grants are out of reach, system calls that no run needs are refused, nothing that is started from here gets
//! more rights, and no other program looks into this process.
//!
//! Put up by `main` between finding out what a verb needs and doing it: the file wall holds for the thread that asks for it
//! and those that it starts, so it must stand before the runtimes do. Nothing here decides who may do what; the sandbox and
//! the gate do that, and must hold without any of this.

pub mod keeper;
pub mod kept;
pub mod probe;
pub mod reach;

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod surroundings;

use agent_core::hardening::{Hardening, Wall};
#[cfg(target_os = "linux")]
use agent_sandbox::defence::{self, Defence};

use self::reach::Reach;

/// Puts up every wall that this system has. Where one is missing, the host works all the same and says so.
#[must_use]
pub fn put_up(files: Files<'_>) -> Hardening {
    walls(files)
}

/// Writes what stands and what does not to the diagnostics, once.
pub fn tell(hardening: &Hardening) {
    for (name, wall) in hardening.walls() {
        match wall {
            Wall::Up(detail) => tracing::info!(wall = name, detail, "the host is confined"),
            Wall::Down(reason) => tracing::warn!(wall = name, reason, "the host is less confined"),
        }
    }
}

/// Which files a verb may reach.
#[derive(Debug, Clone, Copy)]
pub enum Files<'r> {
    /// These, and what the system's own libraries need.
    Within(&'r Reach),
    /// Any: the verb runs no guest, and reads what the command line names.
    Anywhere,
}

/// Closes this process to other programs of the same user: its memory holds model keys and the host's own. Last, since the
/// engine opens a file of `/proc/self` that is closed to the process itself from then on.
#[must_use]
pub fn close_memory() -> Wall {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            Ok(()) => Wall::up(""),
            Err(error) => Wall::Down(error.to_string()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Wall::Down(ELSEWHERE.to_owned())
}

/// Whether the file wall can be put up here, and with it comes the need of somebody outside who can widen it.
#[must_use]
pub fn has_file_wall() -> bool {
    #[cfg(target_os = "linux")]
    {
        landlock::on_trial().is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(not(target_os = "linux"))]
const ELSEWHERE: &str = "only Linux has it";

#[cfg(not(target_os = "linux"))]
fn walls(_files: Files<'_>) -> Hardening {
    Hardening::none(ELSEWHERE)
}

#[cfg(target_os = "linux")]
fn walls(files: Files<'_>) -> Hardening {
    let landlock = match files {
        Files::Anywhere => Wall::Down("this command reads what its command line names".to_owned()),
        Files::Within(_) if is_landlock_left_out() => Wall::Down(LEFT_OUT.to_owned()),
        Files::Within(reach) => landlock::restrict(reach).map_or_else(Wall::Down, Wall::Up),
    };
    let seccomp = match defence::is_off(Defence::Seccomp) {
        true => Wall::Down(LEFT_OUT.to_owned()),
        false => seccomp::refuse().map_or_else(Wall::Down, Wall::Up),
    };
    let no_new_privileges = no_new_privileges();
    Hardening { landlock, seccomp, no_new_privileges, private_memory: Wall::Down("not closed yet".to_owned()) }
}

/// It comes with both other walls: the kernel wants it first from whoever is not root.
#[cfg(target_os = "linux")]
fn no_new_privileges() -> Wall {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.contains("NoNewPrivs:\t1") {
        Wall::up("")
    } else {
        Wall::Down("neither other wall brought it".to_owned())
    }
}

/// What walls this system has, without putting any around this process: for `agent-host doctor`.
#[must_use]
pub fn survey() -> Hardening {
    #[cfg(target_os = "linux")]
    {
        let ready = |tried: Result<String, String>| tried.map_or_else(Wall::Down, Wall::Up);
        let (landlock, seccomp) = (ready(landlock::on_trial()), ready(seccomp::on_trial()));
        let no_new_privileges = match landlock.is_up() || seccomp.is_up() {
            true => Wall::up(""),
            false => Wall::Down("neither other wall brings it".to_owned()),
        };
        let private_memory = match rustix::process::dumpable_behavior() {
            Ok(_) => Wall::up(""),
            Err(error) => Wall::Down(error.to_string()),
        };
        Hardening { landlock, seccomp, no_new_privileges, private_memory }
    }
    #[cfg(not(target_os = "linux"))]
    Hardening::none(ELSEWHERE)
}

#[cfg(target_os = "linux")]
const LEFT_OUT: &str = "left out by a test";

/// Whether a test asked for the file wall to be missing. One that switches off a defence in front of it wants to see that
/// defence missing, so the wall is left out with it, unless it is to be seen that the wall then holds:
/// `AGENT_HOST_DEFENCE_KEPT=landlock`. Never in a build for use.
#[cfg(target_os = "linux")]
fn is_landlock_left_out() -> bool {
    let is_kept = || std::env::var("AGENT_HOST_DEFENCE_KEPT").is_ok_and(|kept| kept == "landlock");
    defence::any_is_off() && !is_kept()
}
