//! The folders that the verbs work in. They are found once; no verb asks the environment again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::at_once;
use crate::talk::say;

/// Where things are.
#[derive(Clone)]
pub(crate) struct Places {
    /// The root of the checkout.
    pub(crate) repo: PathBuf,
    /// The target folder of the host workspace.
    pub(crate) target: PathBuf,
    /// The guest workspace.
    pub(crate) tools: PathBuf,
    /// The target folder of the guest workspace.
    pub(crate) tools_target: PathBuf,
    /// Where test guests are put for the tests.
    pub(crate) guests: PathBuf,
    /// The standard library of the wasm target, where the toolchain has none. `agent-host tool build` looks here too.
    pub(crate) wasm_toolchain: PathBuf,
    /// Compilers of other languages than Rust. `agent-host tool build` looks here too.
    pub(crate) languages: PathBuf,
    /// Programs that only developers need.
    pub(crate) dev: PathBuf,
    /// This program. The system would later call it deleted: a build of the whole workspace puts another of the same source there.
    pub(crate) own: PathBuf,
    /// What lints and documents our crates while they are compiled, where that is asked for.
    pub(crate) at_once: Option<PathBuf>,
}

impl Places {
    pub(crate) fn find() -> Result<Self> {
        let repo = repo()?;
        let tools = repo.join("tools");
        // Given by the caller, it is shared and outlives this checkout, which saves CI from building the guests anew.
        let tools_target = match set("CARGO_TARGET_DIR") {
            Some(shared) => std::path::absolute(Path::new(&shared).join("tools"))?,
            None => tools.join("target"),
        };
        let cache = cache()?.join("agent-host");
        let own = std::env::current_exe().context("cannot find this program")?;
        Ok(Self {
            guests: tools.join("target/guests"),
            target: target_of(&own)?,
            wasm_toolchain: cache.join("wasm-toolchain"),
            languages: cache.join("languages"),
            dev: cache.join("dev"),
            at_once: None,
            own,
            tools_target,
            tools,
            repo,
        })
    }

    /// The same, where our crates are linted and documented while they are compiled.
    pub(crate) fn checked_at_once(&self) -> Result<Self> {
        Ok(Self { at_once: Some(at_once::wrapper(self)?), ..self.clone() })
    }
}

/// Keeps two of us from making the same folder at once. Held until it is dropped; waits as long as the other one works.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    if file.try_lock().is_err() {
        say(&format!("waiting for another xtask that works in {}", folder.display()));
        file.lock().with_context(|| format!("cannot lock `{}`", path.display()))?;
    }
    Ok(file)
}

/// Removes a folder and all in it, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

fn repo() -> Result<PathBuf> {
    // Cargo's word at run time goes first: worktrees may share a target folder, and with it this very program.
    let manifest = set("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let repo = Path::new(&manifest).parent().context("xtask is not in a checkout")?;
    Ok(repo.to_owned())
}

/// Cargo has just put this program two levels below its target folder, however that was configured.
fn target_of(program: &Path) -> Result<PathBuf> {
    let target = program.ancestors().nth(2).context("xtask does not run from a target folder")?;
    Ok(target.to_owned())
}

fn cache() -> Result<PathBuf> {
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(Path::new(&set("HOME")?).join(".cache")));
    cache.context("neither `XDG_CACHE_HOME` nor `HOME` is set: there is no cache folder")
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
