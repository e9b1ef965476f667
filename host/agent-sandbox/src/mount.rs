//! A granted directory as a handle: opened once for each call, never again by path.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use agent_core::grant::{Access, FileIdentity, FsGrant, Recovery};
use cap_std::fs::Dir;
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::names::{is_hidden, is_protected};
use crate::hosts::fs::repository::is_repository;
use crate::hosts::fs::unchanging::Unchanging;
use crate::hosts::fs::walls::{Kind, Mounted, Seen, Walls, see, seen};

/// Parts of the file system that are the machine rather than anybody's files. A grant of one of them, or of the root that
/// contains them, is refused: through `/proc` a guest would reach this very process.
const MACHINE_ROOTS: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// How long a directory on a file system that may not answer is waited for.
const OPEN_WAIT: Duration = Duration::from_secs(10);

/// Most directories that are waited for at once, by threads that cannot be stopped. Beyond it none is tried.
const OPENINGS_MAX: usize = 4;

/// Threads that wait for a file system at this moment.
static OPENINGS: AtomicUsize = AtomicUsize::new(0);

/// A directory of the host at one place of the guest.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where the guest sees it, such as `/data`.
    pub guest: String,
    /// Its real path on the host: by this, paths below different mounts are told to be one.
    pub host: PathBuf,
    /// What may be done below it.
    pub access: Access,
    /// The directory.
    pub dir: Arc<Dir>,
    /// What becomes of changes there if their call is stopped.
    pub recovery: Recovery,
    /// Which directory it is, whatever it is called later.
    pub identity: Identity,
    /// What in it stays as it is, whatever may be done below it.
    pub(crate) unchanging: Arc<Unchanging>,
    /// The file systems that a guest may come upon below it.
    pub(crate) walls: Arc<Walls>,
}

/// A directory's device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// Why a directory cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// It cannot be opened, or is no directory.
    #[error("cannot open directory `{path}`")]
    Open {
        /// As it was granted.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is part of the machine.
    #[error("`{path}` cannot be granted: it leads to `{real}`, which is or contains {}", MACHINE_ROOTS.join(", "))]
    Machine {
        /// As it was granted.
        path: String,
        /// Where it leads.
        real: String,
    },
    /// It is on a file system of the kernel, under whatever name.
    #[error("`{path}` cannot be granted: it is on a file system of the kernel")]
    Kernel {
        /// As it was granted.
        path: String,
    },
    /// Its file system does not answer.
    #[error("`{path}` cannot be opened now: its file system does not answer")]
    Stalled {
        /// As it was granted.
        path: String,
    },
    /// It lies in a folder that tools must not see or change.
    #[error(
        "`{path}` cannot be granted: it lies in a `{folder}` folder, of which something runs by itself or is a key; copy what a tool needs to another place"
    )]
    Protected {
        /// As it was granted.
        path: String,
        /// The folder.
        folder: String,
    },
    /// It is a bare git repository or lies in one, and was granted for writing.
    #[error("`{path}` cannot be granted for writing: `{folder}` is a git repository, and what is in one runs programs")]
    Repository {
        /// As it was granted.
        path: String,
        /// The repository.
        folder: String,
    },
    /// Its path holds a link, so it is not the directory that the grant names.
    #[error("`{path}` cannot be granted under this name: it is a link, or lies behind one, and leads to `{real}`")]
    Link {
        /// As it was granted.
        path: String,
        /// Where it leads.
        real: String,
    },
    /// Another directory took its place.
    #[error("`{path}` is not the directory any more that it was when it was granted")]
    Moved {
        /// As it was granted.
        path: String,
    },
}

impl Mount {
    /// Opens the directory that a grant names. Grants name directories by their real paths: links were resolved before a
    /// person saw or trusted the grant, so a link here was put there since. May wait as long as the file system does.
    ///
    /// # Errors
    /// If it cannot be opened, is no directory, lies behind a link, or is nothing that may be granted.
    pub fn open(grant: &FsGrant) -> Result<Self, MountError> {
        Self::open_on(grant, Mounted::now().kind_at(Path::new(&grant.host)))
    }

    /// As [`Mount::open`], but does not wait for long.
    ///
    /// # Errors
    /// As there, and if the file system does not answer in time.
    pub async fn open_in_time(grant: &FsGrant) -> Result<Self, MountError> {
        let kind = Mounted::now().kind_at(Path::new(&grant.host));
        if kind != Kind::Distant {
            return Self::open_on(grant, kind);
        }
        let stalled = || MountError::Stalled { path: grant.host.clone() };
        let opening = Opening::begin().ok_or_else(stalled)?;
        let (tell, opened) = oneshot::channel();
        let asked = grant.clone();
        let waits = thread::Builder::new().name("opens-mount".to_owned()).spawn(move || {
            let mount = Self::open_on(&asked, kind);
            drop(opening);
            // Nobody may be waiting any more.
            let _ = tell.send(mount);
        });
        waits.map_err(|source| MountError::Open { path: grant.host.clone(), source })?;
        match tokio::time::timeout(OPEN_WAIT, opened).await {
            Ok(Ok(mount)) => mount,
            Ok(Err(_)) | Err(_) => Err(stalled()),
        }
    }

    /// Whether its file system may let whoever asks wait without end.
    #[must_use]
    pub fn is_distant(&self) -> bool {
        self.walls.kind() == Kind::Distant
    }

    fn open_on(grant: &FsGrant, kind: Kind) -> Result<Self, MountError> {
        let path = || grant.host.clone();
        let open_error = |source| MountError::Open { path: path(), source };
        let real = std::fs::canonicalize(&grant.host).map_err(open_error)?;
        check_real_path(grant, &real)?;
        if real != Path::new(&grant.host) {
            return Err(MountError::Link { path: path(), real: real.display().to_string() });
        }
        if kind == Kind::Kernel {
            return Err(MountError::Kernel { path: path() });
        }
        let Opened { dir, repository } = open_by_names(&real, grant.access).map_err(open_error)?;
        if let Some(folder) = repository {
            return Err(MountError::Repository { path: path(), folder });
        }
        let dir = Dir::from_std_file(dir);
        let opened = seen_directory(see(&dir, ".")).map_err(open_error)?;
        let named = seen_directory(see(CWD, real.as_path())).map_err(open_error)?;
        if opened != named {
            return Err(MountError::Moved { path: path() });
        }
        let identity = Identity::of(opened);
        let unchanging = Unchanging::below(&dir, &real, grant);
        let unchanging = Arc::new(unchanging.map_err(|errno| open_error(errno.into()))?);
        let walls = Walls::around(opened.device, kind);
        let (guest, access, recovery) = (grant.mount.clone(), grant.access, grant.recovery);
        let (dir, walls) = (Arc::new(dir), Arc::new(walls));
        Ok(Self { guest, host: real, access, recovery, dir, identity, unchanging, walls })
    }
}

/// Which file is at a path, if it is one that has other names, too: they may be anywhere on its file system.
#[must_use]
pub fn file_of_several_names(path: &Path) -> Option<FileIdentity> {
    let stat = rustix::fs::stat(path).ok().filter(|stat| stat.st_nlink > 1)?;
    let seen = seen(&stat);
    (seen.file_type == FileType::RegularFile).then_some(FileIdentity { device: seen.device, inode: seen.inode })
}

/// Whether what is at this path is on a file system that may let whoever asks wait without end. Asks the kernel's list of what
/// is mounted, and not the file system.
#[must_use]
pub fn may_not_answer(path: &Path) -> bool {
    Mounted::now().kind_at(path) == Kind::Distant
}

impl From<FileIdentity> for Identity {
    fn from(FileIdentity { device: (major, minor), inode }: FileIdentity) -> Self {
        Self { device: u64::from(major) << 32 | u64::from(minor), inode }
    }
}

impl Identity {
    /// What was seen at a name.
    pub(crate) fn of(seen: Seen) -> Self {
        let (major, minor) = seen.device;
        Self { device: u64::from(major) << 32 | u64::from(minor), inode: seen.inode }
    }
}

/// A directory that was opened name by name.
struct Opened {
    dir: File,
    /// The name of a bare repository that it is or lies in, where it is git that says so and not a name. Looked for where it
    /// is opened for writing: who only reads need not wait for a file system that does not answer.
    repository: Option<String>,
}

/// Opens a directory name by name from the root, through no link: one that took the place of a directory on the way, after the
/// path was looked at, leads nowhere.
fn open_by_names(real: &Path, access: Access) -> io::Result<Opened> {
    let mut here = open_directory(CWD, "/", Handle::Pass)?;
    let mut repository = None;
    let names: Vec<&OsStr> = real.iter().skip(1).collect();
    for (number, name) in names.iter().enumerate() {
        let next = |handle| open_directory(&here, *name, handle);
        let is_last = number + 1 == names.len();
        // One that cannot be listed can still be gone through.
        here = if is_last { next(Handle::Read).or_else(|_| next(Handle::Pass))? } else { next(Handle::Pass)? };
        if access == Access::Write && is_repository(&here) {
            repository.get_or_insert_with(|| name.to_string_lossy().into_owned());
        }
    }
    Ok(Opened { dir: here, repository })
}

fn seen_directory(seen: Result<Option<Seen>, Errno>) -> io::Result<Seen> {
    match seen? {
        None => Err(io::ErrorKind::NotFound.into()),
        Some(seen) if seen.file_type == FileType::Directory => Ok(seen),
        Some(_) => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// One thread that waits for a file system. Its place is free again once it ends.
struct Opening;

impl Opening {
    fn begin() -> Option<Self> {
        let free = |waiting| (waiting < OPENINGS_MAX).then_some(waiting + 1);
        OPENINGS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok().map(|_| Self)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPENINGS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn check_real_path(grant: &FsGrant, real: &Path) -> Result<(), MountError> {
    let path = grant.host.clone();
    if MACHINE_ROOTS.iter().any(|root| real.starts_with(root) || Path::new(root).starts_with(real)) {
        return Err(MountError::Machine { path, real: PathBuf::from(real).display().to_string() });
    }
    for component in real.components() {
        let Component::Normal(name) = component else {
            continue;
        };
        let name = name.to_string_lossy();
        if is_hidden(&name) || is_protected(&name) {
            return Err(MountError::Protected { path, folder: name.into_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use agent_core::grant::RuleSource;

    use super::*;

    fn open(host: &Path, access: Access) -> Result<Mount, MountError> {
        let host = host.display().to_string();
        let (mount, source) = ("/data".to_owned(), RuleSource("test".to_owned()));
        Mount::open(&FsGrant {
            host,
            mount,
            access,
            recovery: Recovery::Undo,
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            source,
        })
    }

    #[test]
    fn only_directories_of_people_can_be_mounted() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        for name in ["plain", ".git/hooks", ".ssh", ".agent-host/runs"] {
            std::fs::create_dir_all(temp.path().join(name))?;
        }
        std::fs::write(temp.path().join("file"), "")?;
        std::os::unix::fs::symlink("/proc/self", temp.path().join("link"))?;
        let at = |name: &str| temp.path().join(name);
        assert!(open(&at("plain"), Access::Write).is_ok());
        assert!(matches!(open(&at(".git/hooks"), Access::Read), Err(MountError::Protected { .. })));
        assert!(matches!(open(&at(".ssh"), Access::Write), Err(MountError::Protected { .. })));
        assert!(matches!(open(&at(".agent-host/runs"), Access::Read), Err(MountError::Protected { .. })));
        assert!(matches!(open(&at("file"), Access::Read), Err(MountError::Open { .. })));
        assert!(matches!(open(&at("missing"), Access::Read), Err(MountError::Open { .. })));
        for machine in ["/", "/proc/self", "/dev", "/sys/kernel"] {
            assert!(matches!(open(Path::new(machine), Access::Read), Err(MountError::Machine { .. })), "{machine}");
        }
        assert!(matches!(open(&at("link"), Access::Read), Err(MountError::Machine { .. })));
        Ok(())
    }

    /// A tool that may write beside a granted directory could otherwise exchange it for a link.
    #[test]
    fn a_directory_that_became_a_link_is_not_mounted() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir_all(folder.join("real/inner"))?;
        std::os::unix::fs::symlink("real", folder.join("link"))?;
        for name in ["link", "link/inner"] {
            assert!(matches!(open(&folder.join(name), Access::Read), Err(MountError::Link { .. })), "{name}");
        }
        assert!(open(&folder.join("real/inner"), Access::Read).is_ok());
        Ok(())
    }

    /// As above, though the link is there only now and then: whatever is looked at first, what is opened lies behind none.
    #[test]
    fn a_directory_on_the_way_that_turns_into_a_link_leads_nowhere_else() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let at = |name: &str| folder.join(name);
        for inner in ["real/inner", "other/inner"] {
            std::fs::create_dir_all(at(inner))?;
        }
        std::os::unix::fs::symlink("other", at("link"))?;
        let granted = open(&at("real/inner"), Access::Read).map_err(io::Error::other)?.identity;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for (from, to) in [("real", "dir"), ("dir", "real"), ("link", "dir"), ("dir", "link")] {
                        let _ = std::fs::rename(at(from), at(to));
                    }
                }
            });
            let mounts = (0..20_000).filter_map(|_| open(&at("dir/inner"), Access::Read).ok());
            let (right, wrong): (Vec<_>, Vec<_>) = mounts.partition(|mount| mount.identity == granted);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(wrong.len(), 0);
            assert!(!right.is_empty());
        });
        Ok(())
    }

    /// What is in a repository runs, and a bare one may have any name.
    #[test]
    fn a_bare_repository_is_not_granted_for_writing() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        for folder in ["bare/objects", "bare/refs", "bare/hooks", "plain/objects"] {
            std::fs::create_dir_all(temp.path().join(folder))?;
        }
        for head in ["bare/HEAD", "plain/HEAD"] {
            std::fs::write(temp.path().join(head), "ref: refs/heads/main\n")?;
        }
        for (folder, refused) in [("bare", true), ("bare/hooks", true), ("plain", false)] {
            let host = temp.path().join(folder);
            assert!(open(&host, Access::Read).is_ok(), "{folder}");
            let found = open(&host, Access::Write);
            assert_eq!(matches!(found, Err(MountError::Repository { .. })), refused, "{folder}: {found:?}");
        }
        Ok(())
    }
}
