//! Runs on a simulated disk, cut short again and again: by lost power, killed processes, a full disk, a failing one, and a second
//! host that takes over. After each crash the journal is held against what was promised and what happened, and in the end the
//! run must have come to where it comes undisturbed.
//!
//! Everything follows from the seed. `AGENT_HOST_SIMULATION_SEED=N` plays one, `AGENT_HOST_SIMULATION_SEEDS=N` that many.

mod checks;
mod host;
mod ledger;
mod world;

use agent_core::event::{Event, Recorded, Resolution};
use agent_core::name::RunId;
use agent_core::outcome::{Fault, ToolOutcome};
use agent_core::state::State;
use agent_core::stop::StopReason;

use super::run_id;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Durable, RunLog};
use crate::journal::simulated::dice::Dice;
use crate::journal::simulated::disk::{Disk, Faults, Honesty};
use crate::journal::simulated::{Broken, Machine, SimulatedJournal};
use host::{Fate, Host, Mutation, Step, Weather};
use ledger::{Ledger, Survives};
use world::World;

/// Seeds that every test run plays.
const SEEDS: u64 = 20_000;
/// Seeds within which each mutation must be caught.
const MUTATED_SEEDS: u64 = 2_000;
/// Crashes of one run. Then everything works, and it must come to an end.
const CRASHES_MAX: u32 = 6;
/// Acts of the disk after which the power goes at the latest: about what half of a run needs.
const ACTS_MAX: usize = 80;
/// Steps of a run, all crashes together. The longest needs a few hundred.
const STEPS_MAX: u32 = 20_000;
/// Tries to read a disk whose power goes while it is read.
const OPENS_MAX: u32 = 1_000;

/// A run that is played.
struct Play {
    machine: Machine,
    world: World,
    ledger: Ledger,
    dice: Dice,
    mutation: Mutation,
    weather: Weather,
    honesty: Honesty,
    /// What the last crash had to leave, until that was looked at.
    crashed: Option<Survives>,
    steps: u32,
}

/// Why a part of a play ended.
enum Cut {
    /// The run stopped.
    Stopped,
    /// The journal takes no more.
    Failed(JournalError),
}

/// How a run ended that was played to its end.
#[derive(Debug, PartialEq, Eq)]
struct Ending {
    stop: StopReason,
    answer: Option<String>,
}

#[test]
fn nothing_is_lost_or_repeated_whenever_the_power_goes() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("AGENT_HOST_SIMULATION_SEED") {
        return play(seed, Mutation::None).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    let seeds = number("AGENT_HOST_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || first_failure(first, seeds, threads, Mutation::None)))
            .collect();
        let failed: Vec<_> = all.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
        assert!(
            failed.is_empty(),
            "{failed:#?}\nplay one again with AGENT_HOST_SIMULATION_SEED=N cargo nextest run --workspace --lib --bins whenever_the_power_goes"
        );
    });
}

fn first_failure(first: u64, seeds: u64, step: u64, mutation: Mutation) -> Option<String> {
    let mut all = (first..seeds).step_by(usize::try_from(step).unwrap());
    all.find_map(|seed| play(seed, mutation).err().map(|what| format!("seed {seed}: {what}")))
}

/// The harness is believed because it finds what it is there to find.
fn is_caught(mutation: Mutation, by: &[&str]) {
    let mut found = Vec::new();
    for seed in 0..MUTATED_SEEDS {
        if let Err(what) = play(seed, mutation) {
            if by.iter().any(|invariant| what.starts_with(invariant)) {
                return;
            }
            found.push(format!("seed {seed}: {what}"));
        }
    }
    panic!("{mutation:?} was not caught by {by:?} in {MUTATED_SEEDS} seeds, only: {found:#?}");
}

#[test]
fn a_skipped_sync_before_a_write_is_caught() {
    is_caught(Mutation::SkipIntentSync, &["I5"]);
}

#[test]
fn a_skipped_sync_before_a_model_request_is_caught() {
    is_caught(Mutation::SkipModelSync, &["I3"]);
}

#[test]
fn acting_before_recording_is_caught() {
    is_caught(Mutation::ActFirst, &["I4", "I5"]);
}

#[test]
fn running_a_doubtful_call_again_is_caught() {
    is_caught(Mutation::RunAgain, &["I4"]);
}

#[test]
fn a_skipped_undo_is_caught() {
    is_caught(Mutation::SkipUndo, &["files"]);
}

#[test]
fn an_ignored_epoch_is_caught() {
    is_caught(Mutation::IgnoreEpoch, &["I8"]);
}

#[test]
fn a_sync_that_is_tried_again_after_it_failed_is_caught() {
    is_caught(Mutation::RetrySync, &["I1", "the journal"]);
}

/// Plays one seed.
fn play(seed: u64, mutation: Mutation) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let world = World::new(&mut dice);
    let undisturbed = undisturbed(&world, dice.split())?;
    let faults = faults(&mut dice);
    let broken = match mutation {
        Mutation::IgnoreEpoch => Broken::Fence,
        Mutation::RetrySync => Broken::FailedSync,
        _ => Broken::Nothing,
    };
    let machine = Machine::new(Disk::new(dice.split(), faults), broken);
    let (ledger, weather, honesty) = (Ledger::default(), Weather::Rough, faults.honesty);
    let mut play = Play { machine, world, ledger, dice, mutation, weather, honesty, crashed: None, steps: 0 };
    let Some(ending) = play.play_out()? else { return Ok(()) };
    play.check_end(&ending, &undisturbed)
}

/// How the run ends when nothing goes wrong.
fn undisturbed(world: &World, dice: Dice) -> Result<Ending, String> {
    let machine = Machine::new(Disk::new(Dice::new(0), Faults::NONE), Broken::Nothing);
    let (world, ledger) = (world.afresh(), Ledger::default());
    let (mutation, weather, honesty) = (Mutation::None, Weather::Calm, Honesty::Honest);
    let mut play = Play { machine, world, ledger, dice, mutation, weather, honesty, crashed: None, steps: 0 };
    play.last_part()
}

/// What the disk does wrong. Most do nothing but lose power.
fn faults(dice: &mut Dice) -> Faults {
    let none = Faults::NONE;
    match dice.below(12) {
        0 => Faults { short: 2, ..none },
        1 => Faults { bytes_max: 8_000 + dice.below(20_000), short: 4, ..none },
        2 => Faults { writes_left: Some(u32::try_from(dice.below(60)).unwrap_or(0)), ..none },
        3 => Faults { syncs_left: Some(u32::try_from(dice.below(20)).unwrap_or(0)), ..none },
        4 => Faults { honesty: Honesty::Lies, ..none },
        _ => none,
    }
}

impl Play {
    /// Parts that are cut short, and one that is not. `None` where the disk lied and was caught.
    fn play_out(&mut self) -> Result<Option<Ending>, String> {
        for _ in 0..self.dice.below(CRASHES_MAX as usize) + 1 {
            let acts = u32::try_from(self.dice.below(ACTS_MAX)).unwrap_or(0);
            self.machine.with_disk(|disk| disk.power_for(acts));
            let cut = match self.open()? {
                Some(host) => self.part(host)?,
                None => return Ok(None),
            };
            self.crash(&cut);
        }
        // From here on everything works.
        self.machine.with_disk(|disk| {
            disk.faults = Faults::NONE;
            disk.power_on();
        });
        if self.honesty == Honesty::Lies {
            return Ok(None);
        }
        self.last_part().map(Some)
    }

    fn last_part(&mut self) -> Result<Ending, String> {
        loop {
            let Some(mut host) = self.open()? else { return Err("the journal is lost".to_owned()) };
            match self.drive(&mut host)? {
                Cut::Failed(error) => return Err(format!("I12: the journal fails without a reason: {error}")),
                Cut::Stopped => {}
            }
            let ended = host.state.stopped.clone().ok_or("I12: a run rests that has not stopped")?;
            drop(host);
            if ended.stop != StopReason::SuspendedDoubt {
                return Ok(Ending { stop: ended.stop, answer: ended.answer });
            }
        }
    }

    /// Drives a run until the journal fails, or another host comes in between.
    fn part(&mut self, mut host: Host) -> Result<Cut, String> {
        if host.state.stopped.is_some() || !self.dice.once_in(4) {
            let cut = self.drive(&mut host)?;
            self.put_away(host);
            return Ok(cut);
        }
        let mut left = self.dice.below(30);
        while left > 0 || !host.is_between_acts() {
            left = left.saturating_sub(1);
            match self.step(&mut host)? {
                None => {}
                Some(cut) => {
                    self.put_away(host);
                    return Ok(cut);
                }
            }
        }
        self.two_hosts(host)
    }

    /// The host is paused, and another one takes its run over. Then it goes on.
    fn two_hosts(&mut self, mut paused: Host) -> Result<Cut, String> {
        let mut taker = match self.take_over() {
            Ok(taker) => taker,
            Err(error) => {
                self.put_away(paused);
                return Ok(Cut::Failed(error));
            }
        };
        let mut cut = None;
        for _ in 0..self.dice.below(20) {
            cut = self.step(&mut taker)?;
            if cut.is_some() {
                break;
            }
        }
        // It must not write, and so it must not act.
        let acts = self.world.server.acts.clone();
        let mut scratch = Ledger::default();
        let woken = loop {
            match paused.step(&mut self.world, &mut scratch) {
                Ok(Step::On) if paused.is_between_acts() => break Ok(()),
                Ok(Step::On) => {}
                Ok(Step::Stopped) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match woken {
            Err(JournalError::LeaseLost { .. } | JournalError::Poisoned { .. } | JournalError::Io { .. }) => {}
            Err(JournalError::StoreFull { .. }) => {}
            Err(error) => return Err(format!("I8: who lost the lease is told something else: {error}")),
            Ok(()) => return Err("I8: who lost the lease went on".to_owned()),
        }
        if acts != self.world.server.acts {
            return Err("I8: who lost the lease acted".to_owned());
        }
        self.put_away(paused);
        let cut = match cut {
            Some(cut) => cut,
            None => self.drive(&mut taker)?,
        };
        self.put_away(taker);
        Ok(cut)
    }

    fn drive(&mut self, host: &mut Host) -> Result<Cut, String> {
        loop {
            if let Some(cut) = self.step(host)? {
                return Ok(cut);
            }
        }
    }

    fn step(&mut self, host: &mut Host) -> Result<Option<Cut>, String> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("I12: no end after {STEPS_MAX} steps"));
        }
        let stepped = host.step(&mut self.world, &mut self.ledger);
        if let Some(broken) = self.ledger.broken.take() {
            return Err(broken);
        }
        Ok(match stepped {
            Ok(Step::On) => None,
            Ok(Step::Stopped) => Some(Cut::Stopped),
            Err(error) => Some(Cut::Failed(error)),
        })
    }

    /// A process ends: in good order, or without a word.
    fn put_away(&mut self, host: Host) {
        if self.dice.once_in(2) { host.kill() } else { drop(host) }
    }

    /// The machine loses its power, or only the process is gone.
    fn crash(&mut self, cut: &Cut) {
        let full = matches!(cut, Cut::Failed(JournalError::StoreFull { .. }));
        if full {
            // Somebody makes room.
            self.machine.with_disk(|disk| disk.faults.bytes_max = usize::MAX);
        }
        // What a failed sync was for is lost with the power only: the next host must not rely on what it still reads.
        let survives = if self.dice.once_in(2) { Survives::Written } else { Survives::Synced };
        match survives {
            Survives::Written => {
                self.machine.with_disk(|disk| disk.power_on());
                self.machine.restart();
            }
            Survives::Synced | Survives::Some => {
                self.machine.lose_power();
                self.world.lose_power(&mut self.dice);
            }
        }
        self.machine.with_disk(|disk| disk.faults.writes_left = None);
        self.crashed = Some(match (self.honesty, self.crashed) {
            (Honesty::Lies, _) => Survives::Some,
            // Nobody has looked at what the crash before has left.
            (Honesty::Honest, Some(Survives::Synced)) => Survives::Synced,
            (Honesty::Honest, _) => survives,
        });
    }

    /// The journal as a new process finds it. The power may go while it is read, and then it is read again.
    fn journal(&mut self) -> Result<Option<SimulatedJournal>, String> {
        for _ in 0..OPENS_MAX {
            match self.machine.open() {
                Ok(journal) => return Ok(Some(journal)),
                Err(_) if self.machine.with_disk(|disk| disk.is_off()) => {
                    self.machine.lose_power();
                    self.world.lose_power(&mut self.dice);
                    if self.crashed != Some(Survives::Some) {
                        self.crashed = Some(Survives::Synced);
                    }
                }
                Err(JournalError::StoreCorrupt { .. }) if self.honesty == Honesty::Lies => return Ok(None),
                // The disk fails or is full while it is read, and somebody mends that.
                Err(JournalError::Io { .. }) => self.machine.with_disk(|disk| {
                    disk.faults = Faults { honesty: disk.faults.honesty, ..Faults::NONE };
                }),
                Err(error) => return Err(format!("the journal cannot be read: {error}")),
            }
        }
        Err("I12: the journal cannot be opened".to_owned())
    }

    /// Holds what a crash left against what is known.
    fn look(&mut self, events: &[Recorded], state: &State) -> Result<(), String> {
        checks::check(events)?;
        match self.crashed.take() {
            Some(survives) => self.ledger.recovers(events, state, &self.world, survives),
            None => Ok(()),
        }
    }

    /// Nothing of the run is left.
    fn look_at_nothing(&mut self) -> Result<(), String> {
        let promised = self.crashed.take().unwrap_or(Survives::Written);
        let nothing = self.ledger.nothing_is_promised(promised) && self.world.asked.is_empty();
        if !nothing && promised != Survives::Some {
            return Err("I1: the whole run is lost".to_owned());
        }
        self.ledger = Ledger::default();
        Ok(())
    }

    /// A process that has taken the run up, or begun it.
    fn open(&mut self) -> Result<Option<Host>, String> {
        for _ in 0..OPENS_MAX {
            let Some(journal) = self.journal()? else { return Ok(None) };
            match self.begin(&journal, TakeOver::IfDead) {
                Ok(host) => return Ok(Some(host)),
                Err(JournalError::StoreFull { .. }) => {
                    self.machine.with_disk(|disk| disk.faults.bytes_max = usize::MAX);
                }
                Err(JournalError::StoreCorrupt { .. } | JournalError::RunDamaged { .. })
                    if self.honesty == Honesty::Lies =>
                {
                    return Ok(None);
                }
                Err(error @ (JournalError::StoreCorrupt { .. } | JournalError::RunDamaged { .. })) => {
                    return Err(format!("I9: {error}"));
                }
                Err(error) => {
                    journal.kill();
                    if let Some(broken) = self.ledger.broken.take() {
                        return Err(broken);
                    }
                    self.crash(&Cut::Failed(error));
                }
            }
        }
        Err("I12: the run cannot be taken up".to_owned())
    }

    fn take_over(&mut self) -> Result<Host, JournalError> {
        let journal = self.machine.open()?;
        self.begin(&journal, TakeOver::Always)
    }

    /// Takes the run up, and first of all has a person say what became of what is in doubt.
    fn begin(&mut self, journal: &SimulatedJournal, take_over: TakeOver) -> Result<Host, JournalError> {
        let run = run_id(1);
        let (log, state): (Box<dyn RunLog>, State) = match journal.resume_run(&run, take_over) {
            Ok((events, log)) => {
                let state = fold(&events).and_then(|state| self.look(&events, &state).map(|()| state));
                (log, state.map_err(|what| self.ledger.broke(what))?)
            }
            Err(JournalError::NoSuchRun { .. }) => {
                self.look_at_nothing().map_err(|what| self.ledger.broke(what))?;
                return self.begin_anew(journal, run);
            }
            Err(error) => return Err(error),
        };
        let completed = state.stopped.as_ref().is_some_and(|stopped| !stopped.stop.is_resumable());
        let mut host = Host::new(journal.again(), log, state, self.fate());
        if !completed {
            host.resolve(&self.world, &mut self.ledger)?;
            host.take_up(&mut self.ledger)?;
        }
        Ok(host)
    }

    fn begin_anew(&mut self, journal: &SimulatedJournal, run: RunId) -> Result<Host, JournalError> {
        let started = self.world.started();
        self.ledger.attempts(1, &Event::from(started.clone()));
        let (log, first) = journal.start_run(run, super::at(1), started)?;
        let Ok(state) = State::begin(&first) else {
            return Err(self.ledger.broke("a run does not begin".to_owned()));
        };
        self.ledger.acknowledges(&first, Durable::Later, &state);
        Ok(Host::new(journal.again(), log, state, self.fate()))
    }

    fn fate(&mut self) -> Fate {
        Fate { dice: self.dice.split(), mutation: self.mutation, weather: self.weather }
    }

    /// Holds the end of the run against how it ends undisturbed.
    fn check_end(&mut self, ending: &Ending, undisturbed: &Ending) -> Result<(), String> {
        let journal = self.machine.open().map_err(|error| error.to_string())?;
        let events = journal.events(&run_id(1)).map_err(|error| error.to_string())?;
        checks::check(&events)?;
        verify(&journal)?;
        let retries = |number| events.iter().filter(|event| doubt(event) == Some((number, Doubt::Retried))).count();
        for (number, acts) in &self.world.server.acts {
            let allowed = 1 + retries(*number);
            if *acts as usize > allowed {
                return Err(format!("I4: the write of call {number} happened {acts} times, {allowed} were allowed"));
            }
        }
        let given_up = events.iter().any(was_given_up);
        let doubted = |number| events.iter().filter_map(doubt).any(|(doubted, _)| doubted == number);
        for number in self.world.appends().filter(|number| !doubted(*number)) {
            let lines = self.world.files.lines_of(number);
            if lines != 1 && !given_up {
                return Err(format!("files: call {number} left {lines} lines"));
            }
        }
        let certain = !events.iter().any(|event| doubt(event).is_some());
        if certain && !given_up && ending != undisturbed {
            return Err(format!("the answer: {ending:?} instead of {undisturbed:?}"));
        }
        self.check_size(&events)
    }

    /// The file is at most twice what is in it.
    fn check_size(&self, events: &[Recorded]) -> Result<(), String> {
        /// What an event is besides its body: names, numbers, hashes.
        const BESIDES: usize = 256;
        let bodies: usize =
            events.iter().map(|event| event.event.to_body().map_or(0, |body| body.len()) + BESIDES).sum();
        let file = self.machine.with_disk(|disk| disk.read().len());
        if file <= 2 * bodies { Ok(()) } else { Err(format!("I12: {file} bytes for {bodies} bytes of events")) }
    }
}

fn verify(journal: &SimulatedJournal) -> Result<(), String> {
    let verified = journal.verify(&run_id(1)).map_err(|error| error.to_string())?;
    verified.damage.map_or(Ok(()), |damage| Err(format!("I9: {damage}")))
}

fn fold(events: &[Recorded]) -> Result<State, String> {
    let state = State::fold(events).map_err(|error| format!("I9: {error}"))?;
    state.ok_or_else(|| "I9: a run without events".to_owned())
}

/// What an event says of the doubt about a call.
#[derive(PartialEq, Eq)]
enum Doubt {
    Arose,
    Retried,
}

/// The call that an event is about, if it is about doubt. Calls have the numbers of the script.
fn doubt(recorded: &Recorded) -> Option<(u32, Doubt)> {
    match &recorded.event {
        Event::ToolInDoubt(doubt) => Some((doubt.call.0, Doubt::Arose)),
        Event::DoubtResolved(resolved) if resolved.resolution == Resolution::Retry => {
            Some((resolved.call.0, Doubt::Retried))
        }
        _ => None,
    }
}

/// A call that was cut short too often has no answer.
fn was_given_up(recorded: &Recorded) -> bool {
    let Event::ToolFinished(finished) = &recorded.event else { return false };
    matches!(finished.outcome, ToolOutcome::Faulted { fault: Fault::Interrupted, .. })
}
