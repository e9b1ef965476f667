//! For which version of our own interfaces, `agent-host:tool`, a component is made, where that is not this host's: told by name and
//! version, with what can be done, instead of by types that do not fit. `loading` asks.

use std::fmt;

/// The package of our own interfaces.
const PACKAGE: &str = "agent-host:tool";

/// The version of it that this host has: that of `wit/tool.wit`.
pub(crate) const VERSION: Version = Version([0, 1, 0]);

/// A version without anything behind its numbers. Two of one `0.N` go together as far as their types do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u64; 3]);

/// Interfaces of ours that a component exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Tools,
    Reconcile,
}

/// A component is made for another version of our own interfaces than this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherWorld {
    /// The interface that it imports or exports, with its version.
    interface: String,
    /// That version, where it is one that we could have.
    version: Option<Version>,
    /// Where versions go together, in what the two differ.
    difference: Option<String>,
}

/// The first of a component's imports and exports that is of ours and of a version that does not go together with this host's.
pub(crate) fn other<'n>(names: impl Iterator<Item = &'n str>) -> Option<OtherWorld> {
    let mut own = names.filter_map(|name| Some((name, Version::parse(version_text(name)?))));
    let (name, version) = own.find(|(_, version)| !version.is_some_and(fits))?;
    Some(OtherWorld { interface: crate::value::excerpt(name), version, difference: None })
}

/// The first of these names that `difference`, an error of wasmtime, speaks of, where it is one of ours.
pub(crate) fn differing<'n>(mut names: impl Iterator<Item = &'n str>, difference: &str) -> Option<OtherWorld> {
    let name = names.find(|name| version_text(name).is_some() && difference.contains(&format!("`{name}`")))?;
    Some(OtherWorld::differing(name, difference))
}

/// The version behind the name of an interface, empty where there is none. `None` where the interface is not ours.
fn version_text(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    interface.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(version)
}

/// As wasmtime sees it too: the second number counts as long as the first is 0.
fn fits(version: Version) -> bool {
    version.0[..2] == VERSION.0[..2]
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        let version = [numbers.next()??, numbers.next()??, numbers.next()??];
        numbers.next().is_none().then_some(Self(version))
    }
}

impl OtherWorld {
    /// The interface `name` of a component is not as this host has it.
    pub(crate) fn differing(name: &str, difference: &str) -> Self {
        let difference = Some(difference.to_owned());
        let version = version_text(name).and_then(Version::parse);
        Self { interface: crate::value::excerpt(name), version, difference }
    }

    /// What can be done about it.
    #[must_use]
    pub fn cure(&self) -> String {
        let rebuild =
            format!("build the tool anew against `{PACKAGE}@{VERSION}`, by the SDK that came with this agent-host");
        match self.version {
            Some(version) if version < VERSION => rebuild,
            // Of one version in two states nobody can tell which is the newer.
            Some(_) | None => format!("update agent-host, or {rebuild}"),
        }
    }
}

impl fmt::Display for OtherWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, version, difference } = self;
        let same = if *version == Some(VERSION) { ", though another state of it" } else { "" };
        write!(f, "the component is made for `{interface}`, and this host has `{PACKAGE}@{VERSION}`{same}")?;
        difference.iter().try_for_each(|difference| write!(f, ": {difference}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_contract() {
        assert!(include_str!("../../../wit/tool.wit").contains(&format!("package {PACKAGE}@{VERSION};")));
    }

    #[test]
    fn only_what_is_ours_and_does_not_go_together_is_named() {
        for (name, is_other) in [
            ("agent-host:tool/tools@0.1.0", false),
            ("agent-host:tool/tools@0.1.9", false),
            ("agent-host:tool/tools@0.2.0", true),
            ("agent-host:tool/tools@1.1.0", true),
            ("agent-host:tool/tools@0.1.0-draft", true),
            ("agent-host:tool/tools@0.1", true),
            ("agent-host:tool/tools", true),
            ("agent-host:toolbox/tools@0.2.0", false),
            ("wasi:http/types@0.3.0", false),
            ("tools", false),
        ] {
            assert_eq!(other([name].into_iter()).is_some(), is_other, "{name}");
        }
    }

    #[test]
    fn an_older_component_is_no_reason_to_update_the_host() {
        let cure = |name: &str| OtherWorld::differing(name, "").cure();
        assert!(cure("agent-host:tool/host@0.0.9").starts_with("build the tool anew"));
        for name in ["agent-host:tool/host@0.1.0", "agent-host:tool/host@0.1.1", "agent-host:tool/host@0.3.0-draft"] {
            assert!(cure(name).starts_with("update agent-host, or build"), "{name}");
        }
    }
}
