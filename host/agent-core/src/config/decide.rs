//! The answer to each effect: any deny wins, then what is not granted is denied, then any approval asks, else it is allowed.
//! Asked by the effect gate, for every host call with an effect.

use url::Url;

use super::authority::{ApprovalRule, Asks, DenyRule};
use super::mount::is_at_or_below;
use super::refusal::{Denial, explain};
use super::resolve::ToolAuthority;
use crate::effect::{Decision, EffectClass, EffectRequest, FileOperation, HttpMethod, KvOperation};
use crate::grant::{Access, FsGrant, Grant, HttpGrant, KvGrant, Recovery, RuleSource, SecretGrant};
use crate::name::ToolName;

/// The answer to an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may happen.
    Allow(Permit),
    /// It may happen if a person agrees.
    Ask {
        /// The approval rule.
        rule: RuleSource,
        /// What then allows it.
        permit: Permit,
    },
    /// It does not happen.
    Deny(Denial),
}

/// What allows an effect, and how it is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The grant.
    pub rule: RuleSource,
    /// The class, as computed from the request and raised by any grant that covers it.
    pub class: EffectClass,
    /// The header that carries the host's key: with a keyed write and nothing else.
    pub idempotency_header: Option<String>,
    /// The secrets that the host adds to the request.
    pub secrets: Vec<SecretGrant>,
}

impl Permit {
    fn plain(rule: RuleSource, class: EffectClass) -> Self {
        Self { rule, class, idempotency_header: None, secrets: Vec::new() }
    }
}

impl ToolAuthority {
    /// The answer to an effect of this tool.
    #[must_use]
    pub fn decide(&self, request: &EffectRequest) -> Verdict {
        if let Some(denial) = self.denies.iter().find_map(|deny| deny.denial(request)) {
            return Verdict::Deny(denial);
        }
        let Some(permit) = self.grant.permit(request) else {
            return Verdict::Deny(explain(&self.tool, &self.grant, Some(&self.ceiling), request));
        };
        match self.approvals.iter().find(|approval| approval.asks_about(request, &permit)) {
            Some(approval) => Verdict::Ask { rule: approval.source.clone(), permit },
            None => Verdict::Allow(permit),
        }
    }

    /// The rule that forbids the tool altogether. Such a tool is not offered to the model.
    #[must_use]
    pub fn forbidden_by(&self) -> Option<&RuleSource> {
        self.denies.iter().find(|deny| deny.forbids_tool()).map(|deny| &deny.source)
    }

    /// The rule by which a person is asked before each call.
    #[must_use]
    pub fn asks_before_call(&self) -> Option<&RuleSource> {
        self.approvals.iter().find(|approval| approval.asks == Asks::Call).map(|approval| &approval.source)
    }
}

impl Grant {
    /// Whether an effect is within this grant, with the reason and, for a denial, the line that would allow it. Knows
    /// neither denies nor approvals: those are in [`ToolAuthority::decide`].
    #[must_use]
    pub fn decide(&self, tool: &ToolName, request: &EffectRequest) -> Decision {
        match self.permit(request) {
            Some(permit) => Decision::Allow { rule: permit.rule },
            None => explain(tool, self, None, request).into(),
        }
    }

    /// What in this grant allows an effect; `None` if nothing does.
    #[must_use]
    pub fn permit(&self, request: &EffectRequest) -> Option<Permit> {
        let unkeyed = |rule: &RuleSource| Permit::plain(rule.clone(), request.class(false));
        match request {
            EffectRequest::File { operation, path, to } => {
                let access = operation.needs();
                let directory = self.directory(path, access)?;
                let others = to.iter().map(|to| self.directory(to, access)).collect::<Option<Vec<_>>>()?;
                let class =
                    others.iter().fold(directory.class(*operation), |class, other| class.max(other.class(*operation)));
                Some(Permit { class, ..unkeyed(&directory.source) })
            }
            EffectRequest::Http { method, url, .. } => self.permit_http(request, method, url),
            EffectRequest::Env { name } => {
                self.env.iter().find(|env| env.name == *name).map(|env| unkeyed(&env.source))
            }
            EffectRequest::Kv { operation, store, .. } => {
                let allows = |kv: &&KvGrant| kv.store.as_str() == store && kv.access >= operation.needs();
                self.kv.iter().find(allows).map(|kv| unkeyed(&kv.source))
            }
            EffectRequest::Socket { .. } => None,
        }
    }

    fn directory(&self, path: &str, access: Access) -> Option<&FsGrant> {
        self.fs.iter().find(|fs| is_at_or_below(path, &fs.mount) && fs.access >= access)
    }

    /// The highest class of all that cover the request counts; a header of any makes a write keyed.
    fn permit_http(&self, request: &EffectRequest, method: &str, url: &str) -> Option<Permit> {
        let (method, url) = (HttpMethod::from_name(method)?, Url::parse(url).ok()?);
        let covering: Vec<&HttpGrant> =
            self.http.iter().filter(|http| http.methods.contains(&method) && http.url.grants(&url)).collect();
        let rule = covering.first()?.source.clone();
        let header = covering.iter().find_map(|http| http.idempotency_header.clone());
        let computed = request.class(header.is_some());
        let class = covering.iter().filter_map(|http| http.class).fold(computed, EffectClass::max);
        let secrets = self.secrets.iter().filter(|secret| secret.url.covers(&url)).cloned().collect();
        Some(Permit { rule, class, idempotency_header: header.filter(|_| class == EffectClass::KeyedWrite), secrets })
    }
}

impl FsGrant {
    /// A change that is not to be undone is no owned write.
    fn class(&self, operation: FileOperation) -> EffectClass {
        match (operation.class(), self.recovery) {
            (EffectClass::OwnedWrite, Recovery::Doubt) => EffectClass::OpaqueWrite,
            (class, Recovery::Undo | Recovery::Doubt) => class,
        }
    }
}

impl FileOperation {
    /// The access without which the operation is refused.
    #[must_use]
    pub fn needs(self) -> Access {
        match self.class() {
            EffectClass::Pure | EffectClass::Read => Access::Read,
            EffectClass::OwnedWrite | EffectClass::KeyedWrite | EffectClass::OpaqueWrite => Access::Write,
        }
    }
}

impl KvOperation {
    /// The access without which the operation is refused.
    #[must_use]
    pub fn needs(self) -> Access {
        match self {
            Self::List | Self::Read => Access::Read,
            Self::Write | Self::Remove => Access::Write,
        }
    }
}

impl ApprovalRule {
    fn asks_about(&self, request: &EffectRequest, permit: &Permit) -> bool {
        match (&self.asks, request) {
            (Asks::Fs(least), EffectRequest::File { operation, .. }) => operation.needs() >= *least,
            (Asks::Http(methods), EffectRequest::Http { method, .. }) => {
                methods.is_empty() || methods.iter().any(|asked| asked.as_str() == method)
            }
            (Asks::Env, EffectRequest::Env { .. }) => true,
            (Asks::Kv(least), EffectRequest::Kv { operation, .. }) => operation.needs() >= *least,
            (Asks::Secret, _) => !permit.secrets.is_empty(),
            (Asks::Call | Asks::Fs(_) | Asks::Http(_) | Asks::Env | Asks::Kv(_), _) => false,
        }
    }
}

impl DenyRule {
    /// Denied directories are not here: `config::resolve` never mounts them.
    fn denial(&self, request: &EffectRequest) -> Option<Denial> {
        let denied = match request {
            _ if self.forbids_tool() => Some(format!("`{}`", self.selector)),
            EffectRequest::Http { url, .. } => self.denied_host(url),
            EffectRequest::Env { name } => {
                self.env.iter().find(|env| env.as_str() == name).map(|env| format!("`{env}`"))
            }
            EffectRequest::Kv { operation, .. } => self
                .kv
                .filter(|least| operation.needs() >= *least)
                .map(|least| if least == Access::Read { "stores".to_owned() } else { "changes of stores".to_owned() }),
            EffectRequest::File { .. } | EffectRequest::Socket { .. } => None,
        };
        denied.map(|what| Denial::by_rule(request, format!("{} denies {what}", self.source)))
    }

    fn denied_host(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        let host = url.host()?;
        self.http.iter().find(|denied| denied.covers(&host)).map(|denied| format!("`{denied}`"))
    }
}
