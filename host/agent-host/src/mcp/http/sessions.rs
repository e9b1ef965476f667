//! The sessions of clients of earlier versions of the protocol, as many as there is room for. One that broke off leaves its session
//! behind: where there is no room, the one that has rested longest makes some. Its client, if there still is one, begins another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::sync::OwnedMutexGuard;

/// Sessions at once. A client of an earlier version of the protocol has one; those of the newest have none.
const SESSIONS_MAX: usize = 64;
/// How long a session without a request stays. The client then begins another one.
const REST_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a session rests at least before it makes room for another: who asks every few seconds keeps it.
const REST_MIN: Duration = Duration::from_secs(60);
/// How long a session may take to begin.
const START_MAX: Duration = Duration::from_secs(10);

/// The sessions, and when each was last used.
pub struct Sessions {
    kept: Arc<LocalSessionManager>,
    used: Arc<Mutex<HashMap<String, Instant>>>,
    /// Held while one begins, so that no two take the last place.
    beginning: Arc<tokio::sync::Mutex<()>>,
}

/// A session that begins.
pub struct Beginning {
    used: Arc<Mutex<HashMap<String, Instant>>>,
    _one_at_a_time: OwnedMutexGuard<()>,
}

impl Beginning {
    /// Says what it is called.
    pub fn has(self, name: &str) {
        locked(&self.used).insert(name.to_owned(), Instant::now());
    }
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let mut kept = LocalSessionManager::default();
        kept.session_config.keep_alive = Some(REST_MAX);
        kept.session_config.init_timeout = Some(START_MAX);
        Self { kept: Arc::new(kept), used: Arc::default(), beginning: Arc::default() }
    }

    /// What the protocol's service keeps them in.
    #[must_use]
    pub fn kept(&self) -> Arc<LocalSessionManager> {
        Arc::clone(&self.kept)
    }

    /// Notes that somebody asks in this session, if there is one of that name.
    pub async fn used(&self, name: &str) {
        if self.kept.sessions.read().await.contains_key(name) {
            locked(&self.used).insert(name.to_owned(), Instant::now());
        }
    }

    /// Room for one more; `None` where there is none, and every other one is used.
    pub async fn begin(&self, is_busy: impl Fn(&str) -> bool) -> Option<Beginning> {
        let one_at_a_time = Arc::clone(&self.beginning).lock_owned().await;
        let names: Vec<_> = self.kept.sessions.read().await.keys().cloned().collect();
        if names.len() >= SESSIONS_MAX {
            let used = |name: &str| locked(&self.used).get(name).copied();
            let rested = names.iter().filter(|name| !is_busy(name)).min_by_key(|name| used(name))?;
            if used(rested).is_some_and(|used| used.elapsed() < REST_MIN) {
                return None;
            }
            // It may have ended by itself meanwhile.
            let _ = self.kept.close_session(rested).await;
        }
        locked(&self.used).retain(|name, _| names.iter().any(|known| **known == **name));
        Some(Beginning { used: Arc::clone(&self.used), _one_at_a_time: one_at_a_time })
    }
}

fn locked(used: &Mutex<HashMap<String, Instant>>) -> MutexGuard<'_, HashMap<String, Instant>> {
    used.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_broke_off_makes_room_and_who_is_there_does_not() -> Result<(), Box<dyn std::error::Error>> {
        let sessions = Sessions::new();
        let mut begun = Vec::new();
        for _ in 0..SESSIONS_MAX {
            let beginning = sessions.begin(|_| false).await.ok_or("there is room")?;
            let (name, transport) = sessions.kept.create_session().await?;
            beginning.has(&name);
            begun.push((name, transport));
        }
        assert!(sessions.begin(|_| false).await.is_none(), "each was used just now");
        let (gone, _) = &begun[3];
        let long_ago = Instant::now().checked_sub(REST_MIN).ok_or("the machine is up for a minute")?;
        locked(&sessions.used).insert(gone.to_string(), long_ago);
        assert!(sessions.begin(|name| *name == **gone).await.is_none(), "it waits for an answer");
        assert!(sessions.begin(|_| false).await.is_some());
        assert!(!sessions.kept.has_session(gone).await?);
        Ok(())
    }
}
