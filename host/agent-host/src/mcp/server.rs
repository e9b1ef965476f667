//! What is served, and the runs that record it. Every call of every client goes through here: calls which share files or stores
//! keep their order whoever asks for them, and each is recorded before it is answered.
//!
//! A run is locked to one set of tools, and it does not grow for ever: where tools change, or it has many calls, the next one
//! begins at a desk of its own, and the last one ends once its calls have. Nobody else waits for these.

use std::collections::HashSet;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_core::client_events::{Client, ToolProposed};
use agent_core::machine::CONCURRENT_CALLS_MAX;
use agent_core::name::Name;
use agent_core::outcome::{RefusedCall, ToolOutcome};
use rmcp::model::{CallToolResult, ContentBlock, Tool};
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer;
use super::desk::{Begun, Desk, Place};
use super::tool_set::Tools;
use crate::driver::callers::Line;
use crate::driver::serving;

/// Calls that are taken and have no answer yet, of all clients together. Eight of them run at once; what is beyond is told to
/// try again, so that a flood costs no memory.
const CALLS_TAKEN_MAX: usize = 256;
/// Calls of one run, after which the next run begins as soon as nothing is under way. Who looks at a run reads all of it.
const CALLS_PER_RUN: u64 = 1_000;
/// Calls of one run at most: the next one begins then, whatever is under way. A server that is never idle must not grow one for ever.
const CALLS_PER_RUN_MAX: u64 = 10_000;
/// How long the runs before the last one may take to end, once the server does: their calls have ended by then, and a collector is
/// given less.
const ENDING_WAIT: Duration = Duration::from_secs(5);

/// Begins the next run with what is served now.
pub type Begin = Box<dyn Fn(&Tools) -> anyhow::Result<Begun> + Send + Sync>;

/// Serves tools to clients.
pub struct Server {
    desks: StdMutex<Desks>,
    /// A call has its answer, or another desk is open: who waits for a place looks again.
    moved: Arc<Notify>,
    /// Held by who opens a desk.
    opening: Mutex<()>,
    begin: Begin,
    taken: Semaphore,
    /// The tools that are served.
    served: watch::Sender<Arc<Tools>>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// Why nothing can be served any more.
    failure: Mutex<Option<anyhow::Error>>,
    /// What brings the runs to their end whose desks were left.
    ending: StdMutex<JoinSet<()>>,
}

/// Where calls go.
struct Desks {
    /// Takes calls.
    open: Arc<Desk>,
    /// Those that take none any more, until their runs have ended.
    left: Vec<Arc<Desk>>,
    /// Components that have changed or are gone: they are not called any more. What becomes of them is being looked at.
    withheld: HashSet<Name>,
}

/// What becomes of a wish for a call.
pub enum Answered {
    /// The call was made, or refused: the client reads why.
    Result(CallToolResult),
    /// There is no tool of that name.
    UnknownTool,
    /// The tool is another one than that by which its request was let in.
    Changed,
    /// The host cannot go on.
    Ended,
}

/// A call as a client wishes it.
pub struct Wish<'n> {
    /// The tool, as clients name it.
    pub name: &'n str,
    /// The arguments, as they were written.
    pub arguments: String,
    /// Who asks.
    pub client: Client,
    /// How it calls its request.
    pub request: String,
    /// What was served when the headers of its request were held against it, where it has any.
    pub seen: Option<Arc<Tools>>,
}

impl Server {
    /// Serves `tools` from now on, and begins their first run.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn open(tools: Tools, begin: Begin, stop: CancellationToken) -> anyhow::Result<Self> {
        let tools = Arc::new(tools);
        let open = Arc::new(Desk::new(begin(&tools)?, Arc::clone(&tools)));
        Ok(Self {
            desks: StdMutex::new(Desks { open, left: Vec::new(), withheld: HashSet::new() }),
            moved: Arc::default(),
            opening: Mutex::default(),
            begin,
            taken: Semaphore::new(CALLS_TAKEN_MAX),
            served: watch::Sender::new(tools),
            stop,
            failure: Mutex::default(),
            ending: StdMutex::default(),
        })
    }

    /// The tools as clients see them.
    pub fn list(&self) -> Vec<Tool> {
        self.served.borrow().offer.tools().to_vec()
    }

    /// Whether there is a tool of that name, and its schema where there is.
    pub fn tool(&self, name: &str) -> Option<Tool> {
        self.served.borrow().offer.tool(name).cloned()
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
    pub async fn call(self: &Arc<Self>, wish: Wish<'_>, line: Line) -> Answered {
        let Ok(_taken) = self.taken.try_acquire() else { return Answered::Result(overloaded()) };
        let served = self.serve(wish, line).await;
        match served {
            Ok(Some(served)) if is_unknown(&served.outcome) => Answered::UnknownTool,
            Ok(Some(served)) => Answered::Result(answer::of(&served)),
            Ok(None) => Answered::Changed,
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

    /// Serves other tools from now on, and tells every client. Calls under way keep the tools that they began with.
    ///
    /// # Errors
    /// Where the run of these cannot be begun.
    pub async fn change(self: &Arc<Self>, tools: Tools) -> anyhow::Result<()> {
        let (_opening, tools) = (self.opening.lock().await, Arc::new(tools));
        self.open_desk(Arc::clone(&tools))?;
        self.served.send_replace(tools);
        Ok(())
    }

    /// Makes no new call of these components, until the tools have been looked at. Who asks for one waits for that.
    pub fn withhold(&self, components: HashSet<Name>) {
        self.desks().withheld = components;
        self.moved.notify_waiters();
    }

    /// Ends the runs, once the clients are gone.
    ///
    /// # Errors
    /// Where nothing could be served any more, or the end cannot be recorded.
    pub async fn close(&self) -> anyhow::Result<()> {
        let mut ending = std::mem::take(&mut *self.ending.lock().unwrap_or_else(PoisonError::into_inner));
        let before = async { while ending.join_next().await.is_some() {} };
        // What does not end is brought to an end by the next server.
        let before = tokio::time::timeout(ENDING_WAIT, before);
        let open = Arc::clone(&self.desks().open);
        let last = async {
            if self.failure.lock().await.is_none() {
                open.end().await?;
                open.leave().await;
            }
            anyhow::Ok(())
        };
        let (_, last) = tokio::join!(before, last);
        match self.failure.lock().await.take() {
            Some(failure) => Err(failure),
            None => last,
        }
    }

    /// Makes the call at a desk; `None` where the tool is another one by now.
    async fn serve(self: &Arc<Self>, wish: Wish<'_>, line: Line) -> anyhow::Result<Option<serving::Served>> {
        self.turn_over().await?;
        let place = self.place(wish.name, &line.cancel).await;
        let tools = place.tools();
        let has_other_headers =
            |seen: &Arc<Tools>| !Arc::ptr_eq(seen, tools) && tools.has_other_headers(seen, wish.name);
        if wish.seen.as_ref().is_some_and(has_other_headers) {
            return Ok(None);
        }
        let tool = tools.offer.wire(wish.name).to_owned();
        let proposed =
            ToolProposed { tool, arguments: wish.arguments, client: wish.client, request: Some(wish.request) };
        serving::serve(place.ports(), proposed, line).await.map(Some)
    }

    /// A place at the open desk, as soon as the call could begin there, or nobody waits for it any more.
    async fn place(&self, name: &str, given_up: &CancellationToken) -> Place {
        loop {
            // From here on nothing that happens is missed.
            let moved = self.moved.notified();
            if let Some(place) = self.free_place(name, given_up) {
                return place;
            }
            tokio::select! {
                () = moved => {}
                () = given_up.cancelled() => {}
            }
        }
    }

    fn free_place(&self, name: &str, given_up: &CancellationToken) -> Option<Place> {
        let desks = self.desks();
        let tool = desks.open.tools.find(name);
        // What is given up is recorded, and not made.
        (given_up.is_cancelled() || desks.can_begin(tool)).then(|| desks.open.take(tool, &self.moved))
    }

    /// Begins the next run where this one has many calls.
    async fn turn_over(self: &Arc<Self>) -> anyhow::Result<()> {
        if !self.desks().is_full() {
            return Ok(());
        }
        let _opening = self.opening.lock().await;
        // Somebody else may have been faster.
        let tools = {
            let desks = self.desks();
            desks.is_full().then(|| Arc::clone(&desks.open.tools))
        };
        tools.map_or(Ok(()), |tools| self.open_desk(tools))
    }

    /// Opens a desk for these tools. The one that was open ends its run once its calls have ended.
    fn open_desk(self: &Arc<Self>, tools: Arc<Tools>) -> anyhow::Result<()> {
        let next = Arc::new(Desk::new((self.begin)(&tools)?, tools));
        let last = self.desks().replace(next);
        self.moved.notify_waiters();
        let (server, mut ending) = (Arc::clone(self), self.ending.lock().unwrap_or_else(PoisonError::into_inner));
        while ending.try_join_next().is_some() {}
        ending.spawn(async move { server.end(last).await });
        Ok(())
    }

    async fn end(&self, desk: Arc<Desk>) {
        desk.emptied().await;
        if let Err(error) = desk.end().await {
            self.fail(error).await;
        }
        self.desks().left.retain(|left| !Arc::ptr_eq(left, &desk));
        self.moved.notify_waiters();
        desk.leave().await;
    }

    fn desks(&self) -> MutexGuard<'_, Desks> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desks {
    /// Whether a call of this tool of the open desk can begin: it is not withheld, and goes before no call of an earlier run. What there
    /// is not is refused at once.
    fn can_begin(&self, tool: Option<usize>) -> bool {
        let Some(tool) = tool.map(|tool| &self.open.tools.locked[tool]) else { return true };
        let is_next = || !self.left.iter().any(|desk| desk.holds_up(&tool.authority));
        !self.withheld.contains(&tool.authority.tool.component) && self.has_room() && is_next()
    }

    /// Of one run no more than some calls go on side by side, nor of several.
    fn has_room(&self) -> bool {
        let before: usize = self.left.iter().map(|desk| desk.under_way()).sum();
        before == 0 || before + self.open.under_way() < CONCURRENT_CALLS_MAX
    }

    fn is_full(&self) -> bool {
        let least = if self.open.under_way() == 0 { CALLS_PER_RUN } else { CALLS_PER_RUN_MAX };
        self.open.taken() >= least
    }

    /// Opens `next`, with nothing withheld; the desk that was left.
    fn replace(&mut self, next: Arc<Desk>) -> Arc<Desk> {
        let last = std::mem::replace(&mut self.open, next);
        self.left.push(Arc::clone(&last));
        self.withheld.clear();
        last
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
