//! Stores are independent of each other, so several are worked on at once: what one waits for is time for the others. Each has
//! dice of its own, and makes the same choices whatever the others do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Stores at once for each processor. A round waits about half of its time: for syncs, leases and the moment of its kill.
const PER_PROCESSOR: usize = 2;

/// Works on the parts from 0 to `parts`, several at once, and gives what came of each in their order. After a failure no other
/// part is begun, and the first failure is what is returned.
pub(crate) fn each<T: Send>(parts: u64, work: impl Fn(u64) -> Result<T, String> + Sync) -> Result<Vec<T>, String> {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::new());
    let worker = || -> Result<(), String> {
        while !failed.load(Ordering::Relaxed) {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                break;
            }
            let came = work(part).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            done.lock().map_err(|_| "another part panicked")?.push((part, came));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers(parts)).map(|_| scope.spawn(worker)).collect();
        // All are waited for: each has processes that it ends.
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join().map_err(|_| "a part panicked")).collect();
        ended.into_iter().try_for_each(|ended| ended?)
    })?;
    let mut done = done.into_inner().map_err(|_| "a part panicked")?;
    done.sort_by_key(|(part, _)| *part);
    Ok(done.into_iter().map(|(_, came)| came).collect())
}

fn workers(parts: u64) -> u64 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    parts.min((processors * PER_PROCESSOR) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_each_part_is_in_order() {
        assert_eq!(each(100, |part| Ok(part * 2)), Ok((0..100).map(|part| part * 2).collect()));
        assert_eq!(each(0, Ok), Ok(Vec::new()));
    }

    #[test]
    fn a_failure_is_returned_and_ends_the_work() {
        let begun = AtomicU64::new(0);
        let came = each(1_000_000, |part| {
            begun.fetch_add(1, Ordering::Relaxed);
            if part == 3 { Err(format!("part {part}")) } else { Ok(()) }
        });
        assert_eq!(came, Err("part 3".to_owned()));
        assert!(begun.into_inner() < 1_000_000);
    }
}
