//! Builds the standard library for the target the way rustc's own build does, and lays it out as rustup would.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::rustc::{Rustc, has_standard_library};
use super::{TARGET, WasmTarget};
use crate::places::{Places, remove};
use crate::process::{cargo, run};
use crate::talk::say;

/// The file that says which rustc a standard library was built for.
const STAMP: &str = "stamp";
/// What the linker takes from the C library.
const OBJECTS: [&str; 3] = ["libc.a", "crt1-command.o", "crt1-reactor.o"];

/// What a standard library is made of.
pub(super) struct Source<'a> {
    /// Rust's `library` folder.
    pub(super) library: PathBuf,
    /// The C library: the folder that has `lib` and `include`.
    pub(super) wasi_libc: &'a Path,
}

/// The sysroot that an earlier setup made, if it is this rustc's.
pub(super) fn find(places: &Places, rustc: &Rustc) -> Option<WasmTarget> {
    let sysroot = places.wasm_toolchain.join("sysroot");
    let stamp = fs::read_to_string(target_folder(&sysroot).join(STAMP)).ok()?;
    let host = sysroot.join("lib/rustlib").join(&rustc.host);
    let fits = stamp.trim() == rustc.stamp() && has_standard_library(&sysroot) && host.is_dir();
    fits.then_some(WasmTarget::Sysroot(sysroot))
}

/// Builds the library with the user's rustc and lays it out as `sysroot`.
pub(super) fn build(source: &Source<'_>, rustc: &Rustc, sysroot: &Path) -> Result<()> {
    say(&format!("building the standard library for {TARGET} (a minute or two)"));
    let target_dir = source.library.join("target");
    compile(&source.library, &target_dir, rustc, None)?;
    let folder = target_folder(sysroot);
    lay_out(&target_dir, source.wasi_libc, &folder)?;
    symlink(rustc.host_libraries(), sysroot.join("lib/rustlib").join(&rustc.host))?;
    fs::write(folder.join(STAMP), rustc.stamp() + "\n")?;
    Ok(())
}

/// Compiles the library, with another rustc than the one on the PATH if one is given.
pub(super) fn compile(library: &Path, target_dir: &Path, rustc: &Rustc, other: Option<&Path>) -> Result<()> {
    let remap = format!("--remap-path-prefix={}=/rustc/{}/library", library.display(), rustc.commit);
    let mut command = cargo();
    without_flags(&mut command);
    if let Some(other) = other {
        command.env("RUSTC", other);
    }
    // The library uses what only rustc's own build may use, and names its files as that build does.
    command.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_DEFAULT_LIB_METADATA", "fallback-std");
    command.env("CARGO_TARGET_DIR", target_dir).env("CARGO_INCREMENTAL", "0").current_dir(library);
    command.args(["build", "--quiet", "--locked", "--manifest-path", "sysroot/Cargo.toml", "--target", TARGET]);
    command.args(["--profile", "dist", "--no-default-features", "--features", "panic-unwind backtrace"]);
    command.arg("--config").arg(format!("target.{TARGET}.rustflags=[\"-Zforce-unstable-if-unmarked\",{remap:?}]"));
    run(&mut command)
}

/// Puts the compiled library and the C library where rustc looks for the target's.
pub(super) fn lay_out(target_dir: &Path, wasi_libc: &Path, folder: &Path) -> Result<()> {
    let (libraries, own) = (folder.join("lib"), folder.join("lib/self-contained"));
    fs::create_dir_all(&own)?;
    for file in target_dir.join(TARGET).join("dist/deps").read_dir()? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The package `sysroot` only pulls the others in.
        if name.ends_with(".rlib") && !name.starts_with("libsysroot-") {
            fs::copy(&path, libraries.join(&name))?;
        }
    }
    for object in OBJECTS {
        let from = wasi_libc.join("lib").join(TARGET).join(object);
        fs::copy(&from, own.join(object)).with_context(|| format!("cannot copy `{}`", from.display()))?;
    }
    Ok(())
}

/// Puts a finished sysroot where builds find it, and the C library beside it, for tools written in C.
pub(super) fn publish(sysroot: &Path, wasi_libc: &Path, places: &Places) -> Result<WasmTarget> {
    for (from, name) in [(wasi_libc, "wasi-libc"), (sysroot, "sysroot")] {
        let to = places.wasm_toolchain.join(name);
        remove(&to)?;
        fs::rename(from, &to).with_context(|| format!("cannot move `{}`", to.display()))?;
    }
    Ok(WasmTarget::Sysroot(places.wasm_toolchain.join("sysroot")))
}

/// The target's folder in a sysroot.
fn target_folder(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET)
}

/// Takes away what the user set for builds of their own.
fn without_flags(command: &mut Command) {
    for name in ["RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
}
