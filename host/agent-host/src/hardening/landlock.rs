//! The file wall, by Landlock: this thread and all that it starts reach only the files that they are told. It also takes
//! away listening on TCP ports of its choice, signals to processes outside, and sockets of other programs.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use agent_core::grant::Access as Granted;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::reach::Reach;
use super::{probe, surroundings};

/// The newest form that this host knows. An older kernel holds what it can of it.
const NEWEST: ABI = ABI::V10;

/// The one thing to listen on: whatever port is free. The host passes requests on to providers' own clients by one, and
/// nobody waits at such a port for somebody else.
const ANY_FREE_PORT: u16 = 0;

/// How long threads are waited for that were told to end: they only have to get a turn.
const THREADS_WAIT: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Puts up the wall. The answer says in which form.
///
/// # Errors
/// Where the kernel has none, or another thread already runs, which the wall would not hold.
pub(super) fn restrict(reach: &Reach) -> Result<String, String> {
    only_thread()?;
    let status = built(reach).and_then(RulesetCreated::restrict_self).map_err(|error| error.to_string())?;
    form(&status)
}

/// The form of the wall that the kernel has. Found out by a thread that walls itself in and ends: to apply it is the only
/// sure sign.
///
/// # Errors
/// Where it has none.
pub(super) fn on_trial() -> Result<String, String> {
    let trial = || {
        let rules = Ruleset::default().handle_access(AccessFs::Execute).and_then(Ruleset::create);
        rules
            .and_then(RulesetCreated::restrict_self)
            .map_err(|error| error.to_string())
            .and_then(|status| form(&status))
    };
    thread::spawn(trial).join().unwrap_or_else(|_| Err("it cannot be tried".to_owned()))
}

fn built(reach: &Reach) -> Result<RulesetCreated, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rule(NetPort::new(ANY_FREE_PORT, AccessNet::BindTcp))?;
    let granted = reach.paths().map(|(path, access)| (path, rights(access)));
    // One that does not answer would keep this thread, and with it the host, waiting. Without a rule it is out of reach for
    // this run, whose calls to it end by their own bounds.
    let granted = granted.filter(|(path, _)| probe::answers(path));
    let needed = surroundings::needed();
    let needed = needed.iter().map(|(path, access)| (path.as_path(), *access));
    granted.chain(needed).try_fold(rules, |rules, (path, access)| allow(rules, path, access))
}

/// A path that is not there needs no rule. One that is made later is out of reach: the kernel knows files, not names.
fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(file) => rules.add_rule(PathBeneath::new(file, access)),
        Err(_) => Ok(rules),
    }
}

fn rights(access: Granted) -> BitFlags<AccessFs> {
    match access {
        Granted::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        // Neither devices nor pipes nor sockets, and nothing that could be started.
        Granted::Write => {
            AccessFs::ReadFile
                | AccessFs::ReadDir
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::RemoveDir
                | AccessFs::RemoveFile
                | AccessFs::MakeDir
                | AccessFs::MakeReg
                | AccessFs::MakeSym
                | AccessFs::Refer
        }
    }
}

/// The kernel has no call yet that puts the wall around other threads too (its form 8 will). Threads that were told to end are
/// waited for.
fn only_thread() -> Result<(), String> {
    let threads = || fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    let until = Instant::now() + THREADS_WAIT;
    while threads() > 1 && Instant::now() < until {
        thread::sleep(LOOK_EVERY);
    }
    match threads() {
        1 => Ok(()),
        threads => Err(format!("{threads} threads ran already")),
    }
}

fn form(status: &RestrictionStatus) -> Result<String, String> {
    match status.landlock {
        LandlockStatus::NotEnabled => Err("the kernel has it, but it was not switched on at boot".to_owned()),
        LandlockStatus::NotImplemented => Err("the kernel has none: it came with Linux 5.13".to_owned()),
        LandlockStatus::Available { effective_abi, .. } if status.ruleset == RulesetStatus::NotEnforced => {
            Err(format!("the kernel has it (ABI {}), but did not apply it", effective_abi as i32))
        }
        LandlockStatus::Available { effective_abi, .. } => Ok(format!("ABI {}", effective_abi as i32)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Error, ErrorKind, Read};

    use rustix::fs::{Mode, OFlags, openat};

    use super::*;

    /// Does something in a thread behind a wall around `reach`.
    fn behind<T: Send + 'static>(reach: Reach, act: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = thread::spawn(move || {
            let status = built(&reach).and_then(RulesetCreated::restrict_self).map_err(|error| error.to_string());
            assert!(status.and_then(|status| form(&status)).is_ok(), "this kernel has Landlock");
            act()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Why a grant in the middle of a run needs a new process: a handle from before the wall opens nothing beneath itself
    /// that the wall does not allow. What was already open stays open.
    #[test]
    fn a_handle_from_before_the_wall_opens_only_what_the_wall_allows() -> std::io::Result<()> {
        let temp = tempfile::tempdir()?;
        for folder in ["granted", "other"] {
            fs::create_dir(temp.path().join(folder))?;
            fs::write(temp.path().join(folder).join("file"), folder)?;
        }
        let folder = |name: &str| File::open(temp.path().join(name));
        let (granted, other) = (folder("granted")?, folder("other")?);
        let mut opened = File::open(temp.path().join("other/file"))?;
        let mut reach = Reach::default();
        reach.read(temp.path().join("granted"));
        let beneath = |dir: &File| openat(dir, "file", OFlags::RDONLY, Mode::empty()).map_err(Error::from).map(drop);
        let (inside, outside, text) = behind(reach, move || {
            let mut text = String::new();
            let read = opened.read_to_string(&mut text).map(|_| text);
            (beneath(&granted), beneath(&other), read)
        });
        assert!(inside.is_ok(), "{inside:?}");
        assert_eq!(outside.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        assert_eq!(text?, "other");
        Ok(())
    }

    #[test]
    fn what_may_be_read_may_not_be_changed_and_what_may_be_changed_not_started() -> std::io::Result<()> {
        let temp = tempfile::tempdir()?;
        let program = temp.path().join("write/program");
        for folder in ["read", "write"] {
            fs::create_dir(temp.path().join(folder))?;
            fs::write(temp.path().join(folder).join("file"), folder)?;
        }
        fs::copy("/bin/true", &program)?;
        let mut reach = Reach::default();
        reach.read(temp.path().join("read"));
        reach.write(temp.path().join("write"));
        let at = temp.path().to_owned();
        let kinds = behind(reach, move || {
            [
                fs::write(at.join("read/file"), "").map_err(|error| error.kind()),
                fs::rename(at.join("write/file"), at.join("write/moved")).map_err(|error| error.kind()),
                fs::rename(at.join("write/moved"), at.join("read/moved")).map_err(|error| error.kind()),
                std::process::Command::new(at.join("write/program")).status().map(drop).map_err(|error| error.kind()),
            ]
        });
        let denied = Err(ErrorKind::PermissionDenied);
        assert_eq!(kinds[..2], [denied, Ok(())]);
        assert!(kinds[2].is_err(), "{kinds:?}");
        assert_eq!(kinds[3], denied);
        Ok(())
    }
}
