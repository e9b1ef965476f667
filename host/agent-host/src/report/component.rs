//! `agent-host tool inspect`: what a component is, asks for, gets, and why; for people, and as JSON for programs.

use std::io::{self, Write};

use agent_core::config::ceiling::{Ceiling, EnvCeiling, FsCeiling, HttpCeiling, KvRequest, SecretRequest};
use agent_core::config::resolve::ToolAuthority;
use agent_core::grant::{Access, Capability, Grant};
use agent_core::limits::{Limit, Limits};
use agent_core::tool::ToolDescriptor;
use agent_core::units::Bytes;
use agent_sandbox::describe::Door;
use serde_json::{Value, json};

use super::authority::describe_grant;
use super::{HEADING, QUIET, text};
use crate::tool_folders::{MANIFEST, ManifestAt};
use crate::toolset::Loaded;

/// Widest line of a tool's own words.
const LINE_CHARS_MAX: usize = 2_000;

/// Most words of an argument that are told one by one.
const WORDS_MAX: usize = 8;

/// Writes it for a person. `authorities` are those of the component's tools, in their order.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(loaded: &Loaded, authorities: &[ToolAuthority], out: &mut dyn Write) -> io::Result<()> {
    write_head(loaded, out)?;
    write_ceiling(loaded, out)?;
    write_imports(loaded, authorities, out)?;
    for (tool, authority) in loaded.component.tools.iter().zip(authorities) {
        write_tool(tool, authority, out)?;
    }
    if !loaded.component.unsupported.is_empty() {
        writeln!(out, "\n{HEADING}not offered{HEADING:#}")?;
    }
    for export in &loaded.component.unsupported {
        writeln!(out, "  {}: {}", text::whole(&export.export), text::whole(&export.reason))?;
    }
    Ok(())
}

fn write_head(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    let size = Bytes(loaded.bytes.len() as u64);
    writeln!(out, "{HEADING}{}{HEADING:#}", loaded.found.name)?;
    writeln!(out, "  file       {} ({size})", text::whole(&loaded.found.wasm.display().to_string()))?;
    writeln!(out, "  digest     {}", loaded.component.digest)?;
    writeln!(
        out,
        "  pinned     component = \"{}\" in a [[grant]] gives it to this one alone",
        loaded.component.digest
    )?;
    writeln!(out, "  interface  {}", door(loaded.component.door))?;
    match &loaded.found.manifest {
        Some(manifest) => {
            let place = if loaded.found.manifest_at == ManifestAt::Inside { "embedded" } else { MANIFEST };
            writeln!(out, "  manifest   {place}, version {}", manifest.version)?;
            writeln!(out, "  says       {}", text::line(&manifest.description, LINE_CHARS_MAX))
        }
        None => writeln!(out, "  manifest   none: it may be granted whatever it imports"),
    }
}

fn door(door: Door) -> &'static str {
    match door {
        Door::Exports => "plain exported functions",
        Door::World => "agent-host:tool, which lists its tools itself",
    }
}

fn write_ceiling(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}may be granted at most{HEADING:#}")?;
    ceiling_lines(&loaded.ceiling).iter().try_for_each(|line| writeln!(out, "  {}", text::whole(line)))
}

/// The ceiling, one line for each capability.
fn ceiling_lines(ceiling: &Ceiling) -> Vec<String> {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join("; ") };
    let fs = match &ceiling.fs {
        FsCeiling::Any => "any, at any mount".to_owned(),
        FsCeiling::Mounts(mounts) => {
            list(mounts.iter().map(|fs| format!("one at {} to {}", fs.mount, fs.access)).collect())
        }
    };
    let http = match &ceiling.http {
        HttpCeiling::Any => "any".to_owned(),
        HttpCeiling::Requests(requests) => list(
            requests
                .iter()
                .map(|http| {
                    let methods: Vec<_> = http.methods.iter().map(ToString::to_string).collect();
                    format!("{} to {}", methods.join(", "), http.url)
                })
                .collect(),
        ),
    };
    let env = match &ceiling.env {
        EnvCeiling::Any => "any".to_owned(),
        EnvCeiling::Names(names) => list(names.iter().map(ToString::to_string).collect()),
    };
    let secret = |secret: &SecretRequest| {
        format!("{} as `{}: {}` of requests to {}", secret.name, secret.header, secret.format, secret.url)
    };
    let store = |kv: &KvRequest| format!("{} to {}", kv.store, kv.access);
    let secrets = list(ceiling.secrets.iter().map(secret).collect());
    vec![
        format!("directories  {fs}"),
        format!("requests     {http}"),
        format!("variables    {env}"),
        format!("secrets      {secrets}"),
        format!("stores       {}", list(ceiling.kv.iter().map(store).collect())),
    ]
}

/// What becomes of an import: all that are known are linked, and what is not granted refuses when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Always,
    Granted,
    Refuses,
}

impl Use {
    fn of(capability: Capability, authorities: &[ToolAuthority]) -> Self {
        let any = |holds: fn(&Grant) -> bool| match authorities.iter().any(|authority| holds(&authority.grant)) {
            true => Self::Granted,
            false => Self::Refuses,
        };
        match capability {
            Capability::Fs => any(|grant| !grant.fs.is_empty()),
            Capability::Http => any(|grant| !grant.http.is_empty()),
            Capability::Env => any(|grant| !grant.env.is_empty()),
            Capability::Kv => any(|grant| !grant.kv.is_empty()),
            Capability::Sockets => Self::Refuses,
            // No interface of its own: the host puts it into requests.
            Capability::Secret | Capability::Clock | Capability::Random | Capability::Log => Self::Always,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Always => "always there",
            Self::Granted => "granted",
            Self::Refuses => "linked, refuses at use",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Granted => "granted",
            Self::Refuses => "refuses_at_use",
        }
    }
}

fn write_imports(loaded: &Loaded, authorities: &[ToolAuthority], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}imports{HEADING:#}")?;
    let imports = &loaded.component.imports;
    if imports.is_empty() {
        return writeln!(out, "  none");
    }
    let width = imports.iter().map(|import| import.name.chars().count()).max().unwrap_or(0);
    for import in imports {
        let becomes = Use::of(import.capability, authorities).words();
        writeln!(out, "  {:<width$}  {QUIET}{becomes}{QUIET:#}", text::whole(&import.name))?;
    }
    Ok(())
}

fn write_tool(tool: &ToolDescriptor, authority: &ToolAuthority, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}{}{HEADING:#}", tool.name)?;
    for line in tool.description.lines() {
        writeln!(out, "  {}", text::line(line, LINE_CHARS_MAX))?;
    }
    writeln!(out, "  arguments")?;
    argument_lines(tool).iter().try_for_each(|line| writeln!(out, "    {}", text::whole(line)))?;
    match authority.forbidden_by() {
        Some(rule) => return writeln!(out, "  never called: {} forbids it", text::whole(&rule.to_string())),
        None => writeln!(out, "  gets")?,
    }
    let granted = describe_grant(&authority.grant);
    granted.iter().try_for_each(|line| writeln!(out, "    {}", text::whole(line)))?;
    let missing = missing_lines(authority);
    if !missing.is_empty() {
        writeln!(out, "  asks for, and does not get")?;
        missing.iter().try_for_each(|line| writeln!(out, "    {}", text::whole(line)))?;
    }
    for rule in &authority.approvals {
        writeln!(out, "  asks you first  ({})", text::whole(&rule.source.to_string()))?;
    }
    let limits = changed_limits(&authority.grant.limits);
    if !limits.is_empty() {
        writeln!(out, "  limits other than usual")?;
    }
    for (limit, value, usual) in limits {
        writeln!(out, "    {limit}  {value}, usually {usual}")?;
    }
    Ok(())
}

/// The arguments with their types, from the schema; `--json` has all of it.
fn argument_lines(tool: &ToolDescriptor) -> Vec<String> {
    let schema: Value = serde_json::from_str(tool.input_schema.as_str()).unwrap_or_default();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return vec!["none".to_owned()];
    };
    let line = |(name, about): (&String, &Value)| {
        let optional = if required.contains(&name.as_str()) { "" } else { ", may be left out" };
        let described = about["description"].as_str().map(|words| format!(": {words}")).unwrap_or_default();
        format!("{name}  {}{optional}{described}", kind(about))
    };
    properties.iter().map(line).collect()
}

/// What kind of value a schema is of, in words. Whether it may be left out is said beside it.
fn kind(schema: &Value) -> String {
    match (&schema["type"], &schema["enum"], &schema["anyOf"]) {
        (_, Value::Array(words), _) if words.len() <= WORDS_MAX => {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
            words.join(" or ")
        }
        (_, Value::Array(words), _) => format!("one of {} words", words.len()),
        (Value::String(kind), ..) if kind == "array" => format!("list of {}", kind_of_items(schema)),
        (Value::String(kind), ..) => kind.clone(),
        (Value::Array(kinds), ..) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            kinds.join(" or ")
        }
        (_, _, Value::Array(several)) => kind_of_several(several),
        _ => "value".to_owned(),
    }
}

/// Of alternatives, one kind each, but for the null of what may be left out.
fn kind_of_several(several: &[Value]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for kind in several.iter().filter(|schema| schema["type"] != "null").map(kind_of_one) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" or ")
}

/// Alternatives within alternatives are a value: a schema may nest without end.
fn kind_of_one(schema: &Value) -> String {
    match &schema["anyOf"] {
        Value::Array(_) => "value".to_owned(),
        _ => kind(schema),
    }
}

fn kind_of_items(schema: &Value) -> String {
    match &schema["items"]["type"] {
        Value::String(kind) => format!("{kind}s"),
        _ => "values".to_owned(),
    }
}

/// What the author asks for and no rule gives, with what would give it.
fn missing_lines(authority: &ToolAuthority) -> Vec<String> {
    let (ceiling, grant) = (&authority.ceiling, &authority.grant);
    let fs = ceiling.fs.most().filter(|_| grant.fs.is_empty()).map(|access| match access {
        Access::Read => "directories: no rule grants one; `--allow-read DIR` would",
        Access::Write => "directories: no rule grants one; `--allow-read DIR` or `--allow-write DIR` would",
    });
    let asks_http = match &ceiling.http {
        HttpCeiling::Any => true,
        HttpCeiling::Requests(requests) => !requests.is_empty(),
    };
    let asks_env = match &ceiling.env {
        EnvCeiling::Any => true,
        EnvCeiling::Names(names) => !names.is_empty(),
    };
    let http = (asks_http && grant.http.is_empty()).then_some("requests: no rule grants any; `--allow-net HOST` would");
    let env = (asks_env && grant.env.is_empty()).then_some("variables: no rule grants any; `--allow-env NAME` would");
    let unheld = ceiling.secrets.iter().filter(|asked| !grant.secrets.iter().any(|held| held.name == asked.name));
    let secrets = unheld.map(|secret| format!("secret {0}: no rule grants it; `--secret {0}` would", secret.name));
    let kv = (!ceiling.kv.is_empty() && grant.kv.is_empty())
        .then(|| format!("stores: no rule grants them; `--allow-kv {}` would", authority.tool.component));
    [fs, http, env].into_iter().flatten().map(str::to_owned).chain(secrets).chain(kv).collect()
}

/// Limits that differ from the usual ones: name, value and usual value as files write them.
fn changed_limits(limits: &Limits) -> Vec<(Limit, String, String)> {
    let changed = Limit::ALL.iter().filter(|limit| limits.get(**limit) != Limits::STANDARD.get(**limit));
    let written = |limit: Limit, limits: &Limits| limit.unit().written(limits.get(limit));
    changed.map(|limit| (*limit, written(*limit, limits), written(*limit, &Limits::STANDARD))).collect()
}

/// All of it for a program.
#[must_use]
pub fn to_json(loaded: &Loaded, authorities: &[ToolAuthority]) -> Value {
    let component = &loaded.component;
    let manifest = loaded.found.manifest.as_ref();
    let tools = component.tools.iter().zip(authorities).map(|(tool, authority)| {
        let limits = changed_limits(&authority.grant.limits);
        let limits =
            limits.into_iter().map(|(limit, value, usual)| json!({ "limit": limit, "value": value, "usual": usual }));
        json!({
            "descriptor": tool,
            "authority": authority,
            "forbidden_by": authority.forbidden_by(),
            "missing": missing_lines(authority),
            "changed_limits": limits.collect::<Vec<_>>(),
        })
    });
    let imports = component.imports.iter().map(|import| {
        json!({
            "name": import.name,
            "capability": import.capability,
            "use": Use::of(import.capability, authorities).name(),
        })
    });
    let unsupported = component.unsupported.iter().map(|one| json!({ "export": one.export, "reason": one.reason }));
    json!({
        "name": loaded.found.name,
        "version": manifest.map(|manifest| &manifest.version),
        "description": manifest.map(|manifest| &manifest.description),
        "file": loaded.found.wasm.display().to_string(),
        "bytes": loaded.bytes.len(),
        "digest": component.digest,
        "interface": match component.door { Door::Exports => "exports", Door::World => "world" },
        "imports": imports.collect::<Vec<_>>(),
        "ceiling": loaded.ceiling,
        "tools": tools.collect::<Vec<_>>(),
        "unsupported": unsupported.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_arguments_are_told_in_words() {
        let number = json!({ "type": "integer", "minimum": 0 });
        let words = |count: usize| json!({ "type": "string", "enum": vec!["red"; count] });
        for (schema, expected) in [
            (json!({ "type": "string" }), "string"),
            (json!({ "type": ["string", "null"] }), "string"),
            (json!({ "type": "array", "items": { "type": "string" } }), "list of strings"),
            (json!({ "type": "array", "items": { "anyOf": [] } }), "list of values"),
            (json!({ "anyOf": [number, { "type": "string", "pattern": "^[0-9]$" }] }), "integer or string"),
            (json!({ "anyOf": [words(2), { "type": "object" }, { "type": "null" }] }), "`red` or `red` or object"),
            (json!({ "anyOf": [{ "type": "object" }, { "type": "object" }] }), "object"),
            (json!({ "anyOf": [{ "anyOf": [] }, { "type": "null" }] }), "value"),
            (words(WORDS_MAX + 1), "one of 9 words"),
            (json!({}), "value"),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }
}
