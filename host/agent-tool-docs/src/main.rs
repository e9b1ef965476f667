//! `keep-wit-comments FOLDER`: reads a component from standard input and writes it to standard output, with the comments of the
//! WIT files in FOLDER inside. `cargo xtask tools` has it do for the bundled tools what `agent-host tool build` does for others. Both
//! are our own files, so nothing is bounded here.
//!
//! A program of its own, since whoever starts `cargo xtask` would otherwise wait for a parser of WIT first.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::path::PathBuf;

use agent_tool_docs::wit;
use anyhow::{Context as _, bail};
use wit_parser::Resolve;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        bail!("usage: keep-wit-comments FOLDER < COMPONENT > COMPONENT");
    };
    let folder = PathBuf::from(folder);
    let cannot = || format!("cannot keep the comments of the WIT in `{}`", folder.display());
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&folder).with_context(cannot)?;
    let mut component = Vec::new();
    stdin().lock().read_to_end(&mut component).context("cannot read the component")?;
    let described = wit::embed(component, &resolve, package).with_context(cannot)?;
    stdout().lock().write_all(&described).context("cannot write the component")?;
    Ok(())
}
