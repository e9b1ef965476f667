//! `agent-host init`: an agent file, a prompt and a first tool that work at once, without a key and without a compiler. The
//! files lie under `new/` as they are written.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Context, bail};

use crate::model;
use crate::report::text;
use crate::wit_docs;

const HEADING: Style = Style::new().bold();

/// `agent-host init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The folder, which is made if it is not there.
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
}

/// A file that is made, and what it is for.
struct New {
    path: &'static str,
    text: &'static str,
    what: &'static str,
}

const AGENT: &str = "agent.toml";
const FILES: [New; 6] = [
    New { path: AGENT, text: include_str!("new/agent.toml"), what: "the agent" },
    New { path: "prompt.md", text: include_str!("new/prompt.md"), what: "what its model is told" },
    New { path: "replies.toml", text: include_str!("new/replies.toml"), what: "what a scripted model says" },
    New {
        path: "tools/words/tool.toml",
        text: include_str!("new/tools/words/tool.toml"),
        what: "a first tool: what its author declares",
    },
    New { path: WIT, text: include_str!("new/tools/words/wit/words.wit"), what: "its interface" },
    New { path: "tools/words/words.wat", text: include_str!("new/tools/words/words.wat"), what: "its source" },
];
const WIT: &str = "tools/words/wit/words.wit";
const COMPONENT: &str = "tools/words/words.wasm";
/// The component of `words.wat`, made when this program was built.
const WORDS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/words.wasm"));

/// What is asked in the lines that a person types next.
const QUESTION: &str = "How many words has it?";

/// Makes the files and says what to type next.
///
/// # Errors
/// Where one of them is there already, or cannot be made.
pub async fn init(args: InitArgs) -> anyhow::Result<ExitCode> {
    let InitArgs { folder } = args;
    let paths = FILES.iter().map(|file| file.path).chain([COMPONENT]);
    if let Some(there) = paths.map(|path| folder.join(path)).find(|path| path.symlink_metadata().is_ok()) {
        let hint = "`agent-host init DIR` makes them in a folder of their own";
        bail!("`{}` is there already, and nothing is written over\n  hint: {hint}", there.display());
    }
    FILES.iter().try_for_each(|file| write(&folder.join(file.path), file.text.as_bytes()))?;
    write(&folder.join(COMPONENT), &component(&folder)?)?;
    say(&folder, &model::available().await).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// The component with the comments of its interface, as `tool build` would make it.
fn component(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let tool = folder.join(COMPONENT);
    wit_docs::embed(WORDS.to_vec(), tool.parent().context("a file stands in a folder")?)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let made = || -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
    };
    made().with_context(|| format!("cannot make `{}`", path.display()))
}

fn say(folder: &Path, models: &[String]) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{HEADING}made{HEADING:#}")?;
    let binary = New { path: COMPONENT, text: "", what: "the tool itself: a component" };
    let width = FILES.iter().map(|file| file.path.len()).chain([COMPONENT.len()]).max().unwrap_or(0);
    for file in FILES.iter().chain([&binary]) {
        writeln!(out, "  {:<width$}  {}", file.path, file.what)?;
    }
    writeln!(out, "\n{HEADING}next{HEADING:#}")?;
    if folder != Path::new(".") {
        writeln!(out, "  cd {}", text::whole(&folder.display().to_string()))?;
    }
    writeln!(out, "  agent-host trust {AGENT}")?;
    writeln!(out, "  agent-host run \"{QUESTION}\"")?;
    writeln!(out, "  agent-host show --effects")?;
    writeln!(out, "\nThe model plays {}; a real one: `agent-host run --model PROVIDER:NAME …`", FILES[2].path)?;
    models.iter().try_for_each(|model| writeln!(out, "  found: {}", text::whole(model)))
}
