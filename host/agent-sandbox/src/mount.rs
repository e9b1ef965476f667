//! A granted directory as a handle: opened once by the caller, never again by path.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use agent_core::grant::{Access, FsGrant};
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::hosts::fs::names::{PROTECTED, is_hidden, is_spelling_of};

/// Parts of the file system that are the machine rather than anybody's files. A grant of one of them, or of the root that
/// contains them, is refused: through `/proc` a guest would reach this very process.
const MACHINE_ROOTS: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// A directory of the host at one place of the guest.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where the guest sees it, such as `/data`.
    pub guest: String,
    /// What may be done below it.
    pub access: Access,
    /// The directory.
    pub dir: Arc<Dir>,
    /// Which directory it is, whatever it is called later.
    pub identity: Identity,
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
    /// It lies in a folder that tools must not see or change.
    #[error("`{path}` cannot be granted: it lies in a `{folder}` folder")]
    Protected {
        /// As it was granted.
        path: String,
        /// The folder.
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
    /// Another directory took its place while it was opened.
    #[error("`{path}` changed while it was opened")]
    Moved {
        /// As it was granted.
        path: String,
    },
}

impl Mount {
    /// Opens the directory that a grant names. Grants name directories by their real paths: links were resolved before a
    /// person saw or trusted the grant, so a link here was put there since.
    ///
    /// # Errors
    /// If it cannot be opened, is no directory, lies behind a link, or is nothing that may be granted.
    pub fn open(grant: &FsGrant) -> Result<Self, MountError> {
        let path = || grant.host.clone();
        let open_error = |source| MountError::Open { path: path(), source };
        let real = std::fs::canonicalize(&grant.host).map_err(open_error)?;
        check_real_path(grant, &real)?;
        if real != Path::new(&grant.host) {
            return Err(MountError::Link { path: path(), real: real.display().to_string() });
        }
        let dir = Dir::open_ambient_dir(&real, ambient_authority()).map_err(open_error)?;
        let identity = Identity::of(&dir).map_err(open_error)?;
        let named = std::fs::symlink_metadata(&real).map_err(open_error)?;
        if identity != (Identity { device: named.dev(), inode: named.ino() }) {
            return Err(MountError::Moved { path: path() });
        }
        Ok(Self { guest: grant.mount.clone(), access: grant.access, dir: Arc::new(dir), identity })
    }
}

impl Identity {
    fn of(dir: &Dir) -> io::Result<Self> {
        let metadata = dir.try_clone()?.into_std_file().metadata()?;
        if metadata.is_dir() {
            Ok(Self { device: metadata.dev(), inode: metadata.ino() })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
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
        let runs_by_itself = || PROTECTED.iter().any(|own| is_spelling_of(&name, own));
        if is_hidden(&name) || grant.access == Access::Write && runs_by_itself() {
            return Err(MountError::Protected { path, folder: name.into_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use agent_core::grant::RuleSource;

    use super::*;

    fn open(host: &Path, access: Access) -> Result<Mount, MountError> {
        let host = host.display().to_string();
        Mount::open(&FsGrant { host, mount: "/data".to_owned(), access, source: RuleSource("test".to_owned()) })
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
        assert!(open(&at(".git/hooks"), Access::Read).is_ok());
        assert!(matches!(open(&at(".git/hooks"), Access::Write), Err(MountError::Protected { .. })));
        assert!(open(&at(".ssh"), Access::Read).is_ok());
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
}
