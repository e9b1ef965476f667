//! Writes `tools/.cargo/config.toml`, which git ignores, so that a plain `cargo build --target wasm32-wasip2` in `tools/`,
//! and an editor, find the target without xtask.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{TARGET, WasmTarget};
use crate::places::Places;

/// Tells our file from one that the user wrote.
const MARK: &str = "# Written by `cargo xtask setup`.";

/// Writes the file, or removes ours where none is needed any more.
pub(super) fn write(places: &Places, target: &WasmTarget) -> Result<()> {
    let path = places.tools.join(".cargo/config.toml");
    let shown = path.display();
    let present = fs::read_to_string(&path).ok();
    let ours = present.as_ref().is_none_or(|text| text.starts_with(MARK));
    let Some(wanted) = text(target) else {
        if present.is_some() && ours {
            fs::remove_file(&path).with_context(|| format!("cannot remove `{shown}`"))?;
        }
        return Ok(());
    };
    if present.as_ref() == Some(&wanted) || !places.tools.is_dir() {
        return Ok(());
    }
    ensure!(ours, "`{shown}` is not ours to change\n  hint: remove it, or add this to it:\n{wanted}");
    fs::create_dir_all(places.tools.join(".cargo"))?;
    fs::write(&path, wanted).with_context(|| format!("cannot write `{shown}`"))
}

fn text(target: &WasmTarget) -> Option<String> {
    let flags = target.flags()?;
    let rustc = match target {
        WasmTarget::OtherRustc { rustc, .. } => format!("\n[build]\nrustc = {:?}\n", rustc.display().to_string()),
        WasmTarget::Toolchain | WasmTarget::Sysroot(_) => String::new(),
    };
    Some(format!("{MARK}\n[target.{TARGET}]\nrustflags = [{flags:?}]\n{rustc}"))
}
