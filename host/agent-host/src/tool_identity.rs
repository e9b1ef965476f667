//! What the tools that an agent file names are made of: the digest of each component and manifest. Trust in the file is bound to
//! it, since a grant to `fetch` means the `fetch` that was there, not whatever takes its place.

use agent_core::digest::Digest;

use crate::toolset::Unloaded;

/// What the person who is asked for trust is told of each tool: the component that it is, and what its author says of it, which
/// the model reads too.
#[must_use]
pub fn told(tools: &[Unloaded]) -> Vec<String> {
    let line = |Unloaded { found, bytes }: &Unloaded| {
        let said = found.manifest.as_ref().map_or("(no manifest)", |manifest| &manifest.description);
        format!("tool {}, component {}: {}", found.name, Digest::of(bytes).short(), said.replace('\n', " "))
    };
    tools.iter().map(line).collect()
}

/// One digest over name, manifest and component of each of these tools, in their order.
#[must_use]
pub fn of_tools(tools: &[Unloaded]) -> Digest {
    let identity = |Unloaded { found, bytes }: &Unloaded| {
        Digest::of_parts(&[found.name.as_str().as_bytes(), bytes, found.manifest_text.as_bytes()])
    };
    let digests: Vec<Digest> = tools.iter().map(identity).collect();
    let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
    Digest::of_parts(&parts)
}
