//! The guests' own tokio runtime: whatever guests do, the timers, servers and journal of the host run elsewhere. A short call
//! may begin and end on its caller's thread: `pace` says when. What a task logs belongs to its caller's spans.

use std::future::{Future, poll_fn};
use std::io;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tracing::Instrument as _;

use crate::pace::{Lent, Pace};

/// Polls between two looks at the timers. tokio's 61 make a deadline 3 to 5 ms late when guests are busy; 4 makes it 1 ms.
const EVENT_INTERVAL: u32 = 4;

/// Threads for host functions that block. Most file work runs inline; these serve name lookup and stream writes.
const BLOCKING_THREADS_MAX: usize = 16;

/// Most worker threads. More guests than workers take turns by fuel.
const WORKERS_MAX: usize = 16;

/// How long an idle blocking thread stays: not long, so that thread counts return to the baseline.
const BLOCKING_THREAD_IDLE: Duration = Duration::from_secs(1);

/// Runs guests. Dropping it cancels what still runs and never waits for it.
pub(crate) struct GuestRuntime {
    /// Present until dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl GuestRuntime {
    pub(crate) fn start() -> io::Result<Self> {
        let workers = thread::available_parallelism().map_or(2, usize::from).clamp(2, WORKERS_MAX);
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_keep_alive(BLOCKING_THREAD_IDLE)
            .event_interval(EVENT_INTERVAL)
            .thread_name("guest")
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// For a thread of a guest's own, which then shares the timers.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `task` beside the caller's runtime.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(task.in_current_span())
    }

    /// Runs `task` to its end: all of it beside the caller's runtime, or, where the caller's thread is lent, here until it
    /// first waits or yields.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lent: &Lent,
        pace: &Pace,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Panicked> {
        let mut task = Box::pin(AssertUnwindSafe(task).catch_unwind());
        if lent.is_lent() {
            let first = poll_fn(|context| {
                // Timers and tasks that it starts are the guests' runtime's from the beginning.
                let _guests = self.handle.enter();
                Poll::Ready(task.as_mut().poll(context))
            });
            // Without the caller's budget of cooperation: a caller that makes one call after the other would use it up, and a
            // guest that has not waited would seem to.
            if let Poll::Ready(ended) = unconstrained(first).await {
                return ended.map_err(|_| Panicked);
            }
            pace.was_not_short();
            lent.give_back();
        }
        match self.handle.spawn(task.in_current_span()).await {
            Ok(Ok(ended)) => Ok(ended),
            Ok(Err(_)) | Err(_) => Err(Panicked),
        }
    }

    /// Runs `task` and waits for it. For threads that may block; nothing when the task panicked.
    pub(crate) fn wait<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        let sent = async move {
            // Nobody waits any more only if the caller's thread is gone.
            let _ = send.send(task.await);
        };
        self.handle.spawn(sent.in_current_span());
        receive.recv().ok()
    }
}

/// A task ended by a defect of the host, which was reported where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task panicked")]
pub(crate) struct Panicked;

impl Drop for GuestRuntime {
    /// A plain drop of a runtime waits for its blocking threads, and panics inside another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::pace::Begin;

    #[tokio::test]
    async fn dropping_it_inside_another_runtime_does_not_wait() -> io::Result<()> {
        let guests = GuestRuntime::start()?;
        guests.handle.spawn_blocking(|| thread::sleep(Duration::from_secs(3)));
        guests.spawn(std::future::pending::<()>());
        let started = Instant::now();
        drop(guests);
        assert!(started.elapsed() < Duration::from_secs(1));
        Ok(())
    }

    fn thread_name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn a_task_begins_where_it_is_told_and_never_waits_here() -> io::Result<()> {
        let (guests, pace) = (GuestRuntime::start()?, Pace::default());
        let own = thread_name();
        let run = async |begin, wait: Option<Duration>| {
            let lent = Lent::begin(begin);
            let ended = guests.run(&lent, &pace, async move {
                let first = thread_name();
                if let Some(wait) = wait {
                    tokio::time::sleep(wait).await;
                }
                (first, thread_name())
            });
            (ended.await, lent.is_lent())
        };
        let guest = Some("guest".to_owned());
        assert_eq!(run(Begin::Here, None).await, (Ok((own.clone(), own.clone())), true));
        assert_eq!(pace.begin(), Begin::Here);
        assert_eq!(run(Begin::Elsewhere, None).await, (Ok((guest.clone(), guest.clone())), false));
        assert_eq!(run(Begin::Here, Some(Duration::from_millis(1))).await, (Ok((own, guest)), false));
        assert_eq!(pace.begin(), Begin::Elsewhere, "it waited");
        Ok(())
    }

    #[tokio::test]
    async fn a_panic_on_the_callers_thread_is_not_the_callers() -> io::Result<()> {
        let (guests, pace) = (GuestRuntime::start()?, Pace::default());
        for begin in [Begin::Here, Begin::Elsewhere] {
            let lent = Lent::begin(begin);
            let ended = guests.run(&lent, &pace, async { unreachable!("on purpose") });
            assert_eq!(ended.await, Err::<(), _>(Panicked));
        }
        Ok(())
    }

    #[test]
    fn a_panic_is_not_the_callers() -> io::Result<()> {
        let guests = GuestRuntime::start()?;
        assert_eq!(guests.wait(async { 1 }), Some(1));
        assert_eq!(guests.wait(async { unreachable!("on purpose") }), None::<()>);
        assert_eq!(guests.wait(async { 2 }), Some(2));
        Ok(())
    }
}
