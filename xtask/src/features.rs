//! That the program and its tests are built of the same dependencies. `check` asks.
//!
//! Cargo joins what all packages of a build ask of a dependency. Where the tests ask for a feature more, of libc for instance, that
//! dependency and all that stand on it, wasmtime among them, are compiled a second time for the tests: minutes.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::check::host;
use crate::places::Places;
use crate::process::read;

/// The step.
pub(crate) fn agree(places: &Places) -> Result<()> {
    let program = features(places, &["--package", "agent-host", "--edges", "normal"])?;
    let tests = features(places, &["--workspace", "--edges", "normal,dev"])?;
    let alone = only_in_first(&program, &tests);
    if alone.is_empty() {
        return Ok(());
    }
    bail!(
        "the tests ask more of these dependencies than the program, which so are compiled twice: {}\n  hint: ask for as much in \
         the `[workspace.dependencies]` of the root; `cargo tree --workspace --edges features --invert NAME` says who asks",
        alone.join(", ")
    )
}

/// Each dependency of a choice of packages, as `name version [features]`.
fn features(places: &Places, choice: &[&str]) -> Result<BTreeSet<String>> {
    let mut tree = host(places);
    tree.args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p} [{f}]"]);
    Ok(read(tree.args(choice))?.lines().map(str::to_owned).collect())
}

fn only_in_first(program: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    // A member of ours is another program as a test in any case.
    let is_ours = |line: &str| line.contains(" (/");
    program.difference(tests).filter(|line| !is_ours(line)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> BTreeSet<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_feature_that_only_tests_ask_for_is_named() {
        let program = lines(&["libc v0.2.1 [std]", "toml v1.2.0 []", "agent-core v0.1.0 (/x/agent-core) []"]);
        let tests = lines(&["libc v0.2.1 [extra_traits,std]", "toml v1.2.0 []", "insta v1.0.0 []"]);
        assert_eq!(only_in_first(&program, &tests), ["libc v0.2.1 [std]"]);
    }
}
