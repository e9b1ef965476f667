//! Lints and documents our crates while `cargo xtask test` compiles them: this program as cargo's wrapper around rustc. `cargo
//! clippy` and `cargo doc` have each dependency read once more than its compilation does, and where nothing is built yet, that
//! takes minutes. `cargo xtask check` uses them all the same: it compiles nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::places::Places;

/// The name under which this program is the wrapper.
const NAME: &str = "rustc-with-lints-and-docs";

/// Where our crates are. What tests have cargo build elsewhere is not ours, though the wrapper is asked for that as well.
const OURS: &str = "AGENT_HOST_XTASK_OURS";

/// Whether they are documented, too. Those of the guests are not: what they are in a component is not all that `cargo doc` shows.
const DOCS: &str = "AGENT_HOST_XTASK_DOCS";

/// What rustdoc is not told of what rustc is told: what to make, and where to put it. The value may be the next word.
const OF_RUSTC_ALONE: [&str; 3] = ["--emit", "--out-dir", "-C"];

/// The wrapper, put beside what it compiles. A copy: a build of the workspace puts another program in the place of this one.
pub(crate) fn wrapper(places: &Places) -> Result<PathBuf> {
    let folder = places.target.join("at-once");
    fs::create_dir_all(&folder)?;
    let (partial, path) = (folder.join("partial"), folder.join(NAME));
    fs::copy(&places.own, &partial).with_context(|| format!("cannot copy this program to `{}`", partial.display()))?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

/// Has a cargo lint and document what it compiles, where that was asked for.
pub(crate) fn lint_and_document(places: &Places, cargo: &mut Command) {
    lint(places, cargo);
    cargo.env(DOCS, "yes");
}

/// Has a cargo lint what it compiles, where that was asked for.
pub(crate) fn lint(places: &Places, cargo: &mut Command) {
    if let Some(wrapper) = &places.at_once {
        cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper).env(OURS, &places.repo).env_remove(DOCS);
    }
}

/// If this program was started as the wrapper: what rustc, or else rustdoc, said.
pub(crate) fn as_rustc() -> Option<ExitCode> {
    let (rustc, arguments) = wrapped(|name| name == NAME)?;
    let is_ours = std::env::var_os(OURS).is_some_and(|ours| manifest_is_below(Path::new(&ours)));
    if !is_ours {
        return Some(ended(Command::new(rustc).args(arguments)));
    }
    let compiled = ended(&mut linting(&rustc, &arguments));
    let documents = std::env::var_os(DOCS).is_some() && compiled == ExitCode::SUCCESS;
    let documented = documentation(&arguments).filter(|_| documents);
    Some(documented.map_or(compiled, |mut rustdoc| ended(&mut rustdoc)))
}

/// The path of rustc and its arguments, if this program was started as a wrapper of such a name.
pub(crate) fn wrapped(is_name: impl Fn(&str) -> bool) -> Option<(OsString, Vec<OsString>)> {
    let mut words = std::env::args_os();
    let own = words.next()?;
    if !is_name(Path::new(&own).file_name()?.to_str()?) {
        return None;
    }
    Some((words.next()?, words.collect()))
}

/// Clippy's driver in the place of this rustc: it compiles like it, and lints as well.
pub(crate) fn linting(rustc: &OsStr, arguments: &[OsString]) -> Command {
    let mut driver = Command::new("clippy-driver");
    driver.arg(rustc).args(arguments).args(["--deny", "warnings"]);
    driver
}

/// Runs a compiler for cargo, and gives its exit code.
pub(crate) fn ended(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            crate::talk::complain(
                &anyhow::Error::new(error).context(format!("cannot start `{}`", command.get_program().display())),
            );
            ExitCode::FAILURE
        }
    }
}

fn manifest_is_below(folder: &Path) -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some_and(|manifest| Path::new(&manifest).starts_with(folder))
}

/// The command that documents what rustc compiles with these arguments; `None` where `cargo doc` would not: for tests, build
/// scripts, and questions about the compiler.
fn documentation(arguments: &[OsString]) -> Option<Command> {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let name = after(&words, "--crate-name")?;
    let folder = Path::new(after(&words, "--out-dir")?).join("documentation").join(name);
    if name.starts_with("build_script_") || words.contains(&"--test") {
        return None;
    }
    let mut rustdoc = Command::new(std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()));
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match OF_RUSTC_ALONE.iter().find(|flag| word.starts_with(**flag)) {
            Some(flag) if word == flag => drop(rest.next()),
            Some(_) => {}
            None => drop(rustdoc.arg(word)),
        }
    }
    // Nobody else uses a program's items, so it is documented whole, as cargo does.
    if after(&words, "--crate-type") == Some("bin") {
        rustdoc.arg("--document-private-items");
    }
    rustdoc.args(["--deny", "warnings", "--out-dir"]).arg(folder);
    Some(rustdoc)
}

fn after<'w>(words: &[&'w str], flag: &str) -> Option<&'w str> {
    words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented(text: &str) -> Option<Vec<String>> {
        let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        let rustdoc = documentation(&words)?;
        Some(rustdoc.get_args().map(|word| word.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn rustdoc_is_told_what_rustc_is_but_not_what_to_make() {
        let told = documented(
            "--crate-name agent_core --edition=2024 src/lib.rs --crate-type lib --emit=dep-info,metadata,link -C opt-level=0 \
             --out-dir /t/deps -L dependency=/t/deps --extern serde=/t/libserde.rmeta --warn=clippy::pedantic",
        );
        let expected = "--crate-name agent_core --edition=2024 src/lib.rs --crate-type lib -L dependency=/t/deps --extern \
             serde=/t/libserde.rmeta --warn=clippy::pedantic --deny warnings --out-dir /t/deps/documentation/agent_core";
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(told.unwrap_or_default(), expected);
        let of_program = documented("--crate-name agent_host src/main.rs --crate-type bin --out-dir /t");
        assert!(of_program.is_some_and(|told| told.contains(&"--document-private-items".to_owned())));
    }

    #[test]
    fn what_cargo_does_not_document_is_not_documented() {
        for text in [
            "--crate-name agent_core src/lib.rs --test --out-dir /t",
            "--crate-name build_script_build build.rs --crate-type bin --out-dir /t",
            "- --crate-name ___ --print=file-names",
            "-vV",
        ] {
            assert_eq!(documented(text), None, "{text}");
        }
    }
}
