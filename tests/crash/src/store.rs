//! One store and everything around it: a folder with a journal in which runs begin, are disturbed and go on, the counter that
//! they reach, the client's log of what it was told, and the checker that judges all of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use agent_checker::evidence::{Ack, Evidence, Spent, lines};
use agent_checker::{Judge, Reference, Standing};
use serde_json::Value;

use crate::answer::{TOO_LONG, difference};
use crate::counter::{ANSWER, Counter};
use crate::host::{self, Build, Disturb, Ended};
use crate::workload::{Notes, Workload};

/// Exit codes that the harness expects.
const COMPLETED: i32 = 0;
const FAILED: i32 = 1;
pub(crate) const SUSPENDED_APPROVAL: i32 = 20;
pub(crate) const SUSPENDED_DOUBT: i32 = 22;
const STORE_FULL: i32 = 23;
const CANCELLED: i32 = 130;

/// The journal, in the store's folder.
const JOURNAL: &str = "work/.agent-host/journal.db";

/// SIGTERM's number.
const TERMINATED: i32 = 15;

/// How often a run may be suspended before it ends: for each of its writes once.
const SUSPENSIONS_MAX: usize = 64;

/// A store.
pub(crate) struct Store {
    folder: tempfile::TempDir,
    pub(crate) build: Build,
    notes: Notes,
    counter: Counter,
    acks: File,
    /// Requests that belong to another journal.
    foreign_hits: usize,
    runs: u32,
    references: BTreeMap<Workload, Learnt>,
    compared: BTreeMap<String, Reference>,
    judge: Judge,
    /// Variables of the program's environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// What comes of a workload without disturbance.
struct Learnt {
    /// The tag in it, in whose place others have theirs.
    tag: String,
    reference: Reference,
    answer: String,
    took: Duration,
}

/// A run that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    pub(crate) workload: Workload,
    pub(crate) tag: String,
    /// Its identifier, once it has one.
    pub(crate) run: Option<String>,
    words: Vec<String>,
}

/// How a start left a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It can go on.
    Open,
    /// It is complete, and its answer is that of an undisturbed run.
    Complete,
}

/// What may be wrong beside the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nothing.
    None,
    /// Something was made to fail: the host may give up with an error.
    Injected,
}

impl Store {
    /// A new store, in which each workload has run twice without disturbance: what comes later is compared with the second.
    pub(crate) fn new(build: Build, workloads: &[Workload]) -> Result<Self, String> {
        Self::with(build, workloads, Notes::Kept)
    }

    /// The same with or without notes.
    pub(crate) fn with(build: Build, workloads: &[Workload], notes: Notes) -> Result<Self, String> {
        let mut store = Self::empty(build, notes)?;
        // Twice: the first time makes what later runs find, such as notes.
        for workload in workloads.iter().chain(workloads) {
            store.learn(*workload)?;
        }
        Ok(store)
    }

    /// A new store without any run.
    fn empty(build: Build, notes: Notes) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("no folder to work in: {error}");
        let made = tempfile::tempdir().map_err(told)?;
        let acks = OpenOptions::new().create(true).append(true).open(made.path().join("acks.jsonl")).map_err(told)?;
        std::fs::create_dir(made.path().join("work")).map_err(told)?;
        let counter = Counter::start(&made.path().join("hits.jsonl"))?;
        let (references, compared, environment) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let judge = Judge::of(&made.path().join(JOURNAL));
        Ok(Self {
            folder: made,
            build,
            notes,
            counter,
            acks,
            foreign_hits: 0,
            runs: 0,
            references,
            compared,
            judge,
            environment,
        })
    }

    /// Runs a workload without disturbance, to know what comes of it.
    pub(crate) fn learn(&mut self, workload: Workload) -> Result<(), String> {
        let mut active = self.begin(workload)?;
        // Where it asks for approvals it is started more than once: the longest of them is the one that a kill meets.
        let mut took = Duration::ZERO;
        let ended = loop {
            let ended = self.start(&active, Disturb::Nothing)?;
            took = took.max(ended.took);
            if ended.code() != Some(SUSPENDED_APPROVAL) {
                break ended;
            }
            let standings = self.observe()?;
            active.run = standings.last().map(|last| last.run.clone());
            self.approve(&active, &standings)?;
        };
        let answer = ended.json().and_then(|json| json.get("answer")?.as_str().map(str::to_owned));
        let Some(answer) = answer.filter(|_| ended.code() == Some(COMPLETED)) else {
            return Err(format!("{} does not even work undisturbed: {}{}", workload.name(), ended.out, ended.err));
        };
        let reference = self.judge.reference()?;
        self.references.insert(workload, Learnt { tag: active.tag, reference, answer, took });
        Ok(())
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join(JOURNAL)
    }

    /// The workloads that it knows undisturbed.
    pub(crate) fn learnt(&self) -> Vec<Workload> {
        self.references.keys().copied().collect()
    }

    /// How long the workload takes undisturbed on this machine as it is now: within that time a kill meets it at work.
    pub(crate) fn window(&self, workload: Workload) -> Duration {
        self.references.get(&workload).map_or(Duration::ZERO, |learnt| learnt.took)
    }

    /// Lays out another run.
    pub(crate) fn begin(&mut self, workload: Workload) -> Result<Active, String> {
        self.runs += 1;
        let tag = format!("t{:05}", self.runs);
        let words = workload.lay_out(&self.work(), &self.counter.url(), &tag, self.notes)?;
        Ok(Active { workload, tag, run: None, words })
    }

    /// The words that start it, or go on with it.
    pub(crate) fn words(&self, active: &Active) -> Vec<String> {
        match &active.run {
            None => active.words.clone(),
            Some(run) => ["resume", "--json", run].map(str::to_owned).to_vec(),
        }
    }

    pub(crate) fn command(&self, words: &[String]) -> std::process::Command {
        let mut command = host::command(&self.build.program(), &self.build.home(), &self.work(), words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it, or goes on with it.
    pub(crate) fn start(&self, active: &Active, disturb: Disturb) -> Result<Ended, String> {
        host::run(&mut self.command(&self.words(active)), disturb)
    }

    /// Sees what the journal holds after a start, takes down what a client was told, and settles doubt by what the counter
    /// knows.
    pub(crate) fn settle(&mut self, active: &mut Active, ended: &Ended) -> Result<Left, String> {
        self.settle_after(active, ended, Faults::None)
    }

    /// The same where something may have been made to fail.
    pub(crate) fn settle_after(&mut self, active: &mut Active, ended: &Ended, faults: Faults) -> Result<Left, String> {
        let standings = self.name(active)?;
        self.settle_seen(active, ended, &standings, faults)
    }

    /// The same by what the journal was seen to hold.
    fn settle_seen(
        &mut self,
        active: &Active,
        ended: &Ended,
        standings: &[Standing],
        faults: Faults,
    ) -> Result<Left, String> {
        self.take_down(ended)?;
        let mine = standings.iter().find(|standing| Some(&standing.run) == active.run.as_ref());
        if let Some(complete) = mine.filter(|mine| mine.stop.as_deref() == Some("completed")) {
            // Also where the host was killed after it had recorded the end and before it could say so.
            return self.complete(active, complete.answer.as_deref().unwrap_or_default()).map(|()| Left::Complete);
        }
        match ended.code() {
            // By the kill, or by a request to stop that came before the host listened for one.
            None if ended.was_killed() || ended.status.signal() == Some(TERMINATED) => Ok(Left::Open),
            Some(CANCELLED) => Ok(Left::Open),
            Some(STORE_FULL) if faults == Faults::Injected => Ok(Left::Open),
            Some(SUSPENDED_APPROVAL) if active.workload.may_ask() => {
                self.approve(active, standings)?;
                Ok(Left::Open)
            }
            Some(SUSPENDED_DOUBT) if active.workload.may_doubt() => {
                self.resolve(active, standings)?;
                Ok(Left::Open)
            }
            None if faults == Faults::Injected => Ok(Left::Open),
            Some(FAILED) if faults == Faults::Injected && ended.err.contains("error") => Ok(Left::Open),
            _ => Err(format!("{} ended with {}: {}{}", active.workload.name(), ended.status, ended.out, ended.err)),
        }
    }

    /// Sees what the journal holds, and which of its runs this is.
    pub(crate) fn name(&mut self, active: &mut Active) -> Result<Vec<Standing>, String> {
        let standings = self.observe()?;
        if active.run.is_none() {
            // Only one run is open at a time: a new one is the last.
            let new =
                standings.last().filter(|last| !self.compared.contains_key(&last.run) && self.is_mine(last, active));
            active.run = new.map(|standing| standing.run.clone());
        }
        self.compare_later(active);
        Ok(standings)
    }

    /// The run whose script has the tag: a script's name is in the run's first event.
    fn is_mine(&self, standing: &Standing, active: &Active) -> bool {
        self.judge.mentions(&standing.run, &format!("{}.toml", active.tag))
    }

    /// From now on the run is compared with the undisturbed one of its kind.
    fn compare_later(&mut self, active: &Active) {
        let (Some(run), Some(learnt)) = (&active.run, self.references.get(&active.workload)) else { return };
        if !self.compared.contains_key(run) {
            self.compared.insert(run.clone(), learnt.reference.renamed(&learnt.tag, &active.tag));
        }
    }

    /// Every run as the journal has it now. A client that has seen that may rely on it.
    pub(crate) fn observe(&mut self) -> Result<Vec<Standing>, String> {
        if !self.journal().exists() {
            return Ok(Vec::new());
        }
        let standings = self.judge.standings()?;
        if let Some(last) = standings.last() {
            let Standing { run, seq, hash, epoch, .. } = last.clone();
            self.acknowledge(&Ack::Seen { run, seq, hash, epoch })?;
        }
        Ok(standings)
    }

    fn take_down(&mut self, ended: &Ended) -> Result<(), String> {
        let Some(json) = ended.json() else { return Ok(()) };
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let spent = |name: &str| json.pointer(&format!("/spent/{name}")).and_then(Value::as_u64).unwrap_or(0);
        let (Some(run), Some(stop)) = (text("run"), text("stop")) else { return Ok(()) };
        let spent = Spent {
            turns: spent("turns"),
            tool_calls: spent("tool_calls"),
            input_tokens: spent("input_tokens"),
            output_tokens: spent("output_tokens"),
            fuel: spent("fuel"),
        };
        self.acknowledge(&Ack::Ended { run, stop, answer: text("answer"), spent })
    }

    fn acknowledge(&mut self, ack: &Ack) -> Result<(), String> {
        let line = serde_json::to_string(ack).map_err(|error| error.to_string())? + "\n";
        self.acks.write_all(line.as_bytes()).map_err(|error| error.to_string())
    }

    /// The answer must be that of the undisturbed run, but for requests that did not get their answer while their host was stopped.
    fn complete(&self, active: &Active, answer: &str) -> Result<(), String> {
        let Some(learnt) = self.references.get(&active.workload) else { return Ok(()) };
        let expected = learnt.answer.replace(&learnt.tag, &active.tag);
        let may_be = (self.notes == Notes::None).then_some(TOO_LONG);
        match difference(answer, &expected, may_be) {
            None => Ok(()),
            Some(how) => {
                Err(format!("{}: the answer is not that of the undisturbed run\n{how}", active.workload.name()))
            }
        }
    }

    /// A person says yes to all that the run waits for.
    fn approve(&self, active: &Active, standings: &[Standing]) -> Result<(), String> {
        let (run, standing) = mine(active, standings)?;
        if standing.waiting.is_empty() {
            return Err(format!("run {run} is suspended for an approval that no call waits for"));
        }
        for call in &standing.waiting {
            let words = ["approve", run, &call.to_string(), "--yes"].map(str::to_owned);
            let said = host::run(&mut self.command(&words), Disturb::Nothing)?;
            if said.code() != Some(0) {
                return Err(format!("call {call} cannot be approved: {}{}", said.out, said.err));
            }
        }
        Ok(())
    }

    /// A person looks at the counter and says what is true: it happened, or it did not and may be done again.
    fn resolve(&self, active: &Active, standings: &[Standing]) -> Result<(), String> {
        let (run, standing) = mine(active, standings)?;
        let hits = self.counter.hits()?;
        let answer = self.folder.path().join("happened.json");
        let text = format!("{{\"status\":200,\"location\":null,\"body\":\"{ANSWER}\"}}");
        std::fs::write(&answer, text).map_err(|error| error.to_string())?;
        if standing.in_doubt.is_empty() {
            return Err(format!("run {run} is suspended for a doubt that no call has"));
        }
        for (call, urls) in &standing.in_doubt {
            if urls.is_empty() {
                return Err(format!("call {call} of run {run} is in doubt and had announced nothing that leaves"));
            }
            let happened = hits.iter().any(|hit| urls.contains(&hit.url));
            let mut words = ["journal", "resolve", run, &call.to_string()].map(str::to_owned).to_vec();
            if happened {
                words.extend(["--happened".to_owned(), answer.display().to_string()]);
            } else {
                words.push("--retry".to_owned());
            }
            let said = host::run(&mut self.command(&words), Disturb::Nothing)?;
            if said.code() != Some(0) {
                return Err(format!("a doubt cannot be resolved: {}{}", said.out, said.err));
            }
        }
        Ok(())
    }

    /// Lets the run go on to its end with nothing in its way.
    pub(crate) fn finish(&mut self, mut active: Active) -> Result<(), String> {
        for _ in 0..SUSPENSIONS_MAX {
            let (started, restarted) = (Instant::now(), active.run.clone());
            let ended = self.start(&active, Disturb::Nothing)?;
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let standings = self.name(&mut active)?;
            if let Some(run) = restarted {
                // By the journal: a host that ends and leaves its run open has not brought it anywhere.
                let settled = standings.iter().any(|standing| standing.run == run && standing.stop.is_some());
                self.acknowledge(&Ack::Restarted { run, took_ms, settled })?;
            }
            if self.settle_seen(&active, &ended, &standings, Faults::None)? == Left::Complete {
                return Ok(());
            }
        }
        Err(format!("{} was suspended {SUSPENSIONS_MAX} times", active.workload.name()))
    }

    /// From now on another journal is judged: what was told and counted so far is not of it.
    pub(crate) fn turn_to_new_journal(&mut self) -> Result<(), String> {
        self.compared.clear();
        self.judge.forget();
        self.foreign_hits = self.counter.hits()?.len();
        self.acks.set_len(0).map_err(|error| error.to_string())
    }

    /// Judges everything so far, by what stands in the file: at the end of a store.
    pub(crate) fn check_whole(&mut self) -> Result<(), String> {
        self.judge.forget();
        self.check()
    }

    /// Judges everything so far, and reads no run again that has not changed.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !self.journal().exists() {
            return Ok(());
        }
        let key = std::fs::read(self.build.home().join("host.key")).ok().and_then(|key| key.try_into().ok());
        let evidence = Evidence {
            acks: lines(&self.folder.path().join("acks.jsonl"))?,
            hits: Some(self.counter.hits()?.split_off(self.foreign_hits)),
            references: self.compared.clone(),
            host_key: key,
        };
        let found = self.judge.check(&evidence);
        match found.first() {
            None => Ok(()),
            Some(first) => Err(format!("{first}\n  and {} more", found.len() - 1)),
        }
    }

    /// Leaves the folder where it is, for a person to look at.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

/// The run among all, which is suspended and so has a name.
fn mine<'s>(active: &'s Active, standings: &'s [Standing]) -> Result<(&'s str, &'s Standing), String> {
    let run = active.run.as_ref().ok_or("a run without a name is suspended")?;
    let standing = standings.iter().find(|standing| standing.run == *run).ok_or("the run is gone")?;
    Ok((run, standing))
}
