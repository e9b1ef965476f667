//! Rules and manifests as a test build sees them in which a defence is switched off: what the defence would refuse is taken as
//! its author hoped. In a build for use none can be off, and this changes nothing. `toolset` and `tool_folders` ask.

use std::path::Path;

use agent_core::config::authority::{Authority, GrantRule};
use agent_core::config::selector::Selector;
use agent_core::name::ToolName;
use agent_sandbox::defence::{Defence, is_off};

use crate::tool_folders::{self, Found};

/// `rules` for `tool`, without what would be refused.
pub fn weakened(rules: &Authority, tool: &ToolName) -> Authority {
    let mut weak = rules.clone();
    if is_off(Defence::DeniedGrants) {
        weak.denies.clear();
    }
    if is_off(Defence::Digests) {
        weak.grants.iter_mut().for_each(|rule| rule.component = None);
    }
    if is_off(Defence::UndeclaredGrants) {
        weak.grants.retain(|rule| rule.selector.covers(tool));
        // What a rule for everything gives beyond a ceiling is left out silently.
        weak.grants =
            weak.grants.into_iter().map(|rule| GrantRule { selector: Selector::Everything, ..rule }).collect();
    }
    weak
}

/// The tool in a folder as if it had no manifest.
pub fn undescribed(folder: &Path) -> anyhow::Result<Found> {
    let name = folder.file_name().unwrap_or_default();
    tool_folders::bare(&folder.join(name).with_extension("wasm"))
}
