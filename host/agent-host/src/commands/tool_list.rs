//! `agent-host tool list`: the tools of folders, as people and models see them.

use std::io::Write;
use std::process::ExitCode;

use agent_core::run_events::Strictness;

use crate::cli::ToolListArgs;
use crate::home::Home;
use crate::journal::key::HostKey;
use crate::report::text;
use crate::toolset::{self, Loaded};

use super::confined::Confined;
use super::launch;

/// Widest first line of a description.
const DESCRIPTION_CHARS: usize = 100;

/// Finds the tools.
///
/// # Errors
/// Where a folder has none.
pub async fn prepare(args: ToolListArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let tools = toolset::read_all(&args.tools.paths)?;
    let reach = launch::reach(&home)?;
    Ok(Confined::new(reach, move |hardening| async move {
        let sandbox = launch::sandbox(&home, &key, args.json, Strictness::Standard)?;
        launch::sealed(hardening);
        let loaded = toolset::load_all(&sandbox, tools)?;
        if args.json {
            print_json(&loaded)?;
            say_not_offered(&loaded)?;
        } else {
            print_table(&loaded)?;
        }
        Ok(ExitCode::SUCCESS)
    }))
}

fn print_table(loaded: &[Loaded]) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    let names = loaded.iter().flat_map(|loaded| &loaded.component.tools);
    let width = names.map(|tool| tool.name.to_string().len()).max().unwrap_or(0);
    for loaded in loaded {
        for tool in &loaded.component.tools {
            let first = tool.description.lines().next().unwrap_or_default();
            let (name, shown) = (tool.name.to_string(), text::line(first, DESCRIPTION_CHARS));
            writeln!(out, "{name:width$}  {shown}")?;
        }
        for export in &loaded.component.unsupported {
            let (name, why) = (text::whole(&export.export), text::whole(&export.reason));
            writeln!(out, "{:width$}  not offered: {name}: {why}", loaded.found.name.to_string())?;
        }
    }
    Ok(())
}

/// What is no tool is in no list of tools, and is said beside it.
fn say_not_offered(loaded: &[Loaded]) -> anyhow::Result<()> {
    let mut err = anstream::stderr();
    for Loaded { found, component, .. } in loaded {
        for export in &component.unsupported {
            let (name, why) = (text::whole(&export.export), text::whole(&export.reason));
            writeln!(err, "note: `{name}` of `{}` is not offered: {why}", found.name)?;
        }
    }
    Ok(())
}

fn print_json(loaded: &[Loaded]) -> anyhow::Result<()> {
    let tools = loaded.iter().flat_map(|loaded| {
        loaded.component.tools.iter().map(|tool| {
            serde_json::json!({
                "name": tool.name,
                "wire_name": tool.name.wire(),
                "description": tool.description,
                "input_schema": tool.input_schema,
                "output_schema": tool.output_schema,
                "component": loaded.component.digest,
            })
        })
    });
    let tools: Vec<_> = tools.collect();
    writeln!(std::io::stdout(), "{}", text::json(&serde_json::to_string_pretty(&tools)?))?;
    Ok(())
}
