//! What a refused effect says: the rule, and the one line that would allow it, if a line could.

use url::Url;

use super::ceiling::{Ceiling, FsCeiling, HttpCeiling};
use super::foreign_name::EnvName;
use super::mount::{DEFAULT_MOUNT, is_at_or_below};
use super::problem::shown;
use crate::effect::{Decision, EffectRequest, FileOperation, HttpMethod, KvOperation, Refusal};
use crate::grant::{Capability, FsGrant, Grant, HttpGrant, KvGrant};
use crate::name::{Name, ToolName};
use crate::pattern::{UrlPattern, WILDCARD_BYTES_MAX, WILDCARD_LABELS_MAX};

/// Why an effect does not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The stable name.
    pub refusal: Refusal,
    /// The rule that forbids it, or that nothing allows it.
    pub rule: String,
    /// The one line that would allow it, where a line could.
    pub hint: Option<String>,
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        Self::Deny { refusal: denial.refusal, rule: denial.rule, hint: denial.hint }
    }
}

impl Denial {
    /// A denial that no further grant can lift.
    pub(super) fn by_rule(request: &EffectRequest, rule: String) -> Self {
        Self { refusal: refusal_of(request), rule, hint: None }
    }
}

fn refusal_of(request: &EffectRequest) -> Refusal {
    match request {
        EffectRequest::File { .. } => Refusal::FsDenied,
        EffectRequest::Http { .. } | EffectRequest::Socket { .. } => Refusal::NetDenied,
        EffectRequest::Env { .. } => Refusal::EnvDenied,
        EffectRequest::Kv { .. } => Refusal::KvDenied,
    }
}

/// Explains why `grant` does not cover `request`. Where the ceiling is known and would not let it be granted, there is no
/// hint: a line that makes the next load fail is no cure.
pub(super) fn explain(tool: &ToolName, grant: &Grant, ceiling: Option<&Ceiling>, request: &EffectRequest) -> Denial {
    if let Some(why) = ungrantable(request) {
        return Denial::by_rule(request, why);
    }
    if ceiling.is_some_and(|ceiling| !ceiling.may_hold(request)) {
        return Denial::by_rule(request, format!("`{}` does not ask for it, so no rule can grant it", tool.component));
    }
    let mount = ceiling.map_or_else(|| DEFAULT_MOUNT.to_owned(), |ceiling| ceiling.standard_mount().to_string());
    let (rule, cure) = match request {
        EffectRequest::File { operation, path, to } => {
            let uncovered = if grant.covers_file(*operation, path) { to.as_deref().unwrap_or(path) } else { path };
            (fs_rule(&grant.fs, uncovered), fs_cure(&grant.fs, *operation, uncovered, &mount))
        }
        EffectRequest::Http { method, url, .. } => (http_rule(&grant.http, url), http_cure(method, url)),
        EffectRequest::Env { name } => (None, env_cure(name)),
        EffectRequest::Kv { operation, store, .. } => {
            (kv_rule(&grant.kv, store), Some(kv_cure(*operation, &tool.component)))
        }
        EffectRequest::Socket { .. } => (None, None),
    };
    let rule = rule.unwrap_or_else(|| format!("no rule grants {} to `{tool}`", noun(request.capability())));
    let hint = cure.map(|Cure { line, flag }| {
        let flag = flag.map(|flag| format!(", or run with `{flag}`")).unwrap_or_default();
        format!("add `{line}` to a grant of `{}`{flag}", tool.component)
    });
    Denial { refusal: refusal_of(request), rule, hint }
}

/// What would allow an effect.
struct Cure {
    /// For a grant.
    line: String,
    /// The flag that says the same.
    flag: Option<String>,
}

fn noun(capability: Capability) -> &'static str {
    match capability {
        Capability::Fs => "directories",
        Capability::Http => "HTTP requests",
        Capability::Env => "this variable",
        Capability::Secret => "this secret",
        Capability::Kv => "a store",
        Capability::Sockets => "sockets",
        Capability::Clock | Capability::Random | Capability::Log => "this",
    }
}

/// What no rule of this version can allow, whatever the tool.
fn ungrantable(request: &EffectRequest) -> Option<String> {
    match request {
        EffectRequest::Http { method, .. } if HttpMethod::from_name(method).is_none() => {
            Some(format!("method `{}` cannot be granted in this version", shown(method)))
        }
        EffectRequest::Http { url, .. } if pattern_of(url).is_none() => {
            Some(format!("`{}` is not an HTTP URL that can be granted", shown(url)))
        }
        EffectRequest::Env { name } if name.parse::<EnvName>().is_err() => {
            Some(format!("`{}` is not the name of a variable", shown(name)))
        }
        EffectRequest::Socket { .. } => Some("raw sockets cannot be granted in this version".to_owned()),
        EffectRequest::File { .. }
        | EffectRequest::Http { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Kv { .. } => None,
    }
}

/// The pattern of everything at the origin of a URL.
fn pattern_of(url: &str) -> Option<UrlPattern> {
    let url = Url::parse(url).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str()?).parse().ok()
}

/// Of several grants, the one that comes closest is the one that the person wrote for this.
fn fs_rule(grants: &[FsGrant], path: &str) -> Option<String> {
    let nearest = grants.iter().find(|fs| is_at_or_below(path, &fs.mount)).or(grants.first())?;
    let others = and_others(grants.len() - 1);
    Some(format!("{} allows only to {} `{}`{others}", nearest.source, nearest.access, nearest.mount))
}

fn http_rule(grants: &[HttpGrant], url: &str) -> Option<String> {
    let asked = pattern_of(url);
    let too_long = |http: &&HttpGrant| Url::parse(url).is_ok_and(|url| http.url.covers(&url) && !http.url.grants(&url));
    if let Some(http) = grants.iter().find(too_long) {
        return Some(format!(
            "{} grants `{}`, where at most {WILDCARD_LABELS_MAX} labels of {WILDCARD_BYTES_MAX} bytes together may stand for \
             the `*`: a longer name can carry data out",
            http.source, http.url
        ));
    }
    let same_host =
        |http: &&HttpGrant| asked.as_ref().is_some_and(|asked| http.url.host.intersect(&asked.host).is_some());
    let nearest = grants.iter().find(same_host).or(grants.first())?;
    let methods: Vec<&str> = nearest.methods.iter().map(|method| method.as_str()).collect();
    let methods = if methods.len() == HttpMethod::ALL.len() { "requests to".to_owned() } else { methods.join(", ") };
    let others = and_others(grants.len() - 1);
    Some(format!("{} allows only {methods} `{}`{others}", nearest.source, nearest.url))
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", beside one other grant".to_owned(),
        others => format!(", beside {others} other grants"),
    }
}

/// The directory is already there and needs more access, or a directory is missing.
fn fs_cure(grants: &[FsGrant], operation: FileOperation, path: &str, standard_mount: &str) -> Option<Cure> {
    let access = operation.needs();
    let (host, mount) = match grants.iter().find(|fs| is_at_or_below(path, &fs.mount)) {
        Some(present) => (present.host.as_str(), present.mount.as_str()),
        None if grants.iter().any(|fs| fs.mount == standard_mount) => return None,
        None if path.is_empty() || is_at_or_below(path, standard_mount) => ("DIR", standard_mount),
        None => return None, // The path lies beside what the tool can be given: no line would help.
    };
    let flag = (mount == standard_mount).then(|| format!("--allow-{access} {host}"));
    Some(Cure { line: format!("{{ host = {host:?}, mount = {mount:?}, access = \"{access}\" }}"), flag })
}

fn http_cure(method: &str, url: &str) -> Option<Cure> {
    let (method, url) = (HttpMethod::from_name(method)?, pattern_of(url)?.to_string());
    let flag = Some(format!("--allow-net {}", url.strip_prefix("https://").unwrap_or(&url)));
    Some(Cure { line: format!("{{ url = \"{url}\", methods = [\"{method}\"] }}"), flag })
}

fn env_cure(name: &str) -> Option<Cure> {
    let name: EnvName = name.parse().ok()?;
    Some(Cure { line: format!("env = [\"{name}\"]"), flag: Some(format!("--allow-env {name}")) })
}

fn kv_rule(grants: &[KvGrant], store: &str) -> Option<String> {
    let present = grants.iter().find(|kv| kv.store.as_str() == store)?;
    Some(format!("{} allows only to {} store `{store}`", present.source, present.access))
}

fn kv_cure(operation: KvOperation, component: &Name) -> Cure {
    Cure { line: format!("kv = \"{}\"", operation.needs()), flag: Some(format!("--allow-kv {component}")) }
}

impl Grant {
    fn covers_file(&self, operation: FileOperation, path: &str) -> bool {
        self.fs.iter().any(|fs| is_at_or_below(path, &fs.mount) && fs.access >= operation.needs())
    }
}

impl Ceiling {
    /// Whether some rule could allow the effect.
    pub(super) fn may_hold(&self, request: &EffectRequest) -> bool {
        match request {
            EffectRequest::File { operation, path, to } => {
                [Some(path), to.as_ref()].into_iter().flatten().all(|path| self.fs.may_hold(*operation, path))
            }
            EffectRequest::Http { method, url, .. } => self.http.may_hold(method, url),
            EffectRequest::Env { name } => name.parse().is_ok_and(|name| self.env.contains(&name)),
            EffectRequest::Kv { operation, store, .. } => {
                self.kv.iter().any(|asked| asked.store.as_str() == store && asked.access >= operation.needs())
            }
            EffectRequest::Socket { .. } => false,
        }
    }
}

impl FsCeiling {
    fn may_hold(&self, operation: FileOperation, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Mounts(requests) => requests.iter().any(|request| {
                let below = path.is_empty() || is_at_or_below(path, request.mount.as_str());
                below && request.access >= operation.needs()
            }),
        }
    }
}

impl HttpCeiling {
    fn may_hold(&self, method: &str, url: &str) -> bool {
        let (Some(method), Ok(url)) = (HttpMethod::from_name(method), Url::parse(url)) else { return false };
        match self {
            Self::Any => true,
            Self::Requests(requests) => {
                requests.iter().any(|request| request.methods.contains(&method) && request.url.covers(&url))
            }
        }
    }
}
