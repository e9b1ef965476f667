//! What the tools that an agent file names are made of: the digest of each component and manifest. Trust in the file is bound to
//! it, since a grant to `fetch` means the `fetch` that was there, not whatever takes its place.

use std::path::PathBuf;

use agent_core::digest::Digest;
use anyhow::Context;

use crate::input;
use crate::toolset::{self, COMPONENT_BYTES_MAX, MANIFEST};

/// One digest over name, manifest and component of every tool at these paths, in the order in which they are found.
///
/// # Errors
/// Where a tool cannot be found or read.
pub fn of_tools(paths: &[PathBuf]) -> anyhow::Result<Digest> {
    let mut digests = Vec::new();
    for found in toolset::find(paths)? {
        let shown = found.wasm.display().to_string();
        let component = input::read_bytes(&found.wasm, COMPONENT_BYTES_MAX);
        let component = component.with_context(|| format!("cannot read component `{shown}`"))?;
        let manifest = match (&found.manifest, found.wasm.parent()) {
            (Some(_), Some(folder)) => input::read_config(&folder.join(MANIFEST), &shown)?,
            (Some(_) | None, _) => String::new(),
        };
        digests.push(Digest::of_parts(&[found.name.as_str().as_bytes(), &component, manifest.as_bytes()]));
    }
    let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
    Ok(Digest::of_parts(&parts))
}
