//! The runs of a server: each is locked to the tools that are served when it begins, and records the calls of all clients. Also
//! the end of those that an earlier server left in the middle. `commands/mcp.rs` makes the surroundings once.

use std::path::PathBuf;
use std::sync::Arc;

use agent_core::budget::Budget;
use agent_core::config::authority::Authority;
use agent_core::hardening::Hardening;
use agent_core::metadata::Metadata;
use agent_core::name::RunId;
use agent_core::run_events::{DoubtPolicy, Durability, LockedTool, Record, RunResumed, RunStarted, Strictness};
use agent_core::session::Earlier;
use agent_core::state::State;
use agent_core::units::{Fuel, Millis};
use agent_sandbox::Sandbox;
use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::desk::Begun;
use super::offer::{Naming, Offer};
use super::tool_set::Tools;
use crate::boot;
use crate::clock;
use crate::commands::taking;
use crate::components::Components;
use crate::driver::ports::Ports;
use crate::driver::recorder::Recorder;
use crate::driver::serving;
use crate::hardening::kept::Widening;
use crate::journal::Journal;
use crate::journal::lease::TakeOver;
use crate::journal::log::Durable;
use crate::journal::runs::{RunStatus, Wanted};
use crate::keyring::Keyring;
use crate::person::Person;
use crate::reporter::{Reporter, Voice};
use crate::secret_values::SecretValues;
use crate::signing::SigningKey;
use crate::strict;
use crate::toolset::{self, Unloaded};
use crate::trace::Telemetry;

/// The agent's name in the records of servers.
const AGENT: &str = "mcp";
/// Runs of earlier servers that are brought to an end when one starts. Each that was killed leaves one.
const LEFT_BEHIND_MAX: usize = 100;

/// The runs that servers left in the middle. Whoever of them lives is left alone.
///
/// # Errors
/// Where the journal cannot be read.
pub fn left_in_the_middle(journal: &dyn Journal) -> anyhow::Result<Vec<RunId>> {
    let summaries = journal.runs(&Wanted::default(), LEFT_BEHIND_MAX)?.into_iter();
    let left = summaries.filter(|summary| {
        let is_ours = summary.began.as_ref().is_some_and(|began| began.agent.as_str() == AGENT);
        is_ours && summary.status == RunStatus::Interrupted
    });
    Ok(left.map(|summary| summary.run).collect())
}

/// The same, as they stand. One that cannot be read, or is a stranger's, keeps no server from serving; `agent-host ls` shows it.
///
/// # Errors
/// Where the journal cannot be read.
pub fn left_behind(journal: &dyn Journal) -> anyhow::Result<Vec<State>> {
    let left = left_in_the_middle(journal)?.into_iter();
    Ok(left.filter_map(|run| taking::look(journal, &run).ok()).filter(State::is_served).collect())
}

/// What every run of a server shares.
pub struct Surroundings {
    /// Where calls are made.
    pub sandbox: Arc<Sandbox>,
    /// Where they are recorded.
    pub journal: Arc<dyn Journal>,
    /// What confines this process.
    pub hardening: Hardening,
    /// What the record survives.
    pub durability: Durability,
    /// How much is given up for a smaller surface.
    pub strictness: Strictness,
    /// How much of each call is kept.
    pub record: Record,
    /// How much is said on standard error.
    pub voice: Voice,
    /// Where an operator's answers would be saved.
    pub saved_policy: PathBuf,
    /// What the desktop's keyring had when the server began.
    pub keyring: Keyring,
    /// What signs the end of each run.
    pub signing: Option<Arc<SigningKey>>,
    /// Where each run is sent while clients call.
    pub telemetry: Telemetry,
    /// Ends everything.
    pub stop: CancellationToken,
}

impl Surroundings {
    /// Loads tools and locks them to what they may do under `rules`.
    ///
    /// # Errors
    /// Where one cannot be loaded, or a rule exceeds what it asks for.
    pub fn tools(&self, tools: Vec<Unloaded>, rules: &[Authority], naming: Naming) -> anyhow::Result<Tools> {
        let tools = self.locked(toolset::load_all(&self.sandbox, tools)?, rules, naming)?;
        // Their run begins with the values: where one is missing, what was served before goes on.
        self.secrets(&tools.locked)?;
        Ok(tools)
    }

    fn secrets<'t>(&self, tools: impl IntoIterator<Item = &'t LockedTool>) -> anyhow::Result<SecretValues> {
        SecretValues::read(tools.into_iter().map(|tool| &tool.authority.grant), &self.keyring)
    }

    fn locked(&self, loaded: Vec<toolset::Loaded>, rules: &[Authority], naming: Naming) -> anyhow::Result<Tools> {
        let locked = toolset::lock(&loaded, rules)?;
        for component in &loaded {
            let of_it = locked.iter().filter(|tool| tool.component == component.component.digest);
            strict::check(self.strictness, component, of_it.map(|tool| &tool.authority))?;
        }
        let offer = Offer::new(&locked, naming)?;
        Ok(Tools { locked, loaded, offer })
    }

    /// Of what is served, the tools whose components are still there as they were: what its operator takes away is not served
    /// any more, whatever is wrong with the rest. `None` where that is all of it, and `rules` let it do the same as before.
    ///
    /// # Errors
    /// Where these cannot be locked.
    pub fn still_there(&self, served: &Tools, rules: &[Authority], naming: Naming) -> anyhow::Result<Option<Tools>> {
        let there: Vec<_> = served.loaded.iter().filter(|loaded| toolset::is_unchanged(loaded)).cloned().collect();
        let tools = self.locked(there, rules, naming)?;
        if tools.locked == served.locked {
            return Ok(None);
        }
        // The run of fewer begins with the values that can be read now.
        let has_values = |loaded: &&toolset::Loaded| {
            self.secrets(tools.locked.iter().filter(|tool| tool.component == loaded.component.digest)).is_ok()
        };
        let left = tools.loaded.iter().filter(has_values).cloned().collect();
        self.locked(left, rules, naming).map(Some)
    }

    /// Records the start of a run, with the bytes of every component that it is locked to, and begins to send it.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn begin(&self, tools: &Tools) -> anyhow::Result<Begun> {
        for component in &tools.loaded {
            self.journal.put_blob(&component.bytes)?;
        }
        let started = RunStarted {
            agent: AGENT.parse()?,
            agent_file: None,
            instructions: String::new(),
            input: "calls of clients, by the Model Context Protocol".to_owned(),
            models: Vec::new(),
            tools: tools.locked.clone(),
            budget: unbounded(),
            durability: self.durability,
            strictness: self.strictness,
            doubt: DoubtPolicy::Ask,
            record: self.record,
            hardening: self.hardening.clone(),
            session: None,
            earlier: Earlier::default(),
            meta: Metadata::default(),
            forked_from: None,
        };
        let secrets = self.secrets(&tools.locked)?;
        let (log, first) = self.journal.start_run(clock::new_run()?, clock::now(), started)?;
        let recorder = Recorder::new(log, State::begin(&first)?);
        let ports = Arc::new(self.ports(recorder, Components::of(&tools.loaded), secrets));
        let exporting = self.telemetry.begin(&first.run);
        Ok(Begun::new(ports, exporting))
    }

    /// Brings a run to an end whose server was killed: what its calls had changed is undone, what they may have sent is put in
    /// doubt, and nothing is made again, since nobody waits for it.
    ///
    /// # Errors
    /// Where it cannot be taken over, or not be brought to an end.
    pub async fn bring_to_an_end(&self, run: &RunId) -> anyhow::Result<()> {
        let (events, log) = self.journal.resume_run(run, TakeOver::IfDead)?;
        let Some(state) = State::fold(&events)? else { return Ok(()) };
        let components = Components::of_run(&*self.journal, &self.sandbox, &state.started.tools)?;
        let secrets = SecretValues::read([], &self.keyring)?;
        let budget = state.budget.clone();
        let recorder = Recorder::new(log, state);
        let (hardening, repaired) = (self.hardening.clone(), self.journal.cut_off());
        let resumed = RunResumed { budget, hardening, boot: boot::known(), repaired };
        recorder.record(resumed, Durable::Now)?;
        let ports = Arc::new(self.ports(recorder, components, secrets));
        let ended = serving::wind_up(&ports).await.with_context(|| format!("run {run} of an earlier server"))?;
        ports.reporter.note(&format!("run {run} of an earlier server was brought to an end: {}", ended.stop));
        Ok(())
    }

    fn ports(&self, recorder: Recorder, components: Components, secrets: SecretValues) -> Ports {
        Ports {
            recorder,
            journal: Arc::clone(&self.journal),
            sandbox: Arc::clone(&self.sandbox),
            components,
            secrets,
            models: Vec::new(),
            person: Person::nobody(),
            reporter: Reporter::new(self.voice),
            saved_policy: self.saved_policy.clone(),
            cancel: self.stop.clone(),
            asked: Default::default(),
            widening: Widening::Never,
            mounts: Default::default(),
            schemas: Default::default(),
            callers: Default::default(),
            signing: self.signing.clone(),
        }
    }
}

/// Each call has its limits; a server has as many as clients ask for.
fn unbounded() -> Budget {
    Budget { turns: 0, tool_calls: u32::MAX, tokens: None, fuel: Fuel(u64::MAX), time: Millis(u64::MAX) }
}
