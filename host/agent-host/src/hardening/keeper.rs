//! The keeper: where a person sits at a terminal, the run goes on in a child, behind its walls, and this process stays outside.
//! A wall never moves; so when the person grants a directory in the middle of a run, the child ends, the keeper asks which
//! directory, and a new child goes on with the run behind a wall that includes it. The terminal, the process number and
//! everything recorded stay.
//!
//! The keeper runs no guest and holds no key. It alone knows where the wall was when nothing untrusted had run yet, and it asks
//! the person itself: a guest that broke out can wish for more, and the person sees the wish.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use agent_core::config::host_path::HostPath;
use anyhow::{Context, bail};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::kept::{HANDED, Handed, KEEPER, PIPE, Said, Wider, Wish};
use super::reach::Reach;
use crate::asking;
use crate::cli::{self, Cli, OutputArgs};
use crate::commands::run::agent_here;
use crate::home::Home;
use crate::operator;
use crate::person::Person;
use crate::signals::Signals;
use crate::unchanging::Unchanging;

/// Longest talk of one child: the paths of every grant that a run can hold.
const SAID_BYTES_MAX: usize = 2 << 20;
/// How often a run may go on anew: each time is a question to the person, at most one for each of the tools that a run has.
const ROUNDS_MAX: usize = 256;

/// Runs this command in a child and watches over it, where that makes sense; the child's exit code. `None` where this process
/// is to do it itself: nobody is at the terminal, there is no wall that could stand in the way, or it is the child.
///
/// # Errors
/// Where the child cannot be started.
pub fn keep(cli: &Cli) -> anyhow::Result<Option<ExitCode>> {
    let Some(again) = Again::of(cli) else { return Ok(None) };
    let person = Person::at_terminal();
    if std::env::var_os(PIPE).is_some() || !person.is_there() || !super::has_file_wall() {
        return Ok(None);
    }
    let _ = super::close_memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(watch(&again, &person));
    runtime.shutdown_background();
    ended.map(Some)
}

/// How the command line of a run that goes on begins and ends: nothing in it is a child's word but the run's name.
struct Again {
    agent: Vec<OsString>,
    output: Vec<OsString>,
    log: Vec<OsString>,
    learn: Vec<OsString>,
}

impl Again {
    fn of(cli: &Cli) -> Option<Self> {
        let (agent, output, learn) = match &cli.command {
            // The file that is taken where none is named may be a link, and the run is in the folder where that leads.
            cli::Command::Run(args) => {
                (args.agent.clone().or_else(|| agent_here(args)), &args.output, &args.learn.learn)
            }
            cli::Command::Resume(args) => (args.agent.clone(), &args.output, &args.learn.learn),
            _ => return None,
        };
        let learn = learn.as_ref().map(|file| OsString::from_iter([OsStr::new("--learn="), file.as_os_str()]));
        let pair = |flag: &str, value: OsString| vec![OsString::from(flag), value];
        let agent = agent.as_ref().map(|file| pair("--agent", file.into())).unwrap_or_default();
        let log = cli.log.as_ref().map(|filter| pair("--log", filter.into())).unwrap_or_default();
        Some(Self { agent, output: output_flags(output), log, learn: learn.into_iter().collect() })
    }

    fn arguments(&self, wish: &Wish) -> Vec<OsString> {
        let verb = [OsString::from("resume"), wish.run.to_string().into()];
        verb.into_iter()
            .chain([&self.agent, &self.output, &self.log, &self.learn].into_iter().flatten().cloned())
            .collect()
    }
}

fn output_flags(output: &OutputArgs) -> Vec<OsString> {
    let flags = [(output.json, "--json"), (output.quiet, "--quiet")];
    flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.into()).collect()
}

async fn watch(again: &Again, person: &Person) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut handed: Option<Handed> = None;
    for _ in 0..ROUNDS_MAX {
        let ear = Ear::new()?;
        let child = start(&arguments, &ear, handed.as_ref())?;
        let (status, said) = follow(child, &ear.pipe, &mut signals).await?;
        let Some(wish) = said.wish else { return Ok(code(status)) };
        // Later children only say what they were handed.
        let reach =
            handed.map(|handed| handed.reach).or(said.reach).context("the run did not say where its wall is")?;
        arguments = again.arguments(&wish);
        let granted = tokio::select! {
            granted = ask(person, &wish, &reach.unchanging) => granted,
            _ = signals.next() => return Ok(stopped(&wish)),
        };
        handed = Some(hand_over(wish, reach, granted));
    }
    bail!("the run went on anew {ROUNDS_MAX} times: a tool asks for directories without end")
}

/// Which directory the person means, if one after all.
async fn ask(person: &Person, wish: &Wish, unchanging: &Unchanging) -> Option<HostPath> {
    let home = Home::open().ok()?;
    let prompt = format!("which directory may `{}` {}?", wish.tool.component, asking::verb(wish.access));
    let host = asking::which_directory(person, &prompt, asking::say).await?;
    let refused = operator::check_not_own_state(&home, &host).err().map(|error| format!("{error:#}"));
    match refused.or_else(|| unchanging.refusal(&host, wish.access)) {
        None => Some(host),
        Some(why) => {
            asking::say(&format!("no directory was granted: {why}"));
            None
        }
    }
}

fn hand_over(wish: Wish, mut reach: Reach, granted: Option<HostPath>) -> Handed {
    let wider = granted.map(|host| {
        reach.grant(host.as_str(), wish.access);
        Wider { tool: wish.tool, host, access: wish.access }
    });
    Handed { reach, wider, asked: wish.asked }
}

fn stopped(wish: &Wish) -> ExitCode {
    // Behind the question that was not answered.
    let _ = writeln!(anstream::stderr());
    asking::say(&format!("stopped; `agent-host resume {}` goes on", wish.run));
    ExitCode::from(agent_core::stop::StopReason::Cancelled.exit_code())
}

/// Where a child is heard: a pipe that has a name, in a folder of this user alone, which is gone when this is dropped. The child opens
/// it by its name before the walls stand, so that nothing which it starts inherits it, and behind them nobody finds it.
struct Ear {
    pipe: Receiver,
    folder: TempDir,
}

/// The pipe's name in its folder.
const PIPE_NAME: &str = "pipe";

impl Ear {
    fn new() -> anyhow::Result<Self> {
        let cannot = "cannot make a pipe";
        let folder = tempfile::tempdir().context(cannot)?;
        let pipe = open_pipe(&folder.path().join(PIPE_NAME)).context(cannot)?;
        Ok(Self { pipe, folder })
    }
}

/// Open for writing, too: else it would be at its end before the child has opened it.
#[cfg(target_os = "linux")]
fn open_pipe(path: &Path) -> std::io::Result<Receiver> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(path)
}

#[cfg(not(target_os = "linux"))]
fn open_pipe(_path: &Path) -> std::io::Result<Receiver> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn start(arguments: &[OsString], ear: &Ear, handed: Option<&Handed>) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.args(arguments).env(PIPE, ear.folder.path().join(PIPE_NAME)).env_remove(HANDED);
    command.env(KEEPER, std::process::id().to_string());
    if let Some(handed) = handed {
        command.env(
            HANDED,
            serde_json::to_string(handed).context(
                "a path of the run is not UTF-8, and cannot be passed on\n  hint: work in a folder whose path is",
            )?,
        );
    }
    command.spawn().context("cannot start the run's own process")
}

/// What a child said until it ended.
#[derive(Default)]
struct Told {
    reach: Option<Reach>,
    wish: Option<Wish>,
}

/// Waits for the child, passes signals on, and hears what it says.
async fn follow(mut child: Child, pipe: &Receiver, signals: &mut Signals) -> anyhow::Result<(ExitStatus, Told)> {
    let (mut said, mut open) = (Vec::new(), true);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for the run's process")?,
            // The pipe stays open while anything that the child started lives: its end is not waited for.
            Ok(()) = pipe.readable(), if open => open = hear(pipe, &mut said) != Heard::End,
            // Ctrl-C reaches the child from the terminal, too: it counts what comes together once.
            passed = signals.next() => pass_on(&child, passed),
        }
    };
    while hear(pipe, &mut said) == Heard::Something {}
    Ok((status, understood(&said)))
}

/// What came through the pipe.
#[derive(PartialEq, Eq)]
enum Heard {
    Something,
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

fn hear(pipe: &Receiver, said: &mut Vec<u8>) -> Heard {
    let mut buffer = [0; 4096];
    match pipe.try_read(&mut buffer) {
        Ok(0) => Heard::End,
        Ok(read) => {
            let room = SAID_BYTES_MAX.saturating_sub(said.len());
            said.extend_from_slice(&buffer[..read.min(room)]);
            Heard::Something
        }
        Err(error) => match error.kind() {
            std::io::ErrorKind::Interrupted => Heard::Something,
            std::io::ErrorKind::WouldBlock => Heard::Nothing,
            _ => Heard::End,
        },
    }
}

fn understood(said: &[u8]) -> Told {
    let mut heard = Told::default();
    for line in said.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            // The first word counts: it was said before any guest ran.
            Ok(Said::Reach(reach, unchanging)) if heard.reach.is_none() => {
                let mut reach = reach;
                reach.unchanging = unchanging;
                heard.reach = Some(reach);
            }
            Ok(Said::Wish(wish)) => heard.wish = Some(wish),
            Ok(Said::Reach(..)) | Err(_) => {}
        }
    }
    heard
}

fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let shells = |signal: i32| u8::try_from(128 + signal).unwrap_or(u8::MAX);
    let code = status.code().map(|code| u8::try_from(code).unwrap_or(1)).or(status.signal().map(shells));
    ExitCode::from(code.unwrap_or(1))
}

fn pass_on(child: &Child, passed: rustix::process::Signal) {
    let child = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Gone already: then it has ended anyway.
    let _ = child.map(|child| kill_process(child, passed));
}
