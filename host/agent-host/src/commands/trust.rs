//! `agent-host trust`: shows what an agent file would be granted, or what a tool's build command would run, and accepts it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use agent_core::config::problem::ProblemKind;
use agent_core::config::rule_names::KnownTools;
use anyhow::bail;

use crate::agent::{Agent, Source};
use crate::cli::{AllowArgs, TrustArgs};
use crate::home::Home;
use crate::operator;
use crate::person::{Person, Question};
use crate::proposal;
use crate::report::{text, typed};
use crate::tool_build as build;
use crate::trust::{Standing, TrustStore};

/// Shows and accepts.
///
/// # Errors
/// Where the file has problems, or nobody is there to accept it.
pub async fn trust(args: TrustArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let (source, would) = proposal(&home, &args.file)?;
    let mut store = TrustStore::open(&home.trust_file())?;
    let shown = source.path.display();
    if store.standing(&source) == Standing::Trusted {
        writeln!(anstream::stdout(), "`{}` is trusted already", text::whole(&shown.to_string()))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(anstream::stdout(), "`{}` would get:", text::whole(&shown.to_string()))?;
    for line in would {
        writeln!(anstream::stdout(), "    {}", text::whole(&line))?;
    }
    if !args.yes {
        let title = "trust it with this?".to_owned();
        let (who, answers) = (format!("{shown}"), &[('y', "yes"), ('n', "no")]);
        let question = Question { title, details: Vec::new(), who, answers };
        match Person::at_terminal().ask(question).await {
            Some('y') => {}
            Some(_) => bail!("`{shown}` was not trusted"),
            None => bail!(
                "nobody is there to be asked\n  hint: `agent-host trust --yes {}` accepts what is listed above",
                typed::path(&args.file)
            ),
        }
    }
    store.accept(&source)?;
    writeln!(anstream::stdout(), "trusted; a changed file must be trusted again")?;
    Ok(ExitCode::SUCCESS)
}

fn proposal(home: &Home, file: &Path) -> anyhow::Result<(Source, Vec<String>)> {
    if file.is_dir() {
        let agent_file = file.join("agent.toml");
        if !file.join("tool.toml").is_file() && agent_file.is_file() {
            bail!(
                "`{}` is a folder, and what is trusted is the agent file in it\n  hint: `agent-host trust {}`",
                file.display(),
                typed::path(&agent_file)
            );
        }
        let plan = build::plan(file)?;
        let would =
            vec![format!("to run in {}: {}", plan.folder.display(), plan.command), build::Plan::NOT_PINNED.to_owned()];
        return Ok((plan.source(), would));
    }
    let agent = Agent::read(file)?;
    let standing = operator::standing_rules(home, &AllowArgs::default())?;
    let would = proposal::lines(&agent, &standing)?;
    say_misfits(&agent);
    match agent.file {
        Some(source) => Ok((source, would)),
        None => bail!("`{}` is no agent file", file.display()),
    }
}

/// Rules for tools that the file does not name: `run` refuses it, unless `--tools` brings them.
fn say_misfits(agent: &Agent) {
    let components = agent.tools.iter().map(|tool| tool.found.name.clone()).collect();
    let known = KnownTools { components, tools: Vec::new() };
    if let Err(problems) = agent.proposal.check_selectors(ProblemKind::AgentFileInvalid, "agent", &known) {
        for problem in problems.as_slice() {
            let _ = writeln!(anstream::stderr(), "warning: {}", text::lines(&problem.to_string()));
        }
    }
}
