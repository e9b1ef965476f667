//! Stable names of what stops a command, for programs that read its error: `error[component_invalid]: …`. `main` looks for the
//! name when it prints the error. Names of outcomes and refusals are elsewhere: those are data, not errors.

use agent_core::config::problem::Problems;
use agent_sandbox::component::LoadError;

use crate::journal::error::JournalError;

/// An error with a name, where no type of its own carries one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Named {
    /// What kind of thing went wrong.
    pub name: Name,
    /// What is said about it.
    pub message: String,
}

/// The names that no other type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Two tools whose names are the same, or look the same.
    DuplicateTool,
    /// A component is not the one that something was said about.
    DigestMismatch,
    /// A component imports what nobody provides, or, where that is strict, what nobody granted.
    ImportDenied,
    /// A component cannot be used.
    ComponentInvalid,
    /// Compiling a component takes too much.
    CompileLimit,
    /// A file is longer than any honest one of its kind.
    RequestTooLarge,
    /// A secret has no value, or one that cannot be used.
    SecretBlocked,
}

impl Name {
    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateTool => "duplicate_tool",
            Self::DigestMismatch => "digest_mismatch",
            Self::ImportDenied => "import_denied",
            Self::ComponentInvalid => "component_invalid",
            Self::CompileLimit => "compile_limit",
            Self::RequestTooLarge => "request_too_large",
            Self::SecretBlocked => "secret_blocked",
        }
    }

    /// An error of this name.
    #[must_use]
    pub fn because(self, message: String) -> Named {
        Named { name: self, message }
    }
}

/// The name of an error, if it has one.
#[must_use]
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let named = cause.downcast_ref().map(|named: &Named| named.name.as_str());
        let load = || cause.downcast_ref().map(LoadError::name);
        let problems = || cause.downcast_ref().map(|problems: &Problems| problems.as_slice()[0].kind.name());
        let journal = || cause.downcast_ref().and_then(JournalError::name);
        named.or_else(load).or_else(journal).or_else(problems)
    })
}

#[cfg(test)]
mod tests {
    use agent_core::config::manifest::Manifest;
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_name_is_found_below_what_was_said_around_it() {
        let twin = anyhow::Error::from(Name::DuplicateTool.because("two".to_owned())).context("while loading");
        assert_eq!(of(&twin), Some("duplicate_tool"));
        let load = Err::<(), _>(LoadError::CoreModule).context("cannot load `x`");
        assert_eq!(load.err().as_ref().and_then(of), Some("component_invalid"));
        let manifest = Manifest::parse("tool.toml", "").map_err(anyhow::Error::from);
        assert_eq!(manifest.err().as_ref().and_then(of), Some("manifest_invalid"));
        assert_eq!(of(&anyhow::anyhow!("no name")), None);
    }
}
