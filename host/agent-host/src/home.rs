//! Where things live. The operator's own state (trust, keys, saved policy, compiled code) is in a folder of the user, never
//! in one that an agent could ship; runs are in `.agent-host/` beside the agent file.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// The folder beside an agent file in which its runs live.
pub const RUNS_FOLDER: &str = ".agent-host";

/// The operator's own state folder, mode 0700.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// `AGENT_HOST_HOME`, else `agent-host` in `XDG_STATE_HOME`, else in `~/.local/state`. Made if it is not there.
    ///
    /// # Errors
    /// Where no folder can be chosen, or the one chosen is not this user's alone.
    pub fn open() -> anyhow::Result<Self> {
        Self::at(&choose_root().context("no state folder: set `AGENT_HOST_HOME` or `HOME`")?)
    }

    /// Where [`Self::open`] would look, whether it is there or not.
    #[must_use]
    pub fn place() -> Option<PathBuf> {
        choose_root()
    }

    /// This folder. Made if it is not there.
    ///
    /// # Errors
    /// Where it is not this user's alone.
    pub fn at(root: &Path) -> anyhow::Result<Self> {
        let root =
            std::path::absolute(root).with_context(|| format!("cannot use state folder `{}`", root.display()))?;
        private_folder(&root)?;
        Ok(Self { root })
    }

    /// The folder itself: the host's key is kept there.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The operator's saved policy.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.root.join("policy.toml")
    }

    /// Where `tool test` and `tool check` make the folders of cases, and remove them.
    #[must_use]
    pub fn trials(&self) -> PathBuf {
        self.root.join("trials")
    }

    /// The digests of trusted agent files.
    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.root.join("trust.json")
    }

    /// The user's settings.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("settings.toml")
    }

    /// The token of clients that come over HTTP.
    #[must_use]
    pub fn mcp_token_file(&self) -> PathBuf {
        self.root.join("mcp-token")
    }

    /// The compiled-code cache.
    #[must_use]
    pub fn code_cache(&self) -> PathBuf {
        self.root.join("compiled")
    }
}

fn choose_root() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("AGENT_HOST_HOME")
        .or_else(|| Some(set("XDG_STATE_HOME")?.join("agent-host")))
        .or_else(|| Some(set("HOME")?.join(".local/state/agent-host")))
}

/// Makes sure that `path` is a folder that only this user can use.
///
/// # Errors
/// Where it cannot be made, is a link or a file, belongs to somebody else, or others may write to it.
pub fn private_folder(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make folder `{shown}`"))?;
    let metadata = fs::symlink_metadata(path).with_context(|| format!("cannot look at folder `{shown}`"))?;
    ensure!(metadata.is_dir(), "`{shown}` is not a folder (a link to one is not enough): move it away");
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        bail!("folder `{shown}` belongs to another user: set `AGENT_HOST_HOME` to one of your own");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot make folder `{shown}` private: `chmod 700` it"))?;
    }
    Ok(())
}
