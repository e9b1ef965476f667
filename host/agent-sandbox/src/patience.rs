//! A deadline that stands still while a person is waited for. The capability hosts wrap the gate's decision in
//! [`Patience::waiting`]; `call` waits on [`Patience::expired`] beside the guest.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time that a call has left.
pub(crate) struct Patience {
    limit: Duration,
    started: Instant,
    waits: Mutex<Waits>,
    /// The guest is gone: what still goes on is the host's own work.
    ended: AtomicBool,
}

/// The time spent waiting for decisions. Waits of one call may overlap; overlapping time counts once.
#[derive(Default)]
struct Waits {
    open: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Patience {
    /// Starts the clock.
    pub(crate) fn start(limit: Duration) -> Self {
        Self { limit, started: Instant::now(), waits: Mutex::default(), ended: AtomicBool::new(false) }
    }

    /// Notes that the guest is gone.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the guest is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for `decision` without letting the deadline advance.
    pub(crate) async fn waiting<T>(&self, decision: impl Future<Output = T>) -> T {
        let _pause = Pause::begin(self);
        decision.await
    }

    /// Completes when the call has been active for its limit.
    pub(crate) async fn expired(&self) {
        while let Some(left) = self.left() {
            tokio::time::sleep(left).await;
        }
    }

    /// How long the call has been active.
    pub(crate) fn active(&self) -> Duration {
        let waited = self.waits.lock().map_or(Duration::ZERO, |waits| waits.until(Instant::now()));
        self.started.elapsed().saturating_sub(waited)
    }

    /// Whether the call has been active for its limit.
    pub(crate) fn is_over(&self) -> bool {
        self.left().is_none()
    }

    fn left(&self) -> Option<Duration> {
        let left = self.limit.saturating_sub(self.active());
        // A wait may begin or end at any time, so look again within a bounded time.
        (!left.is_zero()).then(|| left.max(Duration::from_millis(1)))
    }
}

impl Waits {
    fn until(&self, now: Instant) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// One wait; ends when dropped, also when the waiting future is.
struct Pause<'a>(&'a Patience);

impl<'a> Pause<'a> {
    fn begin(patience: &'a Patience) -> Self {
        if let Ok(mut waits) = patience.waits.lock() {
            waits.open += 1;
            waits.since.get_or_insert_with(Instant::now);
        }
        Self(patience)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if let Ok(mut waits) = self.0.waits.lock() {
            waits.open -= 1;
            if waits.open == 0 {
                waits.total = waits.until(Instant::now());
                waits.since = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_does_not_use_up_the_deadline() {
        let patience = Patience::start(Duration::from_millis(200));
        patience.waiting(tokio::time::sleep(Duration::from_millis(300))).await;
        assert!(patience.active() < Duration::from_millis(150));
        tokio::time::timeout(Duration::from_secs(2), patience.expired()).await.unwrap_or_else(|_| unreachable!());
        assert!(patience.active() >= Duration::from_millis(200));
    }
}
