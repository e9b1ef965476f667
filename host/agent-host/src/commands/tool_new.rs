//! `agent-host tool new`: the beginning of a tool, in a folder of its own, from the template of its language.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::name::Name;
use anstyle::Style;
use anyhow::{Context, bail};

use crate::authoring::programs;
use crate::authoring::template::{File, Language};
use crate::report::text;
use crate::tool_build;
use crate::wasm_target::Place;

const HEADING: Style = Style::new().bold();

/// `agent-host tool new`.
#[derive(Debug, clap::Args)]
pub struct ToolNewArgs {
    /// The tool's name: 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter.
    pub name: Name,
    /// What it is written in.
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Language,
    /// The folder that is made for it [default: one of the tool's name, here].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Makes the files and says what to type next.
///
/// # Errors
/// Where the folder is there already, or cannot be made.
pub async fn new(args: ToolNewArgs) -> anyhow::Result<ExitCode> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    if folder.symlink_metadata().is_ok() {
        bail!(
            "`{}` is there already, and nothing is written over\n  hint: `--folder DIR` makes the tool elsewhere",
            folder.display()
        );
    }
    // Before anything is made where it could never be built.
    let path = programs::path(&std::path::absolute(&folder)?)?;
    for file in args.lang.files() {
        write(&folder, file, &args.name)?;
    }
    // What is missing here does not make the files less good: it is said, and they are there.
    let plan = tool_build::plan(&folder)?;
    let missing = programs::check(&plan.needs, &plan.command, &path, Place::Nowhere).await.err();
    say(&args, &folder.display().to_string(), missing.as_ref()).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &std::path::Path, file: &File, name: &Name) -> anyhow::Result<()> {
    let path = folder.join(file.path);
    let made = || -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(file.text(name).as_bytes())
    };
    made().with_context(|| format!("cannot make `{}`", path.display()))
}

fn say(args: &ToolNewArgs, folder: &str, missing: Option<&anyhow::Error>) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let folder = text::whole(folder);
    writeln!(out, "{HEADING}made{HEADING:#}")?;
    for file in args.lang.files() {
        writeln!(out, "  {folder}/{}", file.path)?;
    }
    if let Some(missing) = missing {
        writeln!(out, "\n{HEADING}first, in {folder}{HEADING:#}")?;
        missing.to_string().lines().try_for_each(|line| writeln!(out, "  {}", text::whole(line)))?;
    }
    let (flag, operation, arguments) = args.lang.first_call();
    let grant = flag.map(|flag| format!("{flag} {folder} ")).unwrap_or_default();
    writeln!(out, "\n{HEADING}next{HEADING:#}")?;
    writeln!(out, "  agent-host tool build {folder}")?;
    writeln!(out, "  agent-host tool test {folder}")?;
    writeln!(out, "  agent-host tool call --tools {folder} {grant}{}.{operation} '{arguments}'", args.name)?;
    writeln!(out, "\nWhat it offers is said in {folder}/wit/tool.wit. {folder}/README.md goes on from there.")
}
