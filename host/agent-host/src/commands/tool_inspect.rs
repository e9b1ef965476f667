//! `agent-host tool inspect`: what a component is, what it asks for, what it would get under this command line, and why.

use std::io::Write;
use std::process::ExitCode;

use agent_core::run_events::Strictness;
use anyhow::bail;

use super::confined::Confined;
use super::launch;
use crate::cli::ToolInspectArgs;
use crate::home::Home;
use crate::journal::key::HostKey;
use crate::operator;
use crate::report::{component, text};
use crate::rules::{self, Misfit, Rules};
use crate::tool_folders;
use crate::toolset::{self, Loaded};
use crate::unchanging::Unchanging;

/// Finds the one component.
///
/// # Errors
/// Where there is not exactly one, or the rules have problems.
pub async fn prepare(args: ToolInspectArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let mut rules = operator::standing_rules(&home, &args.allow)?;
    let mut found = tool_folders::find(std::slice::from_ref(&args.path))?;
    Unchanging::default().and_tools(std::slice::from_ref(&args.path))?.guard(&mut rules)?;
    let reach = launch::reach(&home)?;
    let (Some(only), true) = (found.pop(), found.is_empty()) else {
        bail!("`{}` holds several components: name one of them", args.path.display())
    };
    let tool = toolset::read(only)?;
    Ok(Confined::new(reach, move |hardening| async move {
        let sandbox = launch::sandbox(&home, &key, args.json, Strictness::Standard)?;
        launch::sealed(hardening);
        inspect(&args, &toolset::load(&sandbox, tool)?, &rules)
    }))
}

fn inspect(args: &ToolInspectArgs, loaded: &Loaded, rules: &Rules) -> anyhow::Result<ExitCode> {
    let this_one = std::slice::from_ref(loaded);
    rules.check_names(&rules::known(this_one), this_one, Misfit::Told)?;
    let tools = &loaded.component.tools;
    let authorities =
        tools.iter().map(|tool| toolset::authority(loaded, &tool.name, rules)).collect::<anyhow::Result<Vec<_>>>()?;
    if args.json {
        let object = component::to_json(loaded, &authorities);
        writeln!(std::io::stdout(), "{}", text::json(&format!("{object:#}")))?;
    } else {
        component::write(loaded, &authorities, &mut anstream::stdout().lock())?;
    }
    Ok(ExitCode::SUCCESS)
}
