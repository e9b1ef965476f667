//! Asks the system for the addresses of a name. That takes a thread which nothing stops: one that asks a name server that does
//! not answer is gone for as long as the system tries, though the request that wanted it is long over. So only some may wait
//! at once, and fewer of one component: what the owner of one granted name does must not stop the requests of other tools.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

/// Lookups of the process that wait at once: each holds one of the threads on which the host also does other work.
const LOOKUPS_MAX: usize = 32;

/// Of which this many are one component's: as many as leave room for seven others.
const LOOKUPS_OF_COMPONENT_MAX: usize = 4;

/// The system's own lookup; waits.
type Ask = fn(&str) -> Vec<IpAddr>;

/// Where the end of a lookup will be seen.
type Found = watch::Receiver<Option<Vec<IpAddr>>>;

/// Lookups under way, by name.
type Pending = HashMap<String, Found>;

/// The lookups of one component.
pub(crate) struct Resolver {
    places: Arc<Semaphore>,
    /// Who wants a name that is here waits for the same lookup.
    pending: Arc<Mutex<Pending>>,
    ask: Ask,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|name| (name, 0).to_socket_addrs().into_iter().flatten().map(|socket| socket.ip()).collect())
    }
}

impl Resolver {
    fn new(ask: Ask) -> Self {
        Self { places: Arc::new(Semaphore::new(LOOKUPS_OF_COMPONENT_MAX)), pending: Arc::default(), ask }
    }

    /// The addresses of a name; none where nobody knows it.
    pub(super) async fn look_up(&self, name: &str) -> Vec<IpAddr> {
        let pending = self.pending().get(name).cloned();
        let found = match pending {
            Some(found) => Some(found),
            None => self.begin(name).await,
        };
        let Some(mut found) = found else { return Vec::new() };
        // An error: the lookup's thread is gone, and nobody will say more.
        found.wait_for(Option::is_some).await.map(|found| found.clone()).ok().flatten().unwrap_or_default()
    }

    /// Begins a lookup once there are places for it, and says where its end will be seen. Whoever gives up before has begun
    /// nothing. One that hangs keeps its places until it ends.
    async fn begin(&self, name: &str) -> Option<Found> {
        static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);
        let own = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let place = LOOKUPS.acquire().await.ok()?;
        let mut pending = self.pending();
        if let Some(found) = pending.get(name) {
            return Some(found.clone());
        }
        let (tell, found) = watch::channel(None);
        pending.insert(name.to_owned(), found.clone());
        drop(pending);
        let (name, ask, all) = (name.to_owned(), self.ask, Arc::clone(&self.pending));
        tokio::task::spawn_blocking(move || {
            let addresses = ask(&name);
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            // Nobody may be waiting any more.
            let _ = tell.send(Some(addresses));
            drop((own, place));
        });
        Some(found)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static OVER: AtomicBool = AtomicBool::new(false);

    /// A name server that does not answer, until the test is over.
    fn silent(_: &str) -> Vec<IpAddr> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        while !OVER.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        vec![IpAddr::from([9, 9, 9, 9])]
    }

    fn prompt(_: &str) -> Vec<IpAddr> {
        vec![IpAddr::from([8, 8, 8, 8])]
    }

    #[tokio::test]
    async fn a_name_server_that_does_not_answer_stops_no_other_component() {
        let patience = Duration::from_millis(1);
        let stuck = Resolver::new(silent);
        for _ in 0..64 {
            assert!(tokio::time::timeout(patience, stuck.look_up("a.example")).await.is_err());
        }
        for number in 0..64 {
            let name = format!("{number}.example");
            assert!(tokio::time::timeout(patience, stuck.look_up(&name)).await.is_err());
        }
        let other = Resolver::new(prompt);
        let found = tokio::time::timeout(Duration::from_secs(5), other.look_up("b.example")).await;
        let waiting = stuck.look_up("a.example");
        let asked = ASKED.load(Ordering::SeqCst);
        OVER.store(true, Ordering::SeqCst);
        assert_eq!(found, Ok(vec![IpAddr::from([8, 8, 8, 8])]));
        // The first name once, however often it was wanted.
        assert!(asked <= LOOKUPS_OF_COMPONENT_MAX, "{asked}");
        assert_eq!(waiting.await, [IpAddr::from([9, 9, 9, 9])]);
        assert_eq!(stuck.look_up("c.example").await.len(), 1);
        // The threads of the others end soon, and leave nothing.
        let all = u32::try_from(LOOKUPS_OF_COMPONENT_MAX).unwrap_or(0);
        assert!(Arc::clone(&stuck.places).acquire_many_owned(all).await.is_ok() && stuck.pending().is_empty());
    }
}
