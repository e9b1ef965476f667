//! The route for a machine that reaches package registries only: Debian keeps the source of several releases of the
//! standard library (`rust-src`) and the C library below it (`wasi-libc`). Built by the user's own rustc, they make what
//! rustup would have downloaded. About a minute and a half on two cores, and a download of 50 MB.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::apt::{Apt, Archive};
use super::{Rustc, TARGET, WasmTarget, probe, standard_library};
use crate::places::{Places, remove};
use crate::talk::say;

/// Where a release is looked for: what Debian users of an older system get first, what is not released yet last.
const SUITES: [&str; 6] = ["trixie-backports", "bookworm-backports", "trixie", "forky", "sid", "experimental"];

/// Builds the standard library and makes a sysroot of it.
pub(super) fn build(places: &Places, rustc: &Rustc) -> Result<WasmTarget> {
    let work = places.wasm_toolchain.join("work");
    remove(&work)?;
    let made = build_in(&work, places, rustc);
    remove(&work)?;
    made
}

fn build_in(work: &Path, places: &Places, rustc: &Rustc) -> Result<WasmTarget> {
    let found = find(&work.join("apt"), &rustc.release)?;
    say(&format!("downloading the source of Rust's standard library {} and wasi-libc", rustc.release));
    let library = unpacked_library(&found, work)?;
    let wasi_libc = unpacked_wasi_libc(&found.wasi_libc, work)?;
    let sysroot = work.join("sysroot");
    standard_library::build(&standard_library::Source { library, wasi_libc: &wasi_libc }, rustc, &sysroot)?;
    // Only what was seen to work is put where builds find it.
    probe::build_component(&WasmTarget::Sysroot(sysroot.clone()), &work.join("probe"))?;
    standard_library::publish(&sysroot, &wasi_libc, places)
}

/// The suites that have what is needed.
struct Found {
    rust_src: Apt,
    rust_src_version: String,
    wasi_libc: Apt,
}

fn find(lists: &Path, release: &str) -> Result<Found> {
    let mut none_opened = None;
    for suite in SUITES {
        let rust_src = match Apt::open(lists, Archive::Main, suite) {
            Ok(apt) => apt,
            // Mirrors need not carry every suite.
            Err(error) => {
                none_opened = none_opened.or(Some(error));
                continue;
            }
        };
        if let Some(rust_src_version) =
            rust_src.versions("rust-src")?.into_iter().find(|version| is_of(version, release))
        {
            let wasi_libc = find_wasi_libc(lists, suite)?;
            return Ok(Found { rust_src, rust_src_version, wasi_libc });
        }
    }
    let nowhere = format!("Debian has no `rust-src` {release} in any of {}", SUITES.join(", "));
    match none_opened {
        Some(error) => Err(error.context(nowhere)),
        None => bail!("{nowhere}"),
    }
}

/// The C library beside that source, or the newest there is.
fn find_wasi_libc(lists: &Path, suite: &str) -> Result<Apt> {
    for suite in [suite].into_iter().chain(SUITES) {
        if let Ok(apt) = Apt::open(lists, Archive::Main, suite)
            && !apt.versions("wasi-libc")?.is_empty()
        {
            return Ok(apt);
        }
    }
    bail!("Debian has no `wasi-libc` in any of {}", SUITES.join(", "))
}

fn unpacked_library(found: &Found, work: &Path) -> Result<PathBuf> {
    let root = work.join("rust-src");
    found.rust_src.unpack(&[format!("rust-src={}", found.rust_src_version)], &root)?;
    let sources = root.join("usr/src");
    let folder = sources.read_dir()?.flatten().map(|entry| entry.path().join("library")).find(|path| path.is_dir());
    let library = folder.with_context(|| format!("there is no `library` in {}", sources.display()))?;
    // Without the vendored crates cargo takes those that the lock file names from the registry.
    remove(&library.join("vendor"))?;
    Ok(library)
}

/// Downloads and unpacks the C library: the folder that has `lib` and `include`.
pub(super) fn unpacked_wasi_libc(apt: &Apt, work: &Path) -> Result<PathBuf> {
    let root = work.join("wasi-libc");
    apt.unpack(&["wasi-libc".into()], &root)?;
    let folder = root.join("usr");
    ensure!(folder.join("lib").join(TARGET).join("libc.a").is_file(), "Debian's `wasi-libc` is too old for {TARGET}");
    Ok(folder)
}

/// Opens the suite of the newest C library, for a rustc that Debian built.
pub(super) fn open_wasi_libc(work: &Path) -> Result<Apt> {
    find_wasi_libc(work, SUITES[0])
}

/// Whether a package version packages that release: `1.95.0+dfsg1-2` does `1.95.0`, and `1.95.01` does not.
fn is_of(version: &str, release: &str) -> bool {
    version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_version_starts_with_the_release() {
        let cases = [
            ("1.95.0+dfsg1-2~bpo13+1", true),
            ("1.95.0-1", true),
            ("1.95.01-1", false),
            ("1.95.1+dfsg1-1", false),
            ("1.95.0", false),
        ];
        for (version, expected) in cases {
            assert_eq!(is_of(version, "1.95.0"), expected, "{version}");
        }
    }
}
