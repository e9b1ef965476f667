//! What a verb needs of the file system: everything else is out of its reach once the file wall stands. Each verb that loads
//! tools adds up its own; the union of all grants is the larger part of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agent_core::config::authority::Authority;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::reachable::reachable;
use agent_core::grant::Access;
use agent_core::secret::SecretSource;
use serde::{Deserialize, Serialize};

use crate::tool_folders::Found;
use crate::unchanging::Unchanging;

/// Files and directories, each with everything below it. Passed between two processes of one run, never stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    /// What a directory that is granted later may not hold. Only the keeper asks, which is told of it by itself: who goes on with a
    /// run has all that it is handed in one variable, which is short.
    #[serde(skip)]
    pub unchanging: Unchanging,
}

impl Reach {
    /// What a verb needs that looks at the journal in `runs`: it, and of other processes whether they live.
    #[must_use]
    pub fn of_journal(runs: &Path) -> Self {
        let mut reach = Self::default();
        reach.write(runs);
        reach.read("/proc");
        reach
    }

    /// Adds what may be read.
    pub fn read(&mut self, path: impl Into<PathBuf>) {
        self.read.insert(path.into());
    }

    /// Adds what may be read and changed.
    pub fn write(&mut self, path: impl Into<PathBuf>) {
        self.write.insert(path.into());
    }

    /// Adds a granted directory.
    pub fn grant(&mut self, host: &str, access: Access) {
        match access {
            Access::Read => self.read(host),
            Access::Write => self.write(host),
        }
    }

    /// Adds every directory that `rules` could give one of the components. What each of them holds is known only when it is
    /// loaded, and that happens behind the wall; so it is what they could hold at most.
    pub fn rules<'f>(&mut self, rules: &[Authority], found: impl IntoIterator<Item = &'f Found>) {
        let ceilings: Vec<(_, Option<&Ceiling>)> = found
            .into_iter()
            .map(|found| (&found.name, found.manifest.as_ref().map(|manifest| &manifest.ceiling)))
            .collect();
        for (host, access) in reachable(rules, &ceilings) {
            self.grant(host.as_str(), access);
        }
        // Which secrets the tools hold is known behind the wall too, and only then are their values read.
        let secrets = rules.iter().flat_map(|rules| &rules.grants).flat_map(|grant| &grant.secrets);
        for secret in secrets {
            if let Some(SecretSource::File(file)) = &secret.from {
                self.read(file.as_str());
            }
        }
    }

    /// What may be changed that `path`, which leads through no link, is or lies in.
    #[must_use]
    pub fn writable_around(&self, path: &Path) -> Option<&Path> {
        self.write.iter().map(PathBuf::as_path).find(|written| path.starts_with(written))
    }

    /// Every path with what may be done there. One that is to be written appears only so.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&Path, Access)> {
        let read = self.read.difference(&self.write).map(|path| (path.as_path(), Access::Read));
        read.chain(self.write.iter().map(|path| (path.as_path(), Access::Write)))
    }
}
