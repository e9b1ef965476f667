//! Coverage counters in our own crates and nowhere else: this program as cargo's wrapper around rustc. Cargo asks for the
//! wrapper only for the members of the workspace, and keeps what it makes apart, so that all dependencies, wasmtime among them,
//! are those of any other build. The flags are stable ones.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::at_once::{checks, with_checks, wrapped};
use crate::places::Places;

/// How the name begins under which this program is the wrapper.
const NAME: &str = "rustc-with-counters-";
/// The same where it also lints: what only the fuzz targets compile is compiled nowhere else.
const LINTING_NAME: &str = "rustc-with-counters-and-lints-";

/// The crates whose code guides the search: what is tested, and the targets, whose own checks are goals too.
const CRATES: [&str; 4] = ["agent_core", "agent_tool_docs", "agent_sandbox", "fuzz"];

/// What libFuzzer works with: a counter for each edge, where it is, and what is compared with what. Unoptimised code would
/// be several times slower; overflow stays an error.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Copt-level=1",
    "-Cdebug-assertions=yes",
    "-Coverflow-checks=yes",
];

/// The wrapper's path. Cargo takes builds by another path for other builds, so the path names the flags: changed flags build
/// anew.
pub(super) fn wrapper(places: &Places) -> Result<PathBuf> {
    let name = if places.at_once.is_some() { LINTING_NAME } else { NAME };
    let mut flags = DefaultHasher::new();
    FLAGS.hash(&mut flags);
    CRATES.hash(&mut flags);
    let folder = places.target.join("fuzz");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}{:016x}", flags.finish()));
    if fs::read_link(&path).ok().as_ref() != Some(&places.own) {
        let _ = fs::remove_file(&path);
        symlink(&places.own, &path).with_context(|| format!("cannot create `{}`", path.display()))?;
    }
    Ok(path)
}

/// If this program was started as the wrapper: what rustc said.
pub(crate) fn as_rustc() -> Option<ExitCode> {
    let (rustc, arguments) = wrapped(|name| name.starts_with(NAME))?;
    let counted: &[&str] = if is_ours(&arguments) { &FLAGS } else { &[] };
    let lints = std::env::args_os().next().is_some_and(|own| own.to_string_lossy().contains(LINTING_NAME));
    let checks = if lints { checks(&rustc, &arguments) } else { Vec::new() };
    let mut compiler = Command::new(&rustc);
    compiler.args(&arguments).args(counted);
    Some(with_checks(compiler, checks))
}

fn is_ours(arguments: &[OsString]) -> bool {
    let name = arguments.iter().position(|word| word == "--crate-name").and_then(|at| arguments.get(at + 1));
    name.is_some_and(|name| CRATES.iter().any(|ours| name == ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_crates_are_counted() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(is_ours(&words("--crate-name agent_core --edition=2024 src/lib.rs")));
        assert!(!is_ours(&words("--crate-name build_script_build build.rs")));
        assert!(!is_ours(&words("- --crate-name ___ --print=file-names")));
        assert!(!is_ours(&words("--version --crate-name")));
    }
}
