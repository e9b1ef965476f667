//! Tools that only give a text back, begun by `agent-host tool new` in languages that bring an interpreter along: what `cargo xtask bench`
//! measures of them is the interpreter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::places::{Places, remove};
use crate::process::run_shown;

/// Where the benchmark is told that they are.
const VARIABLE: &str = "AGENT_HOST_TEST_ECHOES";

/// Which they are: a name, the language as `tool new` knows it, and the file that does what `tool.wit` says. The files are in
/// `tests/languages/echo`.
const ECHOES: [(&str, &str, &str); 2] = [("echo-js", "js", "tool.js"), ("echo-python", "python", "app.py")];

/// The folder that they are in.
pub(crate) struct Echoes(PathBuf);

impl Echoes {
    /// Tells a command where they are.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }
}

/// Builds them into `folder`, as a user would; `author` is agent-host. What is built already, of the same files, stays.
pub(crate) fn build(places: &Places, folder: &Path, author: impl Fn() -> Command) -> Result<Echoes> {
    let sources = places.repo.join("tests/languages/echo");
    fs::create_dir_all(folder)?;
    for (name, language, program) in ECHOES {
        let tool = folder.join(name);
        let source = |file: &str| {
            let path = sources.join(file);
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let files = [("wit/tool.wit", source("tool.wit")?), (program, source(program)?)];
        let is_same = |(file, text): &(&str, String)| fs::read_to_string(tool.join(file)).is_ok_and(|had| had == *text);
        if files.iter().all(is_same) && tool.join(format!("{name}.wasm")).is_file() {
            continue;
        }
        remove(&tool)?;
        run_shown(author().args(["tool", "new", name, "--lang", language, "--folder"]).arg(&tool))?;
        for (file, text) in &files {
            fs::write(tool.join(file), text)?;
        }
        // What is exported has another name than in the template.
        let manifest = tool.join("tool.toml");
        fs::write(&manifest, fs::read_to_string(&manifest)?.replace("only = [\"count\"]", "only = [\"echo\"]"))?;
        run_shown(author().args(["tool", "build", "--yes"]).arg(&tool))?;
    }
    Ok(Echoes(folder.to_owned()))
}
