//! The processes of a crashtest: this same program, which runs or resumes the agent in the copy and is told where to end.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent_core::name::RunId;
use anyhow::{Context, bail};
use serde_json::Value;

use super::CrashtestArgs;
use super::place::Place;
use crate::crash_order::Order;

/// How long one run may take. A scripted one takes milliseconds; a real model may think.
const TIME_MAX: Duration = Duration::from_secs(600);

/// How often a child is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Longest list of points that is read.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// How children are started.
pub(super) struct Child {
    program: PathBuf,
    home: PathBuf,
    agent: PathBuf,
    model: Option<String>,
    input: String,
    /// Whether the model says the same each time, so that answers can be compared.
    pub(super) is_scripted: bool,
}

/// How a child ended.
pub(super) struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
    /// The names of the points that it passed.
    pub(super) points: Vec<String>,
}

impl Ended {
    /// What `--json` printed.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(self.out.trim()).ok()
    }
}

impl Child {
    pub(super) fn new(place: &Place, args: &CrashtestArgs) -> anyhow::Result<Self> {
        let agent = place.agent();
        let model = args.model.as_deref().map(absolute_script).transpose()?;
        let models = crate::agent::Agent::read(&agent)?.models;
        let is_scripted = match &model {
            Some(model) => model.starts_with("scripted:"),
            None => models.iter().all(|model| model.starts_with("scripted:")),
        };
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let (home, input) = (place.home(), args.input.clone());
        Ok(Self { program, home, agent, model, input, is_scripted })
    }

    /// Runs the agent.
    pub(super) fn run(&self, order: Order) -> anyhow::Result<Ended> {
        let mut command = self.command("run");
        if let Some(model) = &self.model {
            command.args(["--model", model]);
        }
        command.arg("--").arg(&self.input);
        end(&mut command, order)
    }

    /// Goes on with a run, in as many turns where that is more than its budget.
    pub(super) fn resume(&self, run: &RunId, turns: Option<u32>) -> anyhow::Result<Ended> {
        let mut command = self.command("resume");
        if let Some(turns) = turns {
            command.args(["--max-turns", &turns.to_string()]);
        }
        command.arg(run.as_str());
        end(&mut command, Order::List)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg("--json").arg("--agent").arg(&self.agent).env("AGENT_HOST_HOME", &self.home);
        command
    }
}

fn absolute_script(model: &str) -> anyhow::Result<String> {
    let Some(script) = model.strip_prefix("scripted:") else { return Ok(model.to_owned()) };
    let path = std::path::Path::new(script).canonicalize().with_context(|| format!("cannot find script `{script}`"))?;
    Ok(format!("scripted:{}", path.display()))
}

fn end(command: &mut Command, order: Order) -> anyhow::Result<Ended> {
    let mut file = order_file(order)?;
    let err = memory("what a child said")?;
    command.stdin(file.try_clone()?).stdout(Stdio::piped()).stderr(err.try_clone()?);
    let mut child = command.spawn().context("cannot start this program as a child")?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > TIME_MAX {
            let _ = child.kill();
            let _ = child.wait();
            bail!("a child did not end within {} s", TIME_MAX.as_secs());
        }
        std::thread::sleep(POLL);
    };
    let out = child.wait_with_output()?.stdout;
    let list = text_of(&mut file)?;
    // The order itself is the first line.
    let points = list.lines().skip(1).map(str::to_owned).collect();
    Ok(Ended {
        code: status.code(),
        out: String::from_utf8_lossy(&out).into_owned(),
        err: text_of(&mut { err })?,
        points,
    })
}

fn text_of(file: &mut File) -> anyhow::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(LIST_BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn order_file(order: Order) -> anyhow::Result<File> {
    let mut file = memory(crate::crash_order::NAME)?;
    file.write_all(order.to_text().as_bytes())?;
    file.rewind()?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn memory(name: &str) -> anyhow::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC).context("the system gives no file in memory")?))
}

#[cfg(not(target_os = "linux"))]
fn memory(_name: &str) -> anyhow::Result<File> {
    bail!("crashtest needs Linux, whose files in memory carry its orders")
}
