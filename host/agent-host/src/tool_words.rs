//! What the model reads of a tool: the description that it came with, and what only this run knows. `toolset` asks when the tools
//! of a run are locked.

use agent_core::config::resolve::ToolAuthority;
use agent_core::grant::Access;
use agent_core::hidden::without_tags;
use agent_core::json::JsonText;
use agent_core::tool::ToolDescriptor;

/// The description as the model sees it: with the mounts that the tool has in this run.
#[must_use]
pub fn explained(descriptor: &ToolDescriptor, authority: &ToolAuthority) -> ToolDescriptor {
    let mut descriptor = visible(descriptor);
    let mounts: Vec<_> =
        authority.grant.fs.iter().map(|fs| format!("`{}` ({})", fs.mount, access_word(fs.access))).collect();
    if !mounts.is_empty() {
        descriptor.description = format!("{}\nFiles: {}.", descriptor.description.trim_end(), mounts.join(", "));
    }
    descriptor
}

/// Without characters that only a machine reads: a model would follow words that no person sees.
fn visible(descriptor: &ToolDescriptor) -> ToolDescriptor {
    let plain = |schema: &JsonText| JsonText::parse(&without_tags(schema.as_str())).unwrap_or_else(|_| schema.clone());
    ToolDescriptor {
        name: descriptor.name.clone(),
        description: without_tags(&descriptor.description).into_owned(),
        input_schema: plain(&descriptor.input_schema),
        output_schema: descriptor.output_schema.as_ref().map(plain),
    }
}

fn access_word(access: Access) -> &'static str {
    match access {
        Access::Read => "read only; relative paths begin here",
        Access::Write => "read and write; relative paths begin here",
    }
}
