//! The programs that a build calls: where they are looked for, and what is said of one that is not there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agent_core::config::manifest::Need;
use anyhow::{bail, ensure};

use crate::report::text;
use crate::wasm_target::{self, Builder, Place};

/// Where package managers put programs that belong to one folder, as `npm run` and a virtual environment would find them.
const OF_THE_FOLDER: [&str; 2] = ["node_modules/.bin", ".venv/bin"];
/// Below the user's cache folder: what `cargo xtask languages` installed.
const INSTALLED: &str = "agent-host/languages/bin";

/// The `PATH` of a build in `folder`, which is absolute: the folder's own programs first, then the user's, then those that were
/// installed for us. What the user's `PATH` says of the working directory does not count: it would mean the tool's folder.
///
/// # Errors
/// Where the folder's path cannot stand in a `PATH`.
pub fn path(folder: &Path) -> anyhow::Result<OsString> {
    let own: Vec<_> = OF_THE_FOLDER.iter().map(|place| folder.join(place)).collect();
    if std::env::join_paths(&own).is_err() {
        let shown = text::whole(&folder.display().to_string());
        bail!(
            "no tool can be built in `{shown}`: a `:` in its path ends an entry of `PATH`\n  hint: give it a path without one"
        );
    }
    let users = std::env::var_os("PATH").unwrap_or_default();
    let installed = wasm_target::cache().map(|cache| cache.join(INSTALLED));
    let others = std::env::split_paths(&users).chain(installed);
    let others = others.filter(|place| place.is_absolute() && std::env::join_paths([place]).is_ok());
    Ok(std::env::join_paths(own.into_iter().chain(others))?)
}

/// Makes sure that every program is there that a build needs. Rust's compiler is asked at `place`.
///
/// # Errors
/// Where one is not: it says how to get each.
pub async fn check(needs: &[Need], command: &str, path: &OsString, place: Place<'_>) -> anyhow::Result<()> {
    let missing: Vec<_> = needs.iter().filter(|need| !is_there(&need.program, path)).collect();
    let one = |need: &&Need| format!("`{}` is missing\n  hint: {}", need.program, text::whole(&need.cure));
    ensure!(missing.is_empty(), "{}", missing.iter().map(one).collect::<Vec<_>>().join("\n"));
    // Else the compiler says so once for every crate.
    if command.contains(wasm_target::TARGET)
        && let Builder::NoTarget(rustc) = wasm_target::on_this_machine(place).await
    {
        bail!("{rustc} has no target {0}\n  hint: rustup target add {0}", wasm_target::TARGET);
    }
    Ok(())
}

/// Whether a program of that name can be started from one of these places.
fn is_there(program: &str, path: &OsString) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let starts = |file: PathBuf| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).any(|place| starts(place.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_program_is_named_with_its_cure() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let need = |program: &str, cure: &str| Need { program: program.to_owned(), cure: cure.to_owned() };
        let needs = [need("sh", "it is everywhere"), need("no-such-compiler", "npm install"), need("nor-this", "y")];
        let path = path(folder.path())?;
        let said =
            check(&needs, "", &path, Place::Nowhere).await.err().map(|error| error.to_string()).unwrap_or_default();
        insta::assert_snapshot!(said, @"
        `no-such-compiler` is missing
          hint: npm install
        `nor-this` is missing
          hint: y
        ");
        let bin = folder.path().join("node_modules/.bin");
        std::fs::create_dir_all(&bin)?;
        std::os::unix::fs::symlink("/bin/sh", bin.join("no-such-compiler"))?;
        assert!(check(&needs[..2], "", &path, Place::Nowhere).await.is_ok(), "it was installed into the folder");
        Ok(())
    }

    #[test]
    fn programs_are_looked_for_at_places_and_not_where_the_host_happens_to_be() -> anyhow::Result<()> {
        let path = path(Path::new("/srv/tool"))?;
        assert!(std::env::split_paths(&path).all(|place| place.is_absolute()), "{}", path.display());
        let refused = super::path(Path::new("/srv/a:b")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("`/srv/a:b`") && refused.contains("hint: "), "{refused}");
        Ok(())
    }
}
