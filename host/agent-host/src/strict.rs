//! `--strict`: a component that imports what was not granted is refused before it runs. Otherwise it is linked to a host that
//! refuses each use. What else strict means, the coarse clock and the empty pool, is the sandbox's.

use agent_core::config::resolve::ToolAuthority;
use agent_core::grant::{Capability, Grant};
use agent_core::run_events::Strictness;

use crate::named;
use crate::toolset::Loaded;

/// Checks the imports of a component against what its tools hold.
///
/// # Errors
/// Where the run is strict and something that is imported was granted to none of them.
pub fn check<'a>(
    strictness: Strictness,
    loaded: &Loaded,
    tools: impl IntoIterator<Item = &'a ToolAuthority>,
) -> anyhow::Result<()> {
    match strictness {
        Strictness::Standard => return Ok(()),
        Strictness::Strict => {}
    }
    // The same bytes may stand under two names, and a grant to one is none to the other.
    let name = &loaded.found.name;
    let own = tools.into_iter().filter(|tool| tool.tool.component == *name);
    let grants: Vec<&Grant> = own.map(|tool| &tool.grant).collect();
    let denied = |capability: Capability| !grants.iter().any(|grant| holds(grant, capability));
    let imports = loaded.component.imports.iter().filter(|import| denied(import.capability));
    let names: Vec<String> = imports.map(|import| format!("`{}`", import.name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!(
        "`{name}` imports {}, which nothing grants\n  rule: `--strict` refuses what is imported and not \
         granted\n  hint: grant it, or run without `--strict`: then each use is refused",
        names.join(", ")
    );
    Err(named::Name::ImportDenied.because(message).into())
}

fn holds(grant: &Grant, capability: Capability) -> bool {
    match capability {
        Capability::Fs => !grant.fs.is_empty(),
        Capability::Http => !grant.http.is_empty(),
        Capability::Kv => !grant.kv.is_empty(),
        Capability::Sockets => false,
        // What Rust makes imports the environment in any case; without a grant it is empty.
        Capability::Env => true,
        // No interface of its own: it is put into requests.
        Capability::Secret => true,
        Capability::Clock | Capability::Random | Capability::Log => true,
    }
}
