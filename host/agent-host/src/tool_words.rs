//! What the model reads of a tool: the description that it came with, and what only this run knows. `toolset` asks when the tools
//! of a run are locked.

use agent_core::config::resolve::ToolAuthority;
use agent_core::grant::{Access, FsGrant};
use agent_core::hidden::without_tags;
use agent_core::json::JsonText;
use agent_core::tool::ToolDescriptor;

/// The description as the model sees it: with the mounts that the tool has in this run.
#[must_use]
pub fn explained(descriptor: &ToolDescriptor, authority: &ToolAuthority) -> ToolDescriptor {
    let mut descriptor = visible(descriptor);
    if let Some(files) = files(&authority.grant.fs) {
        descriptor.description = format!("{}\nFiles: {files}.", descriptor.description.trim_end());
    }
    descriptor
}

/// The mounts, the first of which is the working directory of a tool.
fn files(mounts: &[FsGrant]) -> Option<String> {
    let said = |fs: &FsGrant| format!("`{}` ({})", fs.mount, access_word(fs.access));
    let (first, others) = mounts.split_first()?;
    let first = format!("`{}` ({}; relative paths begin here)", first.mount, access_word(first.access));
    Some([first].into_iter().chain(others.iter().map(said)).collect::<Vec<_>>().join(", "))
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
        Access::Read => "read only",
        Access::Write => "read and write",
    }
}

#[cfg(test)]
mod tests {
    use agent_core::grant::{Recovery, RuleSource};

    use super::*;

    #[test]
    fn relative_paths_begin_at_the_first_mount_alone() {
        let mount = |mount: &str, access| FsGrant {
            host: format!("/home/ada{mount}"),
            mount: mount.to_owned(),
            access,
            recovery: Recovery::Undo,
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            source: RuleSource("--allow-read".to_owned()),
        };
        let mounts = [mount("/scratch", Access::Write), mount("/data", Access::Read)];
        let said = "`/scratch` (read and write; relative paths begin here), `/data` (read only)";
        assert_eq!(files(&mounts).as_deref(), Some(said));
        assert_eq!(files(&mounts[1..]).as_deref(), Some("`/data` (read only; relative paths begin here)"));
        assert_eq!(files(&[]), None);
    }
}
