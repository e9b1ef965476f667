//! Syncs that the runs of one process share (`durability = "group"`). An append is written first; then one of the runs that wait
//! syncs for all of them, and none goes on before that has happened.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::error::JournalError;

/// How long the first one waits for the others. A sync takes about as long, so no run waits for more than twice that.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// The runs that sync together.
#[derive(Default)]
pub(super) struct Group {
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Default)]
struct Standing {
    /// Runs that may come for a sync.
    members: usize,
    /// Those that have come.
    waiting: usize,
    /// Appends that were written, and how many of them are on the disk.
    written: u64,
    synced: u64,
    syncing: Syncing,
}

#[derive(Default, PartialEq, Eq)]
enum Syncing {
    #[default]
    Nobody,
    Somebody,
    /// A sync failed: what is on the disk is not known, and no later one would say.
    Failed,
}

/// How an append came to be on the disk.
#[derive(Debug)]
pub(super) enum Synced {
    /// This run synced, for itself and for whoever waited.
    Itself,
    /// Another one did.
    ByAnother,
    /// Another one tried to, and failed.
    Failed,
}

impl Group {
    /// One run more that syncs here.
    pub(super) fn join(&self) {
        self.lock().members += 1;
    }

    /// One less: whoever waits for it need not.
    pub(super) fn leave(&self) {
        self.lock().members -= 1;
        self.changed.notify_all();
    }

    /// Comes back when what this run has written is on the disk. `sync` puts everything there that was written before it.
    pub(super) fn sync(&self, sync: impl FnOnce() -> Result<(), JournalError>) -> Result<Synced, JournalError> {
        let mut standing = self.lock();
        standing.written += 1;
        let own = standing.written;
        standing.waiting += 1;
        self.changed.notify_all();
        while standing.synced < own && standing.syncing == Syncing::Somebody {
            standing = self.changed.wait(standing).unwrap_or_else(PoisonError::into_inner);
        }
        let synced = match standing.syncing {
            _ if standing.synced >= own => Ok(Synced::ByAnother),
            Syncing::Failed => Ok(Synced::Failed),
            Syncing::Nobody | Syncing::Somebody => {
                standing = self.lead(standing, sync)?;
                Ok(Synced::Itself)
            }
        };
        standing.waiting -= 1;
        synced
    }

    fn lead<'a>(
        &'a self,
        mut standing: MutexGuard<'a, Standing>,
        sync: impl FnOnce() -> Result<(), JournalError>,
    ) -> Result<MutexGuard<'a, Standing>, JournalError> {
        standing.syncing = Syncing::Somebody;
        let until = Instant::now() + WAIT_MAX;
        while standing.waiting < standing.members
            && let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            standing = self.changed.wait_timeout(standing, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let covered = standing.written;
        drop(standing);
        let result = sync();
        let mut standing = self.lock();
        match &result {
            Ok(()) => (standing.synced, standing.syncing) = (covered, Syncing::Nobody),
            Err(_) => {
                standing.waiting -= 1;
                standing.syncing = Syncing::Failed;
            }
        }
        self.changed.notify_all();
        result.map(|()| standing)
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn one_that_is_alone_waits_for_nobody() {
        let group = Group::default();
        group.join();
        let began = Instant::now();
        assert!(matches!(group.sync(|| Ok(())), Ok(Synced::Itself)));
        assert!(began.elapsed() < WAIT_MAX, "{:?}", began.elapsed());
    }

    #[test]
    fn the_others_are_waited_for_up_to_a_bound() {
        let group = Group::default();
        group.join();
        group.join();
        let began = Instant::now();
        assert!(matches!(group.sync(|| Ok(())), Ok(Synced::Itself)));
        assert!(began.elapsed() >= WAIT_MAX, "{:?}", began.elapsed());
    }

    #[test]
    fn many_runs_share_their_syncs() {
        const RUNS: u64 = 8;
        const EACH: u64 = 20;
        let (group, syncs) = (Group::default(), AtomicU64::new(0));
        (0..RUNS).for_each(|_| group.join());
        let led: u64 = std::thread::scope(|scope| {
            let run = || {
                let sync = || {
                    syncs.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                };
                let led = (0..EACH).filter(|_| matches!(group.sync(sync), Ok(Synced::Itself))).count() as u64;
                group.leave();
                led
            };
            let runs: Vec<_> = (0..RUNS).map(|_| scope.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(led, syncs.load(Ordering::Relaxed), "each sync is counted once");
        assert!(led < RUNS * EACH, "{led} syncs for {} appends", RUNS * EACH);
    }

    #[test]
    fn a_failed_sync_is_the_last() {
        let group = Group::default();
        group.join();
        let failed = group.sync(|| Err(JournalError::Poisoned { path: PathBuf::new() }));
        assert!(matches!(failed, Err(JournalError::Poisoned { .. })));
        assert!(matches!(group.sync(|| Ok(())), Ok(Synced::Failed)));
    }
}
