//! Builds the smallest component there is: whether the target works is seen, not assumed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{TARGET, WasmTarget};
use crate::process::{cargo, run};

const MANIFEST: &str = "[package]\nname = \"probe\"\nedition = \"2024\"\n[workspace]\n";
const PROGRAM: &str = "fn main() { println!(\"{:?}\", std::env::args().collect::<Vec<_>>()); }\n";
/// How a component starts: the magic number, then a version and a layer that core modules do not have.
const COMPONENT: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// Builds one in `folder`.
pub(super) fn build_component(target: &WasmTarget, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    fs::write(folder.join("src/main.rs"), PROGRAM)?;
    let mut command = cargo();
    target.prepare(&mut command);
    command.args(["build", "--quiet", "--offline", "--target", TARGET]).current_dir(folder);
    run(command.env("CARGO_TARGET_DIR", folder.join("target"))).context("the target is there but builds no program")?;
    let built = folder.join("target").join(TARGET).join("debug/probe.wasm");
    let bytes = fs::read(&built).with_context(|| format!("the build left no `{}`", built.display()))?;
    ensure!(bytes.starts_with(&COMPONENT), "the target builds core modules, not components");
    Ok(())
}
