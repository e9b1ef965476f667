//! The components of a run, as its calls find them: by what a tool is locked to. Two tools may come from the same bytes under
//! different names, each with `[exports]` of its own in its manifest; the bytes alone do not say which function is meant.

use std::collections::HashMap;
use std::sync::Arc;

use agent_core::config::exports::ExportRules;
use agent_core::digest::Digest;
use agent_core::name::Name;
use agent_core::run_events::LockedTool;
use agent_sandbox::Sandbox;
use agent_sandbox::component::Component;
use anyhow::Context;

use crate::journal::Journal;
use crate::toolset::{self, Loaded};

/// Components by name and digest: what was loaded under a name, with the rules that its manifest had.
#[derive(Default)]
pub struct Components(HashMap<(Name, Digest), Arc<Component>>);

impl Components {
    /// Those that were just loaded.
    #[must_use]
    pub fn of(loaded: &[Loaded]) -> Self {
        Self(loaded.iter().map(|loaded| entry(&loaded.component)).collect())
    }

    /// Those that the tools of a run were locked to, out of its journal.
    ///
    /// # Errors
    /// Where the journal lacks one, or this host cannot run it.
    pub fn of_run(journal: &dyn Journal, sandbox: &Sandbox, tools: &[LockedTool]) -> anyhow::Result<Self> {
        let mut components = Self::default();
        for tool in tools {
            let (name, digest) = (&tool.descriptor.name.component, tool.component);
            if components.0.contains_key(&(name.clone(), digest)) {
                continue;
            }
            let missing = || format!("the journal lacks component `{name}` ({digest})");
            let bytes = journal.blob(&digest)?.with_context(missing)?;
            let component = toolset::load_bytes(sandbox, name, &bytes, &rules(tools, name, digest))?;
            components.0.extend([entry(&component)]);
        }
        Ok(components)
    }

    /// The component of a tool.
    ///
    /// # Errors
    /// Where it was not loaded.
    pub fn of_tool(&self, tool: &LockedTool) -> anyhow::Result<&Arc<Component>> {
        let key = (tool.descriptor.name.component.clone(), tool.component);
        self.0.get(&key).context("a component of the run is not loaded")
    }
}

fn entry(component: &Arc<Component>) -> ((Name, Digest), Arc<Component>) {
    ((component.name.clone(), component.digest), Arc::clone(component))
}

/// The rules by which the tools of a component were found, where a manifest had some: it is not in the journal.
fn rules(tools: &[LockedTool], name: &Name, component: Digest) -> ExportRules {
    let of_it = tools.iter().filter(|tool| tool.component == component && tool.descriptor.name.component == *name);
    let chosen: Option<Vec<_>> =
        of_it.map(|tool| Some((tool.export.as_deref()?, &tool.descriptor.name.operation))).collect();
    chosen.map_or_else(ExportRules::default, |chosen| ExportRules::exactly(chosen.into_iter()))
}
