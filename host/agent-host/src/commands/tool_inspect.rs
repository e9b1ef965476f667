//! `agent-host tool inspect`: what a component is, what it asks for, what it would get under this command line, and why.

use std::io::Write;
use std::process::ExitCode;

use agent_core::config::ceiling::{Ceiling, EnvCeiling, FsCeiling, HttpCeiling};
use agent_core::config::resolve::ToolAuthority;
use agent_core::event::Strictness;
use anyhow::bail;

use super::launch;
use crate::cli::ToolInspectArgs;
use crate::home::Home;
use crate::journal::key::HostKey;
use crate::operator;
use crate::report::authority::describe_grant;
use crate::report::text;
use crate::toolset::{self, Loaded};

/// Inspects.
///
/// # Errors
/// Where there is not exactly one component, or it cannot be loaded.
pub async fn inspect(args: ToolInspectArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let rules = operator::standing_rules(&home, &args.allow)?;
    let sandbox = launch::sandbox(&home, &key, args.json, Strictness::Standard)?;
    let mut found = toolset::find(std::slice::from_ref(&args.path))?;
    let (Some(only), true) = (found.pop(), found.is_empty()) else {
        bail!("`{}` holds several components: name one of them", args.path.display())
    };
    let loaded = toolset::load(&sandbox, toolset::read(only)?)?;
    let tools = &loaded.component.tools;
    let authorities =
        tools.iter().map(|tool| toolset::authority(&loaded, &tool.name, &rules)).collect::<anyhow::Result<Vec<_>>>()?;
    if args.json { print_json(&loaded, &authorities) } else { print_text(&loaded, &authorities) }?;
    Ok(ExitCode::SUCCESS)
}

fn print_text(loaded: &Loaded, authorities: &[ToolAuthority]) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    let component = &loaded.component;
    writeln!(out, "component  {}", loaded.found.name)?;
    let file = loaded.found.wasm.display().to_string();
    writeln!(out, "file       {} ({} bytes)", text::whole(&file), loaded.bytes.len())?;
    writeln!(out, "digest     {}", component.digest)?;
    writeln!(out, "grant to it alone, in a [[grant]]: component = \"{}\"", component.digest)?;
    match &loaded.found.manifest {
        Some(manifest) => writeln!(out, "manifest   {}, version {}", toolset::MANIFEST, manifest.version)?,
        None => writeln!(out, "manifest   none: it may be granted whatever it imports")?,
    }
    writeln!(out, "\nimports")?;
    for import in &component.imports {
        writeln!(out, "    {}", text::whole(&import.name))?;
    }
    writeln!(out, "\nmay be granted at most")?;
    for line in ceiling_lines(&loaded.ceiling) {
        writeln!(out, "    {}", text::whole(&line))?;
    }
    for (tool, authority) in component.tools.iter().zip(authorities) {
        writeln!(out, "\n{}", tool.name)?;
        for line in tool.description.lines() {
            writeln!(out, "    {}", text::whole(line))?;
        }
        match authority.forbidden_by() {
            Some(rule) => writeln!(out, "  forbidden by {}", text::whole(&rule.to_string()))?,
            None => writeln!(out, "  gets")?,
        }
        for line in describe_grant(&authority.grant) {
            writeln!(out, "    {}", text::whole(&line))?;
        }
        if let Some(rule) = authority.asks_before_call() {
            writeln!(out, "  asks you before each call ({})", text::whole(&rule.to_string()))?;
        }
    }
    for export in &component.unsupported {
        writeln!(out, "\nnot offered: {}: {}", text::whole(&export.export), text::whole(&export.reason))?;
    }
    Ok(())
}

fn ceiling_lines(ceiling: &Ceiling) -> Vec<String> {
    let mut lines = Vec::new();
    match &ceiling.fs {
        FsCeiling::Any => lines.push("any directory at any mount".to_owned()),
        FsCeiling::Mounts(mounts) => {
            lines.extend(mounts.iter().map(|fs| format!("a directory at {} to {}", fs.mount, fs.access)));
        }
    }
    match &ceiling.http {
        HttpCeiling::Any => lines.push("any HTTP request".to_owned()),
        HttpCeiling::Requests(requests) => lines.extend(requests.iter().map(|http| {
            let methods: Vec<_> = http.methods.iter().map(ToString::to_string).collect();
            format!("{} to {}", methods.join(", "), http.url)
        })),
    }
    match &ceiling.env {
        EnvCeiling::Any => lines.push("any environment variable".to_owned()),
        EnvCeiling::Names(names) => lines.extend(names.iter().map(|name| format!("variable {name}"))),
    }
    lines.extend(ceiling.secrets.iter().map(|secret| {
        format!("secret {} as `{}: {}` of requests to {}", secret.name, secret.header, secret.format, secret.url)
    }));
    lines.extend(ceiling.kv.iter().map(|kv| format!("store {} to {}", kv.store, kv.access)));
    if lines.is_empty() {
        lines.push("nothing beyond clock, random numbers and log".to_owned());
    }
    lines
}

fn print_json(loaded: &Loaded, authorities: &[ToolAuthority]) -> anyhow::Result<()> {
    let component = &loaded.component;
    let tools: Vec<_> = component
        .tools
        .iter()
        .zip(authorities)
        .map(|(tool, authority)| serde_json::json!({ "descriptor": tool, "authority": authority }))
        .collect();
    let object = serde_json::json!({
        "name": loaded.found.name,
        "file": loaded.found.wasm,
        "digest": component.digest,
        "imports": component.imports.iter().map(|import| &import.name).collect::<Vec<_>>(),
        "ceiling": loaded.ceiling,
        "tools": tools,
    });
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&object)?)?;
    Ok(())
}
