//! Runs other programs: shown or read, bounded where they may hang, with errors that name the command.

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::talk::say;

/// How often a bounded program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// Cargo, without the variables that describe xtask itself: build scripts that watch them would run again each time.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|of| text.starts_with(of)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a program that talks to the terminal itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ended(command, status)
}

/// The same, after saying what is run.
pub(crate) fn run_shown(command: &mut Command) -> Result<()> {
    say(&shown(command));
    run(command)
}

/// Runs a program and returns what it wrote to stdout.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&read_bytes(command)?).into_owned())
}

/// The same, for what is no text.
pub(crate) fn read_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    let complaint = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{} failed ({status}): {}", shown(command), complaint.trim());
    Ok(stdout)
}

/// Runs a program that may hang, on a network for instance, and ends it after `limit`.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return ended(command, status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("{} took more than {} s", shown(command), limit.as_secs());
        }
        sleep(POLL);
    }
}

/// Whether a program is there: whether it answers `--version`.
pub(crate) fn answers(command: &mut Command) -> bool {
    command.arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    let words: Vec<String> = std::iter::once(name).chain(arguments).collect();
    format!("`{}`", words.join(" "))
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '"', '\'', '$']) { format!("{word:?}") } else { word.to_owned() }
}

fn ended(command: &Command, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}
