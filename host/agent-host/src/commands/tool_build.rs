//! `agent-host tool build`: builds tools in their folders, after the operator has trusted their commands.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;

use crate::cli::ToolBuildArgs;
use crate::home::Home;
use crate::person::{Person, Question};
use crate::report::text;
use crate::tool_build::{Plan, plan};
use crate::trust::{Standing, TrustStore};

/// Builds.
///
/// # Errors
/// Where a folder has no build, is not trusted, or its build fails.
pub async fn build(args: ToolBuildArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let plans = args.folders.iter().map(|folder| plan(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    let person = Person::at_terminal();
    for plan in &plans {
        if !args.yes {
            trusted(&home, &person, plan).await?;
        }
    }
    for plan in &plans {
        writeln!(anstream::stderr(), "building `{}`: {}", plan.name, text::whole(&plan.command))?;
        let component = plan.run().await?;
        text::print(&component.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn trusted(home: &Home, person: &Person, plan: &Plan) -> anyhow::Result<()> {
    let mut store = TrustStore::open(&home.trust_file())?;
    let source = plan.source();
    if store.standing(&source) == Standing::Trusted {
        return Ok(());
    }
    let folder = plan.folder.display();
    let question = Question {
        title: format!("building `{}` runs a command outside any sandbox:", plan.name),
        details: vec![plan.command.clone(), format!("in {folder}"), Plan::NOT_PINNED.to_owned()],
        who: format!("`{}`", plan.name),
        answers: &[('t', "trust this command here"), ('o', "run it once"), ('n', "no")],
    };
    match person.ask(question).await {
        Some('t') => store.accept(&source),
        Some('o') => Ok(()),
        Some(_) => bail!("`{}` was not built", plan.name),
        None => bail!(
            "building `{}` would run a command outside any sandbox, in {folder}: {}\n  hint: accept it with \
             `agent-host trust {folder}`, or with `--yes`",
            plan.name,
            plan.command
        ),
    }
}
