//! What can be typed after `agent-host tool`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AllowArgs, OutputArgs, StrictArg, ToolsHereArgs};
use crate::commands::{tool_adapt, tool_check, tool_new, tool_pack, tool_test};

const CALL_HELP: &str = "\
Exit codes:
  0 the tool returned, 1 error, 2 wrong command line, 3 the tool failed or was refused";

/// `agent-host tool …`.
#[derive(Debug, Subcommand)]
pub enum ToolCommand {
    /// List the tools of folders.
    List(ToolListArgs),
    /// Say what a component is, asks for and gets, and why.
    Inspect(ToolInspectArgs),
    /// Call one tool, under the grants of this command line.
    #[command(after_help = CALL_HELP)]
    Call(ToolCallArgs),
    /// Begin a tool in the language of your choice.
    New(tool_new::ToolNewArgs),
    /// Build a tool by the command in its `tool.toml`.
    Build(ToolBuildArgs),
    /// Call a tool as its cases say, and compare what comes of it.
    #[command(after_help = tool_test::HELP)]
    Test(tool_test::ToolTestArgs),
    /// Say what a model will see of a tool, what it imports beside what it declares, how large and how fast it is.
    #[command(after_help = tool_check::HELP)]
    Check(tool_check::ToolCheckArgs),
    /// Put a tool's manifest and documentation into its component: one file that needs nothing beside it.
    Pack(tool_pack::ToolPackArgs),
    /// Make a component of a core module that was built for WASI preview 1.
    Adapt(tool_adapt::ToolAdaptArgs),
}

/// `agent-host tool list`.
#[derive(Debug, Args)]
pub struct ToolListArgs {
    #[command(flatten)]
    pub tools: ToolsHereArgs,
    /// Print a JSON array with the full schemas.
    #[arg(long)]
    pub json: bool,
}

/// `agent-host tool inspect`.
#[derive(Debug, Args)]
pub struct ToolInspectArgs {
    /// The component or the tool's folder.
    pub path: PathBuf,
    #[command(flatten)]
    pub allow: AllowArgs,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// `agent-host tool call`.
#[derive(Debug, Args)]
pub struct ToolCallArgs {
    /// The tool, for instance `calc.evaluate`.
    pub tool: String,
    /// The arguments: a JSON object; `-` reads it from standard input.
    #[arg(default_value = "{}")]
    pub arguments: String,
    #[command(flatten)]
    pub tools: ToolsHereArgs,
    #[command(flatten)]
    pub allow: AllowArgs,
    #[command(flatten)]
    pub strict: StrictArg,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `agent-host tool build`.
#[derive(Debug, Args)]
pub struct ToolBuildArgs {
    /// Folders with a `tool.toml`.
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Run the build commands without being asked.
    #[arg(long)]
    pub yes: bool,
}
