//! Puts the comments of the WIT beside a tool's manifest into its component, where a model will read them: toolchains drop them. Called
//! by `agent-host init`, `tool build` and `tool pack`.

use std::path::Path;

use agent_tool_docs::wit;
use anyhow::Context;

use crate::report::text;
use crate::wit_files;

/// The folder with WIT files beside a manifest.
const FOLDER: &str = "wit";

/// `component` with what the WIT in a tool's folder says of it. Where there is none, as it is: a tool built elsewhere brings its own.
///
/// # Errors
/// Where the WIT cannot be read or is not valid, or says more of its functions than a component can hold.
pub fn embed(component: Vec<u8>, tool: &Path) -> anyhow::Result<Vec<u8>> {
    let folder = tool.join(FOLDER);
    if !folder.is_dir() {
        return Ok(component);
    }
    let (resolve, package) = wit_files::read(&folder)?;
    wit::embed(component, &resolve, package).with_context(|| {
        let shown = text::whole(&folder.display().to_string());
        format!("cannot keep the comments above the functions in `{shown}`\n  hint: shorten them: a model reads them with every request")
    })
}
