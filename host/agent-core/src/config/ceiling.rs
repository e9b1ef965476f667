//! The author's word: the most that a tool may ever be granted. From its manifest, or from what it imports if it has none.
//! A ceiling gives nothing; `config::resolve` cuts grants down to it.

use serde::{Deserialize, Serialize};

use super::foreign_name::{EnvName, HeaderName, SecretHeader};
use super::mount::Mount;
use crate::effect::HttpMethod;
use crate::grant::{Access, Capability};
use crate::name::Name;
use crate::pattern::UrlPattern;
use crate::secret::{HeaderFormat, SecretName};

/// The most that a tool may be granted, per capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// Directories.
    pub fs: FsCeiling,
    /// HTTP requests.
    pub http: HttpCeiling,
    /// Environment variables.
    pub env: EnvCeiling,
    /// Secrets. A component without manifest has none: somebody must have said to which host and in which header one goes.
    pub secrets: Vec<SecretRequest>,
    /// Key-value stores, each named once.
    pub kv: Vec<KvRequest>,
}

/// The directories that a tool may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FsCeiling {
    /// Any directory at any mount: the component imports the capability and has no manifest.
    Any,
    /// One directory at each of these mounts, which do not overlap.
    Mounts(Vec<FsRequest>),
}

/// The HTTP requests that a tool may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpCeiling {
    /// Any request: the component imports the capability and has no manifest.
    Any,
    /// These.
    Requests(Vec<HttpRequest>),
}

/// The environment variables that a tool may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvCeiling {
    /// Any variable: the component imports the capability and has no manifest.
    Any,
    /// These.
    Names(Vec<EnvName>),
}

/// A mount that a tool asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsRequest {
    /// Where the tool expects it.
    pub mount: Mount,
    /// The most that it needs to do there.
    pub access: Access,
}

/// A key-value store that a tool asks for. It belongs to the tool's component: no other one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvRequest {
    /// The name by which the tool opens it.
    pub store: Name,
    /// The most that it needs to do there.
    pub access: Access,
}

/// HTTP requests that a tool asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// Scheme, host, port and path prefix. The host may be `*`, and so may the port.
    pub url: UrlPattern,
    /// The methods: at least one.
    pub methods: Vec<HttpMethod>,
    /// The header by which the server recognises a repeated write.
    pub idempotency_header: Option<HeaderName>,
}

/// A secret that a tool asks for: the host puts it into this header of requests to this URL, and the tool never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// What the tool calls it.
    pub name: SecretName,
    /// One host and one port, named; a path and what is below it.
    pub url: UrlPattern,
    /// The header.
    pub header: SecretHeader,
    /// How the value stands in it.
    pub format: HeaderFormat,
}

impl Ceiling {
    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            fs: FsCeiling::Mounts(Vec::new()),
            http: HttpCeiling::Requests(Vec::new()),
            env: EnvCeiling::Names(Vec::new()),
            secrets: Vec::new(),
            kv: Vec::new(),
        }
    }

    /// The ceiling of a component without manifest: whatever it imports, without bounds. Of stores it may have the one
    /// that needs no name: each further one would be room without end.
    #[must_use]
    pub fn of_imports(imports: &[Capability]) -> Self {
        let nothing = Self::nothing();
        Self {
            fs: if imports.contains(&Capability::Fs) { FsCeiling::Any } else { nothing.fs },
            http: if imports.contains(&Capability::Http) { HttpCeiling::Any } else { nothing.http },
            env: if imports.contains(&Capability::Env) { EnvCeiling::Any } else { nothing.env },
            secrets: nothing.secrets,
            kv: if imports.contains(&Capability::Kv) { vec![KvRequest::standard()] } else { nothing.kv },
        }
    }

    /// The mount of a directory that was granted without one: the only one that the tool declares, else `/data`.
    #[must_use]
    pub fn standard_mount(&self) -> Mount {
        match &self.fs {
            FsCeiling::Mounts(requests) if requests.len() == 1 => requests[0].mount.clone(),
            FsCeiling::Mounts(_) | FsCeiling::Any => Mount::standard(),
        }
    }
}

impl KvRequest {
    /// The store that needs no name, to be read and changed.
    #[must_use]
    pub fn standard() -> Self {
        Self { store: standard_store(), access: Access::Write }
    }
}

/// The name of the store that needs none.
#[must_use]
pub fn standard_store() -> Name {
    "default".parse().unwrap_or_else(|_| unreachable!("`default` is a name"))
}

impl FsCeiling {
    /// The most that may be done at `mount`; `None` if nothing may be granted there.
    #[must_use]
    pub fn access_at(&self, mount: &Mount) -> Option<Access> {
        match self {
            Self::Any => Some(Access::Write),
            Self::Mounts(requests) => {
                requests.iter().find(|request| request.mount == *mount).map(|request| request.access)
            }
        }
    }
}

impl FsCeiling {
    /// The most that may be done in any directory; `None` if none may be granted.
    #[must_use]
    pub fn most(&self) -> Option<Access> {
        match self {
            Self::Any => Some(Access::Write),
            Self::Mounts(requests) => requests.iter().map(|request| request.access).max(),
        }
    }
}

impl EnvCeiling {
    /// Whether the variable may be granted.
    #[must_use]
    pub fn contains(&self, name: &EnvName) -> bool {
        match self {
            Self::Any => true,
            Self::Names(names) => names.contains(name),
        }
    }
}
