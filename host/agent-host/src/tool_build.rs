//! Building tools by the command in their `tool.toml`. A build command is a program that runs outside any sandbox, so its
//! folder needs trust like an agent file, and no other verb ever runs it.

use std::path::{Path, PathBuf};

use agent_core::config::manifest::Need;
use agent_core::digest::Digest;
use agent_core::name::Name;
use agent_sandbox::component::{self, COMPONENT_BYTES_MAX};
use anyhow::{Context, bail, ensure};
use tokio::process::Command;

use crate::agent::Source;
use crate::authoring::programs;
use crate::input;
use crate::tool_folders::{self, MANIFEST};
use crate::wasm_target::Place;
use crate::{wasm_target, wit_docs};

/// What a build would do.
pub struct Plan {
    /// The tool.
    pub name: Name,
    /// The tool's folder, absolute.
    pub folder: PathBuf,
    /// The command, run by `/bin/sh -c` in the folder.
    pub command: String,
    /// Where the command leaves the component, absolute.
    pub artifact: PathBuf,
    /// The programs that the command calls.
    pub needs: Vec<Need>,
}

/// What a build of the tool in `folder` would do.
///
/// # Errors
/// Where the manifest has problems or no `[build]`.
pub fn plan(folder: &Path) -> anyhow::Result<Plan> {
    let shown = folder.display();
    let folder = folder.canonicalize().with_context(|| format!("cannot find tool folder `{shown}`"))?;
    ensure!(folder.join(MANIFEST).is_file(), "`{shown}` is no tool folder: there is no `{MANIFEST}` in it");
    let (manifest, _) = tool_folders::read_manifest(&folder)?;
    let Some(build) = manifest.build else {
        bail!(
            "`{shown}/{MANIFEST}` has no `[build]`\n  hint: add `[build]` with `command = \"…\"` and `artifact = \"….wasm\"`"
        )
    };
    let artifact = folder.join(&build.artifact);
    Ok(Plan { name: manifest.name, command: build.command, needs: build.needs, artifact, folder })
}

impl Plan {
    /// What trust in this build is bound to: the folder and the command.
    #[must_use]
    pub fn source(&self) -> Source {
        let artifact = self.artifact.to_string_lossy();
        let digest = Digest::of_parts(&[b"build", self.command.as_bytes(), artifact.as_bytes()]);
        Source { path: self.folder.join(MANIFEST), digest }
    }

    /// What trust in this build does not cover, as who is asked for it should know.
    pub const NOT_PINNED: &str = "what it runs from this folder may change, and is not looked at again";

    /// Runs the command, its output going to stderr, and puts the component beside the manifest, with the comments of its WIT
    /// inside.
    ///
    /// # Errors
    /// Where a program is missing, the command fails, or it leaves no component that this host takes.
    pub async fn run(&self) -> anyhow::Result<PathBuf> {
        let path = programs::path(&self.folder)?;
        programs::check(&self.needs, &self.command, &path, Place::Trusted(&self.folder))
            .await
            .with_context(|| format!("`{}` cannot be built here", self.name))?;
        // By its own path: the folder's programs come first in `PATH`, and what is shown is what runs.
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).current_dir(&self.folder).stdin(std::process::Stdio::null());
        command.stdout(std::io::stderr()).env_remove("CARGO_TARGET_DIR").env("PATH", path).kill_on_drop(true);
        wasm_target::prepare(&mut command, &self.folder).await;
        let status = command.status().await.context("cannot start `/bin/sh`")?;
        ensure!(status.success(), "building `{}` failed ({status}): {}", self.name, self.command);
        let built = self.folder.join(format!("{}.wasm", self.name));
        let (from, to) = (self.artifact.display(), built.display());
        ensure!(
            self.artifact.is_file(),
            "the build succeeded but left no `{from}`\n  hint: correct `artifact` in `{MANIFEST}`"
        );
        let bytes = input::read_bytes(&self.artifact, COMPONENT_BYTES_MAX as u64)
            .with_context(|| format!("cannot read `{from}`"))?;
        // Before it takes the place of what was there.
        component::look(&bytes).with_context(|| format!("the build left `{from}`, which cannot be a tool"))?;
        let bytes = wit_docs::embed(bytes, &self.folder)?;
        write_whole(&built, &bytes).with_context(|| format!("cannot write `{to}`"))?;
        Ok(built)
    }
}

/// Writes a component that somebody may be about to load: as a whole or not at all.
///
/// # Errors
/// Where it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".agent-host-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    // As any new file: the temporary one is for its owner alone.
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
