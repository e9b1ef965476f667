//! The operator's word: the rules that count in a run. From the policy in the user's state folder, a `--policy` file, the
//! `--allow-…` flags, and an agent file's proposal once the operator trusts it.

use std::path::{Path, PathBuf};

use agent_core::config::authority::{Authority, DenyRule, GrantRule};
use agent_core::config::host_path::HostPath;
use agent_core::config::policy::parse_policy;
use agent_core::config::selector::Selector;
use agent_core::grant::{Access, RuleSource};
use agent_core::pattern::UrlPattern;
use anyhow::{Context, anyhow, bail, ensure};

use crate::agent::{Agent, Source};
use crate::cli::AllowArgs;
use crate::home::Home;
use crate::input;
use crate::person::{Person, Question};
use crate::real_path;
use crate::report::authority::describe;
use crate::trust::{Standing, TrustStore};

/// The rules that count, in the order of their sources.
///
/// # Errors
/// Where a policy or flag has problems, or the agent file is not trusted and nobody is there to ask.
pub async fn rules(home: &Home, person: &Person, allow: &AllowArgs, agent: &Agent) -> anyhow::Result<Vec<Authority>> {
    let mut rules = standing_rules(home, allow)?;
    if let Some(source) = &agent.file {
        trusted(home, person, agent, source, &rules).await?;
        rules.push(agent.proposal.clone());
    }
    Ok(rules)
}

/// The rules that hold without any agent file.
///
/// # Errors
/// Where a policy or flag has problems.
pub fn standing_rules(home: &Home, allow: &AllowArgs) -> anyhow::Result<Vec<Authority>> {
    let saved = home.policy_file();
    let saved = saved.exists().then(|| policy(&saved)).transpose()?;
    let given = allow.policy.as_deref().map(policy).transpose()?;
    let flags = Authority { grants: flags(allow)?, ..Authority::nothing() };
    Ok([own_state(home)?].into_iter().chain(saved).chain(given).chain([flags]).collect())
}

/// Nobody can grant the folder with the host's key, policy, trust and compiled code, nor one around it: who reads the key
/// can forge runs and code, who writes there grants himself everything.
fn own_state(home: &Home) -> anyhow::Result<Authority> {
    let root = home.root().canonicalize().context("cannot look at the state folder")?;
    let root = root.to_str().context("the state folder's path is not UTF-8")?;
    // A folder that no rule could name needs no rule.
    let Ok(root) = root.parse::<HostPath>() else { return Ok(Authority::nothing()) };
    let source = RuleSource("agent-host, for its own keys and policy,".to_owned());
    let deny = DenyRule { selector: Selector::Everything, http: Vec::new(), fs: vec![root], env: Vec::new(), source };
    Ok(Authority { denies: vec![deny], ..Authority::nothing() })
}

fn policy(path: &Path) -> anyhow::Result<Authority> {
    let shown = path.display().to_string();
    let absolute = path.canonicalize().with_context(|| format!("cannot find policy `{shown}`"))?;
    let text = input::read_config(&absolute, &shown)?;
    let folder = absolute.parent().and_then(Path::to_str).context("the policy's path is not UTF-8")?;
    real_path::resolved(parse_policy(&shown, folder, &text)?)
}

fn flags(allow: &AllowArgs) -> anyhow::Result<Vec<GrantRule>> {
    let mut grants = Vec::new();
    for (dirs, access, flag) in
        [(&allow.allow_read, Access::Read, "--allow-read"), (&allow.allow_write, Access::Write, "--allow-write")]
    {
        for dir in dirs {
            let host = directory(dir).with_context(|| format!("`{flag} {dir}`"))?;
            grants.push(GrantRule::directory(host, access, source(flag, dir)));
        }
    }
    for host in &allow.allow_net {
        let url = host_pattern(host).with_context(|| format!("`--allow-net {host}`"))?;
        let rule = GrantRule::host(url, source("--allow-net", host));
        grants.push(rule.map_err(|error| anyhow!("`--allow-net {host}`: {error}"))?);
    }
    for name in &allow.allow_env {
        let parsed = name.parse().map_err(|error| anyhow!("`--allow-env {name}`: {error}"))?;
        grants.push(GrantRule::variable(parsed, source("--allow-env", name)));
    }
    Ok(grants)
}

/// A directory that the operator typed: relative to the working directory, and it must be there.
///
/// # Errors
/// Where it is not there, no directory, or one that is never granted.
pub fn directory(typed: &str) -> anyhow::Result<HostPath> {
    let path = PathBuf::from(typed).canonicalize().with_context(|| format!("cannot find directory `{typed}`"))?;
    ensure!(path.is_dir(), "not a directory: `{typed}`; grant the directory that the file is in");
    let text = path.to_str().with_context(|| format!("the path is not UTF-8: `{typed}`"))?;
    HostPath::join("/", text).map_err(|error| anyhow!("{error}"))
}

/// `example.org` means HTTPS to it; a URL means itself.
fn host_pattern(typed: &str) -> anyhow::Result<UrlPattern> {
    let text = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    text.parse().map_err(|error| anyhow!("{error}"))
}

fn source(flag: &str, value: &str) -> RuleSource {
    RuleSource(format!("{flag} {value}"))
}

/// What an agent's tools would hold: what its file proposes, and what the operator's own rules give to tools of any agent
/// that are called so. Without the latter a file that proposes nothing would look harmless.
#[must_use]
pub fn would_get(proposal: &Authority, standing: &[Authority]) -> Vec<String> {
    let mut lines = describe(proposal);
    let grants: Vec<GrantRule> = standing.iter().flat_map(|rules| rules.grants.clone()).collect();
    if !grants.is_empty() {
        lines.push("and what your own rules give to any tool that is called so:".to_owned());
        lines.extend(describe(&Authority { grants, ..Authority::nothing() }));
    }
    lines
}

/// Makes sure that the operator trusts the agent file: by an earlier answer, or by one now.
async fn trusted(
    home: &Home,
    person: &Person,
    agent: &Agent,
    source: &Source,
    own_rules: &[Authority],
) -> anyhow::Result<()> {
    let mut store = TrustStore::open(&home.trust_file())?;
    let standing = store.standing(source);
    if standing == Standing::Trusted {
        return Ok(());
    }
    let shown = source.path.display();
    let why = match standing {
        Standing::Changed => "or one of its tools has changed since you trusted it",
        Standing::Unknown | Standing::Trusted => "is not trusted yet",
    };
    if !person.is_there() {
        bail!(
            "agent file `{shown}` {why}\n  hint: look at what it would get and accept it: `agent-host trust {shown}`"
        );
    }
    let question = Question {
        title: format!("agent file {shown} {why}. It would get:"),
        details: would_get(&agent.proposal, own_rules),
        answers: &[('t', "trust this file"), ('o', "run once"), ('n', "no")],
    };
    match person.ask(question).await {
        Some('t') => store.accept(source),
        Some('o') => Ok(()),
        _ => bail!("agent file `{shown}` was not trusted: nothing ran"),
    }
}

#[cfg(test)]
mod tests {
    use agent_core::config::ceiling::Ceiling;
    use agent_core::config::resolve::resolve;
    use agent_core::grant::Capability;

    use super::*;

    #[test]
    fn who_is_asked_for_trust_sees_what_standing_rules_give() -> anyhow::Result<()> {
        let url = "[[grant]]\ntool = \"fetch\"\nhttp = [{ url = \"https://bank.example\", methods = [\"GET\"] }]";
        let standing = parse_policy("policy.toml", "/", url)?;
        let shown = would_get(&Authority::nothing(), &[standing]).join("\n");
        assert!(shown.contains("fetch: send GET to https://bank.example"), "{shown}");
        assert_eq!(would_get(&Authority::nothing(), &[Authority::nothing()]).len(), 1);
        Ok(())
    }

    /// With the key from there a tool could forge runs and compiled code; with the policy, anything.
    #[test]
    fn the_hosts_own_state_is_never_granted() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let home = Home::at(&folder.join("user/state"))?;
        std::fs::create_dir_all(folder.join("user/notes"))?;
        std::os::unix::fs::symlink("user", folder.join("link"))?;
        let granted = |directory: &str| {
            let directory = folder.join(directory).display().to_string();
            let allow = AllowArgs { allow_read: vec![directory], ..AllowArgs::default() };
            let rules = standing_rules(&home, &allow)?;
            let ceiling = Ceiling::of_imports(&[Capability::Fs]);
            let authority =
                resolve(&"files.read".parse()?, &ceiling, &Default::default(), &rules.iter().collect::<Vec<_>>())?;
            anyhow::Ok(authority.grant.fs.len())
        };
        assert_eq!(granted("user/notes")?, 1);
        assert_eq!(granted("user/state")?, 0);
        for around in ["user", "link"] {
            let refused = granted(around).map_err(|error| error.to_string());
            assert!(refused.as_ref().is_err_and(|message| message.contains("state")), "{around}: {refused:?}");
        }
        Ok(())
    }
}
