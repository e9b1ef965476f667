//! Reads `[[grant]]`, `[[approval]]` and `[[deny]]`, which mean the same in `policy.toml` and in an agent file.

use super::authority::{ApprovalRule, Asks, Authority, DenyRule, FsRule, GrantRule, HttpRule, SecretRule, TreatAs};
use super::foreign_name::EnvName;
use super::host_path::HostPath;
use super::limit::{StatedBy, read_limits};
use super::manifest::{ACCESS_WORDS, check_header, read_methods, refuse_other_capabilities};
use super::reader::{Table, Value};
use super::selector::Selector;
use crate::digest::Digest;
use crate::grant::{Access, Capability, Recovery};
use crate::pattern::{HostMatch, UrlPattern};
use crate::secret::{SecretName, SecretSource};

/// Whose word a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The author of an agent, who proposes.
    Agent,
    /// The operator, who decides.
    Operator,
}

/// Reads the rules in `root`. Relative directories resolve against `base_dir`.
pub(super) fn read_authority(root: &mut Table<'_>, base_dir: &str, speaker: Speaker) -> Authority {
    Authority {
        grants: root.tables("grant", |table| read_grant(table, base_dir, speaker)),
        approvals: root.tables("approval", read_approval),
        denies: root.tables("deny", |table| read_deny(table, base_dir)),
    }
}

fn read_grant(table: &mut Table<'_>, base_dir: &str, speaker: Speaker) -> Option<GrantRule> {
    let selector = table.require("tool", "\"files\"").and_then(|value| value.parse());
    let component = read_component(table, selector.as_ref());
    if !["fs", "http", "env", "secrets", "kv", "limits"].iter().any(|key| table.has(key)) {
        let hint = "give `fs`, `http`, `env`, `secrets`, `kv` or `limits`";
        table.problem("this grant gives nothing".to_owned(), Some(hint.to_owned()));
    }
    let fs = table.tables("fs", |entry| read_fs(entry, base_dir));
    let http = table.tables("http", read_http);
    let env = read_env(table);
    let secrets = table.get("secrets").map(|list| list.each(|secret| read_secret(&secret, base_dir, speaker)));
    let kv = read_kv(table);
    let limits = table.table("limits", |limits| read_limits(limits, StatedBy::Operator)).unwrap_or_default();
    refuse_other_capabilities(table);
    let secrets = secrets.unwrap_or_default();
    Some(GrantRule {
        selector: selector?,
        component: component?,
        fs,
        http,
        env,
        secrets,
        kv,
        limits,
        source: table.source(),
    })
}

/// A name, or a table with a name and, in the operator's own rules, a source. The operator who gives only the name means
/// the variable of that name.
fn read_secret(value: &Value<'_>, base_dir: &str, speaker: Speaker) -> Option<SecretRule> {
    let (name, from) = if value.is_string() {
        (value.parse::<SecretName>()?, None)
    } else {
        value.table(|table| {
            let name = table.require("name", "\"API_TOKEN\"").and_then(|value| value.parse::<SecretName>());
            let from = table.get("from").map(|value| read_source(&value, base_dir, speaker));
            Some((name?, from.map_or(Some(None), |from| from.map(Some))?))
        })??
    };
    let from = match speaker {
        Speaker::Agent => from,
        Speaker::Operator => Some(from.unwrap_or_else(|| SecretSource::of_name(&name))),
    };
    Some(SecretRule { name, from })
}

/// An agent file comes from somebody else: with a source of its choice it could have any file of the operator sent away.
fn read_source(value: &Value<'_>, base_dir: &str, speaker: Speaker) -> Option<SecretSource> {
    match speaker {
        Speaker::Operator => value.accept(SecretSource::parse(value.string()?, base_dir)),
        Speaker::Agent => {
            let hint = "leave `from` out; who runs the agent says it: `--secret NAME=file:PATH`, or in a policy";
            value.problem("an agent file does not say where a secret comes from".to_owned(), Some(hint.to_owned()));
            None
        }
    }
}

/// The component that a grant is only for, if it says so.
fn read_component(table: &mut Table<'_>, selector: Option<&Selector>) -> Option<Option<Digest>> {
    let Some(value) = table.get("component") else { return Some(None) };
    let digest = value.parse()?;
    if selector == Some(&Selector::Everything) {
        value.problem("`*` is every tool, and `component` is one: name it".to_owned(), None);
    }
    Some(Some(digest))
}

fn read_fs(table: &mut Table<'_>, base_dir: &str) -> Option<FsRule> {
    let host = table.require("host", "\"./docs\"").and_then(|value| read_host_path(&value, base_dir));
    let mount = table.get("mount");
    let access = table.require("access", "\"read\"").and_then(|value| value.one_of(&ACCESS_WORDS));
    let recovery = table.get("undo").map_or(Some(Recovery::Undo), |value| read_recovery(&value, access));
    let mount = match mount {
        None => None,
        Some(value) => Some(value.parse()?),
    };
    Some(FsRule { host: host?, mount, access: access?, recovery: recovery? })
}

/// `undo = false` says something about changes, so it stands only where there can be some.
fn read_recovery(value: &Value<'_>, access: Option<Access>) -> Option<Recovery> {
    match (value.boolean()?, access) {
        (true, _) => Some(Recovery::Undo),
        (false, Some(Access::Write)) => Some(Recovery::Doubt),
        (false, Some(Access::Read) | None) => {
            let hint = "leave it out, or grant `access = \"write\"`";
            value.problem("`undo` is about changes, and nothing can be changed here".to_owned(), Some(hint.to_owned()));
            None
        }
    }
}

fn read_host_path(value: &Value<'_>, base_dir: &str) -> Option<HostPath> {
    value.accept(HostPath::join(base_dir, value.string()?))
}

fn read_http(table: &mut Table<'_>) -> Option<HttpRule> {
    let url = table.require("url", "\"https://example.org\"").and_then(|value| read_granted_url(&value));
    let methods = table.require("methods", "[\"GET\"]").and_then(|value| read_methods(&value));
    let stated = table.get("idempotency_header");
    let header = stated.as_ref().map(|value| value.parse());
    let treat_as = table.get("class").map(|value| value.one_of(&[("opaque", TreatAs::Opaque)]));
    let methods = methods?;
    check_header(stated.as_ref(), &methods);
    Some(HttpRule {
        url: url?,
        methods,
        idempotency_header: header.map_or(Some(None), |header| header.map(Some))?,
        treat_as: treat_as.unwrap_or(Some(TreatAs::Computed))?,
    })
}

fn read_granted_url(value: &Value<'_>) -> Option<UrlPattern> {
    let url: UrlPattern = value.parse()?;
    value.accept(url.check_grantable())?;
    Some(url)
}

fn read_env(table: &mut Table<'_>) -> Vec<EnvName> {
    table.get("env").map(|names| names.each(|name| name.parse())).unwrap_or_default()
}

/// The access in the tool's own stores, which are those that it declares.
fn read_kv(table: &mut Table<'_>) -> Option<Access> {
    table.get("kv").and_then(|value| value.one_of(&ACCESS_WORDS))
}

fn read_approval(table: &mut Table<'_>) -> Option<ApprovalRule> {
    const EFFECTS: [(&str, Capability); 5] = [
        ("fs", Capability::Fs),
        ("http", Capability::Http),
        ("env", Capability::Env),
        ("secret", Capability::Secret),
        ("kv", Capability::Kv),
    ];
    let tool = table.get("tool");
    let effect = table.get("effect");
    if tool.is_none() && effect.is_none() {
        let hint = "write `tool = \"files.write\"`, or `effect = \"http\"`, or both";
        table.problem("this approval asks about nothing".to_owned(), Some(hint.to_owned()));
        return None;
    }
    let selector = tool.map_or(Some(Selector::Everything), |tool| tool.parse());
    let asks = match effect.map(|effect| effect.one_of(&EFFECTS)) {
        None => Asks::Call,
        Some(Some(Capability::Fs)) => Asks::Fs(read_least_access(table)?),
        Some(Some(Capability::Http)) => {
            Asks::Http(table.get("methods").map_or(Some(Vec::new()), |it| read_methods(&it))?)
        }
        Some(Some(Capability::Env)) => Asks::Env,
        Some(Some(Capability::Secret)) => Asks::Secret,
        Some(Some(Capability::Kv)) => Asks::Kv(read_least_access(table)?),
        Some(_) => return None,
    };
    Some(ApprovalRule { selector: selector?, asks, source: table.source() })
}

fn read_least_access(table: &mut Table<'_>) -> Option<Access> {
    table.get("access").map_or(Some(Access::Read), |value| value.one_of(&ACCESS_WORDS))
}

fn read_deny(table: &mut Table<'_>, base_dir: &str) -> Option<DenyRule> {
    let stated = ["tool", "http", "fs", "env", "secrets", "kv"].iter().any(|key| table.has(key));
    if !stated {
        let hint = "write `tool = \"fetch\"`, or `http`, `fs`, `env` or `secrets` with a list, or `kv`";
        table.problem("this deny forbids nothing".to_owned(), Some(hint.to_owned()));
    }
    let selector = table.get("tool").map_or(Some(Selector::Everything), |tool| tool.parse());
    let http = table.get("http").map(|hosts| read_denied(&hosts, read_denied_host));
    let fs = table.get("fs").map(|paths| read_denied(&paths, |path| read_host_path(path, base_dir)));
    let env = table.get("env").map(|names| read_denied(&names, |name| name.parse()));
    let secrets = table.get("secrets").map(|names| read_denied(&names, |name| name.parse()));
    let kv = read_kv(table);
    let (http, fs, env) = (http.unwrap_or_default(), fs.unwrap_or_default(), env.unwrap_or_default());
    let secrets = secrets.unwrap_or_default();
    Some(DenyRule { http, fs, env, secrets, kv, ..DenyRule::of(selector?, table.source()) })
}

/// A list of what is denied. An empty one would turn a narrow deny into one of the whole tool.
fn read_denied<'f, T>(list: &Value<'f>, read: impl Fn(&Value<'f>) -> Option<T>) -> Vec<T> {
    if list.list().is_some_and(|elements| elements.is_empty()) {
        list.problem("the list is empty, so nothing is denied".to_owned(), None);
    }
    list.each(|element| read(&element))
}

fn read_denied_host(value: &Value<'_>) -> Option<HostMatch> {
    let text = value.string()?;
    let is_url = text.contains('/') || (text.contains(':') && !text.starts_with('['));
    if is_url {
        let hint = text.parse::<UrlPattern>().ok().map(|url| format!("write `\"{}\"`", url.host));
        value.problem("a deny names a host, and holds on every port and path".to_owned(), hint);
        return None;
    }
    value.parse()
}
