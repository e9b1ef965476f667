//! Authority as data: what a tool's author asks for (the ceiling) and what a tool holds in a run (the grant).
//!
//! A [`Grant`] is made only by `config::resolve`, from the operator's rules and a ceiling; the sandbox receives it and can
//! only use it. Nothing here opens or reaches anything: a directory becomes a handle in the shell, a host an address in the
//! sandbox's sender.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::foreign_name::SecretHeader;
use crate::effect::{EffectClass, HttpMethod};
use crate::limits::Limits;
use crate::name::Name;
use crate::pattern::UrlPattern;
use crate::secret::{HeaderFormat, SecretName, SecretSource};

/// A kind of authority. Pure ones (clock, random, log) are always granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Files below a mount.
    Fs,
    /// HTTP requests.
    Http,
    /// Environment variables of the host.
    Env,
    /// Secrets that the host adds to requests.
    Secret,
    /// Key-value stores of the tool's own.
    Kv,
    /// Raw sockets. Known so that a refusal can name it; never granted.
    Sockets,
    /// The virtual clock.
    Clock,
    /// Seeded random numbers.
    Random,
    /// Log records, standard output and standard error.
    Log,
}

/// What may be done below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Open, list and read.
    Read,
    /// Also create, change, rename and delete.
    Write,
}

/// What becomes of the changes below a mount if the call that made them is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// They are undone. What could not be is refused, such as a change in the middle of a very large file.
    Undo,
    /// They stay and a person is asked: each is an opaque write. Written `undo = false`.
    Doubt,
}

/// Where a line of authority was said, for messages: `policy.toml:12`, `--allow-read`, `answered by the operator`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleSource(pub String);

impl RuleSource {
    /// The file and, where the text ends in one, the line.
    #[must_use]
    pub fn place(&self) -> (&str, Option<u32>) {
        let split = self.0.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
        split.map_or((&self.0, None), |(file, line)| (file, Some(line)))
    }
}

impl fmt::Display for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The concrete authority that a tool holds in a run: requested ∩ allowed. Recorded in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Directories, each at its mount.
    pub fs: Vec<FsGrant>,
    /// HTTP requests that may be made.
    pub http: Vec<HttpGrant>,
    /// Environment variables that may be read.
    pub env: Vec<EnvGrant>,
    /// Secrets that the host adds to requests which are allowed.
    pub secrets: Vec<SecretGrant>,
    /// Key-value stores of the tool's own that may be used.
    pub kv: Vec<KvGrant>,
    /// The limits of each call.
    pub limits: Limits,
}

/// One directory of the host at one place of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsGrant {
    /// The directory on the host: an absolute path.
    pub host: String,
    /// Where the guest sees it: an absolute path such as `/data`.
    pub mount: String,
    /// What may be done there.
    pub access: Access,
    /// What becomes of changes there if their call is stopped.
    pub recovery: Recovery,
    /// Files and folders in it that stay as they are, by their absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanging: Vec<String>,
    /// Folders in it that stay where they are, by their absolute paths. What is in them may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmoved: Vec<String>,
    /// Files that stay as they are wherever they are, if they have a name in it at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<FileIdentity>,
    /// Where this was said.
    pub source: RuleSource,
}

/// Which file it is on this machine, under whatever name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    /// The file system's device: its major number, then its minor one.
    pub device: (u32, u32),
    /// The file's number there.
    pub inode: u64,
}

/// One set of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// Scheme, host, port and path prefix.
    pub url: UrlPattern,
    /// The methods allowed.
    pub methods: Vec<HttpMethod>,
    /// The header that makes a write keyed: the host mints the key, and sending again does nothing twice.
    pub idempotency_header: Option<String>,
    /// A class that the operator raised this to, such as opaque for a GET that changes things.
    pub class: Option<EffectClass>,
    /// Where this was said.
    pub source: RuleSource,
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvGrant {
    /// The variable's name. Its value is read by the shell when a call starts and is not recorded.
    pub name: String,
    /// Where this was said.
    pub source: RuleSource,
}

/// One secret in one header of some requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretGrant {
    /// What the tool calls it.
    pub name: SecretName,
    /// The requests that it is added to, if they are allowed at all: of one host and port.
    pub url: UrlPattern,
    /// The header that carries it.
    pub header: SecretHeader,
    /// How the value stands in it.
    pub format: HeaderFormat,
    /// Where its value comes from. The value is read by the shell when a run starts and is not recorded.
    pub from: SecretSource,
    /// Where this was said.
    pub source: RuleSource,
}

/// One key-value store of the tool's component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvGrant {
    /// The store's name.
    pub store: Name,
    /// What may be done there.
    pub access: Access,
    /// Where this was said.
    pub source: RuleSource,
}

impl Grant {
    /// No authority at all, under the standard limits.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            fs: Vec::new(),
            http: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            kv: Vec::new(),
            limits: Limits::STANDARD,
        }
    }

    /// Whether a call under this grant may change files: such calls do not run side by side.
    #[must_use]
    pub fn may_write_files(&self) -> bool {
        self.fs.iter().any(|fs| fs.access == Access::Write)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}
