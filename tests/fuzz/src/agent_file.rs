//! `agent.toml` and `policy.toml`: any text is read or refused with problems, no rule grants what no rule may grant, and the
//! same rules mean the same in both files and after being stored.

use agent_core::config::agent_file::AgentFile;
use agent_core::config::authority::Authority;
use agent_core::config::policy::parse_policy;

use crate::problems;

/// Where both files are said to stand.
const FOLDER: &str = "/home/ada/project";

/// The tables that make an agent file of a policy.
const AGENT: &str = "\n[agent]\nname = \"a\"\ninstructions = \"Be brief.\"\n";

/// Reads one text as both.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match AgentFile::parse("agent.toml", FOLDER, text) {
        Ok(agent) => check(&agent.authority),
        Err(found) => problems::check(&found, text),
    }
    match parse_policy("rules.toml", FOLDER, text) {
        Ok(authority) => {
            check(&authority);
            agrees_with_an_agent_file(&authority, text);
        }
        Err(found) => problems::check(&found, text),
    }
}

fn check(authority: &Authority) {
    for rule in authority.grants.iter().flat_map(|grant| &grant.http) {
        assert_eq!(rule.url.check_grantable(), Ok(()), "{}", rule.url);
    }
    for rule in authority.grants.iter().flat_map(|grant| &grant.fs) {
        let host = rule.host.to_string();
        let is_clean = host.starts_with('/') && !host.split('/').any(|part| part == ".." || part == ".");
        assert!(is_clean && !host.contains('\0'), "{host:?}");
    }
    let stored = serde_json::to_string(authority).unwrap();
    assert_eq!(serde_json::from_str::<Authority>(&stored).unwrap(), *authority, "{stored}");
}

/// A policy is an agent file's authority alone.
fn agrees_with_an_agent_file(policy: &Authority, text: &str) {
    let agent = AgentFile::parse("rules.toml", FOLDER, &format!("{text}{AGENT}"));
    assert_eq!(agent.map(|agent| agent.authority).as_ref(), Ok(policy));
}
