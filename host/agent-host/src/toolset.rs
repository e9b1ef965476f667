//! The tools of a run: found in folders, loaded into the sandbox, joined with their manifests, and locked to what they may
//! do. Used by every command that touches a tool.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_core::config::authority::Authority;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::exports::ExportRules;
use agent_core::config::manifest::Manifest;
use agent_core::config::resolve::{ToolAuthority, resolve};
use agent_core::digest::Digest;
use agent_core::name::{Name, ToolName};
use agent_core::run_events::LockedTool;
use agent_sandbox::Sandbox;
use agent_sandbox::cache::CacheRejected;
use agent_sandbox::compile::CompileLimit;
use agent_sandbox::component::{COMPONENT_BYTES_MAX, CodeOrigin, Component, LoadError};
use agent_sandbox::defence::{Defence, is_off};
use agent_sandbox::describe::{Door, manifest_section};
use anyhow::{Context, anyhow, ensure};

use crate::{input, missing_defences, named, schema_guard, tool_words};

/// A manifest's name within its folder.
pub const MANIFEST: &str = "tool.toml";
/// Tools of one run at most: each is described to the model in every request.
const TOOLS_MAX: usize = 256;
/// Components of one run, each with its manifest: no more of them can have tools.
const COMPONENTS_MAX: usize = 256;
/// Bytes of all components of a run. They are read, and held, before anybody was asked whether the agent file is trusted.
const ALL_BYTES_MAX: usize = 512 << 20;
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
    /// The manifest's text, for whoever binds something to it; empty where there is none.
    pub manifest_text: String,
    /// Where the manifest is.
    pub manifest_at: ManifestAt,
    /// How it was come upon.
    pub origin: Origin,
}

/// Where a component's manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestAt {
    /// There is none.
    Nowhere,
    /// In a file beside the component, which comes before one inside.
    Beside,
    /// In the component itself.
    Inside,
}

/// How a component was come upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody named it, and cannot do without it.
    Named,
    /// It stands in a folder that somebody named. Where it cannot be used, the others of the folder can.
    InFolder,
}

/// What stands in a folder of tools and cannot be used.
struct Bad {
    /// The component, or the tool's folder.
    path: PathBuf,
    problem: anyhow::Error,
}

/// A component and its manifest as they were read: once, so that what was looked at, trusted and hashed is what is loaded.
#[derive(Debug)]
pub struct Unloaded {
    /// Where it came from.
    pub found: Found,
    /// The component's bytes.
    pub bytes: Vec<u8>,
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

/// The components that are at these paths: a component, a tool's folder, or a folder of either. What cannot be used of a folder
/// is reported and left out.
///
/// # Errors
/// Where a path has none, a manifest has problems, a tool is not built, or two have one name.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Found>> {
    let Survey { found, bad } = survey(paths)?;
    refuse_twins(&found)?;
    bad.iter().for_each(say_bad);
    Ok(found)
}

/// What is at some paths: the components that can be read, and what is wrong with the others.
#[derive(Default)]
struct Survey {
    found: Vec<Found>,
    bad: Vec<Bad>,
}

fn survey(paths: &[PathBuf]) -> anyhow::Result<Survey> {
    let mut survey = Survey::default();
    for path in paths {
        let (before, bad_before) = (survey.found.len(), survey.bad.len());
        survey.add(path)?;
        if survey.found.len() == before {
            return Err(none_in(path, survey.bad.split_off(bad_before)));
        }
    }
    Ok(survey)
}

/// Why there is no tool in `path`.
fn none_in(path: &Path, bad: Vec<Bad>) -> anyhow::Error {
    let hint = "a tool is a `.wasm` component or a folder with a `tool.toml`";
    let none = || anyhow!("there is no tool in `{}`\n  hint: {hint}", path.display());
    let others = bad.len().saturating_sub(1);
    match bad.into_iter().next() {
        None => none(),
        Some(only) if others == 0 => only.problem,
        Some(first) => {
            let shown = path.display();
            first.problem.context(format!("none of the {} tools in `{shown}` can be used; the first", others + 1))
        }
    }
}

/// The others work without it, but somebody put it there.
fn say_bad(bad: &Bad) {
    let (shown, problem) = (bad.path.display(), &bad.problem);
    let _ = writeln!(anstream::stderr(), "warning: `{shown}` is left out: {problem:#}");
}

impl Survey {
    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let shown = path.display();
        let metadata = std::fs::metadata(path).with_context(|| format!("cannot find tools at `{shown}`"))?;
        if metadata.is_file() {
            return self.keep(bare(path)?);
        }
        if path.join(MANIFEST).is_file() {
            return self.keep(described(path)?);
        }
        for path in entries(path).with_context(|| format!("cannot list `{shown}`"))? {
            let found = if path.join(MANIFEST).is_file() {
                described(&path)
            } else if path.extension().is_some_and(|extension| extension == "wasm") {
                bare(&path)
            } else {
                continue;
            };
            match found {
                Ok(found) => self.keep(Found { origin: Origin::InFolder, ..found })?,
                Err(problem) => self.bad.push(Bad { path, problem }),
            }
        }
        Ok(())
    }

    fn keep(&mut self, one: Found) -> anyhow::Result<()> {
        if self.found.len() == COMPONENTS_MAX {
            let message = format!("there are more than {COMPONENTS_MAX} components, from `{}` on", one.wasm.display());
            return Err(named::Name::RequestTooLarge.because(message).into());
        }
        self.found.push(one);
        Ok(())
    }
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.take(ENTRIES_MAX);
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// A component without a manifest beside it: what the one inside says, else it is called what its file is called.
///
/// # Errors
/// Where that is no name, or the manifest has problems.
pub fn bare(path: &Path) -> anyhow::Result<Found> {
    let cannot = || format!("cannot read component `{}`", path.display());
    let bytes = std::fs::metadata(path).with_context(cannot)?.len();
    // What is too large is refused when it is read, and nothing in it counts.
    let inside = if bytes > COMPONENT_BYTES_MAX as u64 {
        None
    } else {
        manifest_inside(path, &input::read_bytes(path, COMPONENT_BYTES_MAX as u64).with_context(cannot)?)?
    };
    if let Some((manifest, manifest_text)) = inside {
        let (name, wasm, manifest) = (manifest.name.clone(), path.to_owned(), Some(manifest));
        let (manifest_at, origin) = (ManifestAt::Inside, Origin::Named);
        return Ok(Found { name, wasm, manifest, manifest_text, manifest_at, origin });
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.to_ascii_lowercase().parse().map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
    let (wasm, manifest_text, manifest_at) = (path.to_owned(), String::new(), ManifestAt::Nowhere);
    Ok(Found { name, wasm, manifest: None, manifest_text, manifest_at, origin: Origin::Named })
}

/// The manifest that a component carries, with its text.
fn manifest_inside(path: &Path, bytes: &[u8]) -> anyhow::Result<Option<(Manifest, String)>> {
    let shown = format!("{} (its embedded manifest)", path.display());
    let text = manifest_section::read(bytes).map_err(|problem| anyhow!("`{}`: {problem}", path.display()))?;
    let Some(text) = text else { return Ok(None) };
    Ok(Some((Manifest::parse(&shown, &text)?, text)))
}

fn described(folder: &Path) -> anyhow::Result<Found> {
    let (manifest, manifest_text) = match read_manifest(folder) {
        Err(_) if is_off(Defence::Manifests) => return missing_defences::undescribed(folder),
        read => read?,
    };
    let wasm = folder.join(format!("{}.wasm", manifest.name));
    let shown = folder.display();
    ensure!(
        wasm.is_file(),
        "tool `{}` is not built: there is no `{}`\n  hint: `agent-host tool build {shown}`",
        manifest.name,
        wasm.display()
    );
    let (name, manifest_at) = (manifest.name.clone(), ManifestAt::Beside);
    Ok(Found { name, wasm, manifest: Some(manifest), manifest_text, manifest_at, origin: Origin::Named })
}

/// Reads the manifest in a tool's folder, and gives its text too.
///
/// # Errors
/// Where it cannot be read or has problems; all of them are in the error.
pub fn read_manifest(folder: &Path) -> anyhow::Result<(Manifest, String)> {
    let path = folder.join(MANIFEST);
    let shown = path.display().to_string();
    let text = input::read_config(&path, &shown)?;
    Ok((Manifest::parse(&shown, &text)?, text))
}

/// Two tools of one name are never both there, nor two whose names a person takes for the same.
fn refuse_twins<'f>(found: impl IntoIterator<Item = &'f Found>) -> anyhow::Result<()> {
    let mut seen: HashMap<String, &Found> = HashMap::new();
    for tool in found {
        if let Some(other) = seen.insert(tool.name.skeleton(), tool).filter(|_| !is_off(Defence::ToolNames)) {
            let (here, there) = (tool.wasm.display(), other.wasm.display());
            let what = if tool.name == other.name {
                format!("two tools are called `{}`", tool.name)
            } else {
                format!("the tools `{}` and `{}` look alike", other.name, tool.name)
            };
            let message = format!("{what}: `{there}` and `{here}`\n  hint: rename one, or leave one out");
            return Err(named::Name::DuplicateTool.because(message).into());
        }
    }
    Ok(())
}

/// Reads one component.
///
/// # Errors
/// Where the file cannot be read, or is larger than any component may be: then before it is read.
pub fn read(found: Found) -> anyhow::Result<Unloaded> {
    let shown = found.wasm.display();
    let cannot = || format!("cannot read component `{shown}`");
    let bytes = std::fs::metadata(&found.wasm).with_context(cannot)?.len();
    if bytes > COMPONENT_BYTES_MAX as u64 && !is_off(Defence::ComponentSize) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        return Err(anyhow::Error::from(LoadError::TooLarge { bytes }).context(format!("cannot load `{shown}`")));
    }
    let bytes = input::read_bytes(&found.wasm, bytes.max(COMPONENT_BYTES_MAX as u64)).with_context(cannot)?;
    // It was read before, for its manifest: what that allows must be said by the component that is loaded.
    let said = manifest_section::read(&bytes).ok().flatten().unwrap_or_default();
    ensure!(
        found.manifest_at == ManifestAt::Beside || said == found.manifest_text,
        "component `{shown}` was changed while it was read\n  hint: try again when its build is done"
    );
    Ok(Unloaded { found, bytes })
}

/// Finds and reads the components at these paths.
///
/// # Errors
/// See [`find`] and [`read`].
pub fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Unloaded>> {
    read_within(find(paths)?, ALL_BYTES_MAX)
}

fn read_within(found: Vec<Found>, bytes_max: usize) -> anyhow::Result<Vec<Unloaded>> {
    let (mut all, mut bytes) = (Vec::with_capacity(found.len()), 0);
    for found in found {
        let one = unless_bad(&found.wasm.clone(), found.origin, read(found))?;
        let Some(one) = one else { continue };
        bytes += one.bytes.len();
        if bytes > bytes_max && !is_off(Defence::ComponentSize) {
            let message = format!("the components have more than {bytes_max} bytes together");
            return Err(named::Name::RequestTooLarge.because(message).into());
        }
        all.push(one);
    }
    Ok(all)
}

/// What is wrong with a component of a folder is reported; what was named itself must be good.
fn unless_bad<T>(path: &Path, origin: Origin, result: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match (result, origin) {
        (Ok(good), _) => Ok(Some(good)),
        (Err(problem), Origin::Named) => Err(problem),
        (Err(problem), Origin::InFolder) => {
            say_bad(&Bad { path: path.to_owned(), problem });
            Ok(None)
        }
    }
}

/// Loads one component.
///
/// # Errors
/// Where it is not a component that this host can run.
pub fn load(sandbox: &Sandbox, Unloaded { found, bytes }: Unloaded) -> anyhow::Result<Loaded> {
    let shown = found.wasm.display().to_string();
    let exports = found.manifest.as_ref().map(|manifest| manifest.exports.clone()).unwrap_or_default();
    let component =
        load_bytes(sandbox, &found.name, &bytes, &exports).with_context(|| format!("cannot load `{shown}`"))?;
    check_schemas(&component).with_context(|| format!("cannot load `{shown}`"))?;
    let imports: Vec<_> = component.imports.iter().map(|import| import.capability).collect();
    let ceiling =
        found.manifest.as_ref().map_or_else(|| Ceiling::of_imports(&imports), |manifest| manifest.ceiling.clone());
    Ok(Loaded { found, component, bytes, ceiling })
}

/// Loads a component from its bytes, which may compile it and take seconds. Others on this runtime go on meanwhile.
///
/// # Errors
/// Where this host cannot run it.
pub fn load_bytes(
    sandbox: &Sandbox,
    name: &Name,
    bytes: &[u8],
    exports: &ExportRules,
) -> anyhow::Result<Arc<Component>> {
    let loaded = tokio::task::block_in_place(|| sandbox.load_by(name, bytes, exports)).map_err(with_cure)?;
    if let CodeOrigin::Compiled { rejected: Some(rejected), .. } = &loaded.code {
        say_rejected(name, rejected);
    }
    Ok(loaded)
}

/// The error, with what the user can do about it in this program.
fn with_cure(error: LoadError) -> anyhow::Error {
    let cure = match &error {
        LoadError::CompileLimit(CompileLimit::Time(_)) => "raise `compile_time` in settings.toml",
        LoadError::CompileLimit(CompileLimit::Memory(_)) => "raise `compile_memory` in settings.toml",
        LoadError::CompileLimit(CompileLimit::Stack)
        | LoadError::TooLarge { .. }
        | LoadError::CoreModule
        | LoadError::Precompiled
        | LoadError::TextFormat
        | LoadError::Invalid(_)
        | LoadError::TooManyParts(_)
        | LoadError::UnknownImport { .. }
        | LoadError::Link(_)
        | LoadError::Description(_)
        | LoadError::Exports(_)
        | LoadError::Host(_) => return error.into(),
    };
    let hint = format!("build it smaller (`--release`, `wasm-opt -Oz`), or, if you trust it, {cure}");
    named::Name::CompileLimit.because(format!("{error}\n  hint: {hint}")).into()
}

/// Somebody put code where this host keeps what it compiled, or a disk went bad: worth a line even where all is well then.
fn say_rejected(name: &Name, rejected: &CacheRejected) {
    let _ = writeln!(
        anstream::stderr(),
        "warning[{}]: {rejected}: it was not used, and `{name}` was compiled anew",
        rejected.name()
    );
}

/// Schemas that a component wrote itself; those derived from its types are ours.
fn check_schemas(component: &Component) -> Result<(), LoadError> {
    let own = match component.door {
        Door::Exports => &[],
        Door::World => component.tools.as_slice(),
    };
    own.iter().try_for_each(|tool| {
        let refused = |problem| LoadError::Description(format!("the schema of `{}`: {problem}", tool.name));
        schema_guard::check(&tool.input_schema).map_err(refused)
    })
}

/// Loads several components.
///
/// # Errors
/// Where two have one name, and see [`load`].
pub fn load_all(sandbox: &Sandbox, tools: Vec<Unloaded>) -> anyhow::Result<Vec<Loaded>> {
    refuse_twins(tools.iter().map(|tool| &tool.found))?;
    let only = tools.len() == 1;
    let mut loaded = Vec::with_capacity(tools.len());
    for tool in tools {
        // Without any tool nothing of what was named is there.
        let origin = if only { Origin::Named } else { tool.found.origin };
        let wasm = tool.found.wasm.clone();
        loaded.extend(unless_bad(&wasm, origin, load(sandbox, tool))?);
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
        let has_rules = component.found.manifest.as_ref().is_some_and(|manifest| !manifest.exports.is_empty());
        for (descriptor, export) in component.component.tools.iter().zip(&component.component.exports) {
            let authority = authority(component, &descriptor.name, rules)?;
            if authority.forbidden_by().is_some() {
                continue;
            }
            locked.push(LockedTool {
                descriptor: tool_words::explained(descriptor, &authority),
                component: component.component.digest,
                export: has_rules.then(|| export.clone()),
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
    let weakened: Vec<Authority> = rules.iter().map(|rules| missing_defences::weakened(rules, tool)).collect();
    let rules: Vec<&Authority> = weakened.iter().collect();
    Ok(resolve(tool, &loaded.component.digest, &loaded.ceiling, &limits, &rules)?)
}

/// The components by digest, as the driver looks them up.
#[must_use]
pub fn by_digest(loaded: &[Loaded]) -> HashMap<Digest, Arc<Component>> {
    loaded.iter().map(|loaded| (loaded.component.digest, Arc::clone(&loaded.component))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent file is read before anybody was asked whether it is trusted.
    #[test]
    fn neither_many_nor_large_components_are_held() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |number: usize| std::fs::write(folder.path().join(format!("t{number}.wasm")), "0123456789");
        (0..COMPONENTS_MAX).try_for_each(write)?;
        let all = || find(&[folder.path().to_owned()]);
        assert_eq!(read_within(all()?, 10 * COMPONENTS_MAX)?.len(), COMPONENTS_MAX);
        let large = read_within(all()?, 10 * COMPONENTS_MAX - 1).map(drop).map_err(|error| error.to_string());
        assert!(large.is_err_and(|message| message.contains("more than 2559 bytes together")));
        write(COMPONENTS_MAX)?;
        let many = all().map(drop).map_err(|error| error.to_string());
        assert!(many.is_err_and(|message| message.contains("more than 256 components")));
        Ok(())
    }
}
