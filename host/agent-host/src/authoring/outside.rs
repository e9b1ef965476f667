//! What the cases of a tool may reach outside of their folders. The author of a tool writes its cases and grants nothing by them:
//! a case sends requests only where the operator says so in the same command, and what he forbids elsewhere is forbidden here.

use agent_core::config::authority::{ApprovalRule, Authority, DenyRule};
use agent_core::config::cases::Case;
use agent_core::grant::Capability;
use agent_core::pattern::UrlPattern;

use crate::cli::AllowArgs;
use crate::home::Home;
use crate::operator;

/// What cases may reach.
pub struct Outside {
    /// Where requests may go, as this command says.
    hosts: Vec<UrlPattern>,
    /// What the operator's own rules forbid, and what a person is to be asked about first.
    rules: Authority,
}

impl Outside {
    /// What `--allow-net` of this command says, under the operator's own rules.
    ///
    /// # Errors
    /// Where a flag or the saved policy has problems.
    pub fn read(home: &Home, allow_net: &[String]) -> anyhow::Result<Self> {
        let allow = AllowArgs { allow_net: allow_net.to_vec(), ..AllowArgs::default() };
        let standing = operator::standing_rules(home, &allow)?;
        let denies = standing.iter().flat_map(|rules| rules.denies.clone()).filter_map(outward).collect();
        let approvals = standing.iter().flat_map(|rules| rules.approvals.clone()).filter(asks_outward).collect();
        let rules = Authority { grants: Vec::new(), approvals, denies };
        Ok(Self { hosts: operator::hosts(allow_net)?, rules })
    }

    /// The operator's rules that count in a case. What they grant does not.
    #[must_use]
    pub fn rules(&self) -> &Authority {
        &self.rules
    }

    /// Why a case may not be called: it would send requests where this command allows none.
    #[must_use]
    pub fn refusal(&self, case: &Case) -> Option<String> {
        let missing = case.net.iter().find(|url| !self.hosts.iter().any(|host| host.covers_pattern(url)))?;
        Some(format!(
            "it would send requests to `{missing}`, which this command does not allow: `--allow-net {missing}`"
        ))
    }
}

/// What a rule forbids beside directories, variables and stores: those of a case are its own.
fn outward(rule: DenyRule) -> Option<DenyRule> {
    let counts = rule.forbids_tool() || !rule.http.is_empty();
    counts.then(|| DenyRule { http: rule.http, ..DenyRule::of(rule.selector, rule.source) })
}

fn asks_outward(rule: &ApprovalRule) -> bool {
    match rule.capability() {
        None | Some(Capability::Http | Capability::Secret) => true,
        Some(
            Capability::Fs
            | Capability::Env
            | Capability::Kv
            | Capability::Clock
            | Capability::Random
            | Capability::Log
            | Capability::Sockets,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use agent_core::config::cases::parse_cases;

    use super::*;

    fn case(net: &str) -> anyhow::Result<Case> {
        let text = format!("[[case]]\nname = \"a\"\ncall = \"get\"\nnet = [{net}]\nreturns = 1\n");
        let cases = parse_cases("tests.toml", &text)?;
        cases.into_iter().next().ok_or_else(|| anyhow::anyhow!("no case"))
    }

    /// Who checks a stranger's tool does not send requests to his own network for it.
    #[test]
    fn a_case_reaches_what_this_command_allows() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let home = Home::at(&temp.path().join("state"))?;
        let refused = |allowed: &[&str], net: &str| {
            let allowed: Vec<_> = allowed.iter().map(|host| (*host).to_owned()).collect();
            anyhow::Ok(Outside::read(&home, &allowed)?.refusal(&case(net)?).unwrap_or_default())
        };
        let local = "\"http://127.0.0.1:2375\"";
        assert!(refused(&[], local)?.ends_with("`--allow-net http://127.0.0.1:2375`"), "{}", refused(&[], local)?);
        assert!(!refused(&["https://127.0.0.1"], local)?.is_empty());
        assert!(!refused(&["example.org"], &format!("\"https://example.org\", {local}"))?.is_empty());
        assert_eq!(refused(&["http://127.0.0.1:2375"], local)?, "");
        assert_eq!(refused(&["example.org"], "\"https://example.org/orders\"")?, "");
        assert_eq!(refused(&[], "")?, "");
        Ok(())
    }

    #[test]
    fn what_the_operator_forbids_is_forbidden_in_a_case() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let home = Home::at(&temp.path().join("state"))?;
        let policy = "[[deny]]\ntool = \"mail\"\n[[deny]]\ntool = \"*\"\nhttp = [\"bank.example\"]\nenv = [\"HOME\"]\n\
                      [[deny]]\ntool = \"*\"\nfs = [\"/srv\"]\n\
                      [[approval]]\neffect = \"http\"\n[[approval]]\neffect = \"fs\"\n\
                      [[grant]]\ntool = \"*\"\nhttp = [{ url = \"https://example.org\", methods = [\"GET\"] }]\n";
        std::fs::write(home.policy_file(), policy)?;
        let outside = Outside::read(&home, &[])?;
        let Authority { grants, approvals, denies } = outside.rules();
        assert_eq!((grants.len(), approvals.len(), denies.len()), (0, 1, 2));
        assert!(denies[0].forbids_tool() && !denies[1].forbids_tool() && denies[1].env.is_empty());
        Ok(())
    }
}
