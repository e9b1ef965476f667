//! The last route, for the day Debian no longer has the source of the user's release: the rustc that Debian keeps current
//! for its browsers (`rustc-web`), with the source that fits it. It is unpacked, never installed, and compiles components
//! only. A download of 140 MB, 520 MB kept. Cargo and the linker stay those of the user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::apt::{Apt, Archive};
use super::{Rustc, TARGET, WasmTarget, debian_source, probe, standard_library};
use crate::places::{Places, remove};
use crate::talk::say;

const SUITE: &str = "bookworm-security";
/// Written last: a folder without it was left by a setup that did not finish.
const COMPLETE: &str = "complete";

/// What an earlier setup unpacked and built, if it is whole and the user's toolchain still has the linker.
pub(super) fn find(places: &Places, rustc: &Rustc) -> Option<WasmTarget> {
    let folder = folder(places);
    let works = folder.join(COMPLETE).is_file() && rustc.linker().is_file();
    works.then(|| target_in(&folder, rustc))
}

/// Unpacks rustc, and builds the standard library with it.
pub(super) fn build(places: &Places, rustc: &Rustc) -> Result<WasmTarget> {
    ensure!(rustc.linker().is_file(), "there is no wasm linker beside rustc: {}", rustc.linker().display());
    let folder = folder(places);
    remove(&folder)?;
    let work = folder.join("work");
    let target = build_in(&folder, &work, rustc)?;
    probe::build_component(&target, &work.join("probe"))?;
    remove(&work)?;
    fs::write(folder.join(COMPLETE), "")?;
    Ok(target)
}

fn build_in(folder: &Path, work: &Path, rustc: &Rustc) -> Result<WasmTarget> {
    let root = folder.join("root");
    unpack_rustc(&root, work)?;
    let program = write_wrapper(folder, &root)?;
    say(&format!("building the standard library for {TARGET} with Debian's rustc (a minute or two)"));
    let library = library_of(&root)?;
    remove(&library.join("vendor"))?;
    let target_dir = work.join("target");
    standard_library::compile(&library, &target_dir, rustc, Some(&program))?;
    let wasi_libc = debian_source::unpacked_wasi_libc(&debian_source::open_wasi_libc(&work.join("apt"))?, work)?;
    standard_library::lay_out(&target_dir, &wasi_libc, &root.join("usr/lib/rustlib").join(TARGET))?;
    remove(&root.join("usr/src"))?;
    Ok(target_in(folder, rustc))
}

fn unpack_rustc(root: &Path, work: &Path) -> Result<()> {
    let apt = Apt::open(&work.join("apt"), Archive::Security, SUITE)?;
    let version = apt.versions("rustc-web")?.into_iter().next().context("Debian has no `rustc-web`")?;
    let libraries = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = apt.dependency(&libraries, "libllvm")?;
    say(&format!("downloading rustc-web {version}"));
    let of_one_version = ["rustc-web", "libstd-rust-web-dev", &libraries, "rust-web-src", "rust-web-llvm"];
    let mut packages: Vec<String> = of_one_version.iter().map(|name| format!("{name}={version}")).collect();
    packages.push(llvm);
    apt.unpack(&packages, root)
}

/// Writes the program that starts this rustc with the libraries that were unpacked beside it.
fn write_wrapper(folder: &Path, root: &Path) -> Result<PathBuf> {
    let libraries = root.join("usr/lib").read_dir()?.flatten().map(|entry| entry.path());
    let libraries = libraries.into_iter().find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let libraries = libraries.context("Debian's packages have no folder of libraries")?;
    let rustc = program_in(folder);
    fs::create_dir_all(rustc.parent().unwrap_or(folder))?;
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec '{}' \"$@\"\n",
        libraries.display(),
        root.join("usr/bin/rustc").display()
    );
    fs::write(&rustc, script)?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))?;
    Ok(rustc)
}

fn library_of(root: &Path) -> Result<PathBuf> {
    let sources = root.join("usr/src").read_dir().context("Debian's packages have no source")?;
    let found = sources.flatten().map(|entry| entry.path().join("library")).find(|path| path.is_dir());
    found.context("Debian's source has no `library`")
}

fn folder(places: &Places) -> PathBuf {
    places.wasm_toolchain.join("rustc-web")
}

fn program_in(folder: &Path) -> PathBuf {
    folder.join("bin/rustc")
}

fn target_in(folder: &Path, rustc: &Rustc) -> WasmTarget {
    WasmTarget::OtherRustc { rustc: program_in(folder), linker: rustc.linker() }
}
