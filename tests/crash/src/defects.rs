//! The harness is tested itself: the test build can have a defect planted, and each must be caught by the harness or the
//! checker. A harness that never saw a broken host proves nothing.

use crate::dice::Dice;
use crate::failpoints::ARM;
use crate::host::{self, Build, Disturb};
use crate::report::Progress;
use crate::store::{Faults, Left, Store};
use crate::workload::Workload;
use crate::{Ask, NOT_HERE, strace, two_hosts};

/// The variable that plants a defect in the test build.
const PLANT: &str = "AGENT_HOST_DEFECT";

/// Recoveries of one run at most.
const STARTS_MAX: usize = 24;

/// Takeovers of a host at work that a sound build must stand.
const TAKEOVERS: u64 = 3;

/// Rounds for that, at most.
const ROUNDS_MAX: u64 = 60;

/// What must find a defect, and how.
struct Case {
    defect: &'static str,
    /// The work in which it shows.
    work: Workload,
    /// A word of what is found.
    found: &'static [&'static str],
    try_it: fn(&mut Store) -> Result<(), String>,
}

const CASES: [Case; 8] = [
    Case {
        defect: "skip-sync",
        work: Workload::Posts,
        found: &["before the journal was synced"],
        try_it: sends_after_syncs,
    },
    Case {
        defect: "skip-sync",
        work: Workload::Files,
        found: &["was made before what would undo it was synced"],
        try_it: writes_between_syncs,
    },
    Case {
        defect: "skip-file-sync",
        work: Workload::Files,
        found: &["was recorded before its file was synced"],
        try_it: writes_between_syncs,
    },
    Case { defect: "repeat-doubt", work: Workload::Posts, found: &["I4"], try_it: killed_after_the_answer },
    Case { defect: "resend-doubt", work: Workload::Posts, found: &["I4", "I6"], try_it: killed_after_the_answer },
    Case { defect: "refund", work: Workload::Posts, found: &["I10"], try_it: killed_after_the_answer },
    Case { defect: "act-before-record", work: Workload::Posts, found: &["I5", "I4"], try_it: killed_after_the_answer },
    Case { defect: "ignore-epoch", work: Workload::Posts, found: &["I8", "I9", "former host"], try_it: overtaken },
];

pub(crate) fn run(_ask: &Ask, progress: &Progress) -> Result<String, String> {
    strace::works().map_err(|why| format!("{NOT_HERE}{why}"))?;
    let mut said = Vec::new();
    progress.expect(CASES.len() as u64);
    for case in &CASES {
        // Without the defect the same steps must find nothing.
        for planted in [None, Some(case.defect)] {
            let mut store = Store::new(Build::Failpoints, &[case.work])?;
            store.environment.extend(planted.map(|defect| (PLANT.to_owned(), defect.to_owned())));
            match ((case.try_it)(&mut store), planted) {
                (Ok(()), None) => {}
                (Err(problem), Some(defect)) if case.found.iter().any(|word| problem.contains(word)) => {
                    let first = problem.lines().next().unwrap_or_default();
                    said.push(format!("`{defect}` was caught: {first}"));
                }
                (Ok(()), Some(defect)) => return Err(format!("the defect `{defect}` was not caught")),
                (Err(problem), planted) => {
                    let kept = store.keep();
                    return Err(format!("with the defect {planted:?}: {problem}\n  kept in {}", kept.display()));
                }
            }
        }
        progress.step(1);
    }
    Ok(said.join("\n    "))
}

/// What a skipped sync leaves undone only a power loss would show: so the calls themselves are looked at.
fn sends_after_syncs(store: &mut Store) -> Result<(), String> {
    let record = store.work().join("calls.txt");
    let run = store.begin(Workload::Posts)?;
    let mut command = strace::with_record(&store.command(&store.words(&run)), &record);
    let ended = host::run(&mut command, Disturb::Nothing)?;
    let (posts, unsynced) = strace::posts_after_syncs(&record)?;
    if posts == 0 {
        return Err(format!("no POST was seen: {}{}", ended.out, ended.err));
    }
    if unsynced > 0 {
        return Err(format!("{unsynced} of {posts} POSTs left before the journal was synced"));
    }
    Ok(())
}

/// Nor does anything but a power loss show that a file was changed before its undo entry was safe, or was not synced when its call's
/// record said that it was written.
fn writes_between_syncs(store: &mut Store) -> Result<(), String> {
    let record = store.work().join("calls.txt");
    let run = store.begin(Workload::Files)?;
    let mut command = strace::with_record(&store.command(&store.words(&run)), &record);
    let ended = host::run(&mut command, Disturb::Nothing)?;
    let strace::Appends { all, early, late } = strace::appends(&record)?;
    if all == 0 {
        return Err(format!("no write was seen: {}{}", ended.out, ended.err));
    }
    if early > 0 {
        return Err(format!("{early} of {all} times a write was made before what would undo it was synced"));
    }
    if late > 0 {
        return Err(format!("{late} of {all} times a write was recorded before its file was synced"));
    }
    Ok(())
}

/// Killed when the answer was there and not yet recorded, then brought to its end as a person would.
fn killed_after_the_answer(store: &mut Store) -> Result<(), String> {
    let mut run = store.begin(Workload::Posts)?;
    let mut command = store.command(&store.words(&run));
    command.env(ARM, "send-answered#3");
    let ended = host::run(&mut command, Disturb::Nothing)?;
    let mut left = store.settle_after(&mut run, &ended, Faults::Injected)?;
    for _ in 0..STARTS_MAX {
        store.check()?;
        if left == Left::Complete {
            return Ok(());
        }
        let ended = store.start(&run, Disturb::Nothing)?;
        left = store.settle(&mut run, &ended)?;
    }
    Err("the run does not come to its end".to_owned())
}

/// Stopped, overtaken, and let go on: in several rounds, of which some meet the host at work.
fn overtaken(store: &mut Store) -> Result<(), String> {
    let mut counts = two_hosts::Counts::default();
    let mut dice = Dice::of(0, "overtaken", 0);
    for _ in 0..ROUNDS_MAX {
        two_hosts::round(store, &mut dice, &mut counts)?;
        if counts.fenced >= TAKEOVERS {
            return Ok(());
        }
    }
    Err(format!("{ROUNDS_MAX} rounds did not meet the host at work"))
}
