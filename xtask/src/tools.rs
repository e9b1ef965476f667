//! `cargo xtask tools`: builds every component of the repository. It does for all bundled tools at once what `agent-host
//! tool build` does for one, and does not need agent-host for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::check::host;
use crate::places::Places;
use crate::process::{cargo, read_bytes, run_shown};
use crate::talk::say;
use crate::wasm_target::WasmTarget;
use crate::{at_once, expect_only};

pub(crate) const HELP: &str = "\
cargo xtask tools

Builds the bundled tools and puts each component beside its `tool.toml`, as `tools/NAME/NAME.wasm`, where agent-host looks
for it, with the comments of its WIT inside. Builds the test guests too (`tools/target/guests`). Sets the wasm target up first
if it is missing.";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    build(places, &WasmTarget::set_up(places)?)
}

/// The program that keeps the comments of WIT files, and its package. No part of this one, which would then take half a minute to
/// compile before it says a word.
pub(crate) const KEEPER: (&str, &str) = ("keep-wit-comments", "agent-tool-docs");

/// Builds all guests and puts them into their places.
pub(crate) fn build(places: &Places, target: &WasmTarget) -> Result<()> {
    compile(places, target)?;
    run_shown(host(places).args(["build", "--locked", "--package", KEEPER.1]))?;
    put_in_place(places)
}

/// Compiles all guests.
pub(crate) fn compile(places: &Places, target: &WasmTarget) -> Result<()> {
    let mut build = cargo_in_tools(places);
    target.prepare(&mut build);
    if places.at_once.is_some() && target.is_of_another_rustc() {
        say("the components are not linted and documented: no clippy reads what another rustc made");
        at_once::leave_out(&mut build);
    }
    run_shown(build.args(["build", "--release", "--target", "wasm32-wasip2"]))
}

/// Puts what was compiled into its places. The host's workspace is built, or its [`KEEPER`].
pub(crate) fn put_in_place(places: &Places) -> Result<()> {
    let built = places.tools_target.join("wasm32-wasip2/release");
    let tools = folders_with(&places.tools, "tool.toml")?;
    for folder in &tools {
        let component = described(places, &built.join(file_name(folder)), &folder.join("wit"))?;
        place(&component, folder, folder)?;
    }
    let guests = folders_with(&places.repo.join("tests/guests"), "Cargo.toml")?;
    fs::create_dir_all(&places.guests)?;
    // As strangers' toolchains leave them: without the comments of their WIT.
    for folder in &guests {
        place(&component_at(&built.join(file_name(folder)))?, folder, &places.guests)?;
    }
    say(&format!(
        "{} tools are beside their tool.toml, {} test guests in {}",
        tools.len(),
        guests.len(),
        places.guests.display()
    ));
    Ok(())
}

/// A cargo that works in the guest workspace.
pub(crate) fn cargo_in_tools(places: &Places) -> Command {
    let mut command = cargo();
    command.current_dir(&places.tools).env("CARGO_TARGET_DIR", &places.tools_target);
    at_once::lint_and_document(places, &mut command);
    command
}

/// The folders in `parent` that have a file of that name: a guest's folder has the name of its component.
pub(crate) fn folders_with(parent: &Path, file: &str) -> Result<Vec<PathBuf>> {
    let entries = parent.read_dir().with_context(|| format!("cannot list `{}`", parent.display()))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join(file).is_file()).collect();
    folders.sort();
    Ok(folders)
}

/// A component with the comments of its WIT, as `agent-host tool build` would leave it.
fn described(places: &Places, built: &Path, wit: &Path) -> Result<Vec<u8>> {
    if !wit.is_dir() {
        return component_at(built);
    }
    let component = File::open(built).with_context(|| missing(built))?;
    read_bytes(Command::new(places.target.join("debug").join(KEEPER.0)).arg(wit).stdin(component))
}

fn component_at(built: &Path) -> Result<Vec<u8>> {
    fs::read(built).with_context(|| missing(built))
}

fn missing(built: &Path) -> String {
    format!("the build left no `{}`", built.display())
}

fn file_name(folder: &Path) -> String {
    format!("{}.wasm", folder.file_name().unwrap_or_default().to_string_lossy())
}

/// Puts the component of `folder` into its place, unless the same bytes are there: a new time would make others think it changed.
fn place(component: &[u8], folder: &Path, into: &Path) -> Result<()> {
    let name = file_name(folder);
    let to = into.join(&name);
    if fs::read(&to).is_ok_and(|present| present == component) {
        return Ok(());
    }
    // Renamed into place: a run that starts meanwhile reads the old component or the new one, never half of it.
    let partial = into.join(format!(".{name}.partial"));
    fs::write(&partial, component)?;
    fs::rename(&partial, &to).with_context(|| format!("cannot write `{}`", to.display()))
}
