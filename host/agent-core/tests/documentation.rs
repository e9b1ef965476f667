//! The examples in `docs/configuration.md` are read by the parsers that users' files are read by.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use agent_core::config::agent_file::AgentFile;
use agent_core::config::manifest::Manifest;
use agent_core::config::policy::parse_policy;

/// The TOML block under the heading that names `file`.
fn example(file: &str) -> &'static str {
    let page = include_str!("../../../docs/configuration.md");
    let heading = format!("## `{file}`");
    let block = page
        .split_once(&heading)
        .and_then(|(_, rest)| rest.split_once("```toml\n"))
        .and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("docs/configuration.md has no example of {file}")).0
}

#[test]
fn the_examples_of_configuration_are_valid() {
    let agent = AgentFile::parse("agent.toml", "/srv/agent", example("agent.toml"))
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((agent.authority.grants.len(), agent.authority.approvals.len()), (7, 2));
    let policy =
        parse_policy("policy.toml", "/srv", example("policy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((policy.denies.len(), policy.grants.len()), (6, 2));
    let tool = Manifest::parse("tool.toml", example("tool.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(tool.build.is_some() && tool.ceiling.secrets.len() == 1);
}
