//! Work that may take long and that nobody can stop, on a thread beside the host's workers: those have clients and timers to
//! serve. `arguments` and `results` check by a tool's own schema here.

use std::time::Duration;

use tokio::sync::Semaphore;

/// Such works at once. Who gave up waiting for one leaves it behind until it ends by itself: two of a hostile tool, and the
/// others still have a thread.
const AT_ONCE_MAX: usize = 4;

static ROOM: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// What `work` comes to; `None` where it takes longer than `time`, its wait for a thread included, or breaks.
pub async fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    within_room(&ROOM, time, work).await
}

async fn within_room<T: Send + 'static>(
    room: &'static Semaphore,
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done = async {
        let place = room.acquire().await.ok()?;
        let work = move || {
            // Taken as long as it works, also where nobody waits any more.
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    };
    tokio::time::timeout(time, done).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// One worker, and work that ends only once its other tasks were served.
    #[tokio::test]
    async fn the_worker_goes_on_meanwhile() {
        static ROOM: Semaphore = Semaphore::const_new(1);
        let (tell, told) = mpsc::channel();
        let work = tokio::spawn(within_room(&ROOM, LONG, move || told.recv_timeout(LONG).is_ok()));
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(tell.send(()).is_ok());
        assert!(matches!(work.await, Ok(Some(true))));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_was_said_and_what_is_left_behind_keeps_its_place() {
        static ROOM: Semaphore = Semaphore::const_new(1);
        let (tell, told) = mpsc::channel::<()>();
        let started = Instant::now();
        let soon = Duration::from_millis(30);
        assert_eq!(within_room(&ROOM, soon, move || told.recv_timeout(LONG).is_ok()).await, None);
        assert_eq!(within_room(&ROOM, soon, || 7).await, None, "there is one place, and it is taken");
        assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
        drop(tell);
        assert_eq!(within_room(&ROOM, LONG, || 7).await, Some(7));
    }
}
