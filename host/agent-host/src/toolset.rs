//! The tools of a run: read from where `tool_folders` found them, loaded into the sandbox, joined with their manifests, and locked to what they may
//! do. Used by every command that touches a tool.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use agent_core::config::authority::Authority;
use agent_core::config::ceiling::Ceiling;
use agent_core::config::exports::ExportRules;
use agent_core::config::resolve::{ToolAuthority, resolve};
use agent_core::name::{Name, ToolName};
use agent_core::run_events::LockedTool;
use agent_sandbox::Sandbox;
use agent_sandbox::cache::CacheRejected;
use agent_sandbox::compile::CompileLimit;
use agent_sandbox::component::{COMPONENT_BYTES_MAX, CodeOrigin, Component, LoadError};
use agent_sandbox::defence::{Defence, is_off};
use agent_sandbox::describe::{Door, manifest_section};
use anyhow::{Context, ensure};

use crate::tool_folders::{self, ALL_BYTES_MAX, Found, LeftOut, ManifestAt, Origin};
use crate::{input, missing_defences, named, schema_guard, tool_words};

/// Tools of one run at most: each is described to the model in every request.
const TOOLS_MAX: usize = 256;

/// A component and its manifest as they were read: once, so that what was looked at, trusted and hashed is what is loaded.
#[derive(Debug)]
pub struct Unloaded {
    /// Where it came from.
    pub found: Found,
    /// The component's bytes.
    pub bytes: Vec<u8>,
}

/// A component, loaded.
#[derive(Clone)]
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
/// See [`tool_folders::find`] and [`read`].
pub fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Unloaded>> {
    read_within(tool_folders::find(paths)?, ALL_BYTES_MAX)
}

fn read_within(found: Vec<Found>, bytes_max: usize) -> anyhow::Result<Vec<Unloaded>> {
    let (mut all, mut left_out, mut bytes) = (Vec::with_capacity(found.len()), Vec::new(), 0);
    for found in found {
        let place = (found.wasm.clone(), found.origin);
        let Some(one) = unless_bad(place, read(found), &mut left_out)? else { continue };
        bytes += one.bytes.len();
        if bytes > bytes_max && !is_off(Defence::ComponentSize) {
            let message = format!("the components have more than {bytes_max} bytes together");
            return Err(named::Name::RequestTooLarge.because(message).into());
        }
        all.push(one);
    }
    tool_folders::say_left_out(&left_out);
    Ok(all)
}

/// A component of a folder that cannot be used is left out; what was named itself must be good.
fn unless_bad<T>(
    (path, origin): (PathBuf, Origin),
    result: anyhow::Result<T>,
    left_out: &mut Vec<LeftOut>,
) -> anyhow::Result<Option<T>> {
    match (result, origin) {
        (Ok(good), _) => Ok(Some(good)),
        (Err(problem), Origin::Named) => Err(problem),
        (Err(problem), Origin::InFolder) => {
            left_out.push(LeftOut { path, problem });
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
    let smaller = |cure: &str| -> anyhow::Error {
        let hint = format!("build it smaller (`--release`, `wasm-opt -Oz`), or, if you trust it, {cure}");
        named::Name::CompileLimit.because(format!("{error}\n  hint: {hint}")).into()
    };
    match &error {
        LoadError::CompileLimit(CompileLimit::Time(_)) => smaller("raise `compile_time` in settings.toml"),
        LoadError::CompileLimit(CompileLimit::Memory(_)) => smaller("raise `compile_memory` in settings.toml"),
        LoadError::CompileLimit(CompileLimit::MemoryFromOutside(_)) => {
            smaller("start agent-host with a higher limit: `ulimit -d` and `ulimit -v` tell it")
        }
        LoadError::CompilerBroke(_) => {
            let hint = "build it with another release of its toolchain; and report it, with the component, where agent-host is \
                        developed";
            named::Name::ComponentInvalid.because(format!("{error}\n  hint: {hint}")).into()
        }
        LoadError::OtherWorld(other) => {
            named::Name::ComponentInvalid.because(format!("{error}\n  hint: {}", other.cure())).into()
        }
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
        | LoadError::Concurrent { .. }
        | LoadError::FixedLengthLists { .. }
        | LoadError::Host(_) => error.into(),
    }
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
        let mut both = std::iter::once(&tool.input_schema).chain(&tool.output_schema);
        both.try_for_each(schema_guard::check).map_err(refused)
    })
}

/// Whether a component still stands where it was, and its manifest beside it, as they were loaded.
#[must_use]
pub fn is_unchanged(loaded: &Loaded) -> bool {
    let found = &loaded.found;
    let bytes = input::read_bytes(&found.wasm, COMPONENT_BYTES_MAX as u64);
    let manifest = match found.manifest_at {
        ManifestAt::Beside => {
            found.wasm.parent().and_then(|folder| tool_folders::read_manifest(folder).ok()).map(|(_, text)| text)
        }
        ManifestAt::Inside | ManifestAt::Nowhere => Some(found.manifest_text.clone()),
    };
    manifest.is_some_and(|text| text == found.manifest_text) && bytes.is_ok_and(|bytes| bytes == loaded.bytes)
}

/// Loads several components.
///
/// # Errors
/// Where two have one name, and see [`load`].
pub fn load_all(sandbox: &Sandbox, tools: Vec<Unloaded>) -> anyhow::Result<Vec<Loaded>> {
    tool_folders::refuse_twins(tools.iter().map(|tool| &tool.found))?;
    let only = tools.len() == 1;
    let (mut loaded, mut left_out) = (Vec::with_capacity(tools.len()), Vec::new());
    for tool in tools {
        // Without any tool nothing of what was named is there.
        let origin = if only { Origin::Named } else { tool.found.origin };
        let place = (tool.found.wasm.clone(), origin);
        loaded.extend(unless_bad(place, load(sandbox, tool), &mut left_out)?);
    }
    tool_folders::say_left_out(&left_out);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as a run may have.
    const COMPONENTS: usize = 256;

    /// An agent file is read before anybody was asked whether it is trusted.
    #[test]
    fn neither_many_nor_large_components_are_held() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |number: usize| std::fs::write(folder.path().join(format!("t{number}.wasm")), "0123456789");
        (0..COMPONENTS).try_for_each(write)?;
        let all = || tool_folders::find(&[folder.path().to_owned()]);
        assert_eq!(read_within(all()?, 10 * COMPONENTS)?.len(), COMPONENTS);
        let large = read_within(all()?, 10 * COMPONENTS - 1).map(drop).map_err(|error| error.to_string());
        assert!(large.is_err_and(|message| message.contains("more than 2559 bytes together")));
        write(COMPONENTS)?;
        let many = all().map(drop).map_err(|error| error.to_string());
        assert!(many.is_err_and(|message| message.contains("more than 256 components")));
        Ok(())
    }
}
