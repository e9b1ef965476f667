//! What a refused effect says: the rule, and the one line that would allow it, if a line could.

use url::Url;

use super::ceiling::{Ceiling, FsCeiling, HttpCeiling};
use super::foreign_name::EnvName;
use super::mount::{DEFAULT_MOUNT, is_at_or_below};
use crate::effect::{Decision, EffectRequest, FileOperation, HttpMethod, Refusal};
use crate::grant::{Capability, FsGrant, Grant, HttpGrant};
use crate::name::ToolName;
use crate::pattern::UrlPattern;

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
    }
}

/// Explains why `grant` does not cover `request`. Where the ceiling is known and would not let it be granted, there is no
/// hint: a line that makes the next load fail is no cure.
pub(super) fn explain(tool: &ToolName, grant: &Grant, ceiling: Option<&Ceiling>, request: &EffectRequest) -> Denial {
    if let EffectRequest::Socket { .. } = request {
        return Denial::by_rule(request, "raw sockets cannot be granted in this version".to_owned());
    }
    if ceiling.is_some_and(|ceiling| !ceiling.may_hold(request)) {
        return Denial::by_rule(request, format!("`{}` does not ask for it, so no rule can grant it", tool.component));
    }
    let mount = ceiling.map_or_else(|| DEFAULT_MOUNT.to_owned(), |ceiling| ceiling.standard_mount().to_string());
    let (rule, cure) = match request {
        EffectRequest::File { operation, path, to } => {
            let uncovered = if grant.covers_file(*operation, path) { to.as_deref().unwrap_or(path) } else { path };
            (fs_rule(&grant.fs), fs_cure(&grant.fs, *operation, uncovered, &mount))
        }
        EffectRequest::Http { method, url, .. } => (http_rule(&grant.http), http_cure(method, url)),
        EffectRequest::Env { name } => (None, env_cure(name)),
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
        Capability::Sockets => "sockets",
        Capability::Clock | Capability::Random | Capability::Log => "this",
    }
}

fn fs_rule(grants: &[FsGrant]) -> Option<String> {
    let first = grants.first()?;
    Some(format!("{} allows only to {} `{}`{}", first.source, first.access, first.mount, and_more(grants.len())))
}

fn http_rule(grants: &[HttpGrant]) -> Option<String> {
    let first = grants.first()?;
    let methods: Vec<&str> = first.methods.iter().map(|method| method.as_str()).collect();
    let methods = if methods.len() == HttpMethod::ALL.len() { "requests to".to_owned() } else { methods.join(", ") };
    Some(format!("{} allows only {methods} `{}`{}", first.source, first.url, and_more(grants.len())))
}

fn and_more(grants: usize) -> String {
    if grants > 1 { format!(", and there are {} more", grants - 1) } else { String::new() }
}

/// The directory is already there and needs more access, or a directory is missing.
fn fs_cure(grants: &[FsGrant], operation: FileOperation, path: &str, mount: &str) -> Option<Cure> {
    let access = operation.needs();
    let present = grants.iter().find(|fs| is_at_or_below(path, &fs.mount));
    let mount = present.map_or(mount, |fs| &fs.mount);
    if present.is_none()
        && (grants.iter().any(|fs| fs.mount == mount) || !(path.is_empty() || is_at_or_below(path, mount)))
    {
        return None; // The path lies beside what the tool can be given: no line would help.
    }
    let host = present.map_or("DIR", |fs| &fs.host);
    let flag = (mount == DEFAULT_MOUNT).then(|| format!("--allow-{access} {host}"));
    Some(Cure { line: format!("{{ host = {host:?}, mount = {mount:?}, access = \"{access}\" }}"), flag })
}

fn http_cure(method: &str, url: &str) -> Option<Cure> {
    let method = HttpMethod::from_name(method)?;
    let url = Url::parse(url).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let pattern: UrlPattern = format!("{}://{}{port}", url.scheme(), url.host_str()?).parse().ok()?;
    let shown = pattern.to_string();
    let flag = Some(format!("--allow-net {}", shown.strip_prefix("https://").unwrap_or(&shown)));
    Some(Cure { line: format!("{{ url = \"{shown}\", methods = [\"{method}\"] }}"), flag })
}

fn env_cure(name: &str) -> Option<Cure> {
    let name: EnvName = name.parse().ok()?;
    Some(Cure { line: format!("env = [\"{name}\"]"), flag: Some(format!("--allow-env {name}")) })
}

impl Grant {
    fn covers_file(&self, operation: FileOperation, path: &str) -> bool {
        self.fs.iter().any(|fs| is_at_or_below(path, &fs.mount) && fs.access >= operation.needs())
    }
}

impl Ceiling {
    /// Whether some rule could allow the effect.
    fn may_hold(&self, request: &EffectRequest) -> bool {
        match request {
            EffectRequest::File { operation, path, to } => {
                [Some(path), to.as_ref()].into_iter().flatten().all(|path| self.fs.may_hold(*operation, path))
            }
            EffectRequest::Http { method, url, .. } => self.http.may_hold(method, url),
            EffectRequest::Env { name } => name.parse().is_ok_and(|name| self.env.contains(&name)),
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
