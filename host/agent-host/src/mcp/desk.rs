//! One run of a server, as its calls see it: who is under way in it, and by which tools. A desk that was left takes no more calls,
//! and ends its run once those that it took have ended. `server` says which desk is open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::config::resolve::ToolAuthority;
use agent_core::serving::take_turns;
use anyhow::Context;
use tokio::sync::{Notify, watch};

use super::tool_set::Tools;
use crate::driver::ports::Ports;
use crate::driver::serving;
use crate::trace::Exporting;

/// A run that has begun, and is on its way to the collectors.
pub struct Begun {
    /// What drives its calls.
    ports: Arc<Ports>,
    /// What sends it, until it has ended.
    exporting: Mutex<Option<Exporting>>,
}

/// A run with its tools and its calls.
pub struct Desk {
    run: Begun,
    /// What the run is locked to.
    pub tools: Arc<Tools>,
    /// Calls that it ever took.
    taken: AtomicU64,
    /// The calls that have no answer yet, each by the place of its tool; `None` where there is none of that name.
    under_way: watch::Sender<Vec<Option<usize>>>,
}

/// The place of a call at a desk, until it has its answer.
pub struct Place {
    desk: Arc<Desk>,
    tool: Option<usize>,
    /// Hears that it is free again.
    freed: Arc<Notify>,
}

impl Begun {
    /// A run that `exporting` sends.
    #[must_use]
    pub fn new(ports: Arc<Ports>, exporting: Exporting) -> Self {
        Self { ports, exporting: Mutex::new(Some(exporting)) }
    }
}

impl Desk {
    /// A desk for a run that is locked to `tools`.
    #[must_use]
    pub fn new(run: Begun, tools: Arc<Tools>) -> Self {
        Self { run, tools, taken: AtomicU64::new(0), under_way: watch::Sender::default() }
    }

    /// Takes a call of the tool at `tool`.
    #[must_use]
    pub fn take(self: &Arc<Self>, tool: Option<usize>, freed: &Arc<Notify>) -> Place {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.under_way.send_modify(|calls| calls.push(tool));
        Place { desk: Arc::clone(self), tool, freed: Arc::clone(freed) }
    }

    /// Calls that it ever took.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Calls that have no answer yet.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.borrow().len()
    }

    /// Whether a call with this authority in a later run waits for one here: in one run the two would take turns.
    #[must_use]
    pub fn holds_up(&self, later: &ToolAuthority) -> bool {
        let calls = self.under_way.borrow();
        calls.iter().flatten().any(|tool| take_turns(later, &self.tools.locked[*tool].authority))
    }

    /// Waits until every call has its answer.
    pub async fn emptied(&self) {
        // The sender is here, and lives.
        let _ = self.under_way.subscribe().wait_for(Vec::is_empty).await;
    }

    /// Ends the run.
    ///
    /// # Errors
    /// Where that cannot be recorded.
    pub async fn end(&self) -> anyhow::Result<()> {
        let ports = &self.run.ports;
        let ended = serving::wind_up(ports).await.context("the server's run could not be ended")?;
        if let Some(key) = &ports.signing {
            ports.recorder.sign(key).context("the end of the run could not be signed")?;
        }
        tracing::info!(stop = %ended.stop, "served");
        Ok(())
    }

    /// Sends the rest of a run that has ended, for a moment.
    pub async fn leave(&self) {
        let exporting = self.run.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(exporting) = exporting else { return };
        let ports = &self.run.ports;
        let run = ports.recorder.state().run.to_string();
        exporting.finish(&run, |line| ports.reporter.note(line)).await;
    }
}

impl Place {
    /// What drives the call.
    #[must_use]
    pub fn ports(&self) -> &Arc<Ports> {
        &self.desk.run.ports
    }

    /// The tools that it may be of.
    #[must_use]
    pub fn tools(&self) -> &Arc<Tools> {
        &self.desk.tools
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.under_way.send_modify(|calls| {
            if let Some(own) = calls.iter().position(|tool| *tool == self.tool) {
                calls.swap_remove(own);
            }
        });
        self.freed.notify_waiters();
    }
}
