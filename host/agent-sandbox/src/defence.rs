//! Switching single defences off, in a build made for that: a test that never saw its defence missing proves nothing. A build
//! without the feature `switchable-defences` has no such switch.
//!
//! A new defence is one line below, and a question to [`is_off`] at the one place that enforces it.

/// One line for each defence: what it is, its variant, and the name by which a test asks for it to be missing. Most have the
/// name of the fault, refusal or problem that tells of them.
macro_rules! defences {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A defence that can be missing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Defence {
            $($(#[$doc])* $variant,)*
        }

        #[cfg(feature = "switchable-defences")]
        impl Defence {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

defences! {
    /// The bound on guest instructions.
    Fuel = "fuel_exhausted";
    /// The bound on linear memory.
    Memory = "memory_limit";
    /// The bound on table elements.
    Tables = "table_limit";
    /// The bound on core instances.
    Instances = "instance_limit";
    /// The bound on handles.
    Handles = "handle_limit";
    /// The bound on what one host call copies.
    Copies = "copy_limit";
    /// The bound on host calls.
    HostCalls = "hostcall_limit";
    /// The bounds on results.
    Results = "result_invalid";
    /// The bound on what a guest prints.
    PrintedBytes = "output_limit";
    /// The check of arguments against their schema.
    Arguments = "args_invalid";
    /// The bound on time.
    Deadline = "deadline_exceeded";
    /// The wall around a mount, and what is read-only inside it.
    FsDenied = "fs_denied";
    /// The bounds on what is written, read and created.
    FsQuota = "fs_quota";
    /// Opening nothing but files and directories.
    FsSpecialFile = "fs_special_file";
    /// The decision about each HTTP request, and about the addresses that a name leads to.
    NetDenied = "net_denied";
    /// The bounds on the number and size of HTTP messages.
    NetLimit = "net_limit";
    /// The check of certificates.
    NetTls = "net_tls";
    /// The bounds on the time of HTTP requests, but for the call's own deadline.
    NetTimeout = "net_timeout";
    /// That a guest sees no variable but those that were granted.
    Env = "env_denied";
    /// That secrets are taken out of what comes back, and that a guest does not set a header which carries one.
    Secrets = "secret_blocked";
    /// The bounds on the outline of a component.
    Structure = "component_invalid";
    /// The bound on the size of a component.
    ComponentSize = "component_too_large";
    /// The limits of a compile.
    Compiling = "compile_limit";
    /// The refusal of imports that nobody provides.
    Imports = "import_denied";
    /// The proof that cached code is ours.
    CachedCode = "cache_rejected";
    /// The binding of trust and grants to one component.
    Digests = "digest_mismatch";
    /// The refusal of manifests with problems.
    Manifests = "manifest_invalid";
    /// The refusal of grants around what is denied.
    DeniedGrants = "grant_exceeds_policy";
    /// The refusal of grants beyond what was declared.
    UndeclaredGrants = "grant_exceeds_manifest";
    /// The refusal of tools whose names look the same.
    ToolNames = "duplicate_tool";
    /// The decision about each use of a key-value store.
    KvDenied = "kv_denied";
    /// The limits of a key-value store.
    KvQuota = "kv_quota";
    /// That hidden characters are shown escaped to a person.
    Neutralising = "neutralising";
    /// The file wall around the host's process.
    Landlock = "landlock";
    /// The refusal of system calls that no run needs.
    Seccomp = "seccomp";
}

/// Whether the test asked for this defence to be missing: `AGENT_HOST_DEFENCE_OFF=fuel_exhausted,memory_limit`.
///
/// # Panics
/// Where it asked for one that there is not: it would believe that something is off.
#[cfg(feature = "switchable-defences")]
#[must_use]
pub fn is_off(defence: Defence) -> bool {
    static OFF: std::sync::LazyLock<Vec<Defence>> = std::sync::LazyLock::new(|| {
        let names = std::env::var("AGENT_HOST_DEFENCE_OFF").unwrap_or_default();
        let known = |name: &str| Defence::ALL.iter().copied().find(|defence| defence.name() == name);
        let named = names.split(',').filter(|name| !name.is_empty());
        named.map(|name| known(name).unwrap_or_else(|| panic!("there is no defence `{name}`"))).collect()
    });
    OFF.contains(&defence)
}

/// Never, in a build for use.
#[cfg(not(feature = "switchable-defences"))]
#[must_use]
pub const fn is_off(_defence: Defence) -> bool {
    false
}

/// Whether the test asked for any defence to be missing.
#[cfg(feature = "switchable-defences")]
#[must_use]
pub fn any_is_off() -> bool {
    Defence::ALL.iter().any(|defence| is_off(*defence))
}

/// Never, in a build for use.
#[cfg(not(feature = "switchable-defences"))]
#[must_use]
pub const fn any_is_off() -> bool {
    false
}

/// A limit, or none where the defence is missing.
pub(crate) fn limit(defence: Defence, limit: u64) -> u64 {
    if is_off(defence) { u64::MAX } else { limit }
}
