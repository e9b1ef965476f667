//! Finds the standard library of `wasm32-wasip2` for a build command. Where rustc has it, nothing is to do; `cargo xtask`
//! may have put one beside the toolchain, in the user's cache folder, and then the build is pointed there.

use std::path::PathBuf;

use tokio::process::Command;

/// The folder below the user's cache in which `cargo xtask` puts the target where rustup cannot add it.
const CACHE_FOLDER: &str = "agent-host/wasm-toolchain";
/// The variable by which cargo takes flags for the target alone.
const FLAGS: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";

/// Lets `command` find the target's standard library if rustc itself does not have it.
pub async fn prepare(command: &mut Command) {
    if std::env::var_os(FLAGS).is_some() || rustc_has_target().await {
        return;
    }
    if let Some(sysroot) = sysroot() {
        command.env(FLAGS, format!("--sysroot={}", sysroot.display()));
    }
}

async fn rustc_has_target() -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-wasip2"]).output().await;
    asked.is_ok_and(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn sysroot() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    let sysroot = cache.join(CACHE_FOLDER).join("sysroot");
    sysroot.join("lib/rustlib/wasm32-wasip2/lib").is_dir().then_some(sysroot)
}
