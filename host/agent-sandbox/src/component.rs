//! A component that was loaded: what it is, what it wants, what it offers. Made by `Sandbox::load`, called by
//! `Sandbox::call`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::grant::Capability;
use agent_core::name::Name;
use agent_core::tool::ToolDescriptor;
use wasmtime::component::InstancePre;

use crate::bindings::ToolPre;
use crate::bindings::reconciler::ReconcilerPre;
use crate::cache::CacheRejected;
use crate::compile::{CompileError, CompileLimit};
use crate::describe::exports::Export;
use crate::describe::{Door, Unsupported, Unusable};
use crate::distant::DistantCalls;
use crate::hosts::http::Resolver;
use crate::mount::Mount;
use crate::own_world::OtherWorld;
use crate::pace::{Begin, Pace};
use crate::state::CallState;
use crate::structure;
pub use crate::structure::COMPONENT_BYTES_MAX;

/// A component, compiled, linked and described: ready to be called any number of times.
pub struct Component {
    /// The name under which it was loaded.
    pub name: Name,
    /// The digest of the bytes that were loaded. The file is never read again.
    pub digest: Digest,
    /// Its operations, as the model sees them.
    pub tools: Vec<ToolDescriptor>,
    /// The export behind each of them, in their order.
    pub exports: Vec<String>,
    /// How it presents them.
    pub door: Door,
    /// What it asks of the host.
    pub imports: Vec<Import>,
    /// What it exports that is no tool.
    pub unsupported: Vec<Unsupported>,
    /// Where its code came from.
    pub code: CodeOrigin,
    pub(crate) entry: Entry,
    /// The component's own name of each operation.
    pub(crate) own_names: BTreeMap<Name, Name>,
    /// Where its next call begins.
    pub(crate) pace: Pace,
    /// Bounds its calls whose files may not answer.
    pub(crate) distant: DistantCalls,
    /// Bounds what looks up names for its calls.
    pub(crate) resolver: Arc<Resolver>,
}

/// One import, as the component names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Such as `wasi:filesystem/types@0.2.3`.
    pub name: String,
    /// The authority that it is about.
    pub capability: Capability,
}

/// Where compiled code came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeOrigin {
    /// From the cache.
    Cached,
    /// Compiled just now.
    Compiled {
        /// How long that took.
        took: Duration,
        /// Why what the cache held was not used, where it held something.
        rejected: Option<CacheRejected>,
    },
}

/// A first look at bytes, as each load begins with it: whether they are a component of a form that this host takes. Nothing is compiled.
///
/// # Errors
/// Where they are not, with what the user can do about it.
pub fn look(bytes: &[u8]) -> Result<(), LoadError> {
    structure::check(bytes)
}

impl Component {
    /// Whether it can be asked what became of a call in doubt.
    #[must_use]
    pub fn reconciles(&self) -> bool {
        match &self.entry {
            Entry::World { reconciler, .. } => reconciler.is_some(),
            Entry::Exports { .. } => false,
        }
    }

    /// Where a call of it begins that holds `mounts`. Files may be on a disk that hangs, and file work holds its thread.
    pub(crate) fn begin(&self, mounts: &[Mount]) -> Begin {
        let can_change = |import: &Import| matches!(import.capability, Capability::Http | Capability::Kv);
        if !mounts.is_empty() || self.imports.iter().any(can_change) {
            return Begin::Elsewhere;
        }
        self.pace.begin()
    }
}

/// How it is called.
pub(crate) enum Entry {
    Exports { pre: InstancePre<CallState>, operations: BTreeMap<Name, Export> },
    World { pre: ToolPre<CallState>, reconciler: Option<ReconcilerPre<CallState>> },
}

/// Why a component cannot be used. A problem that the user can fix.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More bytes than a component may have.
    #[error("the component has {bytes} bytes, more than the {COMPONENT_BYTES_MAX} that are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A module without a component around it.
    #[error(
        "this is a core module, not a component: build it for `wasm32-wasip2`, or make a component of it with `agent-host tool adapt`"
    )]
    CoreModule,
    /// Machine code, which is trusted only from our own cache.
    #[error("this is compiled code, which is never loaded from outside: give the component it was compiled from")]
    Precompiled,
    /// WebAssembly text.
    #[error("this is WebAssembly text: translate it with `wasm-tools parse`")]
    TextFormat,
    /// Broken, or of a form that no toolchain makes.
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    /// It has functions that only WASI 0.3 has.
    #[error(
        "the component needs WASI 0.3, for {}: this host runs 0.2, whose functions return when they are done; use plain functions, \
         without `async`, streams and futures, and build it for 0.2 (`wasm32-wasip2`)",
        .needed.join(", ")
    )]
    Concurrent {
        /// Which of its exports and imports, each with what makes it so.
        needed: Vec<String>,
    },
    /// It has types that the engine does not carry.
    #[error(
        "the component has lists of fixed length, in {}, which this host's engine does not carry yet; use `list<T>`",
        .needed.join(", ")
    )]
    FixedLengthLists {
        /// Which of its exports and imports have them.
        needed: Vec<String>,
    },
    /// Compiling it takes more than is allowed.
    #[error(transparent)]
    CompileLimit(CompileLimit),
    /// The compiler has a flaw that it brings out.
    #[error("the component breaks the compiler of this host, so that it cannot be used; none of it was run: {0}")]
    CompilerBroke(String),
    /// More core instances, memories or tables than a call may have.
    #[error("the component has too many parts: {0}")]
    TooManyParts(String),
    /// It imports what nobody provides.
    #[error("the component imports {}, which this host does not provide{}", quoted(.imports), advice(.imports))]
    UnknownImport {
        /// All of them.
        imports: Vec<String>,
    },
    /// It is made for another version of our own interfaces than this host has.
    #[error("{0}")]
    OtherWorld(OtherWorld),
    /// It imports more of a known interface than this host has.
    #[error("the component does not fit this host's interfaces, perhaps it was built for a newer WASI 0.2: {0}")]
    Link(String),
    /// What it says about its own tools cannot be used.
    #[error("the component's description of its tools cannot be used: {0}")]
    Description(String),
    /// What its manifest says of its exports does not fit.
    #[error("the manifest does not fit the component: {0}")]
    Exports(String),
    /// The host itself failed.
    #[error("the sandbox failed while it loaded the component: {0}")]
    Host(String),
}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Limit(limit) => Self::CompileLimit(limit),
            CompileError::Broke(problem) => Self::CompilerBroke(problem),
            CompileError::OutOfMemory | CompileError::Failed(_) => Self::Host(error.to_string()),
        }
    }
}

impl From<Unusable> for LoadError {
    fn from(Unusable(problem): Unusable) -> Self {
        Self::Description(problem)
    }
}

impl LoadError {
    /// What wasmtime says when it refuses a component or its code.
    pub(crate) fn refused(problem: String) -> Self {
        // There are no typed errors for these: the first is said by the pool, the others by the validator.
        if problem.contains("transitively contains") || problem.contains("instances count exceeds limit") {
            Self::TooManyParts(problem)
        } else if problem.contains("component model async") {
            Self::Invalid(format!(
                "it uses the asynchronous functions of WASI 0.3; build it for 0.2 (`wasm32-wasip2`): {problem}"
            ))
        } else {
            Self::Invalid(problem)
        }
    }

    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "component_too_large",
            Self::CompileLimit(_) => "compile_limit",
            Self::UnknownImport { .. } => "import_denied",
            Self::TooManyParts(_) => "instance_limit",
            Self::CoreModule
            | Self::Precompiled
            | Self::TextFormat
            | Self::Invalid(_)
            | Self::Concurrent { .. }
            | Self::FixedLengthLists { .. }
            | Self::CompilerBroke(_)
            | Self::OtherWorld(_)
            | Self::Link(_)
            | Self::Description(_)
            | Self::Exports(_) => "component_invalid",
            Self::Host(_) => "host_error",
        }
    }
}

/// The first of these names, and how many there are beside: a component may import thousands.
fn quoted(names: &[String]) -> String {
    /// More of them tell nobody anything.
    const SHOWN_MAX: usize = 10;
    let shown: Vec<_> = names.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn advice(imports: &[String]) -> &'static str {
    let newer = |import: &String| import.starts_with("wasi:") && !import.contains("@0.2.");
    if imports.iter().any(newer) {
        ": it was built for another WASI than 0.2; build it for `wasm32-wasip2`"
    } else {
        ""
    }
}
