//! The kill -9 loop: a supervisor starts the host, kills it at a random moment, starts it again, and has everything checked
//! each time. Many rounds in one store, so that recoveries are killed too.

use std::time::Duration;

use crate::dice::Dice;
use crate::host::{Build, Disturb};
use crate::report::Progress;
use crate::side_by_side;
use crate::store::{Active, Left, Store};
use crate::workload::Workload;
use crate::{Ask, Scale};

/// Kills in one store: many, so that one recovery meets what another left.
const KILLS_PER_STORE: u64 = 100;

/// Rounds for a kill at most: some runs end before they are met.
const ROUNDS_PER_KILL: u64 = 20;

/// One in so many disturbances of a long run is a polite request to stop.
const STOPS_ONE_IN: u64 = 3;

pub(crate) fn run(ask: &Ask, progress: &Progress) -> Result<String, String> {
    let kills = match ask.scale {
        Scale::Short => 300,
        Scale::Release => 10_000,
    };
    progress.expect(kills);
    let counts = side_by_side::each(u64::div_ceil(kills, KILLS_PER_STORE), |number| {
        let mut store = Store::new(Build::of_store(number), &Workload::ALL)?;
        let kills = KILLS_PER_STORE.min(kills - number * KILLS_PER_STORE);
        let loops = Loop { dice: Dice::of(ask.seed, "kills", number), kills };
        let turned = loops.turn(&mut store, progress);
        turned.map_err(|problem| format!("store {number}: {problem}\n  kept in {}", store.keep().display()))
    })?;
    let all = |one: fn(&Counts) -> u64| counts.iter().map(one).sum::<u64>();
    let (done, rounds, answers) = (all(|of| of.kills), all(|of| of.rounds), all(|of| of.answers));
    Ok(format!("{done} kills in {rounds} starts; {answers} runs completed, each with the undisturbed answer"))
}

struct Loop {
    dice: Dice,
    kills: u64,
}

#[derive(Default)]
struct Counts {
    kills: u64,
    rounds: u64,
    answers: u64,
}

impl Loop {
    fn turn(mut self, store: &mut Store, progress: &Progress) -> Result<Counts, String> {
        let mut counts = Counts::default();
        let mut active: Option<Active> = None;
        while counts.kills < self.kills {
            if counts.rounds > self.kills * ROUNDS_PER_KILL {
                return Err("the kills hardly ever meet a running host".to_owned());
            }
            counts.rounds += 1;
            let mut run = match active.take() {
                Some(run) => run,
                None => store.begin(*self.dice.pick(&Workload::ALL))?,
            };
            let ended = store.start(&run, self.disturb(run.workload, store.window(run.workload)))?;
            counts.kills += u64::from(ended.was_killed());
            match store.settle(&mut run, &ended)? {
                Left::Complete => counts.answers += 1,
                // A host that was killed before it had begun its run leaves nothing to go on with.
                Left::Open if run.run.is_none() => {}
                Left::Open => active = Some(run),
            }
            store.check().map_err(|problem| format!("after kill {}: {problem}", counts.kills))?;
            progress.step(u64::from(ended.was_killed()));
        }
        if let Some(run) = active {
            store.finish(run)?;
            counts.answers += 1;
        }
        store.check_whole()?;
        Ok(counts)
    }

    fn disturb(&mut self, workload: Workload, window: Duration) -> Disturb {
        let after = self.dice.within(window);
        match workload {
            Workload::Long if self.dice.below(STOPS_ONE_IN) == 0 => Disturb::Stop(after),
            Workload::Pure | Workload::Files | Workload::Posts | Workload::Mixed | Workload::Long => {
                Disturb::Kill(after)
            }
        }
    }
}
