//! What the user's rustc is: a standard library fits one build of rustc only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::TARGET;
use crate::process::read;

/// The rustc on the PATH.
pub(super) struct Rustc {
    /// `1.95.0`.
    pub(super) release: String,
    /// The commit it was built from.
    pub(super) commit: String,
    /// The platform it runs on.
    pub(super) host: String,
    /// Where its libraries are.
    pub(super) sysroot: PathBuf,
}

impl Rustc {
    pub(super) fn ask() -> Result<Self> {
        let about = read(Command::new("rustc").arg("-vV")).context("is Rust installed? https://rustup.rs")?;
        let sysroot = read(Command::new("rustc").args(["--print", "sysroot"]))?;
        Ok(Self {
            release: field(&about, "release")?,
            commit: field(&about, "commit-hash")?,
            host: field(&about, "host")?,
            sysroot: sysroot.trim().into(),
        })
    }

    /// Whether components can be compiled without any help.
    pub(super) fn has_target(&self) -> bool {
        has_standard_library(&self.sysroot)
    }

    /// What tells this build of rustc from every other.
    pub(super) fn stamp(&self) -> String {
        format!("{} {} {}", self.release, self.commit, self.host)
    }

    /// The folder with the host's own libraries and with the linker.
    pub(super) fn host_libraries(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host)
    }

    /// The linker of wasm modules, which the linker of components calls.
    pub(super) fn linker(&self) -> PathBuf {
        self.host_libraries().join("bin/gcc-ld/wasm-ld")
    }
}

/// Whether a sysroot has the target's standard library.
pub(super) fn has_standard_library(sysroot: &Path) -> bool {
    let Ok(files) = sysroot.join("lib/rustlib").join(TARGET).join("lib").read_dir() else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

fn field(about: &str, name: &str) -> Result<String> {
    let value = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(value.with_context(|| format!("`rustc -vV` does not say its {name}"))?.to_owned())
}
