//! Two hosts want one run: the first is stopped in the middle (SIGSTOP), a second takes the run over, and the first goes on
//! (SIGCONT), as after a laptop's sleep or a long pause of a virtual machine. It must find that it may write no more.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::dice::Dice;
use crate::host::{self, Build, Disturb};
use crate::report::Progress;
use crate::side_by_side;
use crate::store::{Active, Left, SUSPENDED_APPROVAL, SUSPENDED_DOUBT, Store};
use crate::workload::{Notes, Workload};
use crate::{Ask, Scale};

/// Rounds in one store.
const ROUNDS_PER_STORE: u64 = 25;

/// Takeovers of one run at most: each may end in a doubt.
const TAKEOVERS_MAX: usize = 64;

/// One in so many hosts is stopped wherever it is, also in the middle of a write.
const HELD_ONE_IN: u64 = 12;

/// How often a host is stopped anew because it holds the file.
const STOPS_MAX: u32 = 40;

/// How long it may go on then.
const LET_GO_FOR: Duration = Duration::from_micros(300);

/// How long a process takes to stop after it was told so.
const STOPPED_AFTER: Duration = Duration::from_millis(2);

/// What a host says that lost its run.
const LOST: &str = "was taken over by another process";

/// What a host says whose run is driven by another.
const HELD: &str = "is held by process";

/// What a host says that waited for the other's transaction: stopped in the middle of one, it holds the file.
const BUSY: &str = "is busy";

/// What a host says of a run that has ended.
const ENDED: &str = "there is nothing to go on with";

/// What came of the rounds.
#[derive(Default)]
pub(crate) struct Counts {
    taken_over: u64,
    /// Former hosts that were refused.
    pub(crate) fenced: u64,
    too_late: u64,
    busy: u64,
}

pub(crate) fn run(ask: &Ask, progress: &Progress) -> Result<String, String> {
    let rounds = match ask.scale {
        Scale::Short => 100,
        Scale::Release => 2_000,
    };
    progress.expect(rounds);
    let counts = side_by_side::each(u64::div_ceil(rounds, ROUNDS_PER_STORE), |number| {
        let mut store = Store::with(Build::of_store(number), &Workload::ALL, Notes::None)?;
        let mut dice = Dice::of(ask.seed, "two hosts", number);
        let mut counts = Counts::default();
        let mut rounds = || {
            while counts.taken_over < ROUNDS_PER_STORE.min(rounds - number * ROUNDS_PER_STORE) {
                let before = counts.taken_over;
                round(&mut store, &mut dice, &mut counts).map_err(|problem| format!("round {before}: {problem}"))?;
                progress.step(counts.taken_over - before);
            }
            store.check_whole()
        };
        match rounds() {
            Ok(()) => Ok(counts),
            Err(problem) => Err(format!("store {number}, {problem}\n  kept in {}", store.keep().display())),
        }
    })?;
    let all = |one: fn(&Counts) -> u64| counts.iter().map(one).sum::<u64>();
    let (taken_over, fenced) = (all(|of| of.taken_over), all(|of| of.fenced));
    let (too_late, busy) = (all(|of| of.too_late), all(|of| of.busy));
    Ok(format!(
        "{taken_over} takeovers; {fenced} former hosts were refused by the fence, {too_late} had ended or not begun, \
         {busy} held the file in the middle of a write"
    ))
}

/// One round with a workload that the store has learnt.
pub(crate) fn round(store: &mut Store, dice: &mut Dice, counts: &mut Counts) -> Result<(), String> {
    let workload = *dice.pick(&store.learnt());
    let mut run = store.begin(workload)?;
    let started = Instant::now();
    let mut first = store.command(&store.words(&run)).spawn().map_err(|error| error.to_string())?;
    if host::ended_before(&mut first, started + dice.within(store.window(workload)))? {
        counts.too_late += 1;
        let ended = host::collect(first, started)?;
        return finish_open(store, run, &ended);
    }
    // Mostly between two writes: in the middle of one it holds the file, and nobody can take its run over.
    stop(&first, store, if dice.below(HELD_ONE_IN) == 0 { 1 } else { STOPS_MAX })?;
    let taken = take_over(store, &mut run, dice, counts);
    host::signal(&first, Signal::SIGCONT)?;
    let ended = host::collect(first, started)?;
    match taken? {
        Taken::Over => {
            counts.taken_over += 1;
            store.check()?;
            judge_former(&ended, counts)
        }
        Taken::NotYet => {
            counts.too_late += 1;
            finish_open(store, run, &ended)
        }
    }
}

/// Stops a host, again and again until it does not hold the file.
fn stop(first: &Child, store: &Store, tries: u32) -> Result<(), String> {
    for _ in 0..tries {
        host::signal(first, Signal::SIGSTOP)?;
        std::thread::sleep(STOPPED_AFTER);
        if !is_held(&store.journal()) {
            return Ok(());
        }
        host::signal(first, Signal::SIGCONT)?;
        std::thread::sleep(LET_GO_FOR);
    }
    host::signal(first, Signal::SIGSTOP)
}

/// Whether somebody is in the middle of a write.
fn is_held(journal: &Path) -> bool {
    let begin = || {
        let connection = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
    };
    let begun: rusqlite::Result<()> = begin();
    begun.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
}

/// Whether the last that is recorded of a run is that it stopped.
fn rests(journal: &Path, run: &str) -> bool {
    let last = || {
        let connection = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let last = "SELECT kind FROM events WHERE run = ?1 ORDER BY seq DESC LIMIT 1";
        connection.query_row(last, [run], |row| row.get::<_, String>(0))
    };
    let last: rusqlite::Result<String> = last();
    last.is_ok_and(|kind| kind == "RunEnded")
}

enum Taken {
    /// The second host drove the run to its end.
    Over,
    /// There was no run to take, or the file was held.
    NotYet,
}

fn take_over(store: &mut Store, run: &mut Active, dice: &mut Dice, counts: &mut Counts) -> Result<Taken, String> {
    if let Err(problem) = store.name(run) {
        // Stopped while it had the file to itself, as at its first opening.
        let is_held = problem.contains("locked") || problem.contains("locking protocol");
        return if is_held { Ok(Taken::NotYet) } else { Err(problem) };
    }
    let Some(name) = run.run.clone() else { return Ok(Taken::NotYet) };
    if dice.below(4) == 0 {
        let rests = rests(&store.journal(), &name);
        let refused = host::run(&mut store.command(&["resume", "--json", &name].map(str::to_owned)), Disturb::Nothing)?;
        match refused.code() {
            Some(1) if refused.err.contains(HELD) || refused.err.contains(BUSY) => {}
            // It had recorded its end before it was stopped.
            Some(1) if refused.err.contains(ENDED) => return Ok(Taken::NotYet),
            // It had recorded that the run waits for a person, which gives the run free.
            Some(SUSPENDED_APPROVAL | SUSPENDED_DOUBT) if rests => return Ok(Taken::NotYet),
            _ => return Err(format!("a second host was let in beside a living one: {refused:?}")),
        }
    }
    for _ in 0..TAKEOVERS_MAX {
        let words = ["resume", "--json", "--take-over", &name].map(str::to_owned);
        let ended = host::run(&mut store.command(&words), Disturb::Nothing)?;
        if ended.err.contains(BUSY) {
            counts.busy += 1;
            return Ok(Taken::NotYet);
        }
        if ended.code() == Some(1) && ended.err.contains(ENDED) {
            // The same.
            return Ok(Taken::NotYet);
        }
        if store.settle(run, &ended)? == Left::Complete {
            return Ok(Taken::Over);
        }
    }
    Err(format!("run {name} was in doubt {TAKEOVERS_MAX} times"))
}

/// The former host must have noticed, or have had nothing more to write.
fn judge_former(ended: &host::Ended, counts: &mut Counts) -> Result<(), String> {
    match ended.code() {
        Some(1) if ended.err.contains(LOST) => {
            counts.fenced += 1;
            Ok(())
        }
        // It had recorded that the run waits for a person before it was stopped: the other one began after that.
        Some(SUSPENDED_APPROVAL | SUSPENDED_DOUBT) => {
            counts.too_late += 1;
            Ok(())
        }
        _ => Err(format!("the former host went on after it had lost its run: {ended:?}")),
    }
}

/// The first host was not overtaken: its run is finished without a second.
fn finish_open(store: &mut Store, mut run: Active, ended: &host::Ended) -> Result<(), String> {
    if ended.err.contains(LOST) {
        // Taken over, and then the second one could not finish: the file was held for too long.
        return store.finish(run);
    }
    if store.settle(&mut run, ended)? == Left::Open && run.run.is_some() {
        store.finish(run)?;
    }
    store.check()
}
