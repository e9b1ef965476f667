//! `agent-host in-walls PROGRAM …`, in a test build only: starts a program behind the walls of a run, to see what it can do
//! there. Walls are inherited by whatever is started.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

use super::launch;
use crate::cli::AllowArgs;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::operator;

/// What starts programs. Behind the walls nothing else may be started, and it starts what may be read.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// `agent-host in-walls`.
#[derive(Debug, clap::Args)]
pub struct InWallsArgs {
    #[command(flatten)]
    allow: AllowArgs,
    /// The program and its arguments. It must be in a folder that may be read.
    #[arg(required = true, trailing_var_arg = true)]
    program: Vec<String>,
}

/// Starts it in the place of this process.
///
/// # Errors
/// Where it cannot be started.
pub fn in_walls(args: &InWallsArgs) -> anyhow::Result<std::process::ExitCode> {
    let home = Home::open()?;
    let mut reach = launch::reach(&home)?;
    for fs in
        operator::standing_rules(&home, &args.allow)?.iter().flat_map(|rules| &rules.grants).flat_map(|rule| &rule.fs)
    {
        reach.grant(fs.host.as_str(), fs.access);
    }
    let _ = hardening::put_up(Files::Within(&reach));
    let loader = LOADERS.into_iter().find(|loader| std::path::Path::new(loader).exists()).context("no loader")?;
    Err(Command::new(loader).args(&args.program).exec()).context("cannot start the program")
}
