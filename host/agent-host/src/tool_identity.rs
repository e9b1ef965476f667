//! What the tools that an agent file names are made of: the digest of each component and manifest. Trust in the file is bound to
//! it, since a grant to `fetch` means the `fetch` that was there, not whatever takes its place.

use agent_core::digest::Digest;

use crate::report::text;
use crate::toolset::Unloaded;

/// Tools that are shown each by itself. What they may do is said elsewhere, and whole.
const SHOWN_MAX: usize = 20;
/// Longest piece of what an author says of one.
const SAID_CHARS_MAX: usize = 200;

/// What the person who is asked for trust is told of each tool: the component that it is, and what its author says of it, which
/// the model reads too.
#[must_use]
pub fn told(tools: &[Unloaded]) -> Vec<String> {
    let line = |Unloaded { found, bytes }: &Unloaded| {
        let said = found.manifest.as_ref().map_or("(no manifest)", |manifest| &manifest.description);
        let said = text::line(&said.replace('\n', " "), SAID_CHARS_MAX);
        format!("tool {}, component {}: {said}", found.name, Digest::of(bytes).short())
    };
    let mut lines: Vec<_> = tools.iter().take(SHOWN_MAX).map(line).collect();
    let more = tools.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        lines.push(format!("and {more} more tools: `agent-host tool list --tools DIR` has them"));
    }
    lines
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
