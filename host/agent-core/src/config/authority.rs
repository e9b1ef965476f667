//! The operator's rules: what is granted, what a person is asked about, what is denied. The same tables stand in
//! `policy.toml` and, as a proposal, in an agent file; flags and a person's answers make single rules.
//!
//! Rules are data and decide nothing by themselves: `config::resolve` makes a grant of them, `config::decide` an answer.

use serde::{Deserialize, Serialize};

use super::foreign_name::{EnvName, HeaderName};
use super::host_path::HostPath;
use super::mount::Mount;
use super::selector::Selector;
use crate::digest::Digest;
use crate::effect::HttpMethod;
use crate::grant::{Access, Capability, FileIdentity, Recovery, RuleSource};
use crate::limits::LimitsChange;
use crate::name::Name;
use crate::pattern::{HostMatch, TooWide, UrlPattern};
use crate::secret::{SecretName, SecretSource};

/// The rules of one file, or of the flags of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// What is allowed.
    pub grants: Vec<GrantRule>,
    /// What a person is asked about first.
    pub approvals: Vec<ApprovalRule>,
    /// What is forbidden, whatever else allows it.
    pub denies: Vec<DenyRule>,
}

/// One `[[grant]]`. What several grants allow one tool is added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRule {
    /// Whom it is for.
    pub selector: Selector,
    /// The only component that it counts for; without it, any that stands under the name. Written `component = "sha256:…"`.
    pub component: Option<Digest>,
    /// Directories.
    pub fs: Vec<FsRule>,
    /// HTTP requests.
    pub http: Vec<HttpRule>,
    /// Environment variables.
    pub env: Vec<EnvName>,
    /// Secrets.
    pub secrets: Vec<SecretRule>,
    /// What may be done in the stores that the tool asks for.
    pub kv: Option<Access>,
    /// Limits, raised or lowered.
    pub limits: LimitsChange,
    /// Where it is said.
    pub source: RuleSource,
}

/// One directory of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsRule {
    /// The directory on the host.
    pub host: HostPath,
    /// Where the guest sees it; without it, at the tool's one declared mount, else at `/data`.
    pub mount: Option<Mount>,
    /// What may be done there.
    pub access: Access,
    /// What becomes of changes there if their call is stopped.
    pub recovery: Recovery,
}

/// One set of HTTP requests of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRule {
    /// Scheme, host, port and path prefix. The host is named; only then may the rule hold on every port of it.
    pub url: UrlPattern,
    /// The methods: at least one.
    pub methods: Vec<HttpMethod>,
    /// The operator's word that the server recognises a repeated write by this header, where no manifest says so.
    pub idempotency_header: Option<HeaderName>,
    /// Whether requests that look harmless are to be treated as writes that may not be repeated.
    pub treat_as: TreatAs,
}

/// One secret of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRule {
    /// What the tool's manifest calls it.
    pub name: SecretName,
    /// Where its value comes from. An agent file never says this: its author must not pick among the operator's files.
    pub from: Option<SecretSource>,
}

/// How the requests of a rule are classed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreatAs {
    /// By what is sent.
    Computed,
    /// As opaque writes: a GET that changes things. Written `class = "opaque"`.
    Opaque,
}

/// One `[[approval]]`: ask a person before a call of the tool, or before each effect of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// Whom it is for.
    pub selector: Selector,
    /// What is asked about.
    pub asks: Asks,
    /// Where it is said.
    pub source: RuleSource,
}

/// What a person is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Asks {
    /// Each call, before it starts.
    Call,
    /// Each file operation that needs this access or more: `Read` means every one.
    Fs(Access),
    /// Each HTTP request of one of these methods; empty means every one.
    Http(Vec<HttpMethod>),
    /// Each look at an environment variable.
    Env,
    /// Each HTTP request that carries a secret.
    Secret,
    /// Each use of a store that needs this access or more: `Read` means every one.
    Kv(Access),
}

/// One `[[deny]]`. With nothing but a selector it forbids the tool altogether.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRule {
    /// Whom it is for.
    pub selector: Selector,
    /// Hosts, on every port and at every path. A server may read one path in many spellings, so a path cannot be denied.
    pub http: Vec<HostMatch>,
    /// Directories: neither they nor what lies in them is ever mounted. A grant of a directory around one is a problem at
    /// load: below a mount, a link or a second name could lead to the denied part, so that could not be enforced.
    pub fs: Vec<HostPath>,
    /// Files and folders that stay as they are, with all that lies in them: a grant around one is without it for changes. No file can
    /// say this; the host does, of what it loads tools from and reads its rules from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanging: Vec<HostPath>,
    /// Folders that stay where they are, whatever becomes of what is in them: by a path through them the host finds what stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmoved: Vec<HostPath>,
    /// Files that stay as they are and have several names, of which some may be in any directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<FileIdentity>,
    /// Environment variables.
    pub env: Vec<EnvName>,
    /// Secrets.
    pub secrets: Vec<SecretName>,
    /// Each use of a store that needs this access or more: `Read` means every one.
    pub kv: Option<Access>,
    /// Where it is said.
    pub source: RuleSource,
}

impl Authority {
    /// No rule at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self { grants: Vec::new(), approvals: Vec::new(), denies: Vec::new() }
    }
}

impl GrantRule {
    /// What `--allow-read DIR` and `--allow-write DIR` say: the directory, for every tool that may have one.
    #[must_use]
    pub fn directory(host: HostPath, access: Access, source: RuleSource) -> Self {
        Self { fs: vec![FsRule { host, mount: None, access, recovery: Recovery::Undo }], ..Self::empty(source) }
    }

    /// What `--allow-net HOST` says: requests of every method to one port of the host, for every tool that may make them.
    ///
    /// # Errors
    /// A pattern that covers hosts of many owners, or every port.
    pub fn host(url: UrlPattern, source: RuleSource) -> Result<Self, TooWide> {
        url.check_grantable_by_flag()?;
        let methods = HttpMethod::ALL.to_vec();
        let rule = HttpRule { url, methods, idempotency_header: None, treat_as: TreatAs::Computed };
        Ok(Self { http: vec![rule], ..Self::empty(source) })
    }

    /// What `--allow-env NAME` says: the variable, for every tool that may see it.
    #[must_use]
    pub fn variable(name: EnvName, source: RuleSource) -> Self {
        Self { env: vec![name], ..Self::empty(source) }
    }

    /// What `--secret NAME` says: the secret, for every tool that declares one of this name.
    #[must_use]
    pub fn secret(name: SecretName, from: SecretSource, source: RuleSource) -> Self {
        Self { secrets: vec![SecretRule { name, from: Some(from) }], ..Self::empty(source) }
    }

    /// What `--allow-kv TOOL` says: the component's own stores, to be read and changed.
    #[must_use]
    pub fn stores(component: Name, source: RuleSource) -> Self {
        Self { selector: Selector::Component(component), kv: Some(Access::Write), ..Self::empty(source) }
    }

    /// The same for this component alone, whatever takes its name later.
    #[must_use]
    pub fn only_for(self, component: Digest) -> Self {
        Self { component: Some(component), ..self }
    }

    /// Whether it counts for this component.
    #[must_use]
    pub(super) fn is_for(&self, component: &Digest) -> bool {
        self.component.is_none_or(|only| only == *component)
    }

    fn empty(source: RuleSource) -> Self {
        Self {
            selector: Selector::Everything,
            component: None,
            fs: Vec::new(),
            http: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            kv: None,
            limits: LimitsChange::default(),
            source,
        }
    }
}

impl ApprovalRule {
    /// The capability whose effects are asked about; `None` if it is the call itself.
    #[must_use]
    pub fn capability(&self) -> Option<Capability> {
        match self.asks {
            Asks::Call => None,
            Asks::Fs(_) => Some(Capability::Fs),
            Asks::Http(_) => Some(Capability::Http),
            Asks::Env => Some(Capability::Env),
            Asks::Secret => Some(Capability::Secret),
            Asks::Kv(_) => Some(Capability::Kv),
        }
    }
}

impl DenyRule {
    /// A rule that forbids nothing yet; with nothing added it would forbid the tool altogether.
    #[must_use]
    pub fn of(selector: Selector, source: RuleSource) -> Self {
        Self {
            selector,
            http: Vec::new(),
            fs: Vec::new(),
            unchanging: Vec::new(),
            unmoved: Vec::new(),
            linked: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            kv: None,
            source,
        }
    }

    /// Whether the tool is forbidden altogether.
    #[must_use]
    pub fn forbids_tool(&self) -> bool {
        self.http.is_empty()
            && self.fs.is_empty()
            && self.unchanging.is_empty()
            && self.unmoved.is_empty()
            && self.linked.is_empty()
            && self.env.is_empty()
            && self.secrets.is_empty()
            && self.kv.is_none()
    }
}
