//! Effects: single uses of a capability during a call, as a person would name them, and the decisions about them.
//!
//! The sandbox makes an [`EffectRequest`] for every host call that touches the world, the gate answers with a [`Decision`],
//! and what came of it is an [`Effect`], stored with the call. The class is computed here from the request itself, never
//! taken from the tool.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::grant::{Capability, RuleSource, SecretGrant};
use crate::path_state::{Attribute, Becoming, Owner, Stamp};
use crate::secret::SecretName;
use crate::units::{Bytes, Millis};

/// What an effect means for recovery. Ordered: a grant may raise a class, never lower it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Touches nothing outside the call: may run again.
    Pure,
    /// Looks at the world: reads again.
    Read,
    /// Changes what this host can restore: undone, then run again.
    OwnedWrite,
    /// Carries a host-minted key that makes a repetition harmless: sent again with the same key.
    KeyedWrite,
    /// Anything else: never repeated without a person's word.
    OpaqueWrite,
}

/// An HTTP method that a grant can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 9110 and RFC 5789")]
pub enum HttpMethod {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

/// What a host call is about to do. Paths are as the guest sees them, under their mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EffectRequest {
    /// A file operation below a mount.
    File {
        /// What is done.
        operation: FileOperation,
        /// The guest's path, mount included: `/data/notes.txt`. Empty where no mount was granted at all.
        path: String,
        /// The second path of a rename or link.
        to: Option<String>,
    },
    /// One HTTP request, complete: the body is collected before anything is sent.
    Http {
        /// The method as sent.
        method: String,
        /// The URL as sent, without credentials.
        url: String,
        /// Bytes of the body.
        body_bytes: Bytes,
        /// Digest over method, URL, headers and body.
        digest: Digest,
    },
    /// A look at an environment variable.
    Env {
        /// The variable's name.
        name: String,
    },
    /// A use of one of the tool's own key-value stores.
    Kv {
        /// What is done.
        operation: KvOperation,
        /// The store's name.
        store: String,
        /// The key; `None` where it is about several.
        key: Option<String>,
        /// Digest of the value that is written.
        value: Option<Digest>,
    },
    /// A use of a raw socket or of name lookup, which no grant allows.
    Socket {
        /// The interface and function, such as `wasi:sockets/tcp start-connect`.
        operation: String,
    },
}

/// What is done to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOperation {
    /// Open for reading, or list.
    Read,
    /// Look at names, sizes and times.
    Stat,
    /// Open an existing file so that it may change, or create one.
    Write,
    /// Create a directory.
    CreateDirectory,
    /// Delete a file or an empty directory.
    Remove,
    /// Give it another name.
    Rename,
    /// Create a hard or symbolic link.
    Link,
    /// Change its times.
    SetTimes,
}

/// What is done to a key-value store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvOperation {
    /// List the keys.
    List,
    /// Look at a value, or at whether there is one.
    Read,
    /// Set a value.
    Write,
    /// Delete a key and its value.
    Remove,
}

/// The answer to an [`EffectRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// It may happen.
    Allow {
        /// The rule that allows it.
        rule: RuleSource,
    },
    /// It does not happen.
    Deny {
        /// The stable name of the refusal.
        refusal: Refusal,
        /// The rule that forbids it, or that nothing allows it.
        rule: String,
        /// The one line that would allow it, where a line could.
        hint: Option<String>,
    },
}

/// The gate's whole answer: the decision, and what it means for recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it may happen.
    pub decision: Decision,
    /// The effect's class, after a grant raised it.
    pub class: EffectClass,
    /// The header that carries the host-minted key of a keyed write.
    pub idempotency_header: Option<String>,
    /// The secrets that the host adds to the request.
    pub secrets: Vec<SecretGrant>,
}

impl Ruling {
    /// A decision about an effect that carries neither key nor secret.
    #[must_use]
    pub fn plain(decision: Decision, class: EffectClass) -> Self {
        Self { decision, class, idempotency_header: None, secrets: Vec::new() }
    }
}

/// Stable names of refused effects. The guest sees an ordinary error; the record carries this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A path outside the grant, or an act beyond its access.
    FsDenied,
    /// More bytes or files than the call may write.
    FsQuota,
    /// Not a regular file or directory: a device, pipe or socket.
    FsSpecialFile,
    /// A host, port, scheme, method or address outside the grant, or a raw socket.
    NetDenied,
    /// Too many requests, or a message over its bound.
    NetLimit,
    /// The TLS handshake failed.
    NetTls,
    /// The peer was too slow.
    NetTimeout,
    /// A variable outside the grant.
    EnvDenied,
    /// A secret that would have gone, or come back, where it must not.
    SecretBlocked,
    /// A store outside the grant, or an act beyond its access.
    KvDenied,
    /// A key, a value or a store that is larger than allowed.
    KvQuota,
    /// A person said no.
    ApprovalDenied,
    /// The run's budget does not allow it.
    RunBudget,
}

/// One effect, as recorded with its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// Its number within the call, from 1.
    pub number: u32,
    /// What was asked.
    pub request: EffectRequest,
    /// Its class.
    pub class: EffectClass,
    /// Whether it can carry data out of the machine.
    pub egress: bool,
    /// What was decided.
    pub decision: Decision,
    /// The secrets that the host added: their names.
    pub secrets: Vec<SecretName>,
    /// What came of it.
    pub result: EffectResult,
    /// Bytes that went from the guest to the world.
    pub bytes_out: Bytes,
    /// Bytes that came from the world to the guest.
    pub bytes_in: Bytes,
    /// When it was asked for, since its attempt began.
    pub at: Millis,
    /// How long it took.
    pub duration: Millis,
    /// An attempt before had done it already: it was told or done again, and nothing was sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectResult {
    /// It happened. For HTTP the text is the status, else empty.
    Done(String),
    /// It was refused: nothing happened.
    Refused,
    /// It failed, and certainly did not take place.
    NotSent(String),
    /// It failed, and may have taken place.
    Unknown(String),
    /// The world answered with an error; for a file, nothing was changed.
    Failed(String),
}

/// The state of a path before a call first changed it: what an undo restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoEntry {
    /// The mount, such as `/data`.
    pub mount: String,
    /// The number of the mount's own directory: another one under the same name is not this one.
    pub root: u64,
    /// The path below the mount, relative.
    pub path: String,
    /// What was there.
    pub before: Before,
    /// Which thing that was, and in which state; `None` where nothing was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Stamp>,
    /// Who owned it: given back where it must be made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its extended attributes, for the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// What is about to become of it.
    #[serde(default, skip_serializing_if = "is_itself")]
    pub becoming: Becoming,
}

/// What was at a path before a call changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Before {
    /// Nothing.
    Absent,
    /// A directory.
    Directory {
        /// Unix permission bits.
        mode: u32,
    },
    /// A file of this length that the call only appends to.
    Length(Bytes),
    /// A file with this content, kept in the journal under its digest.
    Content {
        /// The digest of the content.
        digest: Digest,
        /// Unix permission bits, restored with the content.
        mode: u32,
    },
    /// A symbolic link to this target.
    Symlink(String),
}

fn is_itself(becoming: &Becoming) -> bool {
    *becoming == Becoming::Itself
}

impl EffectRequest {
    /// The capability that is used.
    #[must_use]
    pub fn capability(&self) -> Capability {
        match self {
            Self::File { .. } => Capability::Fs,
            Self::Http { .. } => Capability::Http,
            Self::Env { .. } => Capability::Env,
            Self::Kv { .. } => Capability::Kv,
            Self::Socket { .. } => Capability::Sockets,
        }
    }

    /// The class, before a grant raises it. `keyed` says whether the grant names an idempotency header.
    #[must_use]
    pub fn class(&self, keyed: bool) -> EffectClass {
        match self {
            Self::File { operation, .. } => operation.class(),
            Self::Http { method, .. } if matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS") => EffectClass::Read,
            Self::Http { .. } if keyed => EffectClass::KeyedWrite,
            Self::Http { .. } | Self::Socket { .. } => EffectClass::OpaqueWrite,
            Self::Env { .. } => EffectClass::Read,
            Self::Kv { operation, .. } => operation.class(),
        }
    }

    /// Whether it can carry data out of the machine: every request can, a GET writes to somebody's log.
    #[must_use]
    pub fn is_egress(&self) -> bool {
        matches!(self, Self::Http { .. } | Self::Socket { .. })
    }
}

impl FileOperation {
    /// The class of the operation.
    #[must_use]
    pub fn class(self) -> EffectClass {
        match self {
            Self::Read | Self::Stat => EffectClass::Read,
            Self::Write | Self::CreateDirectory | Self::Remove | Self::Rename | Self::Link | Self::SetTimes => {
                EffectClass::OwnedWrite
            }
        }
    }
}

impl KvOperation {
    /// The class of the operation. What is written comes with the call's own record, or not at all.
    #[must_use]
    pub fn class(self) -> EffectClass {
        match self {
            Self::List | Self::Read => EffectClass::Read,
            Self::Write | Self::Remove => EffectClass::OwnedWrite,
        }
    }
}

impl Refusal {
    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FsDenied => "fs_denied",
            Self::FsQuota => "fs_quota",
            Self::FsSpecialFile => "fs_special_file",
            Self::NetDenied => "net_denied",
            Self::NetLimit => "net_limit",
            Self::NetTls => "net_tls",
            Self::NetTimeout => "net_timeout",
            Self::EnvDenied => "env_denied",
            Self::SecretBlocked => "secret_blocked",
            Self::KvDenied => "kv_denied",
            Self::KvQuota => "kv_quota",
            Self::ApprovalDenied => "approval_denied",
            Self::RunBudget => "run_budget",
        }
    }
}

impl HttpMethod {
    /// Every method that a grant can name.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Options, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method as sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request of this method may change something, as far as methods tell.
    #[must_use]
    pub fn is_write(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options => false,
            Self::Post | Self::Put | Self::Patch | Self::Delete => true,
        }
    }

    /// The method of this name as sent: methods are case-sensitive. `None` for one that no grant can name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for EffectRequest {
    /// As a person would say it: `read /data/a.txt`, `GET https://example.org/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { operation, path, .. } if path.is_empty() => write!(f, "{operation} any file"),
            Self::File { operation, path, to: None } => write!(f, "{operation} {path}"),
            Self::File { operation, path, to: Some(to) } => write!(f, "{operation} {path} to {to}"),
            Self::Http { method, url, .. } => write!(f, "{method} {url}"),
            Self::Env { name } => write!(f, "read variable {name}"),
            Self::Kv { operation: KvOperation::List, store, .. } => write!(f, "list the keys of store {store}"),
            Self::Kv { operation, store, key: Some(key), .. } => write!(f, "{operation} key {key} of store {store}"),
            Self::Kv { operation, store, key: None, .. } => write!(f, "{operation} several keys of store {store}"),
            Self::Socket { operation } => write!(f, "use {operation}"),
        }
    }
}

impl fmt::Display for KvOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
        })
    }
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Stat => "look at",
            Self::Write => "write",
            Self::CreateDirectory => "create directory",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::SetTimes => "set the times of",
        })
    }
}
