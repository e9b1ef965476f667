//! Failpoints: named instants at which a test build kills itself, fails, aborts, waits or hangs. The names are those that an
//! undisturbed run and the recoveries hit; before a release each hit of each name is tried, until a run finishes untouched.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::Scale;
use crate::dice::Dice;
use crate::host::{Build, Disturb};
use crate::report::Progress;
use crate::side_by_side;
use crate::store::{Faults, Left, Store};
use crate::workload::Workload;

/// The variable that arms one.
pub(crate) const ARM: &str = "AGENT_HOST_FAILPOINT";
/// The variable that names the file in which the hits are listed.
const LIST: &str = "AGENT_HOST_FAILPOINT_LOG";

/// After which time a host that hangs is killed: long enough to get there.
const HUNG: Duration = Duration::from_millis(400);

/// What may happen at a point beside a kill. Only some points can fail.
const OTHERS: [&str; 4] = ["error", "abort", "delay", "hang"];

/// Where an attempt is killed to have something to undo or to doubt in its recovery.
const BEFORE_RECOVERY: [&str; 2] = ["change-intended", "send-intended"];

/// A point: how often it was hit, and whether it can fail.
type Points = BTreeMap<String, (u64, bool)>;

pub(crate) fn run(scale: Scale, seed: u64, progress: &Progress) -> Result<String, String> {
    let workloads: &[Workload] = match scale {
        Scale::Short => &[Workload::Files, Workload::Posts, Workload::Mixed],
        Scale::Release => &Workload::ALL,
    };
    let tours = side_by_side::each(workloads.len() as u64, |number| {
        let workload = workloads[usize::try_from(number).map_err(|error| error.to_string())?];
        let mut tour = Tour { workload, dice: Dice::of(seed, workload.name(), 0), rounds: 0 };
        let mut store = Store::new(Build::Failpoints, &[workload])?;
        match tour.go(scale, &mut store, progress) {
            Ok(points) => Ok((points, tour.rounds)),
            Err(problem) => Err(format!("{}: {problem}\n  kept in {}", workload.name(), store.keep().display())),
        }
    })?;
    let rounds: u64 = tours.iter().map(|(_, rounds)| rounds).sum();
    let names: Points = tours.into_iter().flat_map(|(points, _)| points).collect();
    let listed: Vec<&str> = names.keys().map(String::as_str).collect();
    Ok(format!("{rounds} rounds at {} points: {}", names.len(), listed.join(", ")))
}

struct Tour {
    workload: Workload,
    dice: Dice,
    rounds: u64,
}

impl Tour {
    fn go(&mut self, scale: Scale, store: &mut Store, progress: &Progress) -> Result<Points, String> {
        let points = self.list(store)?;
        let mut steps = Vec::new();
        for (name, (hits, may_fail)) in &points {
            match scale {
                Scale::Short => {
                    steps.push((name.clone(), 1 + self.dice.below(*hits), "kill"));
                    let other = self.other(*may_fail);
                    steps.push((name.clone(), 1 + self.dice.below(*hits), other));
                }
                Scale::Release => {
                    for hit in 1..=*hits {
                        steps.push((name.clone(), hit, "kill"));
                        steps.push((name.clone(), hit, self.other(*may_fail)));
                    }
                }
            }
        }
        progress.expect(steps.len() as u64);
        for (name, hit, act) in steps {
            self.round(store, &format!("{name}#{hit}"), act)?;
            progress.step(1);
        }
        let recovery = self.recoveries(scale, store, &points)?;
        Ok(points.into_iter().chain(recovery).collect())
    }

    fn other(&mut self, may_fail: bool) -> &'static str {
        let from: &[&'static str] = if may_fail { &OTHERS } else { &OTHERS[1..] };
        let act: &&'static str = self.dice.pick(from);
        act
    }

    /// The points that an undisturbed run hits.
    fn list(&mut self, store: &mut Store) -> Result<Points, String> {
        let list = store.work().join("hits.txt");
        let mut run = store.begin(self.workload)?;
        let mut command = store.command(&store.words(&run));
        command.env(LIST, &list);
        let ended = crate::host::run(&mut command, Disturb::Nothing)?;
        if store.settle(&mut run, &ended)? == Left::Open {
            store.finish(run)?;
        }
        read(&list)
    }

    /// Disturbs one run at a point, lets it recover, and has everything checked.
    fn round(&mut self, store: &mut Store, point: &str, act: &'static str) -> Result<(), String> {
        self.rounds += 1;
        let told = |problem: String| format!("{act} at {point}: {problem}");
        let mut run = store.begin(self.workload)?;
        let mut command = store.command(&store.words(&run));
        command.env(ARM, format!("{point}={act}"));
        let disturb = if act == "hang" { Disturb::Kill(HUNG) } else { Disturb::Nothing };
        let ended = crate::host::run(&mut command, disturb)?;
        if store.settle_after(&mut run, &ended, Faults::Injected).map_err(told)? == Left::Open {
            let next = if run.run.is_some() { run } else { store.begin(self.workload)? };
            store.finish(next).map_err(told)?;
        }
        store.check().map_err(told)
    }

    /// Recoveries of recoveries: each is killed once at each point that only a recovery hits; before a release at each hit of each of
    /// its points, where something else happens as well.
    fn recoveries(&mut self, scale: Scale, store: &mut Store, known: &Points) -> Result<Points, String> {
        let mut found = Points::new();
        for first in BEFORE_RECOVERY {
            if !known.contains_key(first) {
                continue;
            }
            let seen = self.recover(store, first, None)?;
            let is_new = |name: &String| !known.contains_key(name) && !found.contains_key(name);
            let mut seconds = Vec::new();
            for (name, (hits, may_fail)) in &seen {
                match scale {
                    Scale::Short if is_new(name) => seconds.push((format!("{name}#1"), "kill")),
                    Scale::Short => {}
                    Scale::Release => {
                        for hit in 1..=*hits {
                            seconds.push((format!("{name}#{hit}"), "kill"));
                            seconds.push((format!("{name}#{hit}"), self.other(*may_fail)));
                        }
                    }
                }
            }
            found.extend(seen.into_iter().filter(|(name, _)| !known.contains_key(name)));
            for second in seconds {
                self.recover(store, first, Some(second))?;
            }
        }
        Ok(found)
    }

    /// Kills a run at `first`; then lets something happen in its recovery at `second`, where one is given. The points that the
    /// recovery hits.
    fn recover(
        &mut self,
        store: &mut Store,
        first: &str,
        second: Option<(String, &'static str)>,
    ) -> Result<Points, String> {
        self.rounds += 1;
        let is_disturbed = second.is_some();
        let then = second.clone();
        let told = |problem: String| format!("a recovery from {first}, then {then:?}: {problem}");
        let list = store.work().join("recovery.txt");
        let _ = std::fs::remove_file(&list);
        let mut run = store.begin(self.workload)?;
        for step in [Some((format!("{first}#1"), "kill")), second] {
            let mut command = store.command(&store.words(&run));
            let hangs = step.as_ref().is_some_and(|(_, act)| *act == "hang");
            match step {
                Some((point, act)) => command.env(ARM, format!("{point}={act}")),
                None => command.env(LIST, &list),
            };
            let disturb = if hangs { Disturb::Kill(HUNG) } else { Disturb::Nothing };
            let ended = crate::host::run(&mut command, disturb)?;
            if store.settle_after(&mut run, &ended, Faults::Injected).map_err(told)? == Left::Complete {
                store.check().map_err(told)?;
                // It may have ended before there was a recovery to look at: settling its doubts can complete it.
                return if list.exists() { read(&list) } else { Ok(Points::new()) };
            }
        }
        store.finish(run).map_err(told)?;
        store.check().map_err(told)?;
        if is_disturbed { Ok(Points::new()) } else { read(&list) }
    }
}

/// Each line is a name, how often it was hit by then, and `!` where it can fail.
fn read(list: &Path) -> Result<Points, String> {
    let text = std::fs::read_to_string(list).map_err(|error| format!("no point was listed: {error}"))?;
    let mut points = Points::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(count)) = (words.next(), words.next().and_then(|count| count.parse().ok())) else {
            continue;
        };
        points.insert(name.to_owned(), (count, words.next() == Some("!")));
    }
    Ok(points)
}
