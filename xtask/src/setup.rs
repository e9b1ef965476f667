//! `cargo xtask setup`: makes `cargo build --target wasm32-wasip2` work.

use anyhow::Result;

use crate::expect_only;
use crate::places::Places;
use crate::talk::{print, say};
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask setup

Makes `cargo build --target wasm32-wasip2` work, by the first of these that does:
  1. the target that rustc has, or that an earlier setup made
  2. `rustup target add wasm32-wasip2`
  3. the standard library built from Debian's package of its source, for rustc as it is
  4. Debian's own rustc, kept aside for components alone
The last two are for machines that reach package registries only. They put everything below the user's cache folder
(`agent-host/wasm-toolchain`) and leave the toolchain as it is. A second setup takes no time.";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    let target = WasmTarget::set_up(places)?;
    say(&format!("wasm32-wasip2 is ready: {target}"));
    let exports: Vec<String> =
        target.variables().iter().map(|(name, value)| format!("export {name}={value:?}")).collect();
    if !exports.is_empty() {
        say("xtask sets these itself; set them to call cargo for components yourself:");
        print(&exports.join("\n"));
    }
    Ok(())
}
