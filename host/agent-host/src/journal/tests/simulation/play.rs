//! One run as it is played: cut short, taken up, taken over, and in the end left in peace. Driven by the tests beside this file.

use agent_core::event::{Event, Recorded};
use agent_core::name::RunId;
use agent_core::state::State;
use agent_core::stop::StopReason;

use super::super::run_id;
use super::checks;
use super::host::{Fate, Host, Mutation, Step, Weather};
use super::ledger::{Ledger, Survives};
use super::world::World;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::lease::TakeOver;
use crate::journal::log::{Durable, RunLog};
use crate::journal::simulated::dice::Dice;
use crate::journal::simulated::disk::{Faults, Honesty};
use crate::journal::simulated::{Machine, SimulatedJournal};

/// Crashes of one run. Then everything works, and it must come to an end.
const CRASHES_MAX: u32 = 6;
/// Acts of the disk after which the power goes at the latest: about what half of a run needs.
const ACTS_MAX: usize = 80;
/// Steps of a run, all crashes together. The longest needs a few hundred.
const STEPS_MAX: u32 = 20_000;
/// Tries to read a disk whose power goes while it is read.
const OPENS_MAX: u32 = 1_000;

/// A run that is played.
pub(super) struct Play {
    pub(super) machine: Machine,
    pub(super) world: World,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) mutation: Mutation,
    pub(super) weather: Weather,
    pub(super) honesty: Honesty,
    /// What the last crash had to leave, until that was looked at.
    pub(super) crashed: Option<Survives>,
    pub(super) steps: u32,
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
pub(super) struct Ending {
    pub(super) stop: StopReason,
    pub(super) answer: Option<String>,
}

impl Play {
    /// Parts that are cut short, and one that is not. `None` where the disk lied and was caught.
    pub(super) fn play_out(&mut self) -> Result<Option<Ending>, String> {
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

    pub(super) fn last_part(&mut self) -> Result<Ending, String> {
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
        let (log, first) = journal.start_run(run, super::super::at(1), started)?;
        let Ok(state) = State::begin(&first) else {
            return Err(self.ledger.broke("a run does not begin".to_owned()));
        };
        self.ledger.acknowledges(&first, Durable::Later, &state);
        Ok(Host::new(journal.again(), log, state, self.fate()))
    }

    fn fate(&mut self) -> Fate {
        Fate { dice: self.dice.split(), mutation: self.mutation, weather: self.weather }
    }
}

fn fold(events: &[Recorded]) -> Result<State, String> {
    let state = State::fold(events).map_err(|error| format!("I9: {error}"))?;
    state.ok_or_else(|| "I9: a run without events".to_owned())
}
