//! The directories of a run's calls: opened anew for each call, and the same ones each time. Also file work of the driver's own
//! that may meet a file system which does not answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use agent_core::grant::Grant;
use agent_sandbox::mount::{Identity, Mount, MountError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// How long file work of the driver's own may take where the file system may not answer.
const FILE_WORK_WAIT: Duration = Duration::from_secs(30);

/// Which directories were opened in this run, by the paths of their grants.
#[derive(Default)]
pub struct Mounts(Mutex<HashMap<String, Identity>>);

impl Mounts {
    /// Opens what a grant names.
    ///
    /// # Errors
    /// Where one cannot be opened, or is another directory than the one that was opened under this name before: somebody put
    /// it there since.
    pub async fn open(&self, grant: &Grant) -> Result<Vec<Mount>, MountError> {
        let mut mounts = Vec::with_capacity(grant.fs.len());
        for fs in &grant.fs {
            let mount = Mount::open_in_time(fs).await?;
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if *known.entry(fs.host.clone()).or_insert(mount.identity) != mount.identity {
                return Err(MountError::Moved { path: fs.host.clone() });
            }
            mounts.push(mount);
        }
        Ok(mounts)
    }
}

/// Does file work below `mounts`, which may take long: an undo waits for the disk with each file. `None` where a file system
/// did not answer in time: a thread still waits for it.
pub async fn at_files<T: Send + 'static>(mounts: &[Mount], work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !mounts.iter().any(Mount::is_distant) {
        return Some(here(work));
    }
    let (tell, done) = oneshot::channel();
    let started = thread::Builder::new().name("file-work".to_owned()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(work());
    });
    started.ok()?;
    tokio::time::timeout(FILE_WORK_WAIT, done).await.ok()?.ok()
}

/// Works on this thread, so that it ends whatever becomes of its caller, while other threads take over what else this one had
/// to do.
fn here<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // There is no other thread.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use agent_core::grant::{Access, FsGrant, Recovery, RuleSource};

    use super::*;

    /// Two workers, each with file work that ends only once the other tasks were served.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn file_work_does_not_stop_the_other_tasks_of_its_workers() {
        let works: Vec<_> = (0..2)
            .map(|_| {
                let (tell, told) = std::sync::mpsc::channel();
                let work = tokio::spawn(async move {
                    let wait = move || told.recv_timeout(Duration::from_secs(20)).is_ok();
                    at_files(&[], wait).await
                });
                (work, tell)
            })
            .collect();
        for (work, tell) in works {
            tokio::task::yield_now().await;
            let other = tokio::spawn(async move { tell.send(()).is_ok() });
            assert_eq!((other.await.ok(), work.await.ok().flatten()), (Some(true), Some(true)));
        }
    }

    #[tokio::test]
    async fn another_directory_under_the_same_name_is_not_opened() -> std::io::Result<()> {
        let temp = tempfile::tempdir()?;
        let host = temp.path().canonicalize()?.join("docs");
        std::fs::create_dir(&host)?;
        let fs = FsGrant {
            host: host.display().to_string(),
            mount: "/data".to_owned(),
            access: Access::Read,
            recovery: Recovery::Undo,
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            source: RuleSource("test".to_owned()),
        };
        let (grant, mounts) = (Grant { fs: vec![fs], ..Grant::nothing() }, Mounts::default());
        assert!(mounts.open(&grant).await.is_ok() && mounts.open(&grant).await.is_ok());
        std::fs::rename(&host, temp.path().join("elsewhere"))?;
        std::fs::create_dir(&host)?;
        assert!(matches!(mounts.open(&grant).await, Err(MountError::Moved { .. })));
        Ok(())
    }
}
