//! What is served, and the run that records it. Every call of every client goes through here: it is one run, so that calls
//! which share files or stores keep their order whoever asks for them, and each is recorded before it is answered.
//!
//! A run is locked to one set of tools, and it does not grow for ever: where tools change, or it has many calls, it ends when
//! nothing is under way, and the next one begins.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::sync::atomic::{AtomicU64, Ordering};

use agent_core::client_events::{Client, ToolProposed};
use agent_core::outcome::{RefusedCall, ToolOutcome};
use anyhow::Context;
use rmcp::model::{CallToolResult, ContentBlock, Tool};
use tokio::sync::{Mutex, RwLock, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer;
use super::offer::Offer;
use crate::driver::callers::Line;
use crate::driver::ports::Ports;
use crate::driver::serving;
use crate::trace::Exporting;

/// Calls that are taken and have no answer yet, of all clients together. Eight of them run at once; what is beyond is told to
/// try again, so that a flood costs no memory.
const CALLS_TAKEN_MAX: usize = 256;
/// Calls of one run, after which the next run begins as soon as nothing is under way. Who looks at a run reads all of it.
const CALLS_PER_RUN: u64 = 1_000;
/// Calls of one run at most: new ones wait until the next one has begun. A server that is never idle must not grow one for ever.
const CALLS_PER_RUN_MAX: u64 = 10_000;

/// Begins the next run with what is served now.
pub type Begin = Box<dyn Fn(Arc<Tools>) -> anyhow::Result<Begun> + Send + Sync>;

/// A run that has begun, and is on its way to the collectors.
pub struct Begun {
    /// What drives its calls.
    ports: Arc<Ports>,
    /// What sends it, until it has ended.
    exporting: StdMutex<Option<Exporting>>,
}

/// A set of tools, loaded and locked.
pub struct Tools {
    /// What runs are locked to.
    pub locked: Vec<agent_core::run_events::LockedTool>,
    /// The components, with their bytes for the record.
    pub loaded: Vec<crate::toolset::Loaded>,
    /// How clients see them.
    pub offer: Offer,
}

/// Serves tools to clients.
pub struct Server {
    desk: RwLock<Desk>,
    begin: Begin,
    calls: AtomicU64,
    taken: Semaphore,
    /// The tools that are served. Apart from the desk: who only lists them waits for no call.
    served: watch::Sender<Arc<Tools>>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// Why nothing can be served any more.
    failure: Mutex<Option<anyhow::Error>>,
    /// The last of runs that have ended, on its way to the collectors.
    leaving: Mutex<JoinSet<()>>,
}

/// What is served at the moment. Held by each call while it goes on; whoever wants to change it waits for them.
struct Desk {
    run: Arc<Begun>,
    tools: Arc<Tools>,
}

/// What becomes of a wish for a call.
pub enum Answered {
    /// The call was made, or refused: the client reads why.
    Result(CallToolResult),
    /// There is no tool of that name.
    UnknownTool,
    /// The host cannot go on.
    Ended,
}

impl Server {
    /// Serves `tools` from now on, and begins their first run.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn open(tools: Tools, begin: Begin, stop: CancellationToken) -> anyhow::Result<Self> {
        let tools = Arc::new(tools);
        let run = Arc::new(begin(Arc::clone(&tools))?);
        Ok(Self {
            served: watch::Sender::new(Arc::clone(&tools)),
            desk: RwLock::new(Desk { run, tools }),
            begin,
            calls: AtomicU64::new(0),
            taken: Semaphore::new(CALLS_TAKEN_MAX),
            stop,
            failure: Mutex::new(None),
            leaving: Mutex::default(),
        })
    }

    /// The tools as clients see them.
    pub fn list(&self) -> Vec<Tool> {
        self.served.borrow().offer.tools().to_vec()
    }

    /// What is served now.
    pub fn tools(&self) -> Arc<Tools> {
        Arc::clone(&self.served.borrow())
    }

    /// Hears when the tools change.
    pub fn changes(&self) -> watch::Receiver<Arc<Tools>> {
        self.served.subscribe()
    }

    /// Calls that are under way or wait for their turn.
    pub fn calls_taken(&self) -> usize {
        CALLS_TAKEN_MAX - self.taken.available_permits()
    }

    /// Makes a call for a client, who is told of it on `line`.
    pub async fn call(&self, name: &str, arguments: String, client: Client, line: Line) -> Answered {
        let Ok(_place) = self.taken.try_acquire() else { return Answered::Result(overloaded()) };
        let served = self.serve(name, arguments, client, line).await;
        match served {
            Ok(served) if is_unknown(&served.outcome) => Answered::UnknownTool,
            Ok(served) => Answered::Result(answer::of(&served)),
            Err(error) => {
                self.fail(error).await;
                Answered::Ended
            }
        }
    }

    /// Nothing can be served any more.
    pub async fn fail(&self, error: anyhow::Error) {
        tracing::error!(error = format!("{error:#}"), "the server cannot go on");
        self.failure.lock().await.get_or_insert(error);
        self.stop.cancel();
    }

    async fn serve(
        &self,
        name: &str,
        arguments: String,
        client: Client,
        line: Line,
    ) -> anyhow::Result<serving::Served> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= CALLS_PER_RUN {
            self.turn_over().await?;
        }
        let desk = self.desk.read().await;
        let proposed = ToolProposed { tool: desk.tools.offer.wire(name).to_owned(), arguments, client };
        serving::serve(&desk.run.ports, proposed, line).await
    }

    /// Begins the next run where the last one has many calls.
    async fn turn_over(&self) -> anyhow::Result<()> {
        let desk = match self.desk.try_write() {
            Ok(desk) => desk,
            Err(_) if self.calls.load(Ordering::Relaxed) < CALLS_PER_RUN_MAX => return Ok(()),
            Err(_) => self.desk.write().await,
        };
        // Somebody else may have been faster.
        if self.calls.load(Ordering::Relaxed) < CALLS_PER_RUN {
            return Ok(());
        }
        let tools = Arc::clone(&desk.tools);
        self.replace(desk, tools).await
    }

    /// Serves other tools from now on, once what is under way has ended, and tells every client.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub async fn change(&self, tools: Tools) -> anyhow::Result<()> {
        let (desk, tools) = (self.desk.write().await, Arc::new(tools));
        self.replace(desk, Arc::clone(&tools)).await?;
        self.served.send_replace(tools);
        Ok(())
    }

    async fn replace(
        &self,
        mut desk: tokio::sync::RwLockWriteGuard<'_, Desk>,
        tools: Arc<Tools>,
    ) -> anyhow::Result<()> {
        self.end(&desk.run).await?;
        let run = Arc::new((self.begin)(Arc::clone(&tools))?);
        self.calls.store(0, Ordering::Relaxed);
        let ended = std::mem::replace(&mut *desk, Desk { run, tools }).run;
        // Calls do not wait for a collector.
        let mut leaving = self.leaving.lock().await;
        while leaving.try_join_next().is_some() {}
        leaving.spawn(async move { ended.leave().await });
        Ok(())
    }

    async fn end(&self, run: &Begun) -> anyhow::Result<()> {
        let ended = serving::wind_up(&run.ports).await.context("the server's run could not be ended")?;
        if let Some(key) = &run.ports.signing {
            run.ports.recorder.sign(key).context("the end of the run could not be signed")?;
        }
        tracing::info!(stop = %ended.stop, "served");
        Ok(())
    }

    /// Whether there is a tool of that name, and its schema where there is.
    pub fn tool(&self, name: &str) -> Option<Tool> {
        self.served.borrow().offer.tool(name).cloned()
    }

    /// Ends the run, once the clients are gone.
    ///
    /// # Errors
    /// Where nothing could be served any more, or the end cannot be recorded.
    pub async fn close(&self) -> anyhow::Result<()> {
        if let Some(failure) = self.failure.lock().await.take() {
            return Err(failure);
        }
        let desk = self.desk.write().await;
        self.end(&desk.run).await?;
        let mut leaving = std::mem::take(&mut *self.leaving.lock().await);
        let others = async { while leaving.join_next().await.is_some() {} };
        tokio::join!(desk.run.leave(), others);
        Ok(())
    }
}

impl Begun {
    /// A run that `exporting` sends.
    #[must_use]
    pub fn new(ports: Arc<Ports>, exporting: Exporting) -> Self {
        Self { ports, exporting: StdMutex::new(Some(exporting)) }
    }

    /// Sends the rest of it, now that it has ended, for a moment.
    async fn leave(&self) {
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(exporting) = exporting else { return };
        let run = self.ports.recorder.state().run.to_string();
        exporting.finish(&run, |line| self.ports.reporter.note(line)).await;
    }
}

fn is_unknown(outcome: &ToolOutcome) -> bool {
    matches!(outcome, ToolOutcome::Refused { reason: RefusedCall::UnknownTool, .. })
}

fn overloaded() -> CallToolResult {
    let name = RefusedCall::Overloaded;
    let text = format!("refused ({name}): more than {CALLS_TAKEN_MAX} calls wait for an answer; try again in a moment");
    CallToolResult::error(vec![ContentBlock::text(text)])
}
