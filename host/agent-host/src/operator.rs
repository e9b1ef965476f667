//! The operator's word: the rules that count in a run. From the policy in the user's state folder, a `--policy` file, the
//! `--allow-…` flags, and an agent file's proposal once the operator trusts it.

use std::path::{Path, PathBuf};

use agent_core::config::authority::{Authority, DenyRule, GrantRule};
use agent_core::config::host_path::HostPath;
use agent_core::config::policy::parse_policy;
use agent_core::config::resolve::ToolAuthority;
use agent_core::config::selector::Selector;
use agent_core::grant::{Access, RuleSource, SecretGrant};
use agent_core::pattern::UrlPattern;
use agent_core::run_events::DoubtPolicy;
use agent_core::secret::{SecretName, SecretSource};
use agent_sandbox::defence::{Defence, is_off};
use anyhow::{Context, anyhow, bail, ensure};

use crate::agent::{Agent, Source};
use crate::cli::AllowArgs;
use crate::home::Home;
use crate::person::{Person, Question};
use crate::proposal;
use crate::real_path;
use crate::report::typed;
use crate::rules::Rules;
use crate::trust::{Standing, TrustStore};
use crate::unchanging::Unchanging;
use crate::{input, named};

/// The rules that count, in the order of their sources.
///
/// # Errors
/// Where a policy or flag has problems, or the agent file is not trusted and nobody is there to ask.
pub async fn rules(home: &Home, person: &Person, allow: &AllowArgs, agent: &Agent) -> anyhow::Result<Rules> {
    let mut rules = standing_rules(home, allow)?;
    if let Some(source) = &agent.file {
        trusted(home, person, agent, source, &rules).await?;
        rules.push(agent.proposal.clone());
        Unchanging::of_operator(home, allow.policy.as_deref())?.check(&rules)?;
    }
    Ok(rules)
}

/// The rules that hold without any agent file.
///
/// # Errors
/// Where a policy or flag has problems.
pub fn standing_rules(home: &Home, allow: &AllowArgs) -> anyhow::Result<Rules> {
    let saved = home.policy_file();
    let saved = input::is_there(&saved)?.then(|| policy(&saved)).transpose()?;
    let given = allow.policy.as_deref().map(policy).transpose()?;
    let flags = Authority { grants: flags(allow)?, ..Authority::nothing() };
    let command: Vec<Authority> = given.into_iter().chain([flags]).collect();
    let said: Vec<Authority> = saved.iter().chain(&command).cloned().collect();
    let hidden = secret_files(&said)?;
    let unchanging = Unchanging::of_operator(home, allow.policy.as_deref())?;
    unchanging.check(&said)?;
    Ok(Rules::new(vec![own_state(home)?, hidden, unchanging.authority()], saved, command))
}

/// Nobody can grant the folder with the host's key, policy, trust and compiled code, nor one around it: who reads the key
/// can forge runs and code, who writes there grants himself everything.
fn own_state(home: &Home) -> anyhow::Result<Authority> {
    let root = home.root().canonicalize().context("cannot look at the state folder")?;
    let root = root.to_str().context("the state folder's path is not UTF-8")?;
    // A folder that no rule could name needs no rule.
    let Ok(root) = root.parse::<HostPath>() else { return Ok(Authority::nothing()) };
    let source = RuleSource("agent-host, for its own keys and policy,".to_owned());
    let deny = DenyRule { fs: vec![root], ..DenyRule::of(Selector::Everything, source) };
    Ok(Authority { denies: vec![deny], ..Authority::nothing() })
}

/// Nobody can grant a directory around a file that a secret comes from: a tool that reads there would hold what the host
/// keeps from it.
fn secret_files(rules: &[Authority]) -> anyhow::Result<Authority> {
    let secrets = rules.iter().flat_map(|rules| &rules.grants).flat_map(|grant| &grant.secrets);
    around_files(secrets.filter_map(|secret| Some((&secret.name, secret.from.as_ref()?))))
}

/// The same for what tools of a run hold already.
///
/// # Errors
/// Where such a file cannot be looked at.
pub fn around_secrets<'g>(secrets: impl IntoIterator<Item = &'g SecretGrant>) -> anyhow::Result<Authority> {
    around_files(secrets.into_iter().map(|secret| (&secret.name, &secret.from)))
}

fn around_files<'s>(secrets: impl Iterator<Item = (&'s SecretName, &'s SecretSource)>) -> anyhow::Result<Authority> {
    let mut denies = Vec::new();
    for (name, from) in secrets {
        let SecretSource::File(file) = from else { continue };
        // What no rule could name cannot be granted either, such as `/run`.
        let Ok(written) = file.as_str().parse::<HostPath>() else { continue };
        let real = real_path::real(&written).with_context(|| format!("secret `{name}`"))?;
        let source = RuleSource(format!("agent-host, for the secret `{name}`,"));
        denies.push(DenyRule { fs: vec![written, real], ..DenyRule::of(Selector::Everything, source) });
    }
    Ok(Authority { denies, ..Authority::nothing() })
}

/// The same for the file with the token of clients: who holds it calls every tool that is served. It stays as it is, too, with what is on
/// the way to it.
///
/// # Errors
/// Where it leads to what cannot be looked at.
pub fn around_token(file: &Path) -> anyhow::Result<Authority> {
    let absolute = std::path::absolute(file).with_context(|| format!("cannot find `{}`", file.display()))?;
    let real = real_path::deepest_real(&absolute)?;
    let source = RuleSource("agent-host, for the token of its clients,".to_owned());
    // What no rule could name cannot be granted either.
    let fs = [absolute, real].iter().filter_map(|path| path.to_str()?.parse().ok()).collect();
    let Authority { mut denies, .. } = Unchanging::default().and_token(file).authority();
    denies.push(DenyRule { fs, ..DenyRule::of(Selector::Everything, source) });
    denies.retain(|deny| !deny.forbids_tool());
    Ok(Authority { denies, ..Authority::nothing() })
}

/// Whether a directory is neither the state folder nor in it nor around it.
///
/// # Errors
/// Where it is one of these.
pub fn check_not_own_state(home: &Home, host: &HostPath) -> anyhow::Result<()> {
    let denies = own_state(home)?.denies;
    let overlaps = |own: &HostPath| own.contains(host) || host.contains(own);
    let own = denies.iter().flat_map(|deny| &deny.fs).find(|own| overlaps(own));
    own.map_or(Ok(()), |own| bail!("`{host}` overlaps agent-host's own folder `{own}`"))
}

/// Whether what tools of a run hold already keeps away from the state folder: it may have been moved since.
///
/// # Errors
/// Where one holds it, something in it or a directory around it.
pub fn check_held(home: &Home, held: &[ToolAuthority]) -> anyhow::Result<()> {
    for (tool, fs) in held.iter().flat_map(|held| held.grant.fs.iter().map(move |fs| (&held.tool, fs))) {
        let host = fs.host.parse().map_err(|error| anyhow!("`{tool}` holds what cannot be granted: {error}"))?;
        check_not_own_state(home, &host).with_context(|| format!("`{tool}` holds `{host}`"))?;
    }
    Ok(())
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
    grants.extend(allow.secret.iter().map(|secret| secret_flag(secret)).collect::<anyhow::Result<Vec<_>>>()?);
    for component in &allow.allow_kv {
        let parsed = component.parse().map_err(|error| anyhow!("`--allow-kv {component}`: {error}"))?;
        grants.push(GrantRule::stores(parsed, source("--allow-kv", component)));
    }
    Ok(grants)
}

/// `NAME` or `NAME=SOURCE`. Says nothing of what stands after the `=`: somebody may have typed the secret itself.
fn secret_flag(typed: &str) -> anyhow::Result<GrantRule> {
    let (name, from) = typed.split_once('=').map_or((typed, None), |(name, from)| (name, Some(from)));
    let parsed: SecretName = name.parse().map_err(|_| {
        anyhow!(
            "`--secret` wants the name of a secret, then where it comes from: `=env:NAME`, `=file:PATH` or \
             `=keyring:SERVICE/ACCOUNT`"
        )
    })?;
    let from = match from {
        None => SecretSource::of_name(&parsed),
        Some(from) => {
            let here = std::env::current_dir().context("there is no working directory")?;
            let here = here.to_str().context("the working directory's path is not UTF-8")?;
            SecretSource::parse(from, here).map_err(|error| anyhow!("`--secret {name}=…`: {error}"))?
        }
    };
    Ok(GrantRule::secret(parsed, from, source("--secret", name)))
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

/// Where requests go that `--allow-net` names.
///
/// # Errors
/// Where one names no host.
pub fn hosts(allow_net: &[String]) -> anyhow::Result<Vec<UrlPattern>> {
    allow_net.iter().map(|host| host_pattern(host).with_context(|| format!("`--allow-net {host}`"))).collect()
}

/// `example.org` means HTTPS to it; a URL means itself.
fn host_pattern(typed: &str) -> anyhow::Result<UrlPattern> {
    let text = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    text.parse().map_err(|error| anyhow!("{error}"))
}

fn source(flag: &str, value: &str) -> RuleSource {
    RuleSource(format!("{flag} {value}"))
}

/// What the file would have done where nobody knows whether a write happened, and you would otherwise be asked.
#[must_use]
pub fn without_you(doubt: DoubtPolicy) -> Option<&'static str> {
    match doubt {
        DoubtPolicy::Ask => None,
        DoubtPolicy::TellModel => Some("a write that may have happened: the model is told, and you are not asked"),
        DoubtPolicy::Fail => Some("a write that may have happened: the run ends"),
        DoubtPolicy::Reconcile => Some("a write that may have happened: the tool is asked before you are"),
    }
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
    if standing == Standing::Trusted || (standing == Standing::Changed && is_off(Defence::Digests)) {
        return Ok(());
    }
    let shown = source.path.display();
    let why = match standing {
        Standing::Changed => "or one of its tools has changed since you trusted it",
        Standing::Unknown | Standing::Trusted => "is not trusted yet",
    };
    if !person.is_there() {
        let typed = typed::path(&source.path);
        let hint = format!("look at what it would get and accept it: `agent-host trust {typed}`");
        let message = format!("agent file `{shown}` {why}\n  hint: {hint}");
        return Err(match standing {
            Standing::Changed => named::Name::DigestMismatch.because(message).into(),
            Standing::Unknown | Standing::Trusted => anyhow!(message),
        });
    }
    let question = Question {
        title: format!("agent file {shown} {why}. It would get:"),
        details: proposal::lines(agent, own_rules)?,
        who: format!("{shown}"),
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
    use agent_core::digest::Digest;
    use agent_core::grant::Capability;

    use super::*;

    #[test]
    fn a_secret_is_named_by_a_flag_and_never_typed_there() -> anyhow::Result<()> {
        let said = |typed: &str| match secret_flag(typed) {
            Ok(rule) => rule.to_toml().lines().last().unwrap_or_default().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said("API_TOKEN"), r#"secrets = [{ name = "API_TOKEN", from = "env:API_TOKEN" }]"#);
        assert_eq!(said("API_TOKEN=env:OTHER"), r#"secrets = [{ name = "API_TOKEN", from = "env:OTHER" }]"#);
        assert_eq!(said("API_TOKEN=file:/srv/t"), r#"secrets = [{ name = "API_TOKEN", from = "file:/srv/t" }]"#);
        assert_eq!(
            said("API_TOKEN=keyring:orders/ada"),
            r#"secrets = [{ name = "API_TOKEN", from = "keyring:orders/ada" }]"#
        );
        for typed in ["API_TOKEN=tok-7f3Qx9Zw", "tok-7f3Qx9Zw", "API_TOKEN=env:tok-7f3Qx9Zw"] {
            let said = said(typed);
            assert!(said.contains("--secret") && !said.contains("7f3Q"), "{said}");
        }
        Ok(())
    }

    #[test]
    fn the_file_of_a_secret_is_never_granted() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let home = Home::at(&folder.join("state"))?;
        for name in ["docs", "keys"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        std::fs::write(folder.join("keys/token"), "tok-7f3Qx9Zw")?;
        let refused = |directory: &str| {
            let allow = AllowArgs {
                allow_read: vec![folder.join(directory).display().to_string()],
                secret: vec![format!("API_TOKEN=file:{}", folder.join("keys/token").display())],
                ..AllowArgs::default()
            };
            let rules = standing_rules(&home, &allow)?;
            let ceiling = Ceiling::of_imports(&[Capability::Fs]);
            let rules: Vec<_> = rules.iter().collect();
            let authority =
                resolve(&"files.read".parse()?, &Digest::of(b"component"), &ceiling, &Default::default(), &rules);
            anyhow::Ok(authority.err().map(|problems| problems.to_string()).unwrap_or_default())
        };
        assert_eq!(refused("docs")?, "");
        assert!(refused("keys")?.contains("agent-host, for the secret `API_TOKEN`, denies"), "{}", refused("keys")?);
        Ok(())
    }

    /// With it a tool could call the others, past every question; and who may write it chooses it.
    #[test]
    fn the_token_of_clients_is_never_granted_and_stays_as_it_is() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let home = Home::at(&folder.join("state"))?;
        for name in ["docs", "keys", "work"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        std::fs::write(folder.join("keys/token"), "tok-7f3Qx9Zw-7f3Qx9Zw")?;
        std::os::unix::fs::symlink("../keys", folder.join("work/keys"))?;
        let refused = |token: &str, directory: &str| {
            let allow_read = vec![folder.join(directory).display().to_string()];
            let mut rules = standing_rules(&home, &AllowArgs { allow_read, ..AllowArgs::default() })?;
            rules.push(around_token(&folder.join(token))?);
            let ceiling = Ceiling::of_imports(&[Capability::Fs]);
            let rules: Vec<_> = rules.iter().collect();
            let authority =
                resolve(&"files.read".parse()?, &Digest::of(b"component"), &ceiling, &Default::default(), &rules);
            anyhow::Ok(authority.err().map(|problems| problems.to_string()).unwrap_or_default())
        };
        for token in ["keys/token", "work/keys/token", "docs/../keys/token"] {
            assert_eq!(refused(token, "docs")?, "", "{token}");
            let keys = refused(token, "keys")?;
            assert!(keys.contains("agent-host, for the token of its clients, denies"), "{token}: {keys}");
        }
        let rules = around_token(&folder.join("work/keys/token"))?;
        let unchanging: Vec<_> = rules.denies.iter().flat_map(|deny| &deny.unchanging).map(HostPath::as_str).collect();
        assert!(unchanging.contains(&folder.join("work/keys").display().to_string().as_str()), "{unchanging:?}");
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
            let authority = resolve(
                &"files.read".parse()?,
                &Digest::of(b"component"),
                &ceiling,
                &Default::default(),
                &rules.iter().collect::<Vec<_>>(),
            )?;
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

    /// Without it no deny would count.
    #[test]
    fn a_policy_that_cannot_be_reached_is_not_taken_for_none() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let home = Home::at(&temp.path().join("state"))?;
        let said = || {
            standing_rules(&home, &AllowArgs::default()).map_or_else(|error| format!("{error:#}"), |_| String::new())
        };
        assert_eq!(said(), "");
        for elsewhere in ["not-mounted/policy.toml", "policy.toml"] {
            std::os::unix::fs::symlink(elsewhere, home.policy_file())?;
            assert!(said().contains("cannot find policy"), "{elsewhere}: {}", said());
            std::fs::remove_file(home.policy_file())?;
        }
        Ok(())
    }

    #[test]
    fn a_policy_stays_as_it_is_where_tools_write() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let home = Home::at(&folder.join("state"))?;
        std::fs::create_dir_all(folder.join("work/docs"))?;
        std::fs::write(folder.join("work/policy.toml"), "")?;
        std::os::unix::fs::symlink("work/policy.toml", folder.join("linked.toml"))?;
        let unchanging = |policy: &str, write: &str| {
            let allow_write = vec![folder.join(write).display().to_string()];
            let policy = Some(folder.join(policy));
            let rules = standing_rules(&home, &AllowArgs { allow_write, policy, ..AllowArgs::default() })?;
            let ceiling = Ceiling::of_imports(&[Capability::Fs]);
            let rules: Vec<_> = rules.iter().collect();
            let authority =
                resolve(&"files.read".parse()?, &Digest::of(b"component"), &ceiling, &Default::default(), &rules)?;
            anyhow::Ok(authority.grant.fs[0].unchanging.clone())
        };
        assert_eq!(unchanging("work/policy.toml", "work/docs")?, Vec::<String>::new());
        for policy in ["work/policy.toml", "linked.toml"] {
            assert_eq!(unchanging(policy, "work")?, [folder.join("work/policy.toml").display().to_string()]);
        }
        Ok(())
    }
}
