//! A disk that is full or fails. Full: the journal's folder is a small file system of its own, in a mount namespace; SQLite's
//! writes come short there and then fail, and later there is room again. Failing: `strace` lets single calls on the journal's
//! files fail. What was acknowledged must be there afterwards, and no effect may have happened that could not be announced.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::dice::Dice;
use crate::host::{self, Build, Disturb};
use crate::report::Progress;
use crate::side_by_side;
use crate::store::{Faults, Left, Store};
use crate::strace::{self, Fault};
use crate::workload::Workload;
use crate::{Ask, NOT_HERE, Scale};

/// Says that this program runs inside the namespace: scale and seed follow.
const INSIDE: &str = "--inside-mount-namespace";

/// The smallest disk: too small for the tables.
const BYTES_MIN: u64 = 16 << 10;

/// What a journal takes beside what it holds: its log, which SQLite begins anew after 1,000 pages, the log's index, and the room
/// kept for the last event.
const BYTES_BESIDE: u64 = (4 << 20) + (320 << 10);

/// Room for everything.
const BYTES_ENOUGH: u64 = 256 << 20;

/// The work: files, whose undo entries are large, and requests that must not leave unannounced.
const WORK: [Workload; 2] = [Workload::Files, Workload::Posts];

/// How many-th call fails, at most.
const CALLS_MAX: u64 = 120;

/// Failing calls in one store.
const FAULTS_PER_STORE: usize = 25;

pub(crate) fn run(ask: &Ask, progress: &Progress) -> Result<String, String> {
    let (scale, seed) = (ask.scale, ask.seed);
    let (failing, full) = thread::scope(|scope| {
        let full = scope.spawn(|| full(scale, seed));
        (
            failing(scale, seed, progress),
            full.join().unwrap_or_else(|_| Err("the part in a namespace panicked".to_owned())),
        )
    });
    both(failing, full)
}

/// What came of both halves.
fn both(failing: Result<String, String>, full: Result<String, String>) -> Result<String, String> {
    match (failing, full) {
        (Ok(failing), Ok(full)) => Ok(format!("{full}; {failing}")),
        // What broke is told, whatever this machine does not allow beside it.
        (Err(problem), _) | (_, Err(problem)) if !problem.starts_with(NOT_HERE) => Err(problem),
        // Half of it is not all of it, and is not to pass for that.
        (Err(why), Ok(found)) | (Ok(found), Err(why)) => Err(format!("{why}; the other half held: {found}")),
        (Err(why), Err(_)) => Err(why),
    }
}

fn points(scale: Scale) -> u64 {
    match scale {
        Scale::Short => 25,
        Scale::Release => 500,
    }
}

/// Single calls on the journal's files fail: some, or before a release each of the first [`CALLS_MAX`] of each kind.
fn failing(scale: Scale, seed: u64, progress: &Progress) -> Result<String, String> {
    strace::works().map_err(|why| format!("{NOT_HERE}{why}"))?;
    let faults = match scale {
        Scale::Short => some_faults(points(scale), Dice::of(seed, "failing disk", 0)),
        Scale::Release => every_fault(),
    };
    progress.expect(faults.len() as u64);
    let parts: Vec<_> = faults.chunks(FAULTS_PER_STORE).collect();
    let failed = side_by_side::each(parts.len() as u64, |number| {
        let mut store = Store::new(Build::Plain, &WORK)?;
        let mut failed = 0;
        for (workload, fault) in parts[usize::try_from(number).map_err(|error| error.to_string())?] {
            match fail_once(&mut store, *workload, fault) {
                Ok(left) => failed += u64::from(left == Left::Open),
                Err(problem) => return Err(format!("{fault:?}: {problem}\n  kept in {}", store.keep().display())),
            }
            progress.step(1);
        }
        Ok(failed)
    })?;
    let failed: u64 = failed.iter().sum();
    Ok(format!("{} runs with a failing call, {failed} of them stopped by it, all recovered", faults.len()))
}

/// The calls that fail, and how.
const FAULTS: [(&str, &str); 5] =
    [("fsync", "EIO"), ("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync", "ENOSPC"), ("pread64", "EIO")];

fn some_faults(count: u64, mut dice: Dice) -> Vec<(Workload, Fault)> {
    let fault = |_| {
        let (call, error) = *dice.pick(&FAULTS);
        (*dice.pick(&WORK), Fault { call, error, at: 1 + dice.below(CALLS_MAX) })
    };
    (0..count).map(fault).collect()
}

fn every_fault() -> Vec<(Workload, Fault)> {
    let of = |workload, (call, error)| (1..=CALLS_MAX).map(move |at| (workload, Fault { call, error, at }));
    WORK.into_iter().flat_map(|workload| FAULTS.into_iter().flat_map(move |fault| of(workload, fault))).collect()
}

fn fail_once(store: &mut Store, workload: Workload, fault: &Fault) -> Result<Left, String> {
    let mut run = store.begin(workload)?;
    let mut command = strace::with_fault(&store.command(&store.words(&run)), &store.journal(), fault);
    let ended = host::run(&mut command, Disturb::Nothing)?;
    let left = store.settle_after(&mut run, &ended, Faults::Injected)?;
    recover(store, run, &left)?;
    Ok(left)
}

fn recover(store: &mut Store, run: crate::store::Active, left: &Left) -> Result<(), String> {
    store.check_whole()?;
    if *left == Left::Open {
        let next = if run.run.is_some() { run } else { store.begin(run.workload)? };
        store.finish(next)?;
    }
    store.check_whole()
}

/// The disk has no room: done by this program inside a mount namespace.
fn full(scale: Scale, seed: u64) -> Result<String, String> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let allowed = |way: &&&[&str]| {
        let tried = Command::new("unshare").args(**way).args(["--", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let way = WAYS.iter().find(allowed).ok_or(format!("{NOT_HERE}no mount namespace for this user"))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("unshare");
    command.args(*way).arg("--").arg(program).args([INSIDE, &points(scale).to_string(), &seed.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))) }
}

/// The part inside the namespace, if this is it.
pub(crate) fn inside(words: &[String]) -> Option<ExitCode> {
    let [flag, points, seed] = words else { return None };
    if flag != INSIDE {
        return None;
    }
    let swept = match (points.parse(), seed.parse()) {
        (Ok(points), Ok(seed)) => sweep(points, seed),
        _ => Err("two numbers are expected".to_owned()),
    };
    Some(match swept {
        Ok(what) => {
            println!("{what}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    })
}

/// Disks of many sizes, from too small for anything to large enough.
fn sweep(points: u64, seed: u64) -> Result<String, String> {
    let ends = side_by_side::each(points, |point| {
        let mut dice = Dice::of(seed, "full disk", point);
        let workload = WORK[usize::from(point % 2 == 1)];
        // What the work is compared with is learnt where there is room.
        let mut store = Store::new(Build::Plain, &[workload])?;
        let bytes = bytes_of(&store.journal()) + bytes_of(&store.journal().with_extension("db-wal"));
        let most = bytes * 2 + BYTES_BESIDE;
        let room = BYTES_MIN + most * point / points + dice.below(most / points + 1);
        in_room(&mut store, workload, room)
            .map_err(|problem| format!("{room} bytes of room: {problem}\n  kept in {}", store.keep().display()))
    })?;
    let stopped = ends.iter().filter(|left| **left == Left::Open).count();
    let whole = ends.len() - stopped;
    if stopped == 0 || whole == 0 {
        return Err(format!(
            "of {points} disks {stopped} were too small, so the sweep misses where it gets interesting"
        ));
    }
    Ok(format!(
        "{points} small disks: {stopped} runs stopped for want of room and went on when there was some, {whole} had enough"
    ))
}

fn bytes_of(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

fn in_room(store: &mut Store, workload: Workload, room: u64) -> Result<Left, String> {
    let folder = store.work().join(".agent-host");
    // The journal that was learnt from is set aside: the run begins one of its own.
    std::fs::rename(&folder, store.work().join("learnt")).map_err(|error| error.to_string())?;
    store.turn_to_new_journal()?;
    std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
    lay_disk(&folder, room, MsFlags::empty())?;
    let result = fill(store, workload, &folder);
    let _ = umount2(&folder, MntFlags::MNT_DETACH);
    result
}

fn fill(store: &mut Store, workload: Workload, folder: &Path) -> Result<Left, String> {
    let mut run = store.begin(workload)?;
    let ended = store.start(&run, Disturb::Nothing)?;
    // Before anything is read: SQLite makes a file for it, too, beside a journal that has its tables and no run yet.
    lay_disk(folder, BYTES_ENOUGH, MsFlags::MS_REMOUNT)?;
    let left = store.settle_after(&mut run, &ended, Faults::Injected)?;
    recover(store, run, &left)?;
    Ok(left)
}

fn lay_disk(folder: &Path, bytes: u64, flags: MsFlags) -> Result<(), String> {
    let options = format!("size={bytes},mode=0700");
    mount(Some("tmpfs"), folder, Some("tmpfs"), flags, Some(options.as_str()))
        .map_err(|error| format!("no file system of {bytes} bytes: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_is_told_whatever_is_not_here() {
        let (held, broke, not_here) =
            (|| Ok("held".to_owned()), || Err("broke".to_owned()), || Err(format!("{NOT_HERE}no strace")));
        assert_eq!(both(held(), held()), Ok("held; held".to_owned()));
        for (failing, full) in [(broke(), not_here()), (not_here(), broke()), (broke(), held()), (held(), broke())] {
            assert_eq!(both(failing, full), Err("broke".to_owned()));
        }
        for (failing, full) in [(held(), not_here()), (not_here(), held()), (not_here(), not_here())] {
            assert!(both(failing, full).is_err_and(|why| why.starts_with(NOT_HERE)), "half of it is not all of it");
        }
    }
}
