//! What a rebase changes, line by line, for the person who decides: `-` goes, `+` comes.

use agent_core::config::authority::DenyRule;
use agent_core::config::resolve::ToolAuthority;
use agent_core::run_events::{LockedTool, ModelChoice, RunRebased, RunStarted};

use super::authority::describe_grant;
use super::text;

/// Lines of instructions that are shown of each side; the rest is counted.
const LINES_MAX: usize = 20;
/// Longest line that is shown.
const CHARS_MAX: usize = 160;

/// What of a run that holds `authorities` is changed; nothing where it is the same.
#[must_use]
pub fn lines(before: &RunStarted, authorities: &[ToolAuthority], after: &RunRebased) -> Vec<String> {
    let mut lines = Vec::new();
    if before.agent != after.agent {
        lines.extend([format!("- agent {}", before.agent), format!("+ agent {}", after.agent)]);
    }
    if before.agent_file != after.agent_file {
        let file = |sign, digest: Option<agent_core::digest::Digest>| {
            digest.map(|digest| format!("{sign} agent file {}", digest.short()))
        };
        lines.extend(file('-', before.agent_file));
        lines.extend(file('+', after.agent_file));
    }
    lines.extend(changed("model ", &models(&before.models), &models(&after.models)));
    let said = |instructions: &str| instructions.lines().map(str::to_owned).collect::<Vec<_>>();
    lines.extend(changed("instructions: ", &said(&before.instructions), &said(&after.instructions)));
    lines.extend(tools(&before.tools, authorities, &after.tools));
    lines
}

/// The models, each with the server where that is not the provider's own.
#[must_use]
pub fn models(models: &[ModelChoice]) -> Vec<String> {
    let model = |model: &ModelChoice| match &model.base_url {
        Some(url) => format!("{} at {url}", model.name),
        None => model.name.clone(),
    };
    models.iter().map(model).collect()
}

fn tools(before: &[LockedTool], authorities: &[ToolAuthority], after: &[LockedTool]) -> Vec<String> {
    let mut lines = Vec::new();
    for (tool, held) in before.iter().zip(authorities) {
        let name = &tool.descriptor.name;
        match after.iter().find(|other| other.descriptor.name == *name) {
            None => lines.push(format!("- tool {name}")),
            Some(other) => lines.extend(of_tool(tool, held, other)),
        }
    }
    for tool in after.iter().filter(|tool| !before.iter().any(|other| other.descriptor.name == tool.descriptor.name)) {
        let name = &tool.descriptor.name;
        lines.push(format!("+ tool {name}, component {}", tool.component.short()));
        lines.extend(describe_grant(&tool.authority.grant).iter().map(|grant| format!("+ {name}: {grant}")));
    }
    lines
}

fn of_tool(before: &LockedTool, held: &ToolAuthority, after: &LockedTool) -> Vec<String> {
    let name = &before.descriptor.name;
    let mut lines = Vec::new();
    if before.component != after.component {
        let (old, new) = (before.component.short(), after.component.short());
        lines.extend([format!("- {name}: component {old}"), format!("+ {name}: component {new}")]);
    }
    if before.export != after.export {
        lines.push(format!("+ {name}: another function of its component, as the manifest now says"));
    }
    let grants = (describe_grant(&held.grant), describe_grant(&after.authority.grant));
    lines.extend(changed(&format!("{name}: "), &grants.0, &grants.1));
    if held.grant.limits != after.authority.grant.limits {
        lines.push(format!("+ {name}: other limits"));
    }
    if held.approvals != after.authority.approvals || written(&held.denies) != written(&after.authority.denies) {
        lines.push(format!("+ {name}: other rules about what is asked first or denied"));
    }
    if before.descriptor != after.descriptor {
        lines.push(format!("+ {name}: another description for the model"));
    }
    lines
}

/// The rules that somebody wrote. What this host lets nobody change says of each directory that is granted what is left out of it, and
/// shows there; without one it is nothing to look at.
fn written(denies: &[DenyRule]) -> Vec<&DenyRule> {
    let is_hosts =
        |deny: &&DenyRule| !deny.unchanging.is_empty() || !deny.unmoved.is_empty() || !deny.linked.is_empty();
    denies.iter().filter(|deny| !is_hosts(deny)).collect()
}

/// The lines that only one side has.
fn changed(what: &str, before: &[String], after: &[String]) -> Vec<String> {
    let only = |sign: char, these: &[String], those: &[String]| {
        let gone: Vec<_> = these.iter().filter(|line| !those.contains(line)).collect();
        let shown = gone.iter().take(LINES_MAX).map(|line| format!("{sign} {what}{}", text::line(line, CHARS_MAX)));
        let more = gone.len().saturating_sub(LINES_MAX);
        shown.chain((more > 0).then(|| format!("{sign} {what}… {more} more lines"))).collect::<Vec<_>>()
    };
    [only('-', before, after), only('+', after, before)].concat()
}
