//! Calls whose files are on a file system that may not answer: over a network, or kept by a program (FUSE). File work is done
//! inside host functions, and nothing stops a thread that waits in the kernel. So such a call has a thread of its own, and once
//! its time is over it is given up and reported, whatever the thread does. The gate is shut first: what the thread does later
//! is at most the one operation that it waits in. Called by `sandbox`.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use agent_core::limits::Limits;
use agent_core::outcome::ToolOutcome;
use agent_core::units::Millis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::call::CallReport;
use crate::effects::Effects;
use crate::invoke::Finished;
use crate::patience::Patience;
use crate::report;
use crate::runtime::GuestRuntime;
use crate::state::CallParts;

/// Most calls of one component that wait for such a file system at once, given up or not: each holds a thread and a slot.
const CALLS_MAX: usize = 4;

/// How long a call whose time is over may take to end by itself, as it does unless it waits for a file.
const GRACE: Duration = Duration::from_millis(100);

/// What a caller is told where all of a component's places are taken.
pub(crate) const ALL_WAITING: &str = "earlier calls of this tool still wait for a file system that does not answer";

/// The places of one component.
pub(crate) struct DistantCalls(Arc<Semaphore>);

impl Default for DistantCalls {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CALLS_MAX)))
    }
}

impl DistantCalls {
    /// A place, if one becomes free in time.
    pub(crate) async fn place(&self, wait: Duration) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(wait, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// What is watched of a call from outside its thread.
pub(crate) struct Watch {
    patience: Arc<Patience>,
    cancel: CancellationToken,
    effects: Arc<Effects>,
    limits: Limits,
}

/// What became of a call.
pub(crate) enum Settled {
    /// It ended.
    Ended(Box<wasmtime::Result<Finished>>),
    /// It waits for a file, and its time is over.
    GivenUp(Box<CallReport>),
}

impl Watch {
    /// Watches the call that is made of these parts.
    pub(crate) fn over(parts: &CallParts) -> Self {
        Self {
            patience: Arc::clone(&parts.patience),
            cancel: parts.cancel.clone(),
            effects: Arc::clone(&parts.effects),
            limits: parts.limits.clone(),
        }
    }

    /// Completes once the call should have ended and did not. A guest that is gone is not waited for here: what is left to do
    /// is the host's own work, which has a bound of its own.
    async fn overdue(&self) -> ToolOutcome {
        let outcome = tokio::select! {
            () = self.cancel.cancelled() => report::cancelled(),
            () = self.patience.expired() => report::deadline_exceeded(&self.limits),
        };
        tokio::time::sleep(GRACE).await;
        if self.patience.has_ended() {
            std::future::pending::<()>().await;
        }
        outcome
    }

    async fn give_up(&self, outcome: ToolOutcome) -> CallReport {
        self.effects.shut().await;
        let effects = self.effects.finish();
        let duration = u64::try_from(self.patience.active().as_millis()).unwrap_or(u64::MAX);
        report::given_up(outcome, effects, Millis(duration))
    }
}

/// Runs a guest on a thread of its own, for as long as its time lasts.
///
/// # Errors
/// Where no thread can be started, or the guest's own one panicked.
pub(crate) async fn run(
    guests: &GuestRuntime,
    place: OwnedSemaphorePermit,
    guest: impl Future<Output = wasmtime::Result<Finished>> + Send + 'static,
    watch: Watch,
) -> io::Result<Settled> {
    let (tell, told) = oneshot::channel();
    let guests = guests.handle().clone();
    thread::Builder::new().name("guest-distant".to_owned()).spawn(move || {
        let finished = guests.block_on(guest);
        // Nobody may be waiting any more.
        let _ = tell.send(finished);
        drop(place);
    })?;
    tokio::select! {
        biased;
        finished = told => match finished {
            Ok(finished) => Ok(Settled::Ended(Box::new(finished))),
            Err(_) => Err(io::Error::other("the guest's thread ended without a word")),
        },
        outcome = watch.overdue() => Ok(Settled::GivenUp(Box::new(watch.give_up(outcome).await))),
    }
}
