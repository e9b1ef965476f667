//! The tools of a run: found in folders, loaded into the sandbox, joined with their manifests, and locked to what they may
//! do. Used by every command that touches a tool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_core::config::authority::Authority;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::manifest::Manifest;
use agent_core::config::resolve::{ToolAuthority, resolve};
use agent_core::digest::Digest;
use agent_core::event::LockedTool;
use agent_core::name::{Name, ToolName};
use agent_core::tool::ToolDescriptor;
use agent_sandbox::Sandbox;
use agent_sandbox::component::{Component, LoadError};
use anyhow::{Context, anyhow, bail, ensure};

use crate::input;

/// A manifest's name within its folder.
pub const MANIFEST: &str = "tool.toml";
/// Largest component in bytes.
pub const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// Tools of one run at most: each is described to the model in every request.
const TOOLS_MAX: usize = 256;
/// Entries of a tools folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Where one component is, and what its author declares.
#[derive(Debug)]
pub struct Found {
    /// Its name: from the manifest, else from the file.
    pub name: Name,
    /// The component's file.
    pub wasm: PathBuf,
    /// The manifest, where there is one.
    pub manifest: Option<Manifest>,
}

/// A component, loaded.
pub struct Loaded {
    /// Where it came from.
    pub found: Found,
    /// The component in the sandbox.
    pub component: Arc<Component>,
    /// Its bytes, as they were loaded.
    pub bytes: Vec<u8>,
    /// The most that its tools may be granted.
    pub ceiling: Ceiling,
}

/// The components that are at these paths: a component, a tool's folder, or a folder of either.
///
/// # Errors
/// Where a path has none, a manifest has problems, a tool is not built, or two have one name.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        find_in(path, &mut found)?;
        let hint = "a tool is a `.wasm` component or a folder with a `tool.toml`";
        ensure!(found.len() > before, "there is no tool in `{}`\n  hint: {hint}", path.display());
    }
    refuse_twins(&found)?;
    Ok(found)
}

fn find_in(path: &Path, found: &mut Vec<Found>) -> anyhow::Result<()> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot find tools at `{shown}`"))?;
    if metadata.is_file() {
        found.push(bare(path)?);
    } else if path.join(MANIFEST).is_file() {
        found.push(described(path)?);
    } else {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot list `{shown}`"))?;
        let mut paths =
            entries.take(ENTRIES_MAX).map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            if path.join(MANIFEST).is_file() {
                found.push(described(&path)?);
            } else if path.extension().is_some_and(|extension| extension == "wasm") {
                found.push(bare(&path)?);
            }
        }
    }
    Ok(())
}

/// A component without manifest is called what its file is called.
fn bare(path: &Path) -> anyhow::Result<Found> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.to_ascii_lowercase().parse().map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
    Ok(Found { name, wasm: path.to_owned(), manifest: None })
}

fn described(folder: &Path) -> anyhow::Result<Found> {
    let manifest = read_manifest(folder)?;
    let wasm = folder.join(format!("{}.wasm", manifest.name));
    let shown = folder.display();
    ensure!(
        wasm.is_file(),
        "tool `{}` is not built: there is no `{}`\n  hint: `agent-host tool build {shown}`",
        manifest.name,
        wasm.display()
    );
    Ok(Found { name: manifest.name.clone(), wasm, manifest: Some(manifest) })
}

/// Reads the manifest in a tool's folder.
///
/// # Errors
/// Where it cannot be read or has problems; all of them are in the error.
pub fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join(MANIFEST);
    let shown = path.display().to_string();
    Ok(Manifest::parse(&shown, &input::read_config(&path, &shown)?)?)
}

fn refuse_twins(found: &[Found]) -> anyhow::Result<()> {
    let mut seen: HashMap<&Name, &Path> = HashMap::new();
    for tool in found {
        if let Some(other) = seen.insert(&tool.name, &tool.wasm) {
            let (name, here, there) = (&tool.name, tool.wasm.display(), other.display());
            bail!("two tools are called `{name}`: `{there}` and `{here}`\n  hint: rename one, or leave one folder out");
        }
    }
    Ok(())
}

/// Loads one component.
///
/// # Errors
/// Where the file cannot be read or is not a component that this host can run.
pub fn load(sandbox: &Sandbox, found: Found) -> anyhow::Result<Loaded> {
    let shown = found.wasm.display().to_string();
    let bytes = input::read_bytes(&found.wasm, COMPONENT_BYTES_MAX)
        .with_context(|| format!("cannot read component `{shown}`"))?;
    let component = load_bytes(sandbox, &found.name, &bytes).with_context(|| format!("cannot load `{shown}`"))?;
    let imports: Vec<_> = component.imports.iter().map(|import| import.capability).collect();
    let ceiling =
        found.manifest.as_ref().map_or_else(|| Ceiling::of_imports(&imports), |manifest| manifest.ceiling.clone());
    Ok(Loaded { found, component, bytes, ceiling })
}

/// Loads a component from its bytes, which may compile it and take seconds. Others on this runtime go on meanwhile.
///
/// # Errors
/// Where this host cannot run it.
pub fn load_bytes(sandbox: &Sandbox, name: &Name, bytes: &[u8]) -> Result<Arc<Component>, LoadError> {
    tokio::task::block_in_place(|| sandbox.load(name, bytes))
}

/// Loads several components.
///
/// # Errors
/// See [`load`].
pub fn load_all(sandbox: &Sandbox, found: Vec<Found>) -> anyhow::Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    for found in found {
        loaded.push(load(sandbox, found)?);
    }
    Ok(loaded)
}

/// Every tool of `loaded` with what it may do under `rules`. A tool that a rule forbids altogether is not offered.
///
/// # Errors
/// Where a rule exceeds the ceiling of the tool that it names, or there are too many tools.
pub fn lock(loaded: &[Loaded], rules: &[Authority]) -> anyhow::Result<Vec<LockedTool>> {
    let mut locked = Vec::new();
    for component in loaded {
        for descriptor in &component.component.tools {
            let authority = authority(component, &descriptor.name, rules)?;
            if authority.forbidden_by().is_some() {
                continue;
            }
            locked.push(LockedTool {
                descriptor: explained(descriptor, &authority),
                component: component.component.digest,
                authority,
            });
        }
    }
    ensure!(locked.len() <= TOOLS_MAX, "there are {} tools: a run has at most {TOOLS_MAX}", locked.len());
    Ok(locked)
}

/// What one tool may do under `rules`.
///
/// # Errors
/// Where a rule exceeds the ceiling of the tool that it names.
pub fn authority(loaded: &Loaded, tool: &ToolName, rules: &[Authority]) -> anyhow::Result<ToolAuthority> {
    let limits = loaded.found.manifest.as_ref().map(|manifest| manifest.limits.clone()).unwrap_or_default();
    let rules: Vec<&Authority> = rules.iter().collect();
    Ok(resolve(tool, &loaded.ceiling, &limits, &rules)?)
}

/// The description as the model sees it: with the mounts that the tool has in this run.
fn explained(descriptor: &ToolDescriptor, authority: &ToolAuthority) -> ToolDescriptor {
    let mut descriptor = descriptor.clone();
    let mounts: Vec<_> =
        authority.grant.fs.iter().map(|fs| format!("`{}` ({})", fs.mount, access_word(fs.access))).collect();
    if !mounts.is_empty() {
        descriptor.description = format!("{}\nFiles: {}.", descriptor.description.trim_end(), mounts.join(", "));
    }
    descriptor
}

fn access_word(access: agent_core::grant::Access) -> &'static str {
    match access {
        agent_core::grant::Access::Read => "read only; relative paths begin here",
        agent_core::grant::Access::Write => "read and write; relative paths begin here",
    }
}

/// The components by digest, as the driver looks them up.
#[must_use]
pub fn by_digest(loaded: &[Loaded]) -> HashMap<Digest, Arc<Component>> {
    loaded.iter().map(|loaded| (loaded.component.digest, Arc::clone(&loaded.component))).collect()
}
