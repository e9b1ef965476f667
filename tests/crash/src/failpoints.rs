//! Failpoints: named instants at which a test build kills itself, fails, aborts, waits or hangs. The names are those that an
//! undisturbed run and the recoveries hit; before a release each hit of each name is tried, until a run finishes untouched.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::dice::Dice;
use crate::host::{Build, Disturb};
use crate::report::Progress;
use crate::side_by_side;
use crate::store::{Faults, Left, Store};
use crate::workload::Workload;
use crate::{Ask, Scale};

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

/// Steps in one store: what is judged after each is everything that the store holds.
const STEPS_PER_STORE: usize = 100;

/// One disturbance: what happens at which hit of which point.
#[derive(Debug, Clone)]
struct Step {
    /// Where the run is killed before, if what is disturbed is its recovery.
    first: Option<&'static str>,
    /// `NAME#N`.
    point: String,
    act: &'static str,
}

/// What is to be done with a workload.
struct Plan {
    workload: Workload,
    points: Points,
    steps: Vec<Step>,
}

pub(crate) fn run(ask: &Ask, progress: &Progress) -> Result<String, String> {
    let all: &[Workload] = match ask.scale {
        Scale::Short => &[Workload::Files, Workload::Posts, Workload::Mixed],
        Scale::Release => &Workload::ALL,
    };
    let chosen = all.iter().filter(|workload| ask.only.is_empty() || ask.only.contains(workload));
    let workloads: Vec<Workload> = chosen.copied().collect();
    if workloads.is_empty() {
        return Err("the short form tries no point with this work".to_owned());
    }
    let plans = in_stores(&workloads, |workload, store| {
        Planner { workload: *workload, scale: ask.scale, dice: Dice::of(ask.seed, workload.name(), 0) }.plan(store)
    })?;
    progress.expect(plans.iter().map(|plan| plan.steps.len() as u64).sum());
    let of_plan = |plan: &'_ Plan| {
        let parts = plan.steps.chunks(STEPS_PER_STORE).map(<[Step]>::to_vec);
        parts.map(|steps| (plan.workload, steps)).collect::<Vec<_>>()
    };
    let parts: Vec<_> = plans.iter().flat_map(of_plan).collect();
    in_stores(&parts, |(workload, steps), store| {
        for step in steps {
            let told = |problem: String| format!("{step:?}: {problem}");
            match step.first {
                None => disturb(*workload, store, step).map_err(told)?,
                Some(first) => recover(*workload, store, first, Some(step)).map(drop).map_err(told)?,
            }
            progress.step(1);
        }
        store.check_whole()
    })?;
    let rounds: usize = plans.iter().map(|plan| plan.steps.len()).sum();
    let names: Points = plans.into_iter().flat_map(|plan| plan.points).collect();
    let listed: Vec<&str> = names.keys().map(String::as_str).collect();
    Ok(format!("{rounds} rounds at {} points: {}", names.len(), listed.join(", ")))
}

/// Works on each part in a store of its own, several at once.
fn in_stores<P: Part + Sync, T: Send>(
    parts: &[P],
    work: impl Fn(&P, &mut Store) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    side_by_side::each(parts.len() as u64, |number| {
        let part = &parts[usize::try_from(number).map_err(|error| error.to_string())?];
        let mut store = Store::new(Build::Failpoints, &[part.workload()])?;
        let came = work(part, &mut store);
        came.map_err(|problem| format!("{}: {problem}\n  kept in {}", part.workload().name(), store.keep().display()))
    })
}

/// Something that is done in a store of its own.
trait Part {
    fn workload(&self) -> Workload;
}

impl Part for Workload {
    fn workload(&self) -> Workload {
        *self
    }
}

impl Part for (Workload, Vec<Step>) {
    fn workload(&self) -> Workload {
        self.0
    }
}

struct Planner {
    workload: Workload,
    scale: Scale,
    dice: Dice,
}

impl Planner {
    /// Before a release each hit of each point, once killed and once something else; else each point in this way, at one of its hits.
    /// Recoveries are killed at each point that only they have; before a release they are disturbed like everything else.
    fn plan(mut self, store: &mut Store) -> Result<Plan, String> {
        let mut points = list(self.workload, store)?;
        let mut steps = Vec::new();
        for (name, (hits, may_fail)) in &points {
            let at = match self.scale {
                Scale::Short => {
                    vec![(1 + self.dice.below(*hits), "kill"), (1 + self.dice.below(*hits), self.other(*may_fail))]
                }
                Scale::Release => self.each_hit(*hits, *may_fail),
            };
            steps.extend(at.into_iter().map(|(hit, act)| Step { first: None, point: format!("{name}#{hit}"), act }));
        }
        let undisturbed = points.clone();
        for first in BEFORE_RECOVERY.into_iter().filter(|first| undisturbed.contains_key(*first)) {
            for (name, (hits, may_fail)) in recover(self.workload, store, first, None)? {
                let at = match self.scale {
                    Scale::Short if points.contains_key(&name) => Vec::new(),
                    Scale::Short => vec![(1, "kill")],
                    Scale::Release => self.each_hit(hits, may_fail),
                };
                let step = |(hit, act)| Step { first: Some(first), point: format!("{name}#{hit}"), act };
                steps.extend(at.into_iter().map(step));
                points.entry(name).or_insert((hits, may_fail));
            }
        }
        Ok(Plan { workload: self.workload, points, steps })
    }

    fn each_hit(&mut self, hits: u64, may_fail: bool) -> Vec<(u64, &'static str)> {
        (1..=hits).flat_map(|hit| [(hit, "kill"), (hit, self.other(may_fail))]).collect()
    }

    fn other(&mut self, may_fail: bool) -> &'static str {
        let from: &[&'static str] = if may_fail { &OTHERS } else { &OTHERS[1..] };
        let act: &&'static str = self.dice.pick(from);
        act
    }
}

/// The points that an undisturbed run hits.
fn list(workload: Workload, store: &mut Store) -> Result<Points, String> {
    let list = store.work().join("hits.txt");
    let mut run = store.begin(workload)?;
    let mut command = store.command(&store.words(&run));
    command.env(LIST, &list);
    let ended = crate::host::run(&mut command, Disturb::Nothing)?;
    if store.settle(&mut run, &ended)? == Left::Open {
        store.finish(run)?;
    }
    read(&list)
}

/// Has the program meet this at a point: the process of a host that hangs there is killed.
fn meet(store: &Store, run: &crate::store::Active, point: &str, act: &str) -> Result<crate::host::Ended, String> {
    let mut command = store.command(&store.words(run));
    command.env(ARM, format!("{point}={act}"));
    crate::host::run(&mut command, if act == "hang" { Disturb::Kill(HUNG) } else { Disturb::Nothing })
}

/// Disturbs one run at a point, lets it recover, and has everything checked.
fn disturb(workload: Workload, store: &mut Store, step: &Step) -> Result<(), String> {
    let mut run = store.begin(workload)?;
    let ended = meet(store, &run, &step.point, step.act)?;
    if store.settle_after(&mut run, &ended, Faults::Injected)? == Left::Open {
        let next = if run.run.is_some() { run } else { store.begin(workload)? };
        store.finish(next)?;
    }
    store.check()
}

/// Kills a run at `first`; then lets something happen in its recovery, where that is given. Otherwise gives the points that the
/// recovery hits.
fn recover(workload: Workload, store: &mut Store, first: &str, then: Option<&Step>) -> Result<Points, String> {
    let list = store.work().join("recovery.txt");
    let _ = std::fs::remove_file(&list);
    let mut run = store.begin(workload)?;
    let killed = meet(store, &run, &format!("{first}#1"), "kill")?;
    let mut left = store.settle_after(&mut run, &killed, Faults::Injected)?;
    if left == Left::Open {
        let ended = match then {
            Some(step) => meet(store, &run, &step.point, step.act)?,
            None => crate::host::run(store.command(&store.words(&run)).env(LIST, &list), Disturb::Nothing)?,
        };
        left = store.settle_after(&mut run, &ended, Faults::Injected)?;
    }
    if left == Left::Open {
        store.finish(run)?;
    }
    store.check()?;
    if then.is_none() { read(&list) } else { Ok(Points::new()) }
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
