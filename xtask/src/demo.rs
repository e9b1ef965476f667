//! `cargo xtask demo`: from a fresh checkout to an agent's answer. A newcomer's first command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::expect_only;
use crate::places::{Places, remove};
use crate::process::{cargo, run_shown};
use crate::talk::{print, say};
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask demo

Sets the wasm target up, builds the bundled tools and agent-host, and runs the weather example: an agent answers a question
about a table. No key and no network is needed for the run: the model's replies are scripted. All state goes to a folder
of its own below the target folder. The first time takes as long as the build, later ones a few seconds.";

const AGENT: &str = "examples/weather/agent.toml";
const QUESTION: &str = "Which month was the wettest, and by how much?";

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    expect_only(&[], arguments)?;
    ensure!(places.repo.join(AGENT).is_file(), "this checkout has no `{AGENT}`");
    say("1 of 3: the tools, compiled to WebAssembly components");
    tools::compile(places, &WasmTarget::set_up(places)?)?;
    say("2 of 3: agent-host");
    let programs = ["build", "--package", "agent-host", "--package", tools::KEEPER.1];
    run_shown(cargo().args(programs).current_dir(&places.repo))?;
    tools::put_in_place(places)?;
    say("3 of 3: the run");
    Demo::new(places)?.run()
}

/// An agent-host with a state of its own.
struct Demo<'a> {
    repo: &'a Path,
    program: PathBuf,
    home: PathBuf,
}

impl<'a> Demo<'a> {
    /// Starts afresh, so that each demo shows the same.
    fn new(places: &'a Places) -> Result<Self> {
        let home = places.target.join("demo/home");
        remove(&home)?;
        Ok(Self { repo: &places.repo, program: places.target.join("debug/agent-host"), home })
    }

    fn run(&self) -> Result<()> {
        say(
            "The model is scripted: its replies are in the example's folder, so no key is needed. All else is real: the",
        );
        say(
            "tools are components, each call runs in the sandbox under the grants, is metered, and is recorded in a journal.",
        );
        say("First accept what the agent file asks for; an agent file grants itself nothing:");
        run_shown(&mut self.agent_host(&["trust", "--yes", AGENT]))?;
        say("Then ask:");
        run_shown(&mut self.agent_host(&["run", "--agent", AGENT, QUESTION]))?;
        self.say_what_next();
        Ok(())
    }

    fn agent_host(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.repo).env("AGENT_HOST_HOME", &self.home);
        command
    }

    fn say_what_next(&self) {
        let folder = self.program.parent().unwrap_or(&self.program).display();
        print(&format!(
            "
Try next, in this folder:
  export AGENT_HOST_HOME={} PATH={folder}:$PATH

  agent-host show --agent {AGENT}              # what happened, step by step
  agent-host journal verify --agent {AGENT}    # nobody changed the record of it
  agent-host tool inspect tools/table          # what a tool asks for, what it gets, and why
  agent-host run --help                        # with a model of your own: --model PROVIDER:NAME",
            self.home.display()
        ));
    }
}
