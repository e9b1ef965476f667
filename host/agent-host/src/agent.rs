//! The agent of a run: from an agent file with its instructions, or the plain one that is used without a file. What it
//! proposes to be granted is only a proposal; `trust` decides whether it counts.

use std::path::{Path, PathBuf};

use agent_core::budget::Budget;
use agent_core::config::agent_file::{AgentFile, Instructions};
use agent_core::config::authority::Authority;
use agent_core::digest::Digest;
use agent_core::name::Name;
use agent_core::run_events::{DoubtPolicy, Record, ToolMode};
use anyhow::{Context, anyhow, bail, ensure};

use crate::home::RUNS_FOLDER;
use crate::input;
use crate::real_path;
use crate::report::typed;
use crate::tool_identity;
use crate::toolset::{self, Unloaded};

/// Longest instructions file in bytes: it travels with every model request.
const INSTRUCTIONS_BYTES_MAX: u64 = 256 * 1024;

const PLAIN_INSTRUCTIONS: &str = "You are a careful assistant. Use the tools to find out what you need, and answer the \
    question from what they return. If a tool is refused something, say so instead of guessing.";

/// An agent, ready to run.
#[derive(Debug)]
pub struct Agent {
    /// Its name.
    pub name: Name,
    /// What the model is told.
    pub instructions: String,
    /// Models as written; a script is already relative to the file.
    pub models: Vec<String>,
    /// How tool calls are asked for, where the file says so.
    pub tool_mode: Option<ToolMode>,
    /// How much of each call is kept, where the file says so.
    pub record: Option<Record>,
    /// The tools that the file names, as they were read with it: what is trusted is what is loaded.
    pub tools: Vec<Unloaded>,
    /// Where it names them.
    pub tool_paths: Vec<PathBuf>,
    /// What a run may use.
    pub budget: Budget,
    /// What becomes of a call in doubt.
    pub doubt: DoubtPolicy,
    /// The rules that the file proposes.
    pub proposal: Authority,
    /// The file, where there is one.
    pub file: Option<Source>,
    /// The folder in which its runs live.
    pub runs: PathBuf,
}

/// An agent file as it was read.
#[derive(Debug)]
pub struct Source {
    /// Its absolute path.
    pub path: PathBuf,
    /// The digest of the file, of the instructions and tools that it names, and of where its links lead: what trust is bound
    /// to.
    pub digest: Digest,
}

/// The absolute path of an agent file.
///
/// # Errors
/// Where it is not there.
pub fn find(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        let hint = "`agent-host init DIR` makes one in a new folder, with a first tool";
        anyhow!("cannot find agent file `{}`: {error}\n  hint: {hint}", path.display())
    })
}

impl Agent {
    /// The plain agent, whose runs live in the working directory.
    ///
    /// # Errors
    /// Where there is no working directory.
    pub fn plain() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("there is no working directory")?;
        Ok(Self {
            name: "agent".parse()?,
            instructions: PLAIN_INSTRUCTIONS.to_owned(),
            models: Vec::new(),
            tool_mode: None,
            record: None,
            tools: Vec::new(),
            tool_paths: Vec::new(),
            budget: Budget::STANDARD,
            doubt: DoubtPolicy::Ask,
            proposal: Authority::nothing(),
            file: None,
            runs: here.join(RUNS_FOLDER),
        })
    }

    /// Reads an agent file and the instructions that it names.
    ///
    /// # Errors
    /// Where a file cannot be read or has problems; all of them are in the error.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        if path.is_dir() {
            let file = typed::path(&path.join("agent.toml"));
            bail!("`{shown}` is a folder, and an agent is a file\n  hint: `--agent {file}`");
        }
        let absolute = find(path)?;
        let folder = absolute.parent().context("an agent file stands in a folder")?;
        let base = folder.to_str().with_context(|| format!("the path of `{shown}` is not UTF-8"))?;
        let text = input::read_config(&absolute, &shown)?;
        let file = AgentFile::parse(&shown, base, &text)?;
        let instructions = instructions(&file.instructions, folder)?;
        let proposal = real_path::resolved(file.authority.clone())?;
        let tool_paths: Vec<PathBuf> = file.tools.iter().map(|tool| folder.join(tool)).collect();
        let tools = toolset::read_all(&tool_paths)?;
        let made_of = tool_identity::of_tools(&tools);
        let digest = digest((&text, &instructions), &made_of, &file.authority, &proposal);
        Ok(Self {
            name: file.name,
            instructions,
            models: file.models.iter().map(|model| relative_script(model, folder)).collect(),
            tool_mode: file.tool_mode,
            record: file.record,
            tools,
            tool_paths,
            budget: file.budget.applied_to(&Budget::STANDARD),
            doubt: file.doubt.unwrap_or(DoubtPolicy::Ask),
            proposal,
            file: Some(Source { path: absolute.clone(), digest }),
            runs: folder.join(RUNS_FOLDER),
        })
    }
}

/// A link beside the file could lead elsewhere tomorrow, so where links lead is part of what is trusted.
fn digest((text, instructions): (&str, &str), tools: &Digest, written: &Authority, real: &Authority) -> Digest {
    let granted = |authority: &Authority| -> Vec<String> {
        authority.grants.iter().flat_map(|rule| rule.fs.iter().map(|fs| fs.host.to_string())).collect()
    };
    let (written, real) = (granted(written), granted(real));
    let mut parts = vec![text.as_bytes(), instructions.as_bytes(), tools.as_bytes().as_slice()];
    if written != real {
        parts.extend(real.iter().map(String::as_bytes));
    }
    Digest::of_parts(&parts)
}

fn instructions(instructions: &Instructions, folder: &Path) -> anyhow::Result<String> {
    let name = match instructions {
        Instructions::Text(text) => return Ok(text.clone()),
        Instructions::File(name) => name,
    };
    let unread = || format!("cannot read the instructions `{name}`");
    let path = folder.join(name).canonicalize().with_context(unread)?;
    // They are sent to the model, so a link must not make them somebody's private file.
    ensure!(path.starts_with(folder), "the instructions `{name}` are a link that leads out of the agent file's folder");
    let text = input::read_text(&path, INSTRUCTIONS_BYTES_MAX).with_context(unread)?;
    ensure!(!text.trim().is_empty(), "the instructions `{name}` are empty");
    Ok(text)
}

/// A script that an agent file names is relative to that file.
fn relative_script(model: &str, folder: &Path) -> String {
    match model.strip_prefix("scripted:") {
        Some(script) => format!("scripted:{}", folder.join(script).display()),
        None => model.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn instructions_are_not_read_through_a_link_that_leads_out() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir(folder.join("agent"))?;
        std::fs::write(folder.join("private-key"), "secret")?;
        std::fs::write(folder.join("agent/real.md"), "Be brief.")?;
        let read = |target: &str| {
            let link = folder.join("agent/prompt.md");
            let _ = std::fs::remove_file(&link);
            symlink(target, link)?;
            instructions(&Instructions::File("prompt.md".to_owned()), &folder.join("agent"))
        };
        assert_eq!(read("real.md")?, "Be brief.");
        assert!(read("../private-key").is_err());
        Ok(())
    }

    /// An agent could ship `docs` as a link to the keys of whoever runs it.
    #[test]
    fn what_is_trusted_is_where_the_links_lead() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        for name in ["agent", "keys", "harmless"] {
            std::fs::create_dir(folder.join(name))?;
        }
        let file = folder.join("agent/agent.toml");
        let text = "[agent]\nname = \"a\"\ninstructions = \"Be brief.\"\nmodel = \"scripted:x\"\n\n\
                    [[grant]]\ntool = \"*\"\nfs = [{ host = \"./docs\", access = \"read\" }]\n";
        std::fs::write(&file, text)?;
        let mut seen = Vec::new();
        for target in ["harmless", "keys"] {
            let link = folder.join("agent/docs");
            let _ = std::fs::remove_file(&link);
            symlink(folder.join(target), &link)?;
            let agent = Agent::read(&file)?;
            let shown = crate::report::authority::describe(&agent.proposal).join("\n");
            assert!(shown.contains(&folder.join(target).display().to_string()), "{shown}");
            seen.push(agent.file.map(|file| file.digest));
        }
        assert_ne!(seen[0], seen[1]);
        Ok(())
    }
}
